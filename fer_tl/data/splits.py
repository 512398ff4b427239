"""The train-test split of a dataset that has no official one: drawn once, or read from where somebody saved it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fer_tl.data.folds import make_folds
from fer_tl.errors import UserError
from tfrecords_builder.records import SPLITS

FIT_SPLITS = SPLITS[:2]
"""Splits that training may see."""

_PARTS = 5  # 80:20, as F. Sikic et al. split ExpW


def draw_split(
    ids: np.ndarray, labels: np.ndarray, groups: np.ndarray, class_names: tuple[str, ...], seed: int
) -> np.ndarray:
    """Puts a fifth of the groups into test and the others into train, stratified by class.

    The first of five folds, so it is a function of ids, labels, groups and seed only, see `make_folds`.

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
                f"class '{class_names[label]}' has {found} groups of images, too few for an 80:20 split: "
                "add images, or give a split with --splits"
            )
    # Classes without images are no reason to refuse a split.
    present, compact = np.unique(labels, return_inverse=True)
    folds = make_folds(ids, compact, groups, tuple(class_names[label] for label in present), _PARTS, seed)
    return np.where(folds == 0, "test", "train")


def read_splits(path: Path) -> dict[str, str]:
    """Reads {id: split} from a CSV with these columns, among others: `examples.csv` of a built dataset is one.

    Raises:
        UserError: no such file or columns, a split that is none, or an id with two.
    """
    found: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            if not {"id", "split"} <= set(reader.fieldnames or ()):
                raise UserError(f"{path} has no columns id and split: give a table such as examples.csv of a dataset")
            for row in reader:
                place = f"{path}, line {reader.line_num:,}"
                if row["split"] not in SPLITS:
                    raise UserError(f"{place}: split {row['split']!r} is none of {', '.join(SPLITS)}")
                if found.setdefault(row["id"], row["split"]) != row["split"]:
                    raise UserError(f"{place}: {row['id']!r} was in {found[row['id']]} before: keep one row of it")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: give a CSV with the columns id and split") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table of splits ({error})") from None
    if not found:
        raise UserError(f"{path} has a header but no rows: give the split of each example")
    return found


def apply_splits(table: Mapping[str, str], ids: np.ndarray) -> np.ndarray:
    """The split of each id from a table, text [N]; rows of other ids are passed over.

    Raises:
        UserError: ids that the table does not have.
    """
    missing = [str(name) for name in ids if str(name) not in table]
    if missing:
        raise UserError(
            f"--splits says nothing about {len(missing):,} of {len(ids):,} examples, such as '{missing[0]}': "
            "give a table of this dataset, or leave it out to draw a split"
        )
    return np.array([table[str(name)] for name in ids])
