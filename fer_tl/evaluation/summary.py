"""The result of a cross validation: every fold, every repetition, their spread, and the pooled predictions."""

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

    Repetitions score the same images again, with other folds: they add no images. ``pooled`` scores the answers of all
    repetitions, so each number is the mean over images of their mean over repetitions (for ratios such as F1, of such
    sums), and no vote of several models. The intervals resample groups of images, each with the answers of all
    repetitions.

    Attributes:
        class_names: the K class names.
        folds: metrics of the held-out examples of each fold that is done, in fold order.
        numbers: of these folds, from 0.
        pooled: metrics of all held-out examples together, of all repetitions.
        mean: over the folds, of each of ``headline_measures``.
        sd: sample standard deviation over the folds, of each likewise. It is no standard error: the
            folds share training data. Empty for a single fold.
        intervals: 95 % bootstrap interval over groups of each measure of ``pooled``, ``(low, high)``.
        zero_recall: classes of which no held-out example is recognised in any fold.
        fold_zero_recall: the same for each fold alone.
        failed: why the training of a fold failed, by its number. These folds are in none of the above.
        images: how many images were held out, each counted once.
        repetitions: metrics of the held-out examples of each repetition of which a fold is done, by its number from 0;
            empty where nothing is repeated.
        repeats: how often the cross validation is repeated.
        parts: folds of all repetitions, done or not.
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
    images: int
    repetitions: dict[int, Metrics]
    repeats: int
    parts: int

    def repetition_of(self, fold: int) -> int:
        """The repetition that a fold belongs to, both from 0."""
        return fold // (self.parts // self.repeats)

    @property
    def repetition_spread(self) -> dict[str, tuple[float, float]]:
        """Mean and sample standard deviation over the repetitions, of each of ``headline_measures``: how much the draw
        of the folds and of the training's order changes; empty for fewer than two."""
        if len(self.repetitions) < 2:
            return {}
        found = self.repetitions.values()
        return {each.name: mean_sd([metrics.values[each.name] for metrics in found]) for each in headline_measures()}

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
            **self._repeated(),
        }

    def _repeated(self) -> dict[str, Any]:
        if self.repeats == 1:
            return {}
        spread = self.repetition_spread
        return {
            "repeats": self.repeats,
            "images": self.images,
            "repetitions": [{"repetition": number, **found.to_dict()} for number, found in self.repetitions.items()],
            "repetition_mean": {name: mean for name, (mean, _) in spread.items()},
            "repetition_sd": {name: sd for name, (_, sd) in spread.items()},
        }


def summarize(
    folds: Sequence[Predictions],
    groups_by_id: Mapping[str, str],
    seed: int = 0,
    failed: Mapping[int, str] | None = None,
    numbers: Sequence[int] | None = None,
    repeats: int = 1,
    parts: int | None = None,
) -> CvSummary:
    """Score each fold and all of them pooled.

    Args:
        folds: the held-out predictions of each fold that is done, in fold order.
        groups_by_id: the group of every example, by its id.
        seed: of the bootstrap, 0 or more.
        failed: why the training of other folds failed, by their numbers from 0.
        numbers: of ``folds``, from 0; None where those that are not done have all failed.
        repeats: how often the cross validation is repeated.
        parts: folds of all repetitions, done or not; None where those that are not done have all failed.

    Raises:
        ValueError: no fold, fewer than two groups, class names that differ between folds, an id that occurs twice in a
            repetition or has no group.
        UserError: a fold's logits are not finite.
    """
    failed = dict(failed or {})
    parts = len(folds) + len(failed) if parts is None else parts
    numbers = [each for each in range(parts) if each not in failed] if numbers is None else numbers
    repetition_of = [number // (parts // repeats) for number in numbers]
    pooled = _pool(folds, repetition_of)
    ids = [str(example_id) for example_id in pooled.ids]
    ungrouped = [example_id for example_id in ids if example_id not in groups_by_id]
    if ungrouped:
        raise ValueError(f"{len(ungrouped)} ids have no group, the first is {ungrouped[0]!r}")
    groups = np.array([groups_by_id[example_id] for example_id in ids], dtype=str)
    scores = tuple(score(fold) for fold in folds)
    values = {each.name: [fold.values[each.name] for fold in scores] for each in headline_measures()}
    pooled_score = score(pooled)
    repetitions = {
        number: score(join_predictions([fold for fold, of in zip(folds, repetition_of, strict=True) if of == number]))
        for number in (sorted(set(repetition_of)) if repeats > 1 else ())
    }
    return CvSummary(
        class_names=pooled.class_names,
        folds=scores,
        numbers=tuple(numbers),
        pooled=pooled_score,
        mean={name: float(np.mean(each)) for name, each in values.items()},
        sd={name: mean_sd(each)[1] for name, each in values.items()} if len(folds) > 1 else {},
        intervals=bootstrap_intervals(pooled, groups, seed=seed),
        zero_recall=tuple(zero_recall(pooled_score)),
        fold_zero_recall=tuple(tuple(zero_recall(fold)) for fold in scores),
        failed=failed,
        images=len(set(ids)),
        repetitions=repetitions,
        repeats=repeats,
        parts=parts,
    )


def _pool(folds: Sequence[Predictions], repetition_of: Sequence[int]) -> Predictions:
    """All folds' predictions one after the other, in each repetition every id once."""
    if not folds:
        raise ValueError("no fold is done")
    class_names = tuple(folds[0].class_names)
    for k, fold in enumerate(folds):
        if tuple(fold.class_names) != class_names:
            raise ValueError(f"fold {k} has the classes {fold.class_names}, fold 0 has {class_names}")
    for repetition in set(repetition_of):
        of_it = [fold.ids for fold, of in zip(folds, repetition_of, strict=True) if of == repetition]
        unique, counts = np.unique(np.concatenate(of_it), return_counts=True)
        again = int(counts.sum()) - len(unique)
        if again:
            raise ValueError(f"{again} ids occur again, the first is {str(unique[counts > 1][0])!r}")
    return join_predictions(folds)
