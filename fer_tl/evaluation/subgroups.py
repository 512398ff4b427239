"""Accuracy by a property of images: how each subgroup differs from all others, in intervals that hold for them all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from fer_tl.evaluation.column_table import Column
from fer_tl.evaluation.intervals import Interval
from fer_tl.evaluation.simultaneous import LEVEL, adjust, largest_deviations, reaches, resampled_sums
from fer_tl.runs.predictions import Predictions, predicted_labels

FEWEST_IMAGES, FEWEST_GROUPS = 30, 10
"""A subgroup of fewer is tiny: it is shown, and not tested."""


@dataclass(frozen=True)
class Subgroup:
    """The examples with one value.

    Attributes:
        value: of the column; "" for those of which nothing is known.
        images: each counted once.
        groups: that they are in: copies, faces of one photo, images of one person.
        accuracy: 0..1.
        expected: accuracy if each of its classes were recognised as often as among all: what its classes alone explain.
        interval: of 95 %, of the accuracy alone, by Wilson's formula on as many images as its groups are worth.
        difference: accuracy less that of all others with a value; None where it is tiny, or there are no others.
        difference_interval: all together hold with 95 %.
        beyond: accuracy less ``expected``, less the same of all others; None likewise.
        beyond_interval: all together hold with 95 %.
        p: of the difference; None likewise.
        p_adjusted: the same, corrected for all subgroups that are tested.
    """

    value: str
    images: int
    groups: int
    accuracy: float
    expected: float
    interval: Interval
    difference: float | None = None
    difference_interval: Interval | None = None
    beyond: float | None = None
    beyond_interval: Interval | None = None
    p: float | None = None
    p_adjusted: float | None = None


@dataclass(frozen=True, eq=False)
class Subgroups:
    """All subgroups of a column.

    Attributes:
        column: where the values come from.
        tested: in the column's order.
        tiny: those of few images or groups, likewise.
        unknown: the examples without a value; None if all have one.
        accuracy: of all, 0..1.
        images: of all, each counted once.
    """

    column: Column
    tested: tuple[Subgroup, ...]
    tiny: tuple[Subgroup, ...]
    unknown: Subgroup | None
    accuracy: float
    images: int


def score_subgroups(predictions: Predictions, groups: np.ndarray, column: Column, seed: int = 0) -> Subgroups:
    """Score each value of a column, and test whether its accuracy is another than that of all other examples.

    What is tested is the difference of two ratios in the same resamples of groups: a group may have examples on both
    sides. p is that of ``difference / standard error`` by Student's t with one degree of freedom less than there are
    groups on the smaller side. Intervals and adjusted p share one correction (max-T, single step): how far is the
    farthest of all subgroups from its difference, in standard errors, in a resample? p is adjusted to the share of
    resamples beyond it, at most to p times the number of subgroups (Bonferroni).

    A subgroup with more images of a hard class is less often right for that reason alone. ``beyond`` counts against
    each example the recall of its class among all, and so compares like with like (direct standardisation).

    Source: P. Westfall and S. Young, Resampling-Based Multiple Testing (1993), chapter 2; C. Field and A. Welsh,
    Bootstrapping clustered data, J. R. Statist. Soc. B 69 (2007); E. Wilson, J. Am. Statist. Assoc. 22 (1927), for the
    interval of one accuracy, on the effective number of images of L. Kish, Survey Sampling (1965), section 8.2.

    Args:
        predictions: N examples; of a repeated cross validation an image may be there several times, in one group.
        groups: text ``[N]``.
        column: of the same examples.
        seed: of the resamples.
    """
    right = (predicted_labels(predictions) == predictions.labels).astype(np.float64)
    support = np.bincount(predictions.labels, minlength=len(predictions.class_names))
    recalls = np.bincount(predictions.labels, right, len(support)) / np.maximum(support, 1)
    expected = recalls[predictions.labels]  # [N]
    group_of = np.unique(groups, return_inverse=True)[1]
    plain = [_score(value, column, predictions, right, expected, group_of) for value in column.order]
    tested = [each for each in plain if each.images >= FEWEST_IMAGES and each.groups >= FEWEST_GROUPS]
    tiny = tuple(each for each in plain if each not in tested)
    known = column.values != ""
    unknown = None if known.all() else _score("", column, predictions, right, expected, group_of)
    if tested and len(plain) > 1:
        inside = np.stack([column.values == each.value for each in tested])  # [L, N]
        tested = _compare(tested, inside, known, right, expected, group_of, seed)
    images = len(np.unique(predictions.ids))
    return Subgroups(column, tuple(tested), tiny, unknown, float(right.mean()), images)


def _score(
    value: str,
    column: Column,
    predictions: Predictions,
    right: np.ndarray,
    expected: np.ndarray,
    group_of: np.ndarray,
) -> Subgroup:
    rows = column.values == value
    counts = np.bincount(group_of[rows])
    counts = counts[counts > 0].astype(np.float64)
    hits = np.bincount(group_of[rows], right[rows])[np.unique(group_of[rows])]
    share, images = float(right[rows].mean()), len(np.unique(predictions.ids[rows]))
    interval = _wilson(share, _effective(hits, counts, share, images))
    return Subgroup(value, images, len(counts), share, float(expected[rows].mean()), interval)


def _effective(hits: np.ndarray, counts: np.ndarray, share: float, images: int) -> float:
    """As how many independent images groups count, by the variance of their ratio; at most as many as there are."""
    if len(counts) < 2 or share in (0, 1):
        return float(min(len(counts), images))
    size = len(counts)
    variance = size / (size - 1) * ((hits - share * counts) ** 2).sum() / counts.sum() ** 2
    return float(min(images, share * (1 - share) / variance)) if variance > 0 else float(size)


def _wilson(share: float, count: float) -> Interval:
    z = float(special.ndtri((1 + LEVEL) / 2))
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return float(max(0, middle - reach)), float(min(1, middle + reach))


def _compare(
    tested: list[Subgroup],
    inside: np.ndarray,
    known: np.ndarray,
    right: np.ndarray,
    expected: np.ndarray,
    group_of: np.ndarray,
    seed: int,
) -> list[Subgroup]:
    """The subgroups with their differences to all others with a value; ``inside`` is bool ``[L, N]``."""
    gains = (right, right - expected)
    counted = np.concatenate([inside, inside * gains[0], inside * gains[1]])  # [3 L, N]
    whole = np.stack([known, known * gains[0], known * gains[1]])  # [3, N]
    sums, drawn = resampled_sums(np.concatenate([counted, whole]), group_of, seed)
    found, sampled = _differences(sums[None])[:, 0], _differences(drawn)  # [2, L], [2, R, L]
    outside = [len(np.unique(group_of[known & ~rows])) for rows in inside]
    smaller = np.array([min(each.groups, other) for each, other in zip(tested, outside, strict=True)])
    usable = smaller > 1
    both = [largest_deviations(*pair) for pair in zip(found, sampled, strict=True)]
    ends = [reaches(errors, largest, np.maximum(smaller, 2)) for errors, largest in both]
    errors, largest = both[0]
    scores = np.abs(found[0]) / np.where(errors > 0, errors, np.inf)
    p = np.clip(2 * special.stdtr(np.maximum(smaller - 1, 1), -scores), np.finfo(float).tiny, 1)
    adjusted = adjust(p, largest)
    spans = [
        [_within(each - end, each + end) for each, end in zip(*pair, strict=True)]
        for pair in zip(found, ends, strict=True)
    ]
    return [
        replace(
            each,
            difference=float(found[0][k]),
            difference_interval=spans[0][k],
            beyond=float(found[1][k]),
            beyond_interval=spans[1][k],
            p=float(p[k]),
            p_adjusted=float(adjusted[k]),
        )
        if usable[k]
        else each
        for k, each in enumerate(tested)
    ]


def _within(low: float, high: float) -> Interval:
    return max(-1.0, float(low)), min(1.0, float(high))


def _differences(sums: np.ndarray) -> np.ndarray:
    """Means inside less means outside, of both gains: ``[R, 3 L + 3]`` sums to float64 ``[2, R, L]``."""
    levels = sums.shape[1] // 3 - 1
    count, *inside = (sums[:, k * levels : (k + 1) * levels] for k in range(3))
    total, *whole = (sums[:, 3 * levels + k, None] for k in range(3))
    return np.stack(
        [
            part / np.maximum(count, 1) - (all_ - part) / np.maximum(total - count, 1)
            for part, all_ in zip(inside, whole, strict=True)
        ]
    )
