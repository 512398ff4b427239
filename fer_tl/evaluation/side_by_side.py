"""Rows of a comparison looked at closer: in which classes they differ, and how far their answers and errors agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fer_tl.evaluation.compared_runs import ComparedRun
from fer_tl.evaluation.intervals import Interval
from fer_tl.evaluation.simultaneous import largest_deviations, reaches, resampled_sums
from fer_tl.evaluation.trainings import right_answers


@dataclass(frozen=True)
class ClassDifference:
    """Recall of a class by a row less that by the best one; the intervals of all rows and classes hold at once.

    Attributes:
        row: number of the row.
        label: index of the class.
        difference: -1..1.
        interval: None where the class is in a single group.
    """

    row: int
    label: int
    difference: float
    interval: Interval | None


@dataclass(frozen=True)
class Agreement:
    """What two rows answer for the same images; of rows of several trainings, the mean over all pairs of them.

    Attributes:
        one: number of a row.
        other: number of another.
        same: share of the images for which both give the same answer.
        kappa: Cohen's, agreement of the answers beyond that of chance; 0 if both give one and the same answer always.
        both_right: share for which both are right.
        both_wrong: share for which both are wrong.
        same_error: share for which both give the same wrong answer.
        only_one: share for which the first alone is right.
        only_other: share for which the other alone is.
    """

    one: int
    other: int
    same: float
    kappa: float
    both_right: float
    both_wrong: float
    same_error: float
    only_one: float
    only_other: float


def class_differences(
    runs: Mapping[int, ComparedRun], best: int, groups: np.ndarray | None, seed: int = 0
) -> tuple[ClassDifference, ...]:
    """Compare the recall of each class by each row with that by the best row, image by image.

    Differences are ratios in the same resamples of groups; their intervals share one correction over rows and classes,
    see ``fer_tl.evaluation.simultaneous``. Of rows of several trainings they are of the mean over these, and tell how
    it would vary with other images.

    Args:
        runs: by the number of their row, all with predictions of the same images.
        best: number of the best row.
        groups: of the answers of the best row, text; None where they are not known.
        seed: of the resamples.
    """
    others = [number for number in runs if number != best]
    first = runs[best].predictions
    if first is None or not others:
        return ()
    means = {number: right_answers(run).mean(axis=0) for number, run in runs.items()}  # [N] each
    count = len(means[best])
    units = (first.ids if groups is None else groups)[:count]
    group_of = np.unique(units, return_inverse=True)[1]
    labels = first.labels[:count]
    occur = [k for k in range(len(first.class_names)) if (labels == k).any()]
    inside = np.stack([labels == k for k in occur])  # [C, N]
    gains = np.stack([inside * (means[number] - means[best]) for number in others])  # [M, C, N]
    sums, drawn = resampled_sums(np.concatenate([inside, gains.reshape(-1, count)]), group_of, seed)
    classes = len(occur)
    found = (sums[classes:].reshape(-1, classes) / sums[:classes]).ravel()  # [M C]
    with np.errstate(invalid="ignore"):
        sampled = drawn[:, classes:].reshape(len(drawn), -1, classes) / drawn[:, None, :classes]
    errors, largest = largest_deviations(found, sampled.reshape(len(drawn), -1))
    groups_of_class = np.array([len(np.unique(group_of[rows])) for rows in inside])
    reach = reaches(errors, largest, np.tile(np.maximum(groups_of_class, 2), len(others)))
    result = []
    for place, (value, end) in enumerate(zip(found.tolist(), reach.tolist(), strict=True)):
        row, k = divmod(place, classes)
        interval = (max(-1.0, value - end), min(1.0, value + end)) if groups_of_class[k] > 1 else None
        result.append(ClassDifference(others[row], occur[k], value, interval))
    return tuple(result)


def agreements(runs: Mapping[int, ComparedRun]) -> tuple[Agreement, ...]:
    """How far each two rows agree, in the order of the rows; arguments as of ``class_differences``.

    Source of kappa: J. Cohen, A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement
    20 (1960).
    """
    answers = {number: _answers(run) for number, run in runs.items()}  # [S, N] each
    numbers = list(runs)
    found = []
    for place, one in enumerate(numbers):
        for other in numbers[place + 1 :]:
            predictions = runs[one].predictions
            assert predictions is not None
            labels = predictions.labels[: answers[one].shape[1]]
            found.append(_agreement(one, other, answers, labels, len(predictions.class_names)))
    return tuple(found)


def _answers(run: ComparedRun) -> np.ndarray:
    found = [each.predictions for each in run.trainings or (run,)]
    return np.stack([each.logits.argmax(axis=1) for each in found if each is not None])


def _agreement(one: int, other: int, answers: Mapping[int, np.ndarray], labels: np.ndarray, classes: int) -> Agreement:
    table = np.zeros((classes, classes))
    same = both_right = both_wrong = only_one = 0.0
    pairs = [(first, second) for first in answers[one] for second in answers[other]]
    for first, second in pairs:
        table += np.bincount(first * classes + second, minlength=classes**2).reshape(classes, classes)
        right = first == labels, second == labels
        same += float((first == second).mean()) / len(pairs)
        both_right += float((right[0] & right[1]).mean()) / len(pairs)
        both_wrong += float((~right[0] & ~right[1]).mean()) / len(pairs)
        only_one += float((right[0] & ~right[1]).mean()) / len(pairs)
    table /= table.sum()
    chance = float(table.sum(axis=1) @ table.sum(axis=0))
    kappa = (same - chance) / (1 - chance) if chance < 1 else 0.0
    only_other = max(0.0, 1 - both_right - both_wrong - only_one)
    return Agreement(one, other, same, kappa, both_right, both_wrong, same - both_right, only_one, only_other)
