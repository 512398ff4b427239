"""How sure a figure is over images and over trainings: several trainings of a recipe answer for the same images.

Two things vary, crossed with one another: which images are scored, and which training, by its seed, answers for all of
them. For a mean over S trainings and N images of ``recipe + training + image + both``, with variances a, b and e of
training, image and rest, the variance is ``a/S + b/N + e/(S N)``. What can be measured holds the rest twice: the spread
of the trainings' figures, over S, is ``a/S + e/(S N)``; that of the images, each with the mean of its S answers, is
``b/N + e/(S N)``. So both are added, and the rest, known from the images of each training alone, is taken off once: the
variance under two-way clustering of A. Cameron, J. Gelbach and D. Miller, Robust Inference with Multiway Clustering,
Journal of Business & Economic Statistics 29 (2011); in radiology, where readers take the place of trainings, that of
N. Obuchowski and H. Rockette, Communications in Statistics 24 (1995). It is never below that of the images alone.
Few trainings give an uncertain spread: a t distribution with the degrees of freedom of F. Satterthwaite, An Approximate
Distribution of Estimates of Variance Components, Biometrics Bulletin 2 (1946), pays for that. A bootstrap that drew
three trainings again would find a third of their variance too little. Images count by whole groups.

The t-test of Nadeau and Bengio over the folds does not replace it: on the same folds, it asks whether other training
images would decide otherwise, and has as few degrees of freedom as there are folds less one; it stands beside this
test. Trainings on the same folds say nothing of other training images, nor does this test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from fer_tl.evaluation.intervals import Interval

_LEVEL = 0.95
_POWER = 0.8


@dataclass(frozen=True)
class Uncertainty:
    """Of a mean over trainings and images.

    Attributes:
        variance: of the mean; above 0, or 0 where nothing varies.
        freedom: degrees of freedom of the t distribution that belongs to it, 1 or more.
    """

    variance: float
    freedom: float

    def interval(self, value: float, tests: int = 1, limits: Interval = (0.0, 1.0)) -> Interval:
        """95 % interval of the value; with several tests all theirs hold at once (Bonferroni)."""
        reach = _quantile(self.freedom, (1 - _LEVEL) / 2 / tests) * np.sqrt(self.variance)
        return float(max(value - reach, limits[0])), float(min(value + reach, limits[1]))

    def p_value(self, difference: float) -> float:
        """Two-sided, of no difference."""
        if self.variance == 0:
            return 1.0 if difference == 0 else float(np.finfo(np.float64).tiny)
        return float(2 * special.stdtr(self.freedom, -abs(difference) / np.sqrt(self.variance)))

    def detectable(self, tests: int = 1) -> float:
        """The true difference that is found at 5 % in four of five such comparisons."""
        found = _quantile(self.freedom, (1 - _LEVEL) / 2 / tests) + _quantile(self.freedom, 1 - _POWER)
        return float(found * np.sqrt(self.variance))


def _quantile(freedom: float, tail: float) -> float:
    return float(-special.stdtrit(freedom, tail))


def of_mean(right: np.ndarray, groups: np.ndarray) -> Uncertainty:
    """How sure the accuracy of a recipe is, the mean over its trainings.

    Args:
        right: bool or float ``[S, N]``, of each of S trainings, two or more, whether it is right.
        groups: of the N images, text or int; two or more.
    """
    rest, spread = _of_trainings(right, groups)
    return _joined([(spread, rest, len(right))], _of_images(right.mean(axis=0), groups), groups)


def of_difference(one: np.ndarray, other: np.ndarray, groups: np.ndarray) -> Uncertainty:
    """How sure the difference of two recipes' accuracies on the same images is; arguments as of ``of_mean``.

    The trainings of both are independent of each other, also where they share a seed, which draws other weights for
    another network.
    """
    parts = []
    for right in (one, other):
        rest, spread = _of_trainings(right, groups)
        parts.append((spread, rest, len(right)))
    return _joined(parts, _of_images(one.mean(axis=0) - other.mean(axis=0), groups), groups)


def from_scores(values: Sequence[float], alone: Sequence[float], together: float, groups: int) -> Uncertainty:
    """The same of any measure, whose variance over images is known from resamples.

    Args:
        values: of each training, S of them.
        alone: variance over images of each.
        together: variance over images of their mean.
        groups: of images.
    """
    trainings = len(values)
    rest = max(0.0, (float(np.mean(alone)) - together) / (trainings - 1))
    return _sum([(float(np.var(values, ddof=1)) / trainings, rest, trainings)], together, groups)


def _of_images(values: np.ndarray, groups: np.ndarray) -> float:
    """Variance of a mean over images ``[N]`` that come in groups."""
    of_group = np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(of_group, values - values.mean())
    number = len(sums)
    return float((sums**2).sum() * number / (number - 1) / len(values) ** 2)


def _of_trainings(right: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """e/(S N) and a/S + e/(S N), by the names of the module."""
    trainings = len(right)
    alone = float(np.mean([_of_images(row, groups) for row in right]))  # (b + e) / N
    together = _of_images(right.mean(axis=0), groups)  # b / N + e / (S N)
    rest = max(0.0, (alone - together) / (trainings - 1))
    return rest, float(right.mean(axis=1).var(ddof=1)) / trainings


def _joined(parts: Sequence[tuple[float, float, int]], images: float, groups: np.ndarray) -> Uncertainty:
    return _sum(parts, images, len(np.unique(groups)))


def _sum(parts: Sequence[tuple[float, float, int]], images: float, groups: int) -> Uncertainty:
    """Of spreads over trainings, the rests that they share with the images, and the numbers of trainings."""
    variance = images + sum(max(0.0, spread - rest) for spread, rest, _ in parts)
    if variance == 0:
        return Uncertainty(0.0, 1.0)
    doubt = images**2 / (groups - 1) + sum(spread**2 / (number - 1) for spread, _, number in parts)
    fewest = min(number for *_, number in parts) - 1
    return Uncertainty(variance, max(float(fewest), variance**2 / doubt))
