"""The result of a cross validation: every fold, their spread, and the pooled out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_tl.evaluation.intervals import bootstrap_intervals, mean_sd
from fer_tl.evaluation.measures import headline_measures
from fer_tl.evaluation.metrics import Metrics, score, zero_recall
from fer_tl.runs.predictions import Predictions, join_predictions


@dataclass(frozen=True, eq=False)
class CvSummary:
    """What a cross validation says.

    Attributes:
        class_names: the K class names.
        folds: metrics of the held-out examples of each fold that is done, in fold order.
        numbers: of these folds, from 0.
        pooled: metrics of all held-out examples together.
        mean: over the folds, of each of ``headline_measures``.
        sd: sample standard deviation over the folds, of each likewise. It is no standard error: the
            folds share training data. Empty for a single fold.
        intervals: 95 % bootstrap interval over groups of each measure of ``pooled``, ``(low, high)``.
        zero_recall: classes of which no held-out example is recognised in any fold.
        fold_zero_recall: the same for each fold alone.
        failed: why the training of a fold failed, by its number. These folds are in none of the above.
    """

    class_names: tuple[str, ...]
    folds: tuple[Metrics, ...]
    numbers: tuple[int, ...]
    pooled: Metrics
    mean: dict[str, float]
    sd: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    zero_recall: tuple[str, ...]
    fold_zero_recall: tuple[tuple[str, ...], ...]
    failed: dict[int, str]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain Python values, ready for JSON: fractions, not per cent."""
        return {
            "class_names": list(self.class_names),
            "mean": dict(self.mean),
            "sd": dict(self.sd),
            "pooled": self.pooled.to_dict(),
            "pooled_interval_95": {name: list(interval) for name, interval in self.intervals.items()},
            "zero_recall": list(self.zero_recall),
            "folds": [
                {"fold": number, **fold.to_dict(), "zero_recall": list(missed)}
                for number, fold, missed in zip(self.numbers, self.folds, self.fold_zero_recall, strict=True)
            ],
            "failed": [{"fold": number, "why": why} for number, why in self.failed.items()],
        }


def summarize(
    folds: Sequence[Predictions],
    groups_by_id: Mapping[str, str],
    seed: int = 0,
    failed: Mapping[int, str] | None = None,
) -> CvSummary:
    """Score each fold and all of them pooled.

    Args:
        folds: the held-out predictions of each fold that is done, in fold order.
        groups_by_id: the group of every example, by its id.
        seed: of the bootstrap, 0 or more.
        failed: why the training of other folds failed, by their numbers from 0.

    Raises:
        ValueError: no fold, fewer than two groups, class names that differ between folds, an id that occurs twice or
            has no group.
        UserError: a fold's logits are not finite.
    """
    pooled = _pool(folds)
    ids = [str(example_id) for example_id in pooled.ids]
    ungrouped = [example_id for example_id in ids if example_id not in groups_by_id]
    if ungrouped:
        raise ValueError(f"{len(ungrouped)} ids have no group, the first is {ungrouped[0]!r}")
    groups = np.array([groups_by_id[example_id] for example_id in ids], dtype=str)
    scores = tuple(score(fold) for fold in folds)
    failed = dict(failed or {})
    values = {each.name: [fold.values[each.name] for fold in scores] for each in headline_measures()}
    pooled_score = score(pooled)
    return CvSummary(
        class_names=pooled.class_names,
        folds=scores,
        numbers=tuple(number for number in range(len(folds) + len(failed)) if number not in failed),
        pooled=pooled_score,
        mean={name: float(np.mean(each)) for name, each in values.items()},
        sd={name: mean_sd(each)[1] for name, each in values.items()} if len(folds) > 1 else {},
        intervals=bootstrap_intervals(pooled, groups, seed=seed),
        zero_recall=tuple(zero_recall(pooled_score)),
        fold_zero_recall=tuple(tuple(zero_recall(fold)) for fold in scores),
        failed=failed,
    )


def _pool(folds: Sequence[Predictions]) -> Predictions:
    """All folds' predictions one after the other."""
    if not folds:
        raise ValueError("no fold is done")
    class_names = tuple(folds[0].class_names)
    for k, fold in enumerate(folds):
        if tuple(fold.class_names) != class_names:
            raise ValueError(f"fold {k} has the classes {fold.class_names}, fold 0 has {class_names}")
    pooled = join_predictions(folds)
    unique, counts = np.unique(pooled.ids, return_counts=True)
    if len(unique) < len(pooled.ids):
        raise ValueError(
            f"{len(pooled.ids) - len(unique)} ids occur again, the first is {str(unique[counts > 1][0])!r}"
        )
    return pooled
