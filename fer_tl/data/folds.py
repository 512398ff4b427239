"""Folds: stratified by class, grouped so that no group is split, saved as a table of ``id, fold``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_tl.core.csv_tables import TableRow, id_finder, read_table
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_text
from fer_tl.core.randomness import example_keys, uniform
from fer_tl.core.safe_text import csv_line


def make_folds(
    ids: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    class_names: tuple[str, ...],
    folds: int,
    seed: int,
    again: tuple[int, int] | None = None,
) -> np.ndarray:
    """Assign every example to one fold, group by group, each to the fold where its classes are rarest so far.

    Greedy minimization of the spread of class shares over folds: groups that hold most of a class come first, equals in
    an order drawn from (seed, group). The table is a function of the examples, the number of folds and the seed; not of
    the order of rows, and of no library's version: scikit-learn's ``StratifiedGroupKFold(shuffle=True)`` gives other
    folds in 1.9 than in 1.6, where it put 51 and 64 of a class's 115 images into two folds.

    Args:
        ids: text ``[N]``, unique.
        labels: int ``[N]``, indices into ``class_names``.
        groups: text ``[N]``; examples of one group always share a fold.
        class_names: names for the messages.
        folds: how many, 2 or more.
        seed: shuffles the groups.
        again: draws other folds for each pair of numbers. The sizes that order the groups are then multiplied by up to
            2, drawn for each: where no two are equal, the seed alone would change nothing.

    Returns:
        int64 ``[N]``, the fold 0..folds-1 of each example, in the order given.

    Raises:
        UserError: a class has no image, or fewer groups than there are folds.
    """
    _refuse_small_classes(labels, groups, class_names, folds)
    names, member_of = np.unique(groups, return_inverse=True)  # [G], [N]
    counts = np.zeros((len(names), len(class_names)), dtype=np.int64)  # [G, K]
    np.add.at(counts, (member_of, labels), 1)
    weights = 1 / np.maximum(counts.sum(axis=0), 1)  # [K]: each class counts alike, however rare
    keys = example_keys(names)  # [G]
    drawn = uniform(keys, "folds", seed, *(again or ()))  # [G]
    sizes_of = counts @ weights  # [G]
    if again:
        sizes_of *= 2 ** uniform(keys, "sizes of groups", seed, *again)
    fold_of = np.empty(len(names), dtype=np.int64)
    filled = [[0] * len(class_names) for _ in range(folds)]
    sizes = [0] * folds
    squares = (weights**2).tolist()
    for group in np.lexsort((drawn, -np.round(sizes_of, 12))):
        held = [(index, count) for index, count in enumerate(counts[group].tolist()) if count]
        # What the sum of squared class shares grows by in each fold, less a constant. Among equals the smallest fold
        # takes the group. Plain Python numbers: the same on every machine.
        costs = [
            (sum(row[index] * count * squares[index] for index, count in held), size)
            for row, size in zip(filled, sizes, strict=True)
        ]
        fold = costs.index(min(costs))
        fold_of[group] = fold
        for index, count in held:
            filled[fold][index] += count
            sizes[fold] += count
    assigned = fold_of[member_of]
    check_folds(assigned, labels, groups, class_names, folds)
    return assigned


def _refuse_small_classes(labels: np.ndarray, groups: np.ndarray, class_names: tuple[str, ...], folds: int) -> None:
    # The smallest class first: what is advised for it fits the others.
    sizes = sorted((len(np.unique(groups[labels == index])), index, name) for index, name in enumerate(class_names))
    for available, index, name in sizes:
        leave = leaving_out([name for found, _, name in sizes if found <= available], class_names)
        if not available:
            raise UserError(f"class '{name}' has no image to train on: add some{leave}")
        if available < folds:
            joined = why_joined(int((labels == index).sum()), available)
            raise UserError(
                f"--folds {folds} needs {folds} groups of every class, but class '{name}' has {available}{joined}: "
                f"use --folds {available} or fewer, add images of '{name}'{leave}"
                if available > 1
                else f"class '{name}' has a single group of images{joined} and cannot be cross-validated: "
                f"add images of '{name}'{leave}"
            )


def leaving_out(lacking: Sequence[str], class_names: Sequence[str]) -> str:
    """How to train without some classes, as the end of an advice; "" where fewer than two would be left."""
    left = [name for name in class_names if name not in lacking]
    return f", or leave it out with --classes '[{', '.join(left)}]'" if len(left) > 1 else ""


def why_joined(images: int, groups: int) -> str:
    """Why a class has fewer groups than images, and what to do if they are not copies; "" if it has as many."""
    if images == groups:
        return ""
    return (
        f" ({images:,} images, of which copies, faces of one photo and, where they are known, images of one person are "
        "one group; if it is copies that are none, build the dataset with --duplicates keep)"
    )


def check_folds(
    assigned: np.ndarray, labels: np.ndarray, groups: np.ndarray, class_names: tuple[str, ...], folds: int
) -> None:
    """Refuse a fold table that splits a group, leaves a fold out, or leaves a fold without one of the classes.

    Raises:
        UserError: naming the group, fold or class.
    """
    if set(np.unique(assigned).tolist()) != set(range(folds)):
        held = ", ".join(map(str, sorted(set(assigned.tolist()))))
        raise UserError(f"the fold table should hold the folds 0 to {folds - 1}, but holds {held}")
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
                    f"fold {fold} has no image of class '{class_names[index]}': use fewer folds or another seed of them"
                )


def count_split(assigned: np.ndarray, groups: np.ndarray) -> int:
    """How many examples have one of their group in another fold: those that leak.

    Args:
        assigned: int ``[N]``, the fold of each example; of several repetitions ``[R, N]``, the most of one are counted.
        groups: text ``[N]``.
    """
    if assigned.ndim > 1:
        return max(count_split(row, groups) for row in assigned)
    member_of = np.unique(groups, return_inverse=True)[1]  # [N]
    lowest = np.full(member_of.max() + 1, assigned.max())
    highest = np.zeros(member_of.max() + 1, assigned.dtype)
    np.minimum.at(lowest, member_of, assigned)
    np.maximum.at(highest, member_of, assigned)
    return int((lowest != highest)[member_of].sum())


def fold_columns(repeats: int) -> tuple[str, ...]:
    """The columns of a table that hold the folds of each repetition: ``fold``, ``fold_1``, ``fold_2``, ..."""
    return ("fold", *(f"fold_{repetition}" for repetition in range(1, repeats)))


def write_folds(path: Path, ids: np.ndarray, assigned: np.ndarray) -> None:
    """Write the table ``id, fold``, sorted by id.

    Args:
        path: of the CSV.
        ids: text ``[N]``.
        assigned: int ``[N]``, or ``[R, N]`` of R repetitions, a column each, see ``repetitions.make_repetitions``.
    """
    table = np.atleast_2d(assigned)
    rows: list[list[object]] = [["id", *fold_columns(len(table))]]
    rows += [[str(ids[row]), *table[:, row].tolist()] for row in np.argsort(ids)]
    write_text(path, "".join(map(csv_line, rows)))


def read_folds(path: Path, ids: np.ndarray, others: bool = False) -> np.ndarray:
    """As ``read_repetitions`` of a single one: int64 ``[N]``."""
    assigned: np.ndarray = read_repetitions(path, ids, 1, others)[0]
    return assigned


def read_repetitions(path: Path, ids: np.ndarray, repeats: int, others: bool = False) -> np.ndarray:
    """Read the folds of each id from a table that ``write_folds`` or somebody else wrote: int64 ``[R, N]``.

    Args:
        path: a CSV with the columns id and those of ``fold_columns``, see ``csv_tables.read_table``; ids as
            ``csv_tables.id_finder`` finds them.
        ids: text ``[N]``.
        repeats: R; columns of further repetitions are passed over.
        others: whether rows of other ids are passed over, as in a table of all images of a dataset whose duplicates
            were left out.

    Raises:
        UserError: no such table, an id that is in it twice, or not these ids.
    """
    find = id_finder({str(name): str(name) for name in ids})
    columns = fold_columns(repeats)
    folds_of: dict[str, list[int]] = {}
    strangers: set[str] = set()
    for row in read_table(path, ("id", *columns), "folds").rows:
        name = find(row.cells["id"])
        known = name or row.cells["id"]
        if known in folds_of or known in strangers:
            raise UserError(f"{row.place}: '{known}' is in the table already: an example is in one fold")
        folds = [_fold(row, column) for column in columns]
        if name is None:
            strangers.add(known)
        else:
            folds_of[name] = folds
    missing = [str(name) for name in ids if str(name) not in folds_of]
    if missing or (strangers and not others):
        example = f", such as '{missing[0]}'" if missing else ""
        raise UserError(
            f"{path} holds {len(folds_of) + len(strangers)} ids, the dataset {len(ids)}; "
            f"{len(missing)} of its ids are not there{example}"
        )
    return np.array([folds_of[str(name)] for name in ids], dtype=np.int64).reshape(-1, repeats).T


def _fold(row: TableRow, column: str) -> int:
    text = row.cells[column].removesuffix(".0")
    if not (text.isascii() and text.isdecimal() and len(text) < 7):
        raise UserError(f"{row.place}: {column} {row.cells[column][:40]!r} is not 0, 1, 2, ...")
    return int(text)
