"""Rows of fer2013.csv and its variants, streamed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from fer_tl.core.archives import Files
from fer_tl.core.counting import counted
from fer_tl.core.csv_tables import data_rows, encoding_of, first_row
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import readable, refuse_non_data
from fer_tl.sources.csv_pixels import PIXELS, SIZE, parse_pixels
from fer_tl.sources.split_names import canonical_split
from fer_tl.sources.table.columns import person_columns

_GIVE = "give fer2013.csv or icml_face_data.csv"
_FER_PLUS_COLUMNS = 12  # label.csv: file name, box, ten vote counts
# What a column is called, best first.
_EMOTION = ("emotion", "label", "emotions", "labels", "class", "expression", "target")
_PIXEL_TEXT = ("pixels", "pixel", "image", "image_pixels")
_USAGE = ("usage", "split", "set", "subset")
_PIXEL_COLUMN = re.compile(r"(?:pixel|px|p)?[ _-]?(\d{1,5})")


@dataclass(frozen=True)
class Row:
    """One row as it is written.

    Attributes:
        index: its number, the first below the header is 0, as in FER+ and pandas.
        line: the line it ends on in the file, the header is 1.
        emotion: the text of its label.
        usage: the text of its split, "" if there is no such column.
        pixels: the text of its pixels.
        problem: why the row cannot be used, "" if it can be as far as its cells go.
    """

    index: int
    line: int
    emotion: str
    usage: str
    pixels: str
    problem: str = ""


class CsvFile:
    """One CSV of a folder or archive.

    Attributes:
        name: in the files.
        where: its name for messages.
        split: the split of every row if there is no Usage column, else None.
        guessed: whether that split was taken as train because the file's name does not say.
        persons: columns that may say who is in a picture; they are not read.

    Raises:
        UserError: it is no CSV of labelled 48x48 faces; the message says what it is if that is known.
    """

    def __init__(self, files: Files, name: str) -> None:
        self._files, self.name = files, name
        self.where = files.where(name)
        self.stem = PurePosixPath(name).name.split(".")[0]
        head = files.head(name, 1 << 16)
        refuse_non_data(head[:512], self.where)
        self._encoding = encoding_of(head[:512])
        self._delimiter, cells = first_row(head.decode(self._encoding, "replace"))
        self._columns = _find_columns(cells, self.where)
        self._width = len(cells)
        self.persons = person_columns(cells)
        named = canonical_split(self.stem)
        self.split = None if self._columns.usage is not None else named or "train"
        self.guessed = self._columns.usage is None and named is None

    def rows(self) -> Iterator[Row]:
        """Streams the rows.

        Raises:
            UserError: the file cannot be read to its end.
        """
        columns = self._columns
        with readable(self.where), self._files.open(self.name) as stream:
            text = io.TextIOWrapper(stream, encoding=self._encoding, errors="replace", newline="")
            for index, (line, cells) in enumerate(data_rows(text, self._delimiter, self.where)):
                problem = self._problem(cells, self.place(index, line))
                if problem:
                    yield Row(index, line, "", "", "", problem)
                    continue
                usage = "" if columns.usage is None else cells[columns.usage]
                pixels = columns.pixels
                yield Row(index, line, cells[columns.emotion], usage, " ".join(cells[pixels]))

    def image(self, row: Row) -> np.ndarray:
        """The pixels of a row, uint8 [48, 48, 1], 0..255.

        Raises:
            UserError: they are not 2,304 whole numbers in 0..255.
        """
        place = self.place(row.index, row.line)
        return parse_pixels(row.pixels, place, row.index == 0).reshape(SIZE, SIZE, 1)

    def place(self, index: int, line: int) -> str:
        """How a message names a row."""
        return f"{self.where}, row {index + 1:,} (line {line:,})"

    def _problem(self, cells: list[str], place: str) -> str:
        if len(cells) < self._columns.width:
            start = self._columns.pixels.start
            found = f", {len(cells[start].split()):,} pixel values for {PIXELS:,}" if len(cells) > start else ""
            return (
                f"{place}: {len(cells)} of {self._width} columns{found}: "
                "the file is damaged or truncated, download it again."
            )
        if len(cells) > self._width and any(cell.strip(" \0") for cell in cells[self._width :]):
            return (
                f"{place}: {counted(len(cells), 'cell')} for the {self._width} columns of the first line: "
                "remove what is too much, or download the file again."
            )
        return ""


def has_pixels(files: Files, name: str) -> bool:
    """Whether the header of a file has a column of pixels, or one for each."""
    names = _header(files, name)
    return bool({"pixels", "pixel"} & set(names)) or sum(map(bool, map(_PIXEL_COLUMN.fullmatch, names))) >= PIXELS // 4


def has_labels(files: Files, name: str) -> bool:
    """Whether the header of a file has a column of labels."""
    return bool(set(_EMOTION) & set(_header(files, name)))


def is_fer_plus(files: Files, name: str) -> bool:
    """Whether a file is one of FER+'s vote tables."""
    return _looks_like_fer_plus(_header(files, name))


def _header(files: Files, name: str) -> list[str]:
    head = files.head(name, 1 << 16)
    return [cell.lower() for cell in first_row(head.decode(encoding_of(head[:512]), "replace"))[1]]


def _looks_like_fer_plus(cells: list[str]) -> bool:
    names = {cell.lower() for cell in cells}
    return {"nf", "contempt"} <= names or (
        len(cells) == _FER_PLUS_COLUMNS and cells[0].lower().endswith((".png", ".jpg")) and cells[1].startswith("(")
    )


@dataclass(frozen=True)
class _Columns:
    """Positions of the columns that are used, and how many cells a row must have."""

    emotion: int
    usage: int | None
    pixels: slice

    @property
    def width(self) -> int:
        return max(self.emotion + 1, 0 if self.usage is None else self.usage + 1, self.pixels.stop)


def _find_columns(cells: list[str], where: str) -> _Columns:
    """Raise ``UserError`` for files that are known to be unsuitable."""
    names = [cell.lower() for cell in cells]
    if _looks_like_fer_plus(cells):
        raise UserError(f"{where} holds the votes of FER+, not images: {_GIVE}")
    if any(not cell.isprintable() or "\ufffd" in cell for cell in cells):
        raise UserError(f"{where} is not a CSV, an archive or an image that can be read: {_GIVE}")
    if cells and all(_is_data(cell) for cell in cells):
        raise UserError(f"{where} has no header, its first line is data: put the line emotion,pixels,Usage before it")
    emotion = _position(names, _EMOTION, where)
    text = _position(names, _PIXEL_TEXT, where)
    usage = _position(names, _USAGE, where)
    pixels = slice(text, text + 1) if text is not None else _pixel_columns(names, emotion, usage, where)
    if pixels is not None and emotion is None:
        raise UserError(f"{where} has no emotion column (Kaggle's test.csv has no labels): {_GIVE}")
    if emotion is None or pixels is None:
        missing = " or ".join(name for name, at in (("emotion", emotion), ("pixels", pixels)) if at is None)
        shown = ", ".join(cell[:20] for cell in cells[:6])
        raise UserError(f"{where}: no column {missing} in its first line ({shown}); expected emotion, pixels, Usage")
    return _Columns(emotion, usage, pixels)


def _position(names: list[str], wanted: tuple[str, ...], where: str) -> int | None:
    """Where the first of some names is; raises ``UserError`` if two columns have it."""
    for name in wanted:
        if names.count(name) > 1:
            raise UserError(f"{where}: two columns are called {name}: remove or rename one")
        if name in names:
            return names.index(name)
    return None


def _pixel_columns(names: list[str], emotion: int | None, usage: int | None, where: str) -> slice | None:
    """The columns pixel0, pixel1, ... of a table that has one for each pixel, None if there are none."""
    found = [
        (position, int(match[1]))
        for position, name in enumerate(names)
        if position not in (emotion, usage) and (match := _PIXEL_COLUMN.fullmatch(name))
    ]
    if len(found) < PIXELS // 4:
        return None
    first, number = found[0]
    if [(first + i, number + i) for i in range(PIXELS)] != found:
        raise UserError(
            f"{where} has {len(found):,} columns of pixels ({names[first]} to {names[found[-1][0]]}), not {PIXELS:,} "
            f"in order: FER-2013's pictures are grey {SIZE}x{SIZE}; others are read by `fer-tl build table/NAME`"
        )
    return slice(first, first + PIXELS)


def _is_data(cell: str) -> bool:
    """Whether a cell is no heading: a number, many of them, or the name of a split."""
    return bool(re.fullmatch(r"[\d\s.,\[\]]+", cell)) or cell in ("Training", "PublicTest", "PrivateTest")
