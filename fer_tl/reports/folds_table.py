"""A fold table as a person reads it: images and groups of each fold, and of each class."""

from __future__ import annotations

import numpy as np

from fer_tl.data.dataset import Dataset
from fer_tl.reports.rendering import Table, as_text


def folds_text(dataset: Dataset, assigned: np.ndarray) -> str:
    """One row a fold: images, groups, images of each class.

    Args:
        dataset: N examples.
        assigned: int ``[N]``, their folds.
    """
    folds = range(int(assigned.max()) + 1)
    classes = range(len(dataset.class_names))

    def row(name: str, chosen: np.ndarray) -> list[str]:
        counts = np.bincount(dataset.labels[chosen], minlength=len(classes))  # [K]
        numbers = [chosen.sum(), len(np.unique(dataset.groups[chosen])), *counts]
        return [name, *(f"{number:,}" for number in numbers)]

    rows = [row(str(fold), assigned == fold) for fold in folds]
    header = ["fold", "images", "groups", *dataset.class_names]
    return as_text(Table(header, [rows, [row("all", np.full(len(assigned), True))]]))
