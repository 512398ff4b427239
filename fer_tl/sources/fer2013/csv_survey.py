"""What the tables of a CSV source say of their rows besides the pixels: decided over all rows together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fer_tl.sources.fer2013.csv_reader import CsvFile
from fer_tl.sources.fer2013.labels import class_index
from fer_tl.sources.folder.classes import refuse_merged
from fer_tl.sources.label_orders import DEFAULT_ORDER, LABEL_ORDERS, check_numbers, number_of
from fer_tl.sources.split_names import canonical_split

NO_LABEL = -2
"""Stands for the label of a row that cannot be used."""

_HIGHEST = max(order.last for order in LABEL_ORDERS.values())


@dataclass(frozen=True)
class Survey:
    """What a table says of each of its R rows.

    Attributes:
        splits: R of them; "" where a row cannot be used.
        labels: R indices into ``CLASS_NAMES``, or ``CONTEMPT_LABEL``, or ``NO_LABEL``.
        problems: {index of a row that cannot be used: its place and why}.
        numbered: whether any class is written as a number.
    """

    splits: list[str]
    labels: list[int]
    problems: dict[int, str]
    numbered: bool = False


@dataclass
class _Cells:
    """The different pairs of label and split of a table, and which one each row has."""

    pairs: dict[tuple[str, str], int] = field(default_factory=dict)  # -> its number
    first: list[tuple[int, int]] = field(default_factory=list)  # index and line of the first row with each pair
    of_rows: list[int] = field(default_factory=list)  # the number of each row's pair, -1 for a row without
    problems: dict[int, str] = field(default_factory=dict)


def survey(tables: Sequence[CsvFile], labels: str | None) -> list[Survey]:
    """Read tables once without parsing pixels.

    Args:
        tables: parts of one dataset, so that they number classes alike.
        labels: what numbers mean, a key of ``LABEL_ORDERS``, or None (FER-2013's if that is certain).

    Raises:
        UserError: a file that cannot be read to its end, or numbers whose meaning is a guess.
    """
    read = [_read(table) for table in tables]
    numbers = {number_of(emotion) for cells in read for emotion, _ in cells.pairs}
    # A higher one is damage to a row, and no order of classes.
    known = {number for number in numbers if number is not None and number <= _HIGHEST}
    where = " and ".join(table.where for table in tables)
    check_numbers(known, labels, where, certain=True)
    _refuse_merged(tables, read, labels, where)
    return [_decide(table, cells, labels) for table, cells in zip(tables, read, strict=True)]


def _refuse_merged(tables: Sequence[CsvFile], read: Sequence[_Cells], labels: str | None, where: str) -> None:
    """Raise ``UserError`` if two words of a split stand for one class, such as joy and happy."""
    words = {
        (table.split or _split(usage) or "", emotion)
        for table, cells in zip(tables, read, strict=True)
        for emotion, usage in cells.pairs
        if number_of(emotion) is None and class_index(emotion, labels) is not None
    }
    meanings = {emotion: class_index(emotion, labels) for _, emotion in words}
    advice = "write one of them in all rows if they are one class, or omit the rows of one"
    refuse_merged(words, meanings, where, advice)


def _read(table: CsvFile) -> _Cells:
    cells = _Cells()
    for row in table.rows():
        if row.problem:
            cells.problems[row.index] = row.problem
            cells.of_rows.append(-1)
            continue
        key = row.emotion, row.usage
        if key not in cells.pairs:  # at most a few dozen different ones in a file
            cells.pairs[key] = len(cells.first)
            cells.first.append((row.index, row.line))
        cells.of_rows.append(cells.pairs[key])
    return cells


def _decide(table: CsvFile, cells: _Cells, labels: str | None) -> Survey:
    found: list[tuple[str, int, str]] = []  # split, label and problem of each pair
    cut = _cut_usage(cells)
    for emotion, usage in cells.pairs:
        label = class_index(emotion, labels)
        split = table.split or _split(usage)
        problem = _label_problem(emotion, labels) if label is None else "" if split else _usage_problem(usage)
        if not problem and (emotion, usage) == cut:
            problem = f"Usage {usage!r} is truncated: download the file again."
        found.append((split or "", NO_LABEL if label is None else label, problem))
    numbered = any(number_of(emotion) is not None for emotion, _ in cells.pairs)
    result = Survey([], [], dict(cells.problems), numbered)
    lines = dict(cells.first)
    for index, number in enumerate(cells.of_rows):
        split, label, problem = found[number] if number >= 0 else ("", NO_LABEL, "")
        if problem:
            place = table.place(index, lines[index]) if index in lines else f"{table.where}, row {index + 1:,}"
            result.problems[index] = f"{place}: {problem}"
        usable = index not in result.problems
        result.splits.append(split if usable else "")
        result.labels.append(label if usable else NO_LABEL)
    return result


def _split(usage: str) -> str | None:
    cut = usage.strip().lower() in ("public", "private")  # the official names, truncated
    return None if cut else canonical_split(usage)


def _label_problem(emotion: str, labels: str | None) -> str:
    if not emotion.strip():
        return "no emotion."
    order = LABEL_ORDERS[labels or DEFAULT_ORDER]
    said = f" (--labels {labels})" if labels else ""
    return f"unknown emotion {emotion[:40]!r}, not {order.first}..{order.last}{said} or a class name."


def _usage_problem(usage: str) -> str:
    if not usage.strip():
        return "no Usage."
    return (
        f"unknown Usage {usage[:40]!r}, not Training, PublicTest or PrivateTest: "
        "correct it, or download the file again if it is truncated."
    )


def _cut_usage(cells: _Cells) -> tuple[str, str] | None:
    """The pair of the last row if its split is the beginning of another one and it is alone with it."""
    last = cells.of_rows[-1] if cells.of_rows else -1
    if last < 0 or cells.first[last][0] != len(cells.of_rows) - 1:
        return None
    key = next(pair for pair, number in cells.pairs.items() if number == last)
    others = {usage for pair, number in cells.pairs.items() if number != last for usage in pair[1:]}
    return key if any(other != key[1] and other.startswith(key[1]) for other in others) else None
