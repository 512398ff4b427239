"""How sure a number is: bootstrap intervals over groups, and mean and standard deviation over folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fer_tl.evaluation.measures import MEASURES, margins
from fer_tl.runs.predictions import Predictions, predicted_labels

Interval = tuple[float, float]

RESAMPLES = 2000

# Floats held at once for a chunk of resamples: 32 MiB.
_CHUNK_VALUES = 4 * 2**20


def bootstrap_intervals(
    predictions: Predictions,
    groups: np.ndarray,
    statistics: Sequence[str] | None = None,
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
    clusters. It tells how the number would vary with other images, not with another training.

    A calibration error adds up gaps without their signs, and so chance: it is larger in a resample than in the images,
    and in the images than in truth. Its interval is moved down by twice what the resamples are above the images on
    average, the bootstrap's estimate of bias (Efron and Tibshirani, section 10.2), and reaches to the number itself at
    least. How often it holds the truth: ``benchmarks/results/calibration-intervals.md``.

    Args:
        predictions: N examples.
        groups: text ``[N]``, the group of each example, in the order of ``predictions``.
        statistics: names of ``MEASURES``; None for all. A class that a resample does not draw does not count in it.
        resamples: how many, 1 or more. The same seed draws the same resamples for all measures of counts, and others
            for all measures of examples.
        level: share of the scores inside the interval, above 0 and below 1.
        seed: 0 or more. The result depends on it and on the set of examples, not on their order.

    Returns:
        The lower and the upper end by statistic.

    Raises:
        ValueError: an argument is out of its range, ``groups`` does not fit the predictions, or there are fewer
            than two groups, from which nothing can be resampled.
    """
    scores = bootstrap_scores(predictions, groups, statistics, resamples, level, seed)
    found = {name: _ends(each, level) for name, each in scores.items()}
    leaning = [name for name in found if MEASURES[name].leans_up]
    return found | {name: _moved_down(scores[name], MEASURES[name].value(predictions), level) for name in leaning}


def bootstrap_scores(
    predictions: Predictions,
    groups: np.ndarray,
    statistics: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Measures of resamples, float64 ``[resamples]`` each; arguments and errors as of ``bootstrap_intervals``."""
    statistics = list(MEASURES) if statistics is None else statistics
    unknown = [name for name in statistics if name not in MEASURES]
    if unknown:
        raise ValueError(f"statistic must be one of {', '.join(MEASURES)}: {unknown[0]!r}")
    groups = _check(predictions, groups, resamples, level)
    scores: dict[str, np.ndarray] = {}  # [resamples] each
    of_counts = [MEASURES[name] for name in statistics if MEASURES[name].of_counts]
    if of_counts:
        confusions = _resampled_confusions(predictions, groups, resamples, seed)  # [resamples, K, K]
        scores = {measure.name: measure.from_counts(confusions) for measure in of_counts}
    if len(of_counts) < len(statistics):
        scores |= _resampled_means(predictions, groups, resamples, seed)
    return {name: scores[name] for name in statistics}


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
    confusions = _resampled_confusions(predictions, groups, resamples, seed)  # [resamples, K, K]
    hits, support, predicted = margins(confusions)  # [resamples, K] each
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


def mean_interval(
    values: np.ndarray, groups: np.ndarray, resamples: int = RESAMPLES, level: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval of the mean of a number of each example, as ``bootstrap_intervals`` draws them.

    Args:
        values: ``[N]``, such as whether an answer is right, or how much more often one is right than another.
        groups: text ``[N]``, two of them or more.
        resamples: how many.
        level: share of the means inside the interval.
        seed: 0 or more.

    Raises:
        ValueError: fewer than two groups.
    """
    if len(np.unique(groups)) < 2:
        raise ValueError("a bootstrap interval needs at least two groups")
    counted = np.stack([np.ones(len(values)), values], axis=1)  # [N, 2]
    sums = _resampled_sums(sums_of_groups(counted, groups), resamples, seed)
    return _ends(sums[:, 1] / sums[:, 0], level)


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


def _resampled_confusions(predictions: Predictions, groups: np.ndarray, resamples: int, seed: int) -> np.ndarray:
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


def _resampled_sums(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Sums of values of groups ``[G, F]`` that are drawn with replacement, as many as there are: ``[resamples, F]``."""
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


def _resampled_means(predictions: Predictions, groups: np.ndarray, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """The measures of examples in resamples: float64 ``[R]`` each."""
    # Columns sort the groups before they are drawn: those of shares last, or intervals would not be those saved before.
    measures = sorted((each for each in MEASURES.values() if each.of_examples), key=lambda each: each.is_share)
    parts = [measure.parts(predictions) for measure in measures]  # [F, N] each
    values = np.vstack([np.ones(len(groups)), *parts]).T  # [N, 1 + all F]
    order = np.argsort(predictions.ids)  # so that sums within a group are the same to the last bit
    sums = _resampled_sums(sums_of_groups(values[order], groups[order]), resamples, seed)
    means = np.split(sums[:, 1:] / sums[:, :1], np.cumsum([len(each) for each in parts])[:-1], axis=1)
    return {measure.name: measure.from_means(each) for measure, each in zip(measures, means, strict=True)}


def _ends(scores: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _moved_down(scores: np.ndarray, value: float, level: float) -> Interval:
    """The interval of a measure, 0 or more, that leans up: without the bias of the resamples and of the value."""
    low, high = _ends(scores, level)
    bias = max(float(scores.mean()) - value, 0.0)
    return min(max(low - 2 * bias, 0.0), value), max(high - 2 * bias, value)


def _certain(share: float, count: int, level: float) -> Interval:
    """Clopper and Pearson's interval of a share that is 0 or 1 of ``count``."""
    reach = ((1 - level) / 2) ** (1 / count)
    return (0.0, 1 - reach) if share == 0 else (reach, 1.0)
