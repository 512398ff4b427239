"""Train every fold of a cross validation, or one model, into a run folder; what is done already is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fer_tl.config import Experiment
from fer_tl.data.dataset import Dataset
from fer_tl.data.folds import check_folds, count_split, make_folds, read_folds, write_folds
from fer_tl.errors import UserError
from fer_tl.files import read_json, write_json
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights, kernel_checksum
from fer_tl.quiet import import_tensorflow
from fer_tl.training.environment import describe_environment
from fer_tl.training.progress import Clock, Progress, duration
from fer_tl.training.run_folder import Predictions, RunFolder, save_predictions, write_history

Say = Callable[[str], None]


def train_folds(experiment: Experiment, dataset: Dataset, run: RunFolder, say: Say) -> None:
    """Train and predict each fold of the training split.

    Args:
        experiment: what to train.
        dataset: the training split alone; the test split has no way in.
        run: where; done folds are skipped, a fold in work continues at its checkpoint.
        say: prints a line.

    Raises:
        UserError: a class has fewer groups than folds; another run is in the folder.
    """
    names = [f"fold-{fold}" for fold in range(experiment.folds)]
    table = run.path / "folds.csv"
    run.refuse_another_build(dataset.name, dataset.fingerprint)  # before its fold table seems to hold wrong ids
    assigned = _assign_folds(experiment, dataset, table)
    split = count_split(assigned, dataset.groups)
    if split:
        say(f"folds: {split:,} of {len(dataset):,} images have a duplicate or a face of the same photo in another fold")

    def begin() -> None:
        _start(experiment, dataset, run, "cv", names, "every fold in turn", split)
        if not table.exists():
            write_folds(table, dataset.ids, assigned)

    parts = {}
    for fold, name in enumerate(names):
        train = np.flatnonzero(assigned != fold)
        watched = _set_aside(experiment, dataset, train)
        parts[name] = (np.setdiff1d(train, watched), np.flatnonzero(assigned == fold), watched)
    _train_parts(experiment, dataset, run, parts, begin, say)


def _assign_folds(experiment: Experiment, dataset: Dataset, begun: Path) -> np.ndarray:
    """The fold of each example, int64 ``[N]``: of the run if it was begun, of the table that is given, or drawn."""
    groups = dataset.groups if experiment.group_folds else dataset.ids
    given = Path(experiment.fold_table) if experiment.fold_table else None
    path = begun if begun.exists() else given
    if path is None:
        return make_folds(dataset.ids, dataset.labels, groups, dataset.class_names, experiment.folds, experiment.seed)
    assigned = read_folds(path, dataset.ids, others=path == given)
    check_folds(assigned, dataset.labels, groups, dataset.class_names, experiment.folds)
    if given and path == begun and not np.array_equal(assigned, read_folds(given, dataset.ids, others=True)):
        raise UserError(f"{given} holds other folds than the run was begun with ({begun}): give another --run-dir")
    return assigned


def train_one(experiment: Experiment, dataset: Dataset, run: RunFolder, say: Say) -> None:
    """Train one model on the training split and predict the validation split, or the first fold where there is none.

    Args:
        experiment: what to train.
        dataset: the training split, and the validation split where the dataset has one.
        run: where.
        say: prints a line.
    """
    validation, scored = dataset.splits == "validation", "split validation"
    if not validation.any():
        validation = (
            make_folds(
                dataset.ids, dataset.labels, dataset.groups, dataset.class_names, experiment.folds, experiment.seed
            )
            == 0
        )
        scored = f"fold 0 of {experiment.folds} of train"
        say(f"{dataset.name} has no validation split: {scored} is held out instead")
    lacking = set(range(len(dataset.class_names))) - set(dataset.labels[~validation].tolist())
    if lacking:
        raise UserError(f"class '{dataset.class_names[min(lacking)]}' has no image to train on: add some")
    train = np.flatnonzero(~validation)
    watched = _set_aside(experiment, dataset, train)
    parts = {"model": (np.setdiff1d(train, watched), np.flatnonzero(validation), watched)}
    _train_parts(
        experiment, dataset, run, parts, lambda: _start(experiment, dataset, run, "train", ["model"], scored), say
    )


def _start(
    experiment: Experiment,
    dataset: Dataset,
    run: RunFolder,
    kind: str,
    parts: list[str],
    held_out: str,
    split_over_folds: int = 0,
) -> None:
    run.start(
        experiment,
        {
            "kind": kind,
            "parts": parts,
            "dataset": dataset.name,
            "fingerprint": dataset.fingerprint,
            "class_names": list(dataset.class_names),
            "images": len(dataset),
            "held_out": held_out,
            "split_over_folds": split_over_folds,
        },
    )


def _set_aside(experiment: Experiment, dataset: Dataset, train: np.ndarray) -> np.ndarray:
    """Training rows that early stopping and plateau watch instead of the held-out ones, stratified and grouped."""
    if not experiment.watches:
        return np.empty(0, dtype=np.int64)
    parts = max(2, round(1 / experiment.holdout))
    groups, name = min(
        (len(np.unique(dataset.groups[train][dataset.labels[train] == index])), dataset.class_names[index])
        for index in np.unique(dataset.labels[train])
    )
    if groups < 2:
        raise UserError(
            f"class '{name}' has a single group of training images, so none can be set aside to be watched: "
            "train without early stopping and plateau, or add images"
        )
    if groups < parts:
        raise UserError(
            f"'holdout' {experiment.holdout:g} of class '{name}' is less than one of its {groups} groups of training "
            f"images: use --holdout {min(0.5, np.ceil(100 / groups) / 100):g} or more, or more images"
        )
    chosen = make_folds(
        dataset.ids[train], dataset.labels[train], dataset.groups[train], dataset.class_names, parts, experiment.seed
    )
    return train[chosen == 0]


Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def _train_parts(
    experiment: Experiment,
    dataset: Dataset,
    run: RunFolder,
    parts: dict[str, Rows],
    begin: Callable[[], None],
    say: Say,
) -> None:
    begun = (run.path / "run.json").exists()
    if begun:
        begin()
    waiting = [name for name in parts if not run.is_done(name)]
    for name in parts:
        if name not in waiting:
            say(f"{name}: done before, {run.part(name)}")
    if not waiting:
        return
    weights_file = find_weights(resolve_model(experiment), experiment.weights, experiment.accept_licence)
    idle = Clock()
    # Not before there is something to train: a finished run is reported without it.
    import_tensorflow()
    from fer_tl.training.loop import FoldRows, Loop
    from fer_tl.training.session import Session

    session = Session(experiment, dataset, weights_file)
    if not begun:
        begin()  # not before the model stands: what cannot be built leaves no folder behind
    # Without a file it is the seed's random kernels that it tells apart.
    checksum = kernel_checksum(session.classifier.backbone_layers)
    weights = weights_file.name if weights_file else "none"
    say(f"model: {session.describe()}, weights: {weights}, kernels {checksum}")
    _record_environment(run, session.describe(), {"weights": weights, "kernel_checksum": checksum})
    epochs = experiment.epochs + experiment.head_epochs
    progress = Progress(sum(len(parts[name][0]) for name in waiting) * epochs)
    for name in waiting:
        number, clock = list(parts).index(name), Clock()
        loop = Loop(session, number, FoldRows(*parts[name]), run.part(name), progress, name, idle)
        fitted = loop.run()
        held_out = parts[name][1]
        loss, accuracy, logits = session.evaluate(held_out)
        predictions = Predictions(dataset.ids[held_out], dataset.labels[held_out], logits, dataset.class_names)
        save_predictions(run.part(name) / "predictions.npz", predictions)
        write_history(run.part(name) / "history.csv", fitted.history)
        session.save_model(run.part(name) / "model.keras")
        seconds = clock.lap()
        write_json(
            run.part(name) / "result.json",
            {
                "trained_on": len(parts[name][0]),
                "held_out": len(held_out),
                "watched": len(parts[name][2]),
                "epochs": len(fitted.history),
                "kept_epoch": fitted.kept_epoch,
                "loss": loss,
                "accuracy": accuracy,
                "seconds": round(seconds, 1),
                "seconds_to_first_step": fitted.seconds_to_first_step,
                "memory_mb": fitted.memory_mb,
            },
        )
        loop.forget()
        progress.line(f"{name}: done in {duration(seconds)}, held-out accuracy {accuracy:.3f}")
        idle.lap()


def _record_environment(run: RunFolder, devices: str, start: dict[str, str]) -> None:
    """Append to ``environment.json``: a run that is continued elsewhere lists both places."""
    path = run.path / "environment.json"
    before = read_json(path) if path.exists() else []
    write_json(path, [*before, {**describe_environment(devices), **start}])
