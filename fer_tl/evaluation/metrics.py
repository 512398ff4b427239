"""Metrics of saved predictions, over every example, without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_tl.evaluation.measures import MEASURES, confusion_matrix, margins, ratio
from fer_tl.runs.predictions import Predictions


@dataclass(frozen=True, eq=False)
class Metrics:
    """How well a set of predictions does; every number is over all N examples, none is a mean over batches.

    Each of ``fer_tl.evaluation.measures.MEASURES`` is an attribute too, such as ``metrics.accuracy``.

    Attributes:
        class_names: the K class names; the per-class arrays and the confusion matrix follow their order.
        values: the number of each measure by name.
        precision: float64 ``[K]``, 0..1; 0 for a class that is never predicted.
        recall: float64 ``[K]``, 0..1; 0 for a class without examples.
        f1: float64 ``[K]``, 0..1; 0 where undefined.
        support: int64 ``[K]``, true examples of each class.
        confusion: int64 ``[K, K]``, row = true class, column = predicted class.
    """

    class_names: tuple[str, ...]
    values: dict[str, float]
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    confusion: np.ndarray

    def __getattr__(self, name: str) -> float:
        values: dict[str, float] = self.__dict__.get("values", {})  # none yet in a copy that is being made
        if name not in values:
            raise AttributeError(f"no measure is named {name!r}")
        return values[name]

    @property
    def images(self) -> int:
        """Number of examples."""
        return int(self.support.sum())

    def to_dict(self) -> dict[str, Any]:
        """The same as plain Python values, ready for JSON; the classes by name."""
        arrays = {"precision": self.precision, "recall": self.recall, "f1": self.f1, "support": self.support}
        per_class = {
            name: {key: array[k].item() for key, array in arrays.items()} for k, name in enumerate(self.class_names)
        }
        return {
            "images": self.images,
            **self.values,
            "per_class": per_class,
            "confusion": {"rows": "true class", "columns": "predicted class", "counts": self.confusion.tolist()},
        }


def score(predictions: Predictions, labels_only: bool = False) -> Metrics:
    """Score predictions. A class without examples keeps its row and column.

    Args:
        predictions: N examples.
        labels_only: whether only the answers count, since nobody knows their probabilities: measures that need these
            are left out.

    Raises:
        ValueError, UserError: see ``fer_tl.runs.predictions.predicted_labels``.
    """
    confusion = confusion_matrix(predictions)
    hits, support, predicted = margins(confusion)
    return Metrics(
        class_names=tuple(predictions.class_names),
        values={
            name: measure.value(predictions)
            for name, measure in MEASURES.items()
            if not (labels_only and measure.needs_probabilities)
        },
        precision=ratio(hits, predicted),
        recall=ratio(hits, support),
        f1=ratio(2 * hits, support + predicted),
        support=support,
        confusion=confusion,
    )


def zero_recall(metrics: Metrics) -> list[str]:
    """Names of the classes that have examples, none of which is recognised."""
    missed = (metrics.support > 0) & (np.diagonal(metrics.confusion) == 0)
    return [name for name, is_missed in zip(metrics.class_names, missed, strict=True) if is_missed]
