"""What comes before training: the checks that need no TensorFlow, the lock on the run's folder, and the devices."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fer_tl.core.check_config import check
from fer_tl.core.config import Distill, Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.lock import hold
from fer_tl.core.say import Say
from fer_tl.data.building.build import build
from fer_tl.data.building.request import BuildRequest
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import Manifest, read_manifest
from fer_tl.data.merging import parse_classes
from fer_tl.devices.base import may_have_tpu
from fer_tl.devices.choose import claim_devices
from fer_tl.devices.cluster import check_cluster, configure_cluster
from fer_tl.devices.workers import joined_workers
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights
from fer_tl.runs.folder import RunFolder, default_run_dir
from fer_tl.runs.part import NEEDED, check_part
from fer_tl.sources.format import find_format, is_drawn
from fer_tl.sources.records import Source
from fer_tl.training.teachers import check_teachers
from fer_tl.training.trackers.tracking import Tracking, refuse_missing_clients


@dataclass(frozen=True)
class Work:
    """A run that this process may train.

    Attributes:
        experiment: what to train; its places are absolute, so that the run finds its data from another folder too.
        run: its folder; of a worker other than the chief one that is deleted at the end.
        worker: number of this process among many, 0 for the chief or the only one.
        trained: whether nothing is left to train.
        writes: whether the run's tables may be written: a trained run can also be shown from a folder that cannot be
            written, or while another process works on it.
        tracking: tells the trackers; there once ``prepare`` is through.
    """

    experiment: Experiment
    run: RunFolder
    worker: int
    trained: bool
    writes: bool = True
    tracking: Tracking | None = None

    @property
    def shared(self) -> bool:
        """Whether other processes may train other folds of the run at the same time."""
        return self.experiment.fold is not None or self.experiment.in_units


@contextmanager
def prepare(experiment: Experiment | None, kind: str, say: Say) -> Iterator[Work]:
    """Check all that can be checked before TensorFlow is imported, keep other processes out of the run, claim the
    devices, and draw the dataset if it is made by code and missing.

    Args:
        experiment: from ``fer_tl.load_experiment``; none for the defaults.
        kind: ``cv`` or ``train``.
        say: prints a line.

    Raises:
        UserError: bad settings, missing or half-built data, missing weights, another run in the folder, another process
            at work there, or a part of the run that is damaged.
    """
    experiment = Experiment() if experiment is None else experiment
    if not isinstance(experiment, Experiment):
        raise UserError(
            f"an experiment comes from fer_tl.load_experiment(...), but this is a {type(experiment).__name__}"
        )
    experiment = configure_cluster(experiment)
    work = check_ready(experiment, kind)
    with ExitStack() as stack:
        if work.worker:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"fer-tl-worker-{work.worker}-"))
            work = replace(work, run=RunFolder(Path(folder)))
        else:
            work = _keep_others_out(work, stack, say)
            if (work.run.path / "run.json").is_file():
                for name in _wanted(experiment, work.run):
                    if work.run.is_done(name):
                        check_part(work.run.part(name), NEEDED)
        if not work.trained:
            stack.enter_context(joined_workers(experiment, say))
            if not experiment.in_units:  # their processes claim them
                claim_devices(experiment.strategy)
        draw_missing(experiment, say)
        say(f"worker {work.worker}: the chief writes the run" if work.worker else f"run: {work.run.path}")
        data_dir = str(Path(experiment.data_dir).absolute())
        experiment = replace(experiment, run_dir=str(work.run.path), data_dir=data_dir)
        tracking = Tracking(experiment, work.run, say, silent=bool(work.worker) or not work.writes)
        yield replace(work, experiment=experiment, tracking=stack.enter_context(tracking))


def check_ready(experiment: Experiment, kind: str) -> Work:
    """The work on an experiment whose settings, data and weights are good; needs no TensorFlow.

    Raises:
        UserError: as ``prepare``.
    """
    check(experiment)
    if experiment.seeds is not None:
        raise UserError("'seeds' are for fer-tl cv, train, distill and sweep: a single run has one --seed")
    if experiment.fold is not None and kind != "cv":
        raise UserError(f"--fold {experiment.fold} is for fer-tl cv: fer-tl {kind} trains a single model")
    if experiment.repeats > 1 and kind != "cv":
        raise UserError(f"--repeats {experiment.repeats} is for fer-tl cv: fer-tl {kind} trains a single model")
    if experiment.in_units and kind != "cv":
        raise UserError(
            f"{experiment.asks_for_units} is for several folds or runs, as of fer-tl cv, sweep and --seeds: this is "
            "one model"
        )
    check_units(experiment)
    _check_distill(experiment.distill, kind)
    spec = resolve_model(experiment)
    worker = check_cluster(experiment)
    if not worker:  # the chief alone tells them
        refuse_missing_clients(experiment)
    run = RunFolder(Path(experiment.run_dir) if experiment.run_dir else default_run_dir(experiment, kind))
    run.refuse_others(experiment, kind)
    found = _find_data(experiment)
    spec.channels_for(found.image_shape[2])
    if experiment.classes is not None:
        parse_classes(experiment.classes, found.class_names)
    begun = (run.path / "run.json").is_file()
    trained = begun and all(run.is_done(name) for name in _wanted(experiment, run))
    if not trained:
        check_teachers(experiment)
        find_weights(spec, experiment.weights, experiment.accept_licence)
    return Work(experiment, run, worker, trained)


def check_units(experiment: Experiment) -> None:
    """Refuse what processes beside each other cannot train.

    Raises:
        UserError: ``jobs`` with a single fold, with workers that train together, or where there is a TPU, which one
            process has for itself.
    """
    if not experiment.in_units:
        return
    if experiment.fold is not None:
        raise UserError(
            f"--fold {experiment.fold} is one fold and {experiment.asks_for_units} are several: use one of them"
        )
    if experiment.strategy == "multiworker" or experiment.workers:
        raise UserError(
            f"{experiment.asks_for_units} trains folds beside each other, --strategy multiworker each by all machines: "
            "use one of them"
        )
    if experiment.executor == "local" and may_have_tpu(experiment.strategy):
        raise UserError(
            f"{experiment.asks_for_units}: a TPU belongs to one process; leave --jobs out, or use --strategy cpu"
        )


def _check_distill(distill: Distill, kind: str) -> None:
    if distill.teachers and kind != "train":
        raise UserError(
            f"'distill.teachers' is not for fer-tl {kind}: the teachers' folds that answer for an image have trained "
            "on those that a fold of the student holds out; use fer-tl distill, which is scored on the validation split"
        )
    if not distill.teachers and distill != Distill():
        raise UserError(
            "'distill.share' and 'distill.temperature' are for a student: use fer-tl distill RUN, or name its "
            "'distill.teachers'"
        )


def _wanted(experiment: Experiment, run: RunFolder) -> list[str]:
    """Names of the parts of a begun run that are to be trained."""
    return run.parts if experiment.fold is None else [f"fold-{experiment.fold}"]


def _keep_others_out(work: Work, stack: ExitStack, say: Say) -> Work:
    """Hold the run's folder as long as the stack lasts, or of a single fold its own."""
    try:
        stack.enter_context(hold(work.run.path, shared=work.shared, say=say))
        if work.experiment.fold is not None:
            stack.enter_context(hold(work.run.part(f"fold-{work.experiment.fold}"), say=say))
    except UserError as error:
        if not work.trained:
            raise
        say(f"tables are shown, but not written: {error}")
        return replace(work, writes=False)
    return work


def _find_data(experiment: Experiment) -> Manifest | Source:
    """The dataset as it is built; or, of one that is drawn, as it will be.

    Raises:
        UserError: it is not built and cannot be drawn.
    """
    try:
        return read_manifest(dataset_directory(Path(experiment.data_dir), experiment.data))
    except UserError:
        if not is_drawn(experiment.data):
            raise
        return BuildRequest(experiment.data).open()


def draw_missing(experiment: Experiment, say: Say) -> None:
    """Build the dataset of an experiment if it is one that is drawn, and not there yet."""
    name = experiment.data
    if not is_drawn(name):
        return
    say(f"data: {name}, {find_format(name).summary}; --data NAME takes a dataset of your own")
    try:
        dataset_directory(Path(experiment.data_dir), name)
    except UserError:
        build(name, data_dir=experiment.data_dir, say=say)
