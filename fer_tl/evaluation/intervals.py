"""How sure a number is: bootstrap intervals over groups, and mean and standard deviation over folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from fer_tl.evaluation.calibration import BINS, confidence_bins
from fer_tl.evaluation.metrics import METRIC_NAMES, MORE_NAMES, example_costs, predicted_labels
from fer_tl.runs.predictions import Predictions

Interval = tuple[float, float]

# What can have an interval, by the names of ``Metrics``.
STATISTICS = (*METRIC_NAMES, *MORE_NAMES)

RESAMPLES = 2000

# Floats held at once for a chunk of resamples: 32 MiB.
_CHUNK_VALUES = 4 * 2**20


def bootstrap_intervals(
    predictions: Predictions,
    groups: np.ndarray,
    statistics: Sequence[str] = STATISTICS,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile bootstrap intervals of metrics that resample groups, not images.

    Images of one group (copies of a photo, faces of one photo) succeed and fail together, so resampling images
    would make the interval too narrow. Each resample draws as many groups as there are, with replacement, and
    scores all their images; the interval's ends are quantiles of the scores.

    Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), section 13.3, for the percentile
    interval; C. Field and A. Welsh, Bootstrapping clustered data, J. R. Statist. Soc. B 69 (2007), for drawing whole
    clusters. It tells how the number would vary with other images, not with another training. A calibration error
    leans upwards in a resample as it does in the images: its interval may lie above it.

    Args:
        predictions: N examples.
        groups: text ``[N]``, the group of each example, in the order of ``predictions``.
        statistics: of ``STATISTICS``, as ``score`` defines them; a class that a resample does not draw does not count
            in it.
        resamples: how many, 1 or more. The same seed draws the same resamples for all metrics of the confusion matrix,
            and others for all that need the probabilities.
        level: share of the scores inside the interval, above 0 and below 1.
        seed: 0 or more. The result depends on it and on the set of examples, not on their order.

    Returns:
        The lower and the upper end by statistic.

    Raises:
        ValueError: an argument is out of its range, ``groups`` does not fit the predictions, or there are fewer
            than two groups, from which nothing can be resampled.
    """
    unknown = [name for name in statistics if name not in STATISTICS]
    if unknown:
        raise ValueError(f"statistic must be one of {', '.join(STATISTICS)}: {unknown[0]!r}")
    groups = _check(predictions, groups, resamples, level)
    scores: dict[str, np.ndarray] = {}  # [resamples] each
    of_counts = [name for name in statistics if name in _OF_COUNTS]
    if of_counts:
        confusions = resampled_confusions(predictions, groups, resamples, seed)  # [resamples, K, K]
        scores = {name: _OF_COUNTS[name](confusions) for name in of_counts}
    if len(of_counts) < len(statistics):
        scores |= _resampled_costs(predictions, groups, resamples, seed)
    return {name: _ends(scores[name], level) for name in statistics}


def bootstrap_interval(
    predictions: Predictions,
    groups: np.ndarray,
    statistic: str = "accuracy",
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The interval of one metric, see ``bootstrap_intervals``."""
    return bootstrap_intervals(predictions, groups, (statistic,), resamples, level, seed)[statistic]


def class_intervals(
    predictions: Predictions, groups: np.ndarray, resamples: int = RESAMPLES, level: float = 0.95, seed: int = 0
) -> dict[str, np.ndarray]:
    """Intervals of ``precision``, ``recall`` and ``f1`` of each class, by the resamples of the accuracy.

    Arguments and errors as of ``bootstrap_intervals``.

    Where all or none of a class is right, every resample says the same. Precision and recall have the interval of
    C. Clopper and E. Pearson (Biometrika 26, 1934) there, over the groups with such images; F1 has none.

    Returns:
        float64 ``[K, 2]`` by name; NaN for a class without an interval, or for which the number is not defined.
    """
    groups = _check(predictions, groups, resamples, level)
    answers = predicted_labels(predictions)
    confusions = resampled_confusions(predictions, groups, resamples, seed)  # [resamples, K, K]
    hits, support, predicted = _margins(confusions)  # [resamples, K] each
    found = {}
    for name, over in (("precision", predicted), ("recall", support), ("f1", (support + predicted) / 2)):
        ends = np.full((len(predictions.class_names), 2), np.nan)
        for k, (right, all_) in enumerate(zip(hits.T, over.T, strict=True)):
            if (all_ > 0).any():
                ends[k] = _ends(right[all_ > 0] / all_[all_ > 0], level)
            if ends[k, 0] == ends[k, 1] and ends[k, 0] in (0, 1):
                of_class = {"precision": answers == k, "recall": predictions.labels == k}.get(name)
                ends[k] = np.nan if of_class is None else _certain(ends[k, 0], len(np.unique(groups[of_class])), level)
        found[name] = ends
    return found


def resampled_sums(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Sums over groups that are drawn with replacement, as many as there are.

    Args:
        values: float ``[G, F]``, of each group.
        resamples: how many, R.
        seed: 0 or more.

    Returns:
        float64 ``[R, F]``.
    """
    rng, groups = np.random.default_rng(seed), len(values)
    chunk = max(1, _CHUNK_VALUES // groups)
    sums = []
    for start in range(0, resamples, chunk):
        # How often each group is drawn. One multinomial draw a resample would take ten times as long.
        drawn = [
            np.bincount(rng.integers(0, groups, groups), minlength=groups) for _ in range(min(chunk, resamples - start))
        ]
        sums.append(np.stack(drawn).astype(np.float64) @ values)  # [chunk, F]
    return np.concatenate(sums)


def sums_of_groups(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Values of examples ``[N, F]`` summed over their groups: float64 ``[G, F]``.

    The sums alone decide their order: neither the names of the groups nor the order of the examples has a say in what
    is drawn.
    """
    _, index = np.unique(groups, return_inverse=True)
    sums = np.stack([np.bincount(index, column) for column in np.asarray(values, np.float64).T], axis=1)
    return sums[np.lexsort(sums.T)]


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (divided by n - 1) of two or more values.

    Raises:
        ValueError: fewer than two values, which have no spread.
    """
    if len(values) < 2:
        raise ValueError(f"a standard deviation needs at least two values: {len(values)}")
    array = np.asarray(values, np.float64)
    return float(array.mean()), float(array.std(ddof=1))


def _group_patterns(predictions: Predictions, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confusion counts of the distinct groups, float64 ``[P, K * K]``, and how many groups have each, int64 ``[P]``."""
    classes = len(predictions.class_names)
    cells = predictions.labels.astype(np.int64) * classes + predicted_labels(predictions)  # [N]
    _, group_index = np.unique(groups, return_inverse=True)
    order = np.lexsort((cells, group_index))
    cells = cells[order]
    starts = np.flatnonzero(np.diff(group_index[order], prepend=-1))
    sizes = np.diff(starts, append=len(cells))
    # Groups with the same cells are interchangeable. Most groups are one image, so only about K * K kinds remain.
    alone, times = np.unique(cells[starts[sizes == 1]], return_counts=True)
    patterns = Counter({cell.tobytes(): count for cell, count in zip(alone, times.tolist(), strict=True)})
    several = zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True)
    patterns.update(cells[start : start + size].tobytes() for start, size in several)
    keys = sorted(patterns)
    counts = [np.bincount(np.frombuffer(key, np.int64), minlength=classes**2) for key in keys]
    return np.stack(counts).astype(np.float64), np.array([patterns[key] for key in keys])


def resampled_confusions(predictions: Predictions, groups: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Confusion matrices of resamples: float64 ``[R, K, K]``, rows = true; arguments as of ``bootstrap_intervals``.

    Drawing G groups one by one and counting how often each pattern came is a multinomial draw over the patterns, so
    the cost depends on the number of patterns and not of images.
    """
    counts, occurrences = _group_patterns(predictions, groups)
    classes = len(predictions.class_names)
    rng = np.random.default_rng(seed)
    total = int(occurrences.sum())
    chunk = max(1, _CHUNK_VALUES // (len(counts) + counts.shape[1]))
    parts = []
    for start in range(0, resamples, chunk):
        drawn = rng.multinomial(total, occurrences / total, size=min(chunk, resamples - start))  # [chunk, P]
        parts.append((drawn @ counts).reshape(-1, classes, classes))
    return np.concatenate(parts)


def _check(predictions: Predictions, groups: np.ndarray, resamples: int, level: float) -> np.ndarray:
    """The groups as text, if they and the other arguments can be used."""
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"need resamples >= 1 and 0 < level < 1: {resamples}, {level}")
    groups = np.asarray(groups).astype(str)
    if groups.shape != predictions.labels.shape:
        raise ValueError(f"groups {groups.shape} do not fit the labels {predictions.labels.shape}")
    if len(groups) and (groups == groups[0]).all():
        raise ValueError("a bootstrap interval needs at least two groups")
    return groups


def _resampled_costs(predictions: Predictions, groups: np.ndarray, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """The metrics of resamples that need the probabilities: float64 ``[R]`` each."""
    right = predicted_labels(predictions) == predictions.labels
    costs = example_costs(predictions)
    gaps = np.zeros((len(right), BINS))
    gaps[np.arange(len(right)), confidence_bins(costs.confidence)] = costs.confidence - right
    values = np.column_stack([np.ones(len(right)), costs.loss, costs.brier, costs.top2, gaps])  # [N, 4 + bins]
    order = np.argsort(predictions.ids)  # so that sums within a group are the same to the last bit
    sums = resampled_sums(sums_of_groups(values[order], groups[order]), resamples, seed)
    means = sums[:, 1:] / sums[:, :1]  # [R, 3 + bins]
    return {
        "loss": means[:, 0],
        "brier": means[:, 1],
        "top2_accuracy": means[:, 2],
        "calibration_error": np.abs(means[:, 3:]).sum(axis=1),
    }


def _ends(scores: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _certain(share: float, count: int, level: float) -> Interval:
    """Clopper and Pearson's interval of a share that is 0 or 1 of ``count``."""
    reach = ((1 - level) / 2) ** (1 / count)
    return (0.0, 1 - reach) if share == 0 else (reach, 1.0)


def _margins(confusions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right answers, examples and predictions of each class: ``[R, K]`` each, of ``[R, K, K]``."""
    return np.diagonal(confusions, axis1=1, axis2=2), confusions.sum(axis=2), confusions.sum(axis=1)


def _accuracies(confusions: np.ndarray) -> np.ndarray:
    hits, support, _ = _margins(confusions)
    return hits.sum(axis=1) / support.sum(axis=1)


def _balanced_accuracies(confusions: np.ndarray) -> np.ndarray:
    hits, support, _ = _margins(confusions)
    return _mean_ratio(hits, support)


def _macro_f1s(confusions: np.ndarray) -> np.ndarray:
    hits, support, predicted = _margins(confusions)
    return _mean_ratio(2 * hits, support + predicted)


def _kappas(confusions: np.ndarray) -> np.ndarray:
    hits, support, predicted = _margins(confusions)
    total = support.sum(axis=1)
    chance = (support * predicted).sum(axis=1) / total**2
    above = hits.sum(axis=1) / total - chance
    return np.divide(above, 1 - chance, out=np.zeros_like(above), where=chance < 1)


# The metrics that a confusion matrix decides: ``[R, K, K]`` to ``[R]``.
_OF_COUNTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "accuracy": _accuracies,
    "balanced_accuracy": _balanced_accuracies,
    "macro_f1": _macro_f1s,
    "kappa": _kappas,
}


def _mean_ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Mean over the classes whose denominator is not 0: ``[R, K]`` twice to ``[R]``."""
    counted = denominator > 0
    ratio = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=counted)
    return ratio.sum(axis=1) / counted.sum(axis=1)
