"""Train the parts of a run, its folds or its only model, one after the other; what is done already is left alone."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.environment import describe_environment
from fer_tl.core.errors import TrainingFailed, UserError
from fer_tl.core.files import write_json
from fer_tl.core.framework import choose_backend, import_backend, slower_backend
from fer_tl.core.lock import take_turns
from fer_tl.core.progress import Clock, Progress, duration
from fer_tl.core.randomness import key_of
from fer_tl.core.say import Say
from fer_tl.data.dataset import Dataset
from fer_tl.data.manifest import CACHE
from fer_tl.models.resolve import resolve_model
from fer_tl.models.shipped import NAME
from fer_tl.models.weights import find_weights, kernel_checksum, network_checksum
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.history import write_history
from fer_tl.runs.lineage import Lineage, join_lineages, lineage_of, lineage_of_start
from fer_tl.runs.part import ENVIRONMENT, FAILED, RESULT, TIMING, describe_files, read_environments
from fer_tl.runs.predictions import Predictions, save_predictions
from fer_tl.runs.run_file import refuse_strangers
from fer_tl.training.learnt_before import Before, count_learnt, refuse_learnt, tell_learnt
from fer_tl.training.stages import stages_of
from fer_tl.training.trackers.tracking import Tracking

if TYPE_CHECKING:
    from fer_tl.training.session import Session


@dataclass(frozen=True)
class Part:
    """A model to train.

    Attributes:
        name: of its folder.
        number: part of the key of all its randomness.
        train: rows of the dataset to train on, int64.
        held_out: rows to predict; empty where all are trained on.
        watched: rows that early stopping and plateau watch; empty where neither is used.
    """

    name: str
    number: int
    train: np.ndarray
    held_out: np.ndarray
    watched: np.ndarray


def train_parts(
    experiment: Experiment,
    dataset: Dataset,
    run: RunFolder,
    parts: Sequence[Part],
    begin: Callable[[str | None], None],
    say: Say,
    taught: Lineage | None = None,
    keeps_features: bool = True,
    tracking: Tracking | None = None,
) -> None:
    """Train and predict parts of a run; the caller keeps other processes out of them.

    A fold whose training fails is noted in its folder, and the others go on.

    Args:
        experiment: what to train.
        dataset: its examples.
        run: where.
        parts: in this order.
        begin: starts the run, or refuses another one that is there; given the precision that is trained in.
        say: prints a line.
        taught: what the teachers were trained on, where there are any.
        keeps_features: whether those of a frozen backbone are kept under the data directory, for other trainings.
        tracking: is told of the parts that are trained; by default that of the experiment.

    Raises:
        TrainingFailed: the training of a run's only model.
        UserError: what is scored was learnt before, by the weights to start from or by a teacher; or a tracker that
            cannot be reached.
    """
    begun = (run.path / "run.json").exists()
    if begun:
        begin(None)
    else:
        refuse_strangers(run.path, "--run-dir")  # before leftovers are deleted
    waiting = []
    for part in parts:
        for path in run.leftovers(part.name):
            with contextlib.suppress(OSError):  # a run that is done may be shown from where nothing can be written
                path.unlink(missing_ok=True)
        if run.is_done(part.name):
            say(f"{part.name}: done before, {run.part(part.name)}")
        else:
            waiting.append(part)
    if not waiting:
        return
    if begun:
        run.refuse_another_backend(choose_backend())
    spec = resolve_model(experiment)
    weights_file = find_weights(spec, experiment.weights, experiment.accept_licence)
    before = Before(experiment, lineage_of_start(spec, weights_file), taught)
    refuse_learnt(before, dataset, np.unique(np.concatenate([part.held_out for part in waiting])))
    idle = Clock()
    # Not before there is something to train: a finished run is reported without it.
    import_backend()
    from fer_tl.training.open_session import open_session

    rows, asked = waiting[0].train, experiment.precision
    precision = run.precision(asked) if begun else None
    session = open_session(experiment, dataset, weights_file, rows, precision, say)
    if not begun:
        begin(session.experiment.precision)  # not before the model stands: what cannot be built leaves no folder behind
        if session.experiment.precision != (precision := run.precision(asked)):  # another fold's process was faster
            session = open_session(experiment, dataset, weights_file, rows, precision, say)
    _record_start(session, run, weights_file, say)
    tracking = tracking or Tracking(experiment, run, say)
    tracking.open()
    tell_learnt(before, dataset, [(part.held_out, part.watched) for part in waiting], say)
    waiting = _agree(session, waiting)
    # Workers keep nothing: what each has kept could differ, and they compute in step.
    keeps = keeps_features and experiment.strategy != "multiworker"
    session.prepare(Path(experiment.data_dir) / CACHE if keeps else None)
    epochs = sum(stage.trained for stage in stages_of(experiment))
    left = sum(len(part.train) for part in waiting) * epochs
    progress = Progress(left)
    for part in waiting:
        left -= len(part.train) * epochs
        try:
            _train_part(session, part, run, progress, idle, before, tracking)
        except TrainingFailed as error:
            if run.parts == [part.name]:
                raise
            message = str(error).removeprefix(f"{part.name}: ")
            write_json(run.part(part.name) / FAILED, {"message": message, "epoch": error.epoch, "step": error.step})
            progress.line(f"{part.name} failed: {message}")
            progress = Progress(left)
        idle.lap()


def _agree(session: Session, waiting: list[Part]) -> list[Part]:
    """Of many workers, all train what the chief has left to train, and on the same images.

    Raises:
        UserError: on a worker that has others.
    """
    if session.experiment.strategy != "multiworker":
        return waiting
    from fer_tl.devices.broadcast import check_alike, share_bytes

    names = json.loads(share_bytes(session.devices, json.dumps([part.name for part in waiting]).encode()))
    waiting = [part for part in waiting if part.name in names]
    resident, targets = isinstance(session.dataset.images, np.ndarray), session.dataset.targets
    check_alike(
        session.devices,
        {
            "dataset": session.dataset.fingerprint,
            "targets": hashlib.sha256(b"" if targets is None else targets.tobytes()).hexdigest(),
            "input": "resident" if resident else "stream",
            "folds": [[part.name, key_of(part.train.tolist(), part.held_out.tolist())] for part in waiting],
        },
    )
    return waiting


def _train_part(
    session: Session,
    part: Part,
    run: RunFolder,
    progress: Progress,
    idle: Clock,
    before: Before,
    tracking: Tracking,
) -> None:
    from fer_tl.training.loop import FoldRows, Loop

    dataset, folder = session.dataset, run.part(part.name)
    rows = FoldRows(part.train, part.held_out, part.watched)
    loop = Loop(session, part.number, rows, folder, progress, part.name, idle, tracking)
    fitted, clock = loop.run(), Clock()
    scored: dict[str, float] = {}
    logits = np.empty((0, len(dataset.class_names)), np.float32)
    if len(part.held_out):
        loss, accuracy, logits = session.evaluate(part.held_out)
        scored = {"loss": loss, "accuracy": accuracy}
    predictions = Predictions(dataset.ids[part.held_out], dataset.labels[part.held_out], logits, dataset.class_names)
    save_predictions(folder / "predictions.npz", predictions)
    write_history(folder / "history.csv", fitted.history)
    own = lineage_of(dataset.digests[np.concatenate([part.train, part.watched])])
    session.save_model(folder / "model.keras", join_lineages([own, before.lineage]))
    (folder / FAILED).unlink(missing_ok=True)
    seconds = fitted.timing["seconds"] + clock.lap()
    write_json(folder / TIMING, {**fitted.timing, "seconds": round(seconds, 1)})
    write_json(
        folder / RESULT,
        {
            "trained_on": len(part.train),
            "held_out": len(part.held_out),
            "watched": len(part.watched),
            "epochs": len(fitted.history),
            "kept_epoch": fitted.kept_epoch,
            **scored,
            **count_learnt(before, dataset, part.held_out, part.watched),
            "files": describe_files(folder),
        },
    )
    loop.forget()
    told = f", held-out accuracy {scored['accuracy']:.3f}" if scored else ""
    progress.line(f"{part.name}: done in {duration(seconds)}{told}")


def _record_start(session: Session, run: RunFolder, weights_file: Path | None, say: Say) -> None:
    """Say and record what is trained, from which weights and on what."""
    # Without a file it is the seed's random kernels that it tells apart.
    checksum = kernel_checksum(session.classifier.backbone_layers)
    asked = session.experiment.weights
    weights = asked if asked == NAME else weights_file.name if weights_file else "none"
    say(f"model: {session.describe()}, weights: {weights}, kernels {checksum}")
    if hint := slower_backend(choose_backend(), session.devices.kind):
        say(hint)
    start = {"weights": weights, "kernel_checksum": checksum, "pixels": session.spec.describe_pixels()}
    start["precision"] = session.experiment.precision
    start["network"] = network_checksum(session.classifier.model)
    _record_environment(run, session.describe(), start, say)


def _record_environment(run: RunFolder, devices: str, start: dict[str, str], say: Say) -> None:
    """Append to ``environment.json``: a run that is continued elsewhere lists both places."""
    path = run.path / ENVIRONMENT
    with take_turns(run.path):
        before = read_environments(run.path, say)
        if any(entry.get("network", start["network"]) != start["network"] for entry in before):
            raise UserError(
                f"{run.path} was begun with another network: the code of its backbone has changed since; give another "
                "--run-dir, or go on with the code of before"
            )
        write_json(path, [*before, {**describe_environment(devices), **start}])
