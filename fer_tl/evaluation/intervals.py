"""How sure a number is: bootstrap intervals over groups, and mean and standard deviation over folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import numpy as np

from fer_tl.evaluation.metrics import predicted_labels
from fer_tl.training.run_folder import Predictions

Statistic = Literal["accuracy", "balanced_accuracy", "macro_f1"]

STATISTICS: tuple[Statistic, ...] = get_args(Statistic)

# Floats held at once for a chunk of resamples: 32 MiB.
_CHUNK_VALUES = 4 * 2**20


def bootstrap_interval(
    predictions: Predictions,
    groups: np.ndarray,
    statistic: Statistic = "accuracy",
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a metric that resamples groups, not images.

    Images of one group (copies of a photo, faces of one photo) succeed and fail together, so resampling images
    would make the interval too narrow. Each resample draws as many groups as there are, with replacement, and
    scores all their images; the interval's ends are quantiles of the scores.

    Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), section 13.3, for the percentile
    interval; C. Field and A. Welsh, Bootstrapping clustered data, J. R. Statist. Soc. B 69 (2007), for drawing whole
    clusters. It tells how the number would vary with other images, not with another training.

    Args:
        predictions: N examples.
        groups: text ``[N]``, the group of each example, in the order of ``predictions``.
        statistic: ``accuracy``, ``balanced_accuracy`` or ``macro_f1``, as ``score`` defines them; a class that a
            resample does not draw does not count in it.
        resamples: how many, 1 or more. The same seed draws the same resamples for every statistic.
        level: share of the scores inside the interval, above 0 and below 1.
        seed: 0 or more. The result depends on it and on the set of examples, not on their order.

    Returns:
        The lower and the upper end, 0..1.

    Raises:
        ValueError: an argument is out of its range, ``groups`` does not fit the predictions, or there are fewer
            than two groups, from which nothing can be resampled.
    """
    if statistic not in STATISTICS:
        raise ValueError(f"statistic must be one of {', '.join(STATISTICS)}: {statistic!r}")
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"need resamples >= 1 and 0 < level < 1: {resamples}, {level}")
    groups = np.asarray(groups).astype(str)
    if groups.shape != predictions.labels.shape:
        raise ValueError(f"groups {groups.shape} do not fit the labels {predictions.labels.shape}")
    counts, occurrences = _group_patterns(predictions, groups)
    if occurrences.sum() < 2:
        raise ValueError("a bootstrap interval needs at least two groups")
    classes = len(predictions.class_names)
    scores = np.concatenate(
        [_statistic(confusions, statistic) for confusions in _resample(counts, occurrences, classes, resamples, seed)]
    )  # [resamples]
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


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
    starts = np.flatnonzero(np.diff(group_index[order])) + 1
    # Groups with the same cells are interchangeable. Most groups are one image, so only about K * K kinds remain.
    patterns = Counter(part.tobytes() for part in np.split(cells[order], starts))
    keys = sorted(patterns)
    counts = [np.bincount(np.frombuffer(key, np.int64), minlength=classes**2) for key in keys]
    return np.stack(counts).astype(np.float64), np.array([patterns[key] for key in keys])


def _resample(
    counts: np.ndarray, occurrences: np.ndarray, classes: int, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """Confusion matrices of resamples, in chunks: float64 ``[chunk, K, K]``, rows = true.

    Drawing G groups one by one and counting how often each pattern came is a multinomial draw over the patterns, so
    the cost depends on the number of patterns and not of images.
    """
    rng = np.random.default_rng(seed)
    total = int(occurrences.sum())
    chunk = max(1, _CHUNK_VALUES // (len(counts) + counts.shape[1]))
    for start in range(0, resamples, chunk):
        drawn = rng.multinomial(total, occurrences / total, size=min(chunk, resamples - start))  # [chunk, P]
        yield (drawn @ counts).reshape(-1, classes, classes)


def _statistic(confusions: np.ndarray, statistic: Statistic) -> np.ndarray:
    """The metric of each confusion matrix ``[R, K, K]``: float64 ``[R]``."""
    hits = np.diagonal(confusions, axis1=1, axis2=2)  # [R, K]
    support, predicted = confusions.sum(axis=2), confusions.sum(axis=1)  # [R, K]
    if statistic == "accuracy":
        return hits.sum(axis=1) / support.sum(axis=1)
    if statistic == "balanced_accuracy":
        return _mean_ratio(hits, support)
    return _mean_ratio(2 * hits, support + predicted)


def _mean_ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Mean over the classes whose denominator is not 0: ``[R, K]`` twice to ``[R]``."""
    counted = denominator > 0
    ratio = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=counted)
    return ratio.sum(axis=1) / counted.sum(axis=1)
