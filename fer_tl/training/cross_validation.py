"""Cut a training split into folds, or one validation split, and train them into a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import identity
from fer_tl.core.counting import fitting
from fer_tl.core.errors import UserError
from fer_tl.core.framework import choose_backend
from fer_tl.core.lock import take_turns
from fer_tl.core.say import Say
from fer_tl.data.dataset import Dataset
from fer_tl.data.folds import count_split, leaving_out, make_folds, read_repetitions, write_folds
from fer_tl.data.repetitions import check_repetitions, make_repetitions
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.lineage import join_lineages
from fer_tl.runs.refits import Refit
from fer_tl.runs.run_file import NO_IMAGE, REFIT
from fer_tl.training.teachers import Teacher, read_teachers, refuse_other_teachers, teach
from fer_tl.training.trackers.tracking import Tracking
from fer_tl.training.train_parts import Part, train_parts


def train_folds(
    experiment: Experiment, dataset: Dataset, run: RunFolder, say: Say, tracking: Tracking | None = None
) -> None:
    """Train and predict each fold of the training split, or the one that the experiment names.

    A fold whose training fails is noted, see ``RunFolder.failures``, and the others are trained.

    Args:
        experiment: what to train.
        dataset: the training split alone; the test split has no way in.
        run: where; done folds are skipped, a fold in work continues at its checkpoint. The caller keeps others out.
        say: prints a line.
        tracking: is told of it; by default that of the experiment.

    Raises:
        UserError: a class has fewer groups than folds; another run is in the folder; the weights to start from have
            learnt images that are held out.
    """
    names = [f"fold-{fold}" for fold in range(experiment.folds * experiment.repeats)]
    table = run.path / "folds.csv"
    run.refuse_others(experiment, "cv")  # before anything in the folder is taken for the run's
    run.refuse_another_build(dataset.name, dataset.fingerprint)  # before its fold table seems to hold wrong ids
    assigned = _assign_folds(experiment, dataset, run)
    split = count_split(assigned, dataset.groups)
    if split:
        where = "another fold" if experiment.repeats == 1 else "another fold of one repetition"
        say(
            f"folds: {split:,} of {len(dataset):,} images {fitting(split, 'has', 'have')} a duplicate or a face of the "
            f"same photo in {where}"
        )

    def begin(precision: str | None) -> None:
        _start(experiment, dataset, run, "cv", names, "every fold in turn", precision, split)
        if not table.exists():
            with take_turns(run.path):  # other folds may begin at the same moment
                write_folds(table, dataset.ids, assigned)

    parts = []
    for fold in range(len(names)) if experiment.fold is None else [experiment.fold]:
        here = assigned[fold // experiment.folds] == fold  # [N]
        train = np.flatnonzero(~here)
        watched = _set_aside(experiment, dataset, train)
        parts.append(Part(names[fold], fold, np.setdiff1d(train, watched), np.flatnonzero(here), watched))
    train_parts(experiment, dataset, run, parts, begin, say, tracking=tracking)


def _assign_folds(experiment: Experiment, dataset: Dataset, run: RunFolder) -> np.ndarray:
    """The folds of each example, int64 ``[R, N]``: of the run if it was begun, of the table that is given, or drawn."""
    groups = dataset.groups if experiment.group_folds else dataset.ids
    path = run.path / "folds.csv"
    number, repeats = experiment.folds, experiment.repeats
    given = None
    if experiment.fold_table:
        given = read_repetitions(Path(experiment.fold_table), dataset.ids, repeats, others=True)
    begun = run.read_fold_table(dataset.ids) if path.exists() else None
    assigned = begun if begun is not None else given
    if assigned is None:
        seed = experiment.drawn_by
        return make_repetitions(dataset.ids, dataset.labels, groups, dataset.class_names, number, seed, repeats)
    try:
        check_repetitions(assigned, dataset.labels, groups, dataset.class_names, number)
    except UserError as error:
        raise UserError(f"{error}; {run.fold_table_remedy()}" if begun is not None else str(error)) from None
    if given is not None and not np.array_equal(assigned, given):
        raise UserError(
            f"{experiment.fold_table} holds other folds than the run was begun with ({path}): give another --run-dir"
        )
    return assigned


def train_one(
    experiment: Experiment, dataset: Dataset, run: RunFolder, say: Say, tracking: Tracking | None = None
) -> None:
    """Train one model on the training split and predict the validation split, or the first fold where there is none.

    Args:
        experiment: what to train.
        dataset: the training split, and the validation split where the dataset has one.
        run: where; the caller keeps others out.
        say: prints a line.
        tracking: as of ``train_folds``.

    Raises:
        UserError: a class has no image to train on; another run is in the folder; a teacher that cannot teach it; the
            weights to start from, or a teacher, have learnt images that are held out; the training failed.
    """
    # A student that is done is told without them, wherever they have gone since.
    teachers = () if run.is_done("model") else read_teachers(experiment, dataset)
    dataset = teach(dataset, teachers, experiment.distill)
    validation, scored = dataset.splits == "validation", "split validation"
    if not validation.any():
        validation = (
            make_folds(
                dataset.ids, dataset.labels, dataset.groups, dataset.class_names, experiment.folds, experiment.drawn_by
            )
            == 0
        )
        scored = f"fold 0 of {experiment.folds} of train"
        say(f"{dataset.name} has no validation split: {scored} is held out instead")
    lacking = set(range(len(dataset.class_names))) - set(dataset.labels[~validation].tolist())
    if lacking:
        names = [dataset.class_names[label] for label in sorted(lacking)]
        raise UserError(
            f"class '{names[0]}' has no image to train on: add some{leaving_out(names, dataset.class_names)}"
        )
    train = np.flatnonzero(~validation)
    watched = _set_aside(experiment, dataset, train)
    part = Part("model", 0, np.setdiff1d(train, watched), np.flatnonzero(validation), watched)

    def begin(precision: str | None) -> None:
        refuse_other_teachers(run, teachers)
        _start(experiment, dataset, run, "train", ["model"], scored, precision, teachers=teachers)

    taught = join_lineages(teacher.lineage for teacher in teachers)
    train_parts(experiment, dataset, run, [part], begin, say, taught, tracking=tracking)


def train_all(
    experiment: Experiment,
    dataset: Dataset,
    run: RunFolder,
    refit: Refit | None,
    say: Say,
    keeps_features: bool = True,
) -> None:
    """Train one model on all images of the training split, and predict none.

    Args:
        experiment: what to train, see ``fer_tl.commands.refit``.
        dataset: the training split alone; the others have no way in.
        run: where; the caller keeps others out.
        refit: of which cross validation; None where it is of none.
        say: prints a line.
        keeps_features: see ``train_parts``.

    Raises:
        UserError: another run is in the folder, or a refit of other models; the training failed.
    """
    rows = np.arange(len(dataset))
    watched = _set_aside(experiment, dataset, rows)
    part = Part("model", 0, np.setdiff1d(rows, watched), np.empty(0, np.int64), watched)
    kind = REFIT if refit else "train"

    def begin(precision: str | None) -> None:
        _start(experiment, dataset, run, kind, ["model"], NO_IMAGE, precision, refit=refit)

    train_parts(experiment, dataset, run, [part], begin, say, keeps_features=keeps_features)


def _start(
    experiment: Experiment,
    dataset: Dataset,
    run: RunFolder,
    kind: str,
    parts: list[str],
    held_out: str,
    precision: str | None,
    split_over_folds: int = 0,
    teachers: Sequence[Teacher] = (),
    refit: Refit | None = None,
) -> None:
    about = {
        "kind": kind,
        "parts": parts,
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "class_names": list(dataset.class_names),
        "faces": dataset.recipe.to_dict(),
        "images": len(dataset),
        "held_out": held_out,
        "split_over_folds": split_over_folds,
        **({"repeats": experiment.repeats} if experiment.repeats > 1 else {}),
        "backend": choose_backend(),
        "precision": precision or experiment.precision,
        # Of config.yaml too, where somebody may change them.
        "settings": identity(experiment),
    }
    if teachers:
        about["teachers"] = [teacher.describe() for teacher in teachers]
    if refit:
        about["refit"] = refit.to_dict()
    run.start(experiment, about)


def _set_aside(experiment: Experiment, dataset: Dataset, train: np.ndarray) -> np.ndarray:
    """Training rows that early stopping and plateau watch instead of the held-out ones, stratified and grouped."""
    if not experiment.watches:
        return np.empty(0, dtype=np.int64)
    groups, name = min(
        (len(np.unique(dataset.groups[train][dataset.labels[train] == index])), dataset.class_names[index])
        for index in np.unique(dataset.labels[train])
    )
    if groups < 2:
        raise UserError(
            f"class '{name}' has a single group of training images, so none can be set aside to be watched: "
            "train without early stopping and plateau, or add images"
        )
    share = min(_shares(groups), key=lambda one: (abs(one - experiment.holdout), one.denominator))
    if abs(share - experiment.holdout) > 0.01 * experiment.holdout:
        what = "is less than one" if experiment.holdout * groups < 1 else "is not a whole number"
        raise UserError(
            f"'holdout' {experiment.holdout:g} of class '{name}' {what} of its {groups} groups of training images: use "
            f"--holdout {float(share):.4g}, or more images"
        )
    chosen = make_folds(
        dataset.ids[train],
        dataset.labels[train],
        dataset.groups[train],
        dataset.class_names,
        share.denominator,
        experiment.seed,
    )
    return train[chosen < share.numerator]


def _shares(most: int) -> Iterator[Fraction]:
    """What can be set aside when each class has as many groups: up to a half, in parts of 1 % or more."""
    for parts in range(2, min(most, 100) + 1):
        for taken in range(1, parts // 2 + 1):
            yield Fraction(taken, parts)
