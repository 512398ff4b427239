"""What keeps runs from being compared example by example: other data, images, classes, labels or folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.evaluation.compared_runs import ComparedRun
from fer_tl.runs.predictions import Predictions


def pair_runs(runs: Sequence[ComparedRun], split: str | None) -> tuple[ComparedRun, ...]:
    """The runs with their classes in the order of those of the first whole run, each with what keeps it from being
    paired with that one."""
    first = next((run for run in runs if run.is_whole), runs[0])
    return tuple(run if run is first else _paired(first, run, split) for run in runs)


def refuse_unpaired(runs: Sequence[ComparedRun], split: str | None) -> None:
    """Refuse runs of other data or folds than the first whole one.

    Raises:
        UserError: naming the first such run, and what differs.
    """
    first = next((run for run in runs if run.is_whole), runs[0])
    for run in runs:
        if run.differs:
            ours, theirs = first.about, run.about
            same_data = ours["dataset"] == theirs["dataset"] and ours.get("class_names") == theirs.get("class_names")
            same_build = ours["kind"] != theirs["kind"] or first.fingerprint == run.fingerprint
            advice = "--split test compares them on the same images, " if same_data and same_build and not split else ""
            raise UserError(
                f"{run.path} cannot be compared with {first.path}: {run.differs}; {advice}--unpaired shows them side "
                "by side, not tested"
            )


def find_twins(runs: Sequence[ComparedRun]) -> tuple[tuple[str, str, bool], ...]:
    """Runs that answer alike for every image, by their names, each with the first that does; and whether they predict
    the same to the last digit, so that it is one run under two paths.

    Args:
        runs: from ``pair_runs``; those that differ in what they are scored on are no twins.
    """
    found = []
    for number, other in enumerate(runs):
        for one in runs[:number]:
            ours, theirs = one.predictions, other.predictions
            if ours is None or theirs is None or not _on_the_same(one, other):
                continue
            if np.array_equal(ours.logits.argmax(axis=1), theirs.logits.argmax(axis=1)):
                found.append((one.name, other.name, np.array_equal(ours.logits, theirs.logits)))
                break
    return tuple(found)


def _on_the_same(one: ComparedRun, other: ComparedRun) -> bool:
    """Whether both predicted the same examples, with the same classes and labels."""
    ours, theirs = one.predictions, other.predictions
    if ours is None or theirs is None or ours.class_names != theirs.class_names:
        return False
    return np.array_equal(one.keys, other.keys) and np.array_equal(ours.labels, theirs.labels)


def _paired(first: ComparedRun, run: ComparedRun, split: str | None) -> ComparedRun:
    """A run with its classes in the order of the first one's, if they are the same, and what keeps it from being paired
    with that one."""
    one, other = first.predictions, run.predictions
    if one is None or other is None:
        return replace(run, differs=_other_design(first, run, split))
    if sorted(one.class_names) != sorted(other.class_names):
        differs = _other_design(first, run, split) or _other_classes(one.class_names, other.class_names)
        return replace(run, differs=differs)
    columns = [other.class_names.index(name) for name in one.class_names]
    other = Predictions(other.ids, np.argsort(columns)[other.labels], other.logits[:, columns], one.class_names)
    run = replace(run, predictions=other)
    return replace(run, differs=_other_design(first, run, split) or _other_examples(first, run, split))


def _other_design(first: ComparedRun, run: ComparedRun, split: str | None) -> str:
    """What two runs' records say of other images or data; empty for nothing."""
    ours, theirs = first.about, run.about
    held_out = [about["kind"] if about["kind"] == "cv" else about["held_out"] for about in (ours, theirs)]
    if not split and held_out[0] != held_out[1]:
        said = ["scored out of fold" if each == "cv" else f"scored on {each}" for each in held_out]
        return f"it is {said[1]}, {first.name} {said[0]}"
    names = [about.get("class_names", []) for about in (ours, theirs)]
    if ours["dataset"] == theirs["dataset"] and sorted(names[0]) != sorted(names[1]):
        return _other_classes(*names)
    if first.fingerprint and run.fingerprint and first.fingerprint != run.fingerprint:
        if ours["dataset"] != theirs["dataset"]:
            return f"it is of {theirs['dataset']}, {first.name} of {ours['dataset']}"
        return (
            f"it is of another build of {ours['dataset']} (fingerprint {run.fingerprint[:12]}, not "
            f"{first.fingerprint[:12]})"
        )
    if not split and (len(ours["parts"]), first.repeats) != (len(theirs["parts"]), run.repeats):
        return f"it has {_spell_folds(run)}, {first.name} {_spell_folds(first, run.repeats == 1)}"
    return ""


def _spell_folds(run: ComparedRun, brief: bool = False) -> str:
    """How many folds a cross validation has, such as "4 folds", or briefly "4", or "3 times 4 folds"."""
    folds = len(run.about["parts"]) // run.repeats
    return f"{run.repeats} times {folds} folds" if run.repeats > 1 else f"{folds}{'' if brief else ' folds'}"


def _other_classes(ours: Sequence[str], theirs: Sequence[str]) -> str:
    lacking = [name for name in ours if name not in theirs]
    extra = [name for name in theirs if name not in ours]
    parts = [f"it lacks {', '.join(lacking)}"] if lacking else []
    return " and ".join([*parts, *([f"it has {', '.join(extra)}"] if extra else [])]) + " of the classes"


def _other_examples(first: ComparedRun, run: ComparedRun, split: str | None) -> str:
    """How the examples of two runs of the same classes differ; parts that are not done are no difference."""
    one, other = first.predictions, run.predictions
    assert one is not None
    assert other is not None
    if np.array_equal(first.keys, run.keys):
        i = j = np.arange(len(one.ids))
    else:
        _, i, j = np.intersect1d(first.keys, run.keys, assume_unique=True, return_indices=True)
        missing = len(one.ids) - len(i) if run.is_whole else 0
        extra = len(other.ids) - len(j) if first.is_whole else 0
        if missing or extra:
            return f"it predicts other images ({missing:,} of {first.name}'s are missing, {extra:,} are its own)"
    labels = np.flatnonzero(one.labels[i] != other.labels[j])
    if len(labels):
        example_id = one.ids[i][labels[0]]
        return f"it has other labels for {len(labels):,} of {len(i):,} images, such as '{example_id}'"
    moved = int((first.folds[i] != run.folds[j]).sum())
    return "" if split or not moved else f"it has other folds ({moved:,} of {len(i):,} images are in another one)"
