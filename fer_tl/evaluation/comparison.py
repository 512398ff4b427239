"""Whether one of several models is better: paired tests on the same examples, corrected for their number."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from fer_tl.evaluation.intervals import Interval
from fer_tl.evaluation.simultaneous import LEVEL, adjust, largest_deviations, reaches, resampled_sums

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Pair:
    """Two rows on the same examples, the one with the higher accuracy first; of equal ones the earlier.

    Attributes:
        better: its number.
        other: number of the one that it is compared with.
        difference: of their accuracies, 0..1.
        interval: of it; all pairs' together hold with 95 %, see ``compare_pairs``.
        sign_flip: p of the exact test of this difference, see ``sign_flip``.
        sign_flip_adjusted: the same, corrected for all pairs as the intervals are.
        t_test: p of the corrected resampled t-test over the folds; None where there are none, or where all show the
            same difference to less than an image: a spread of 0 is then that of counting, and p would be 0.
        t_test_adjusted: the same, corrected for all pairs by ``holm``.
        trainings: p over trainings and images, see ``fer_tl.evaluation.two_sources``; None where one of both is a
            single training. Where it is known, ``interval`` is of both sources too.
        trainings_adjusted: the same times the number of pairs (Bonferroni), as the interval is.
        detectable: the true difference that such a test finds four times of five, as adjusted; None likewise.
    """

    better: int
    other: int
    difference: float
    interval: Interval
    sign_flip: float
    sign_flip_adjusted: float
    t_test: float | None
    t_test_adjusted: float | None
    trainings: float | None = None
    trainings_adjusted: float | None = None
    detectable: float | None = None


def sign_flip(one_right: np.ndarray, other_right: np.ndarray, groups: np.ndarray) -> float:
    """Exact two-sided test of the difference of two accuracies on the same examples, which come in groups.

    What is tested is the sum over groups of (right answers of the one - right answers of the other): the number of
    images between the two accuracies. A group (copies of a photo, faces of one photo) succeeds and fails together.
    Under the null hypothesis the two classifiers may be exchanged in each group: its difference has either sign with
    probability 1/2. p is the probability that the sum is then as far from 0 as it is, or farther. With groups of one
    example it is the exact test of McNemar. A test that counts each group once, whatever its difference, may speak for
    the classifier with the lower accuracy; this one cannot.

    Source: R. Fisher, The Design of Experiments (1935), section 21; Q. McNemar, Psychometrika 12 (1947); the exact
    distribution without sampling by M. Pagano and D. Tritchler, On obtaining permutation distributions in polynomial
    time, J. Am. Statist. Assoc. 78 (1983). T. Dietterich, Neural Computation 10 (1998), advises McNemar's test where a
    model is trained once: it tells whether these trained models differ, not whether others trained likewise would.

    Args:
        one_right: bool ``[N]``, whether the first classifier is right.
        other_right: bool ``[N]``, the same of the second.
        groups: text ``[N]``.

    Returns:
        p, above 0 and at most 1; 1 where the accuracies are equal.
    """
    group_of = np.unique(groups, return_inverse=True)[1]
    return _flip_signs(np.bincount(group_of, one_right) - np.bincount(group_of, other_right))


def corrected_resampled_t(differences: Sequence[float] | np.ndarray, test_share: float) -> tuple[float, float]:
    """Two-sided t-test of a mean difference over folds whose training parts overlap.

    The plain t-test takes folds for independent and finds differences where there are none. The correction adds the
    share of the test part to 1/k: ``t = mean / sqrt((1/k + test_share) variance)`` with k - 1 degrees of freedom.

    Source: C. Nadeau and Y. Bengio, Inference for the Generalization Error, Machine Learning 52 (2003).

    Args:
        differences: ``[k]`` of a metric between two classifiers, of each fold; k is 2 or more.
        test_share: examples tested on over examples trained on, of one fold; 1 / (k - 1) in a cross validation.

    Returns:
        t and p. Without any spread, 0 and 1 if the difference is 0, else infinity and 0.

    Raises:
        ValueError: fewer than two differences.
    """
    values = np.asarray(differences, np.float64)
    if len(values) < 2:
        raise ValueError(f"a t-test needs two folds or more: {len(values)}")
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return (0.0, 1.0) if mean == 0 else (float(np.copysign(np.inf, mean)), 0.0)
    t = mean / np.sqrt((1 / len(values) + test_share) * values.var(ddof=1))
    return float(t), float(2 * special.stdtr(len(values) - 1, -abs(t)))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values of several tests, corrected so that one or more false findings are as rare as of a single test.

    The smallest is multiplied by their number m, the next one by m - 1, and so on; none becomes smaller than the one
    before it, none larger than 1. It holds for tests that depend on one another too.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979).

    Args:
        p_values: ``[m]``, 0..1.

    Returns:
        float64 ``[m]``, in the order given.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return adjusted


def compare_pairs(
    right: np.ndarray,
    groups: np.ndarray,
    folds: np.ndarray | None,
    seed: int = 0,
    repeats: int = 1,
    answers: int = 1,
) -> tuple[Pair, ...]:
    """Compare every pair of R rows on the same N examples.

    Tests and intervals are corrected over all pairs. So what they say of the best row and any other holds although the
    best was found on the same examples.

    Intervals and the adjusted p of the sign-flip test share one correction: in resamples of groups, how far is the
    farthest of all pairs from its difference, in standard errors? An interval reaches as far as 95 % of these maxima;
    p is adjusted to the share of them beyond the normal score that belongs to p, never above p times the number of
    pairs (Bonferroni), which is finer than 2,000 resamples for small p. Rows that err alike are not paid for twice. An
    interval that leaves out 0 where the adjusted p is above 0.05 (there are few groups, or few on which two rows
    differ) is prolonged to it. For a single pair p stays as it is.

    Of a repeated cross validation an example stands here once for each repetition. It is no new image: its answers lie
    in one group, which the intervals draw and the sign-flip test flips as a whole, so that both speak of the mean
    difference of an image over its repetitions. The t-test takes the R k differences of all folds with R k - 1 degrees
    of freedom, and corrects by the share of one fold as ever: R. Bouckaert and E. Frank, Evaluating the Replicability
    of Significance Tests for Comparing Learning Algorithms, PAKDD 2004, for a cross validation that is repeated.

    Source: P. Westfall and S. Young, Resampling-Based Multiple Testing (1993), chapter 2, single-step; for intervals
    T. Hothorn, F. Bretz and P. Westfall, Simultaneous inference in general parametric models, Biometrical Journal 50
    (2008), with resamples in place of the normal distribution.

    Args:
        right: bool ``[R, N]``, whether each row is right; or how many of its ``answers`` are.
        groups: text ``[N]``, in two groups or more.
        folds: int ``[N]``, the fold of each example, the same for all rows; None where there are no folds, or one.
            Those of further repetitions have other numbers.
        seed: of the resamples, 0 or more; all pairs share them.
        repeats: repetitions that ``folds`` are of.
        answers: of each row for an example, where it stands for several trainings.

    Returns:
        R (R - 1) / 2 pairs, by their numbers in the order of the rows.

    Raises:
        ValueError: fewer than two groups.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    if len(group_of) == 0 or (group_of == group_of[0]).all():
        raise ValueError("a comparison needs at least two groups")
    if len(right) < 2:
        return ()
    sums = np.stack([np.bincount(group_of, row) for row in right])  # [R, G]
    _, drawn = resampled_sums(np.stack([np.ones(right.shape[1]), *right]), group_of, seed)  # [resamples, 1 + R]
    sampled = drawn[:, 1:] / drawn[:, :1] / answers  # [resamples, R]
    right = right / answers  # [R, N]: of a single answer, or the mean of several
    accuracies = right.mean(axis=1)  # [R]
    numbers = [
        (other, one) if accuracies[other] > accuracies[one] else (one, other)
        for one, other in itertools.combinations(range(len(right)), 2)
    ]
    better, other = np.array(numbers, dtype=np.int64).reshape(-1, 2).T  # [M] each
    differences = accuracies[better] - accuracies[other]  # [M]
    errors, largest = largest_deviations(differences, sampled[:, better] - sampled[:, other])
    reach = reaches(errors, largest, sums.shape[1])
    p_values = np.array([_flip_signs(sums[one] - sums[two]) for one, two in numbers])  # [M]
    adjusted = adjust(p_values, largest)
    low, high = np.maximum(differences - reach, -1), np.minimum(differences + reach, 1)
    low = np.where(adjusted > 1 - LEVEL, np.minimum(low, 0), low)
    t_tests, t_adjusted = _t_tests(right, folds, numbers, repeats)
    columns = (differences, low, high, p_values, adjusted)
    cells = zip(numbers, zip(*(column.tolist() for column in columns), strict=True), t_tests, t_adjusted, strict=True)
    return tuple(
        Pair(one, two, difference, (start, end), p, p_adjusted, t, t_all)
        for (one, two), (difference, start, end, p, p_adjusted), t, t_all in cells
    )


def _t_tests(
    right: np.ndarray, folds: np.ndarray | None, numbers: Sequence[tuple[int, int]], repeats: int
) -> tuple[Sequence[float | None], Sequence[float | None]]:
    """p of the t-test of each pair and the same adjusted; None of each without folds."""
    if folds is None:
        return [None] * len(numbers), [None] * len(numbers)
    by_fold = _fold_accuracies(right, folds)  # [R, k]
    share, image = 1 / (by_fold.shape[1] // repeats - 1), 1 / np.bincount(folds).max()
    found: list[float | None] = []
    for one, two in numbers:
        differences = by_fold[one] - by_fold[two]
        known = np.ptp(differences) >= image * (1 - _ROUNDING) or not differences.any()
        found.append(corrected_resampled_t(differences, share)[1] if known else None)
    adjusted = holm([1.0 if p is None else p for p in found]).tolist()  # what is not known counts among the tests
    return found, [None if p is None else each for p, each in zip(found, adjusted, strict=True)]


def _flip_signs(gains: np.ndarray) -> float:
    """p of the exact two-sided sign-flip test of whole differences of groups ``[G]``.

    With D the sum of their sizes, the sum under random signs is 2 T - D, where T is the sum of the sizes that got a
    plus. As T lies as often far above as far below D / 2, p is twice the lower tail of T up to (D - |sum|) / 2. The
    sizes that occur are added one after the other, each as a binomial number of steps of that size.
    """
    sizes, counts = np.unique(np.abs(gains.astype(np.int64)), return_counts=True)
    sizes, counts = sizes[sizes > 0], counts[sizes > 0]
    total, gain = int(sizes @ counts), abs(int(gains.sum()))
    if gain == 0:
        return 1.0
    length = (total - gain) // 2 + 1  # of the tail, all that is needed
    chances = np.zeros(length)
    chances[0] = 1.0
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        steps = np.arange(min(count, (length - 1) // size) + 1)
        logs = special.gammaln(count + 1) - special.gammaln(steps + 1) - special.gammaln(count - steps + 1)
        weights = np.exp(logs - count * np.log(2))
        rest = -length % size
        # Sums that differ by whole steps mix, others do not: one convolution for each remainder.
        columns = np.concatenate([chances, np.zeros(rest)]).reshape(-1, size).T  # [size, ceil(length / size)]
        mixed = np.stack([np.convolve(column, weights)[: columns.shape[1]] for column in columns])
        chances = mixed.T.ravel()[:length]
    return float(np.clip(2 * chances.sum(), np.finfo(np.float64).tiny, 1))


def _fold_accuracies(right: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """float64 ``[R, k]``."""
    sizes = np.bincount(folds)
    return np.stack([np.bincount(folds, row) / sizes for row in right])
