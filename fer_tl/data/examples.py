"""What became of every example that a build has read: ``examples.csv`` beside the manifest."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fer_tl.core.errors import UserError
from fer_tl.core.files import write_atomically
from fer_tl.core.safe_text import csv_line, from_csv

FILE_NAME = "examples.csv"
KEPT = "yes"


@dataclass(frozen=True)
class Example:
    """One example that was read, whether or not it is in the records.

    Attributes:
        id: unique.
        split: train, validation or test.
        class_name: its label.
        group: what is never divided over folds, duplicates merged.
        cluster: id of the first example, by id, of its duplicates; "" if it has none.
        copy: "exact" if its pixels are those of another example, "near" if it has only near duplicates, or "".
        kept: ``KEPT``, or why it is not in the records: "copy of test", "copy of validation", "same photo as
            test", "same photo as validation", "same group as test", "same group as validation", "duplicate",
            "conflicting labels", "excluded".
        height: of what was resized, pixels; 0 if unknown.
        width: of the same.
        crop: see ``fer_tl.sources.records.Record``.
        measures: likewise; each has a column of its own, which is there if any example of the dataset has it.
    """

    id: str
    split: str
    class_name: str
    group: str
    cluster: str = ""
    copy: str = ""
    kept: str = KEPT
    height: int = 0
    width: int = 0
    crop: str = ""
    measures: Mapping[str, float] = field(default_factory=dict, hash=False)


# The column of the class is called as in every other table.
_COLUMNS = ("id", "split", "class", "group", "cluster", "copy", "kept", "height", "width", "crop")


def write_examples(
    examples: Sequence[Example],
    directory: Path,
    order: Iterable[int] | None = None,
    measures: Iterable[str] | None = None,
) -> None:
    """Write the table, one row an example, sorted by id.

    Args:
        examples: to write.
        directory: where to write it.
        order: sorts them; None to sort them here.
        measures: names of all that they have; None to look for them.

    Raises:
        UserError: a measure is called like one of the other columns.
    """
    if measures is None:
        measures = {name for example in examples for name in example.measures}
    if order is None:
        order = sorted(range(len(examples)), key=lambda row: examples[row].id)
    measured = sorted(measures)
    if taken := [name for name in measured if name in _COLUMNS]:
        raise UserError(f"the measure {taken[0]!r} is called like a column of {FILE_NAME}: give it another name")

    def lines() -> Iterator[str]:
        yield csv_line((*_COLUMNS, *measured))
        for row in order:
            one = examples[row]
            cells = (
                one.id, one.split, one.class_name, one.group, one.cluster, one.copy, one.kept, one.height, one.width,
                one.crop,
            )  # fmt: skip
            yield csv_line((*cells, *(one.measures.get(name, "") for name in measured)))

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines())

    write_atomically(directory / FILE_NAME, write)


def read_examples(directory: Path) -> list[Example]:
    """Read the table of a built dataset.

    Raises:
        UserError: there is none, as in datasets built before version 1.1.0, or it was changed.
    """
    path = directory / FILE_NAME
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = csv.DictReader(lines)
            return [_example({key: from_csv(cell) for key, cell in row.items()}) for row in rows]
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the dataset was built by an older fer-tl; build it again") from None
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error}): build the dataset again with --overwrite") from None


def _example(row: dict[str, str]) -> Example:
    return Example(
        row["id"], row["split"], row["class"], row["group"], row["cluster"], row["copy"], row["kept"],
        int(row["height"]), int(row["width"]), row["crop"],
        {name: float(text) for name, text in row.items() if name not in _COLUMNS and text},
    )  # fmt: skip
