"""Tables that people or other programs wrote, in any of the ways in which CSV is saved: boxes, folds, splits."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.core.safe_text import from_csv

DELIMITERS = ",;\t|"
LONGEST_LINE = 1 << 20
"""Characters. A picture of 224 x 224 in colour, written as numbers, has some 600,000."""
LARGEST = 1 << 29
"""Bytes of a table that is read into memory: some ten million rows of boxes."""

_MISSING = frozenset(("", "nan", "na", "n/a", "#n/a", "#value!", "<na>", "null"))
_COMMA = re.compile(r"[+-]?(?:0,\d+|\d+,(?!\d{3}$)\d+)", re.ASCII)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# How .xlsx and .ods, which are zips, and .xls files begin.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")

csv.field_size_limit(LONGEST_LINE)  # one cell may be a whole line; the default of 131,072 is for all of the process


@dataclass(frozen=True)
class TableRow:
    """One row below the header.

    Attributes:
        cells: {column: its text without blanks around}, of the columns that the header names.
        place: file, row and line, for messages: "folds.csv, row 2 (line 3)".
    """

    cells: Mapping[str, str]
    place: str

    def check_filled(self, *columns: str) -> None:
        """Raise ``UserError`` if a cell of these columns is empty."""
        for column in columns:
            if not self.cells[column]:
                raise UserError(f"{self.place}: no {column}")


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        name: base name of its file.
        sha256: of the file, 64 hexadecimal digits.
        rows: in the file's order, at least one.
        header: names of the columns, in lower case.
    """

    name: str
    sha256: str
    rows: tuple[TableRow, ...]
    header: tuple[str, ...]


def read_table(path: Path, columns: Sequence[str], what: str) -> Table:
    """Read a CSV with certain columns, in any order and among others.

    Case and spaces in the header, a byte order mark, UTF-8 or UTF-16, the kind of line end, empty lines, semicolons,
    tabs or bars for commas, and a first line ``sep=;`` make no difference.

    Args:
        path: of the file.
        columns: the lower-case names of those that must be there.
        what: what the rows are, for messages: "face boxes".

    Raises:
        UserError: there is no such file, it is not such a table, or a row has other cells than the header.
    """
    named = f" with the column{'' if len(columns) == 1 else 's'} {', '.join(columns)}" if columns else ""
    return parse_table(_read_bytes(path, f"give a CSV of {what}{named}"), path.name, columns, what)


def parse_table(data: bytes, name: str, columns: Sequence[str], what: str) -> Table:
    """Read the bytes of a CSV that is called ``name``; for the others, and what is raised, see ``read_table``."""
    if data.startswith(_WORKBOOKS):
        raise UserError(f"{name} is a spreadsheet or an archive, not text: save the {what} as a CSV")
    try:
        text = data.decode(encoding_of(data[:64]))
    except UnicodeDecodeError:
        raise UserError(f"{name} is not text in UTF-8: save the {what} as a CSV in UTF-8") from None
    rows = tuple(_rows(text, columns, name))
    if not rows:
        raise UserError(f"{name} has a header but no rows: give the {what}")
    header = tuple(cell.lower() for cell in first_row(text[: 2 * LONGEST_LINE])[1])
    return Table(name, hashlib.sha256(data).hexdigest(), rows, header)


def encoding_of(head: bytes) -> str:
    """The encoding of a text file, from its first bytes: spreadsheets write UTF-16, some without its mark."""
    if head.startswith(_UTF16):
        return "utf-16"
    if len(head) > 3 and not any(head[1:64:2]) and all(head[0:64:2]):
        return "utf-16-le"
    if len(head) > 3 and not any(head[0:64:2]) and all(head[1:64:2]):
        return "utf-16-be"
    return "utf-8-sig"


def first_row(text: str) -> tuple[str, list[str]]:
    """The delimiter of a CSV, and the cells of its header without blanks and NUL bytes around.

    The delimiter is what a first line such as ``sep=;`` says, else a comma, a semicolon, a tab or a bar, whichever the
    header has.
    """
    lines = [line for line in re.split(r"[\r\n]+", text, maxsplit=3) if line.strip(" \0")]
    said = _said_delimiter(lines[0]) if lines else None
    line = (lines[1] if len(lines) > 1 else "") if said else (lines[0] if lines else "")
    delimiter = said or next((mark for mark in DELIMITERS if mark in line), ",")
    cells = next(csv.reader([line], delimiter=delimiter), [])
    return delimiter, [cell.strip(" \t\0") for cell in cells]


def data_rows(stream: TextIO, delimiter: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells below the header, without empty rows; NUL bytes of a broken download are no data.

    Args:
        stream: opened with ``newline=""``.
        delimiter: see ``first_row``.
        where: the file's name for messages.

    Raises:
        UserError: a line that is no CSV row, or longer than ``LONGEST_LINE``.
    """
    reader = csv.reader(_bounded_lines(stream, where), delimiter=delimiter)
    header = True
    try:
        for cells in reader:
            if not any(cell.strip(" \0") for cell in cells):
                continue
            if header:
                header = _said_delimiter(delimiter.join(cells)) is not None
                continue
            yield reader.line_num, cells
    except csv.Error as error:
        raise UserError(f"{where}, line {reader.line_num:,} is not a CSV row ({error}): correct it") from None


def id_finder(names: Mapping[str, str | None]) -> Callable[[str], str | None]:
    """A function from how a table calls an example to its id, or None where that cannot be told.

    A name is found as it is written; else with blanks around it, in another Unicode form (as macOS writes é), or as a
    number that has lost its leading zeros or got a ``.0`` in a spreadsheet, if only one example can be meant.

    Args:
        names: {name: id} for every name that an example goes by, None if several do.
    """
    forgiving: dict[str, str | None] = {}
    for name, identity in names.items():
        key = _forgiving(name)
        forgiving[key] = identity if forgiving.get(key, identity) == identity else None

    def find(text: str) -> str | None:
        return names[text] if text in names else forgiving.get(_forgiving(text))

    return find


def image_finder(ids: Iterable[str]) -> Callable[[str], str | None]:
    """A function from how a table calls an image to its id, or None: by its id, else by the name of its file with or
    without ending, where only one can be meant, in the forgiving way of ``id_finder``."""
    names: dict[str, str | None] = {}
    known = list(ids)
    for each in known:
        for name in {PurePosixPath(each).name, PurePosixPath(each).stem}:
            names[name] = None if name in names else each
    find_id = id_finder({**names, **{each: each for each in known}})

    def find(text: str) -> str | None:
        path = PurePosixPath(text.replace("\\", "/"))
        return next((found for name in (text, path.name, path.stem) if (found := find_id(name))), None)

    return find


def is_missing(text: str) -> bool:
    """Whether a cell says that it holds nothing: blank, or as pandas, R and spreadsheets write it."""
    return text.strip().casefold() in _MISSING


def decimal(text: str) -> float:
    """A number as a cell has it, with a point, or with the comma of many spreadsheets: ``0,25``.

    Three digits behind a comma that are not behind a 0 may be thousands: this is not a number here.

    Raises:
        ValueError: it is not a number.
    """
    comma = _COMMA.fullmatch(text.strip())
    return float(text.strip().replace(",", ".") if comma else text)


def digest_rows(rows: Iterable[Any]) -> str:
    """SHA-256 in hex of rows, texts or tuples of texts: the same in any order, and however often one is there."""
    return hashlib.sha256(json.dumps(sorted(set(rows))).encode()).hexdigest()


def find_examples(rows: Iterable[tuple[str, str]], names: Mapping[str, str | None]) -> list[str | None]:
    """The id of each row's example as ``id_finder`` finds it, None where no example is meant.

    Args:
        rows: (how it calls the example, how a message names the row).
        names: {name: id} for every name that an example goes by, None if several do.

    Raises:
        UserError: several examples have a row's name.
    """
    find, found = id_finder(names), []
    for name, place in rows:
        identity = find(name)
        if identity is None and name in names:
            raise UserError(f"{place}: several examples are called {name!r}: give the path of each in the source")
        found.append(identity)
    return found


def _forgiving(name: str) -> str:
    text = unicodedata.normalize("NFC", name.strip())
    number = text.removesuffix(".0")
    return number.lstrip("0") or "0" if number.isascii() and number.isdecimal() else text


def _read_bytes(path: Path, advice: str) -> bytes:
    if not path.is_file():  # a pipe or a device has no end
        what = "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "does not exist"
        raise UserError(f"{path} {what}: {advice}")
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise UserError(f"{path} has {size:,} bytes, more than {LARGEST:,}: {advice}")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {advice}") from None


def _said_delimiter(line: str) -> str | None:
    """What the line says that Excel puts before a header: ``sep=;``."""
    found = re.fullmatch(r"\ufeff?\"?sep=([^\w\s]|\t)\"?\1*\s*", line.strip(" \0"), re.IGNORECASE)
    return found[1] if found else None


def _bounded_lines(stream: TextIO, where: str) -> Iterator[str]:
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise UserError(f"{where}, line {number:,} is longer than {LONGEST_LINE:,} characters: it is not a table")
        yield line


def _rows(text: str, columns: Sequence[str], name: str) -> Iterator[TableRow]:
    delimiter, cells = first_row(text[: 2 * LONGEST_LINE])
    header = _checked_header(cells, columns, name)
    for number, (line, row) in enumerate(data_rows(io.StringIO(text, newline=""), delimiter, name), 1):
        place = f"{name}, row {number:,} (line {line:,})"
        row = [from_csv(cell.strip()) for cell in row]
        if len(row) < len(header) or any(row[len(header) :]):  # blank cells at the end may be left over
            raise UserError(
                f"{place}: {counted(len(row), 'cell')} for the {len(header)} columns of the first line: correct it"
            )
        yield TableRow(dict(zip(header, row, strict=False)), place)


def _checked_header(cells: Iterable[str], columns: Sequence[str], name: str) -> list[str]:
    cells = list(cells)
    header = [cell.lower() for cell in cells]
    missing = [column for column in columns if column not in header]
    if missing and not cells:
        raise UserError(f"{name} is empty: its first line has to name {', '.join(columns)}")
    if missing:
        shown = ", ".join(cell[:20] for cell in cells[:8])
        raise UserError(
            f"{name}: no column {' or '.join(missing)} in its first line ({shown}); expected {', '.join(columns)}"
        )
    double = next((column for column in columns if header.count(column) > 1), None)
    if double:
        raise UserError(f"{name}: two columns are called {double}: remove or rename one")
    return header
