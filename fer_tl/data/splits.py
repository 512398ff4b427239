"""The train-test split of a dataset that has no official one: drawn once, or read from where somebody saved it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from fer_tl.core.csv_tables import id_finder, read_table
from fer_tl.core.errors import UserError
from fer_tl.data.folds import make_folds, why_joined
from fer_tl.sources.records import SPLITS

FIT_SPLITS = SPLITS[:2]
"""Splits that training may see."""

DEFAULT_SHARE = 0.2
"""Of the images in a drawn test split: 80:20, as F. Sikic et al. split ExpW."""
SMALLEST_SHARE = 0.05

_MOST_PARTS = 20  # that a split is put together from: each class needs as many groups


def draw_split(
    ids: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    class_names: tuple[str, ...],
    seed: int,
    share: float = DEFAULT_SHARE,
) -> np.ndarray:
    """Put a share of the groups into test and the others into train, stratified by class.

    The first k of n folds, where k / n is the fraction nearest to the share with n up to 20, the first of five for 0.2;
    so it is a function of ids, labels, groups, seed and share only, see ``make_folds``.

    Args:
        ids: text [N], unique.
        labels: int [N].
        groups: text [N]; a group is never divided.
        class_names: names for the messages.
        seed: draws it.
        share: of each class's images, 0.05..0.5.

    Returns:
        text [N], "train" or "test".

    Raises:
        UserError: a class has fewer than n groups, or there are fewer groups than classes.
    """
    fraction = Fraction(share).limit_denominator(_MOST_PARTS)
    taken, parts = fraction.numerator, fraction.denominator
    for label in np.unique(labels):
        found = len(np.unique(groups[labels == label]))
        if found < parts:
            raise UserError(
                f"class '{class_names[label]}' has {found} groups of images, too few for {_said(taken, parts)} split"
                f"{why_joined(int((labels == label).sum()), found)}: it needs {parts}. Add images, give another "
                "--test-share (0.2 needs 5 groups, 0.25 needs 4), or a split with --splits"
            )
    together, classes = len(np.unique(groups)), len(np.unique(labels))
    if together < classes:
        raise UserError(
            f"all images are of {together} groups (persons, photos, copies), fewer than the {classes} classes: a test "
            "split drawn from them would be a person or two. Keep none back, without --test-share or with --test-share "
            "0 where that is the only way, or give a split with --splits"
        )
    # Classes without images are no reason to refuse a split.
    present, compact = np.unique(labels, return_inverse=True)
    folds = make_folds(ids, compact, groups, tuple(class_names[label] for label in present), parts, seed)
    return np.where(folds < taken, "test", "train")


def _said(taken: int, parts: int) -> str:
    test = 100 * taken / parts
    return f"{'an' if 80 <= 100 - test < 90 else 'a'} {100 - test:.3g}:{test:.3g}"


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


def apply_splits(table: Mapping[str, str], ids: np.ndarray, names: Mapping[str, str | None]) -> np.ndarray:
    """The split of each id from a table, text [N]; rows of other ids are passed over.

    Args:
        table: {how it calls an example: its split}; examples are found as ``csv_tables.id_finder`` does it.
        ids: text [N], unique.
        names: {name: id} for every name that an example goes by, None if several do.

    Raises:
        UserError: ids that the table does not have.
    """
    find = id_finder(names)
    split_of: dict[str, str] = {}
    for written, split in table.items():
        name = find(written)
        if name is not None and split_of.setdefault(name, split) != split:
            raise UserError(f"--splits has '{name}' in {split_of[name]} and in {split}: keep one row of it")
    missing = [str(name) for name in ids if str(name) not in split_of]
    if missing:
        raise UserError(
            f"--splits says nothing about {len(missing):,} of {len(ids):,} examples, such as '{missing[0]}': "
            "give a table of this dataset, or leave it out"
        )
    return np.array([split_of[str(name)] for name in ids])
