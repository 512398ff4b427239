"""The train-test split of a dataset that has no official one: drawn once, or read from where somebody saved it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fer_tl.core.csv_tables import id_finder, read_table
from fer_tl.core.errors import UserError
from fer_tl.data.folds import make_folds, why_joined
from fer_tl.sources.records import SPLITS

FIT_SPLITS = SPLITS[:2]
"""Splits that training may see."""

_PARTS = 5  # 80:20, as F. Sikic et al. split ExpW


def draw_split(
    ids: np.ndarray, labels: np.ndarray, groups: np.ndarray, class_names: tuple[str, ...], seed: int
) -> np.ndarray:
    """Put a fifth of the groups into test and the others into train, stratified by class.

    The first of five folds, so it is a function of ids, labels, groups and seed only, see ``make_folds``.

    Args:
        ids: text [N], unique.
        labels: int [N].
        groups: text [N]; a group is never divided.
        class_names: names for the messages.
        seed: draws it.

    Returns:
        text [N], "train" or "test".

    Raises:
        UserError: a class has fewer than five groups.
    """
    for label in np.unique(labels):
        found = len(np.unique(groups[labels == label]))
        if found < _PARTS:
            raise UserError(
                f"class '{class_names[label]}' has {found} groups of images, too few for an 80:20 split"
                f"{why_joined(int((labels == label).sum()), found)}: "
                "add images, or give a split with --splits"
            )
    # Classes without images are no reason to refuse a split.
    present, compact = np.unique(labels, return_inverse=True)
    folds = make_folds(ids, compact, groups, tuple(class_names[label] for label in present), _PARTS, seed)
    return np.where(folds == 0, "test", "train")


def read_splits(path: Path) -> dict[str, str]:
    """Read {id: split} from a CSV with these columns, among others: ``examples.csv`` of a built dataset is one.

    Raises:
        UserError: no such file or columns, a split that is none, or an id with two.
    """
    found: dict[str, str] = {}
    for row in read_table(path, ("id", "split"), "splits, such as a dataset's examples.csv,").rows:
        name, split = row.cells["id"], row.cells["split"]
        if split not in SPLITS:
            raise UserError(f"{row.place}: split {split[:40]!r} is none of {', '.join(SPLITS)}")
        if found.setdefault(name, split) != split:
            raise UserError(f"{row.place}: {name!r} was in {found[name]} before: keep one row of it")
    return found


def apply_splits(table: Mapping[str, str], ids: np.ndarray) -> np.ndarray:
    """The split of each id from a table, text [N]; rows of other ids are passed over. Ids are found as
    ``csv_tables.id_finder`` does it.

    Raises:
        UserError: ids that the table does not have.
    """
    find = id_finder({str(name): str(name) for name in ids})
    split_of: dict[str, str] = {}
    for written, split in table.items():
        name = find(written)
        if name is not None and split_of.setdefault(name, split) != split:
            raise UserError(f"--splits has '{name}' in {split_of[name]} and in {split}: keep one row of it")
    missing = [str(name) for name in ids if str(name) not in split_of]
    if missing:
        raise UserError(
            f"--splits says nothing about {len(missing):,} of {len(ids):,} examples, such as '{missing[0]}': "
            "give a table of this dataset, or leave it out to draw a split"
        )
    return np.array([split_of[str(name)] for name in ids])
