"""Folds: stratified by class, grouped so that no group is split, saved as a table of ``id, fold``."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

import numpy as np

from fer_tl.errors import UserError
from fer_tl.files import write_text


def make_folds(
    ids: np.ndarray, labels: np.ndarray, groups: np.ndarray, class_names: tuple[str, ...], folds: int, seed: int
) -> np.ndarray:
    """Assign every example to one fold.

    The rows are sorted by id first, so the table is a function of the examples, the number of folds and the seed, and
    not of the order in which the examples were read.

    Args:
        ids: text ``[N]``, unique.
        labels: int ``[N]``, indices into ``class_names``.
        groups: text ``[N]``; examples of one group always share a fold.
        class_names: names for the messages.
        folds: how many, 2 or more.
        seed: shuffles the groups.

    Returns:
        int64 ``[N]``, the fold 0..folds-1 of each example, in the order given.

    Raises:
        UserError: a class has fewer groups than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    for index, name in enumerate(class_names):
        available = len(np.unique(groups[labels == index]))
        if 0 < available < folds:
            raise UserError(
                f"--folds {folds} needs {folds} groups of every class, but class '{name}' has {available}: "
                f"use --folds {available} or fewer, or more images of '{name}'"
                if available > 1
                else f"class '{name}' has a single group of images and cannot be cross-validated: "
                f"add images of '{name}' or leave the class out"
            )
    order = np.argsort(ids)
    _, group_numbers = np.unique(groups[order], return_inverse=True)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    assigned = np.empty(len(ids), dtype=np.int64)
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros(len(ids)), labels[order], group_numbers)):
        assigned[order[held_out]] = fold
    check_folds(assigned, labels, groups, class_names, folds)
    return assigned


def check_folds(
    assigned: np.ndarray, labels: np.ndarray, groups: np.ndarray, class_names: tuple[str, ...], folds: int
) -> None:
    """Refuse a fold table that splits a group, leaves a fold out, or leaves a fold without one of the classes.

    Raises:
        UserError: naming the group, fold or class.
    """
    if set(np.unique(assigned).tolist()) != set(range(folds)):
        raise UserError(
            f"the fold table should hold the folds 0 to {folds - 1}, but holds {sorted(set(assigned.tolist()))}"
        )
    pairs = np.unique(np.stack([np.unique(groups, return_inverse=True)[1], assigned], axis=1), axis=0)  # [P, 2]
    if len(pairs) != len(np.unique(groups)):
        group, _ = Counter(pairs[:, 0].tolist()).most_common(1)[0]
        raise UserError(
            f"group '{np.unique(groups)[group]}' is split over several folds: that leaks test images into training"
        )
    for index in np.unique(labels):
        for fold in range(folds):
            if not np.any((labels == index) & (assigned == fold)):
                raise UserError(
                    f"fold {fold} has no image of class '{class_names[index]}': use fewer folds or another --seed"
                )


def write_folds(path: Path, ids: np.ndarray, assigned: np.ndarray) -> None:
    """Write the table ``id, fold``, sorted by id."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "fold"])
    writer.writerows((str(ids[row]), int(assigned[row])) for row in np.argsort(ids))
    write_text(path, out.getvalue())
