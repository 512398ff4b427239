"""Whether one of several models is better: paired tests on the same examples, corrected for their number."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from fer_tl.evaluation.intervals import RESAMPLES, Interval, sums_of_groups
from fer_tl.evaluation.metrics import example_costs, predicted_labels
from fer_tl.training.predictions import Predictions

_LEVEL = 0.95


@dataclass(frozen=True)
class Pair:
    """Two rows on the same examples, the one with the higher accuracy first; of equal ones the earlier.

    Attributes:
        better: its number.
        other: number of the one that it is compared with.
        difference: of their accuracies, 0..1.
        interval: 95 % of it, by a bootstrap over groups; of this pair alone, not corrected for the others.
        mcnemar: p of the exact McNemar test, see ``mcnemar``.
        mcnemar_adjusted: the same, corrected for all pairs by ``holm``.
        t_test: p of the corrected resampled t-test over the folds; None where there are none.
        t_test_adjusted: likewise corrected.
    """

    better: int
    other: int
    difference: float
    interval: Interval
    mcnemar: float
    mcnemar_adjusted: float
    t_test: float | None
    t_test_adjusted: float | None


def headline_scores(predictions: Predictions) -> dict[str, float]:
    """The metrics of ``METRIC_NAMES`` by name, as ``fer_tl.evaluation.metrics.score`` defines them.

    Without scikit-learn, which takes 0.05 s a run and 1 s to load: a comparison of ten runs should not take three.

    Raises:
        UserError: the logits are not finite.
    """
    labels, answers, classes = predictions.labels, predicted_labels(predictions), len(predictions.class_names)
    confusion = np.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes)
    hits, support, either = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0) + confusion.sum(axis=1)
    return {
        "accuracy": float(hits.sum() / len(labels)),
        "balanced_accuracy": float((hits[support > 0] / support[support > 0]).mean()),
        "macro_f1": float((2 * hits[either > 0] / either[either > 0]).mean()),
        "loss": float(example_costs(predictions).loss.mean()),
    }


def mcnemar(one_right: np.ndarray, other_right: np.ndarray, groups: np.ndarray) -> float:
    """Exact two-sided test of whether two classifiers err alike, of examples that come in groups.

    A group (copies of a photo, faces of one photo) succeeds and fails together, so it counts once: for the classifier
    that is right more often in it, and for none where both are right equally often. Under the null hypothesis each
    group that counts goes to either with probability 1/2. With groups of one example that is McNemar's test.

    Source: Q. McNemar, Note on the sampling error of the difference between correlated proportions, Psychometrika 12
    (1947), in its exact form; T. Dietterich, Approximate statistical tests for comparing supervised classification
    learning algorithms, Neural Computation 10 (1998), advises it where a model is trained once. It tells whether these
    trained models differ, not whether others trained likewise would.

    Args:
        one_right: bool ``[N]``, whether the first classifier is right.
        other_right: bool ``[N]``, the same of the second.
        groups: text ``[N]``.

    Returns:
        p, above 0 and at most 1; 1 where no group counts.
    """
    return _sign_test(_sums_of(one_right, groups) - _sums_of(other_right, groups))


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


def compare_pairs(right: np.ndarray, groups: np.ndarray, folds: np.ndarray | None, seed: int = 0) -> tuple[Pair, ...]:
    """Compare every pair of R rows on the same N examples.

    Both tests are corrected over all pairs. So what they say of the best row and any other holds although the best was
    found on the same examples.

    Args:
        right: bool ``[R, N]``, whether each row is right.
        groups: text ``[N]``, in two groups or more.
        folds: int ``[N]``, the fold of each example, the same for all rows; None where there are no folds, or one.
        seed: of the resamples, 0 or more; all pairs share them.

    Returns:
        R (R - 1) / 2 pairs, by their numbers in the order of the rows.

    Raises:
        ValueError: fewer than two groups.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    if len(group_of) == 0 or (group_of == group_of[0]).all():
        raise ValueError("a comparison needs at least two groups")
    sums = np.stack([np.bincount(group_of, row) for row in right])  # [R, G]
    sampled = _resampled_accuracies(right, group_of, seed)  # [resamples, R]
    by_fold = _fold_accuracies(right, folds) if folds is not None else None  # [R, k]
    accuracies = right.mean(axis=1)  # [R]
    found = []
    for one, other in itertools.combinations(range(len(right)), 2):
        if accuracies[other] > accuracies[one]:
            one, other = other, one
        low, high = np.quantile(sampled[:, one] - sampled[:, other], [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
        difference, interval = float(accuracies[one] - accuracies[other]), (float(low), float(high))
        t = None
        if by_fold is not None:
            _, t = corrected_resampled_t(by_fold[one] - by_fold[other], 1 / (by_fold.shape[1] - 1))
        p = _sign_test(sums[one] - sums[other])
        found.append(Pair(one, other, difference, interval, p, p, t, t))
    adjusted = holm([pair.mcnemar for pair in found]).tolist()
    found = [replace(pair, mcnemar_adjusted=p) for pair, p in zip(found, adjusted, strict=True)]
    if by_fold is not None:
        adjusted = holm([pair.t_test for pair in found if pair.t_test is not None]).tolist()
        found = [replace(pair, t_test_adjusted=p) for pair, p in zip(found, adjusted, strict=True)]
    return tuple(found)


def _sums_of(right: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Right answers of each group, float64 ``[G]``."""
    return np.bincount(np.unique(groups, return_inverse=True)[1], right)


def _sign_test(gains: np.ndarray) -> float:
    """p of the exact two-sided sign test of differences ``[G]``, of which those that are 0 do not count."""
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    # Both tails alike. scipy.stats.binomtest says the same, after 0.4 s to load scipy.stats.
    return min(1.0, 2 * float(special.bdtr(min(wins, losses), wins + losses, 0.5))) if wins + losses else 1.0


def _resampled_accuracies(right: np.ndarray, group_of: np.ndarray, seed: int) -> np.ndarray:
    """Accuracies of all rows in the same resamples of groups: float64 ``[resamples, R]``."""
    values = np.column_stack([np.ones(right.shape[1]), right.T])  # [N, 1 + R]
    # Groups with the same answers are interchangeable: to draw how often each kind comes takes a fifth of the time.
    kinds, counts = np.unique(sums_of_groups(values, group_of), axis=0, return_counts=True)  # [P, 1 + R], [P]
    total = int(counts.sum())
    drawn = np.random.default_rng(seed).multinomial(total, counts / total, RESAMPLES)  # [resamples, P]
    sums = drawn @ kinds
    accuracies: np.ndarray = sums[:, 1:] / sums[:, :1]
    return accuracies


def _fold_accuracies(right: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """float64 ``[R, k]``."""
    sizes = np.bincount(folds)
    return np.stack([np.bincount(folds, row) / sizes for row in right])
