"""Rows of fer2013.csv and its variants, streamed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np

from fer_tl.errors import UserError
from tfrecords_builder.fer2013.labels import class_index
from tfrecords_builder.files import Files, readable, refuse_non_data
from tfrecords_builder.records import canonical_split

SIZE = 48
PIXELS = SIZE * SIZE

_GIVE = "give fer2013.csv or icml_face_data.csv"
_FER_PLUS_COLUMNS = 12  # label.csv: file name, box, ten vote counts


@dataclass(frozen=True)
class Row:
    """One row, checked but for its pixels.

    Attributes:
        index: its number, the first below the header is 0, as in FER+ and pandas.
        line: the line it ends on in the file, the header is 1.
        split: one of the three splits.
        label: index into `CLASS_NAMES`, or `CONTEMPT_LABEL`.
        pixels: the text of the pixels column.
    """

    index: int
    line: int
    split: str
    label: int
    pixels: str


class CsvFile:
    """One CSV of a folder or archive.

    Attributes:
        where: its name for messages.
        columns: {column name: position}; the names are lower-case, without spaces around.
        split: the split of every row if there is no Usage column, else None.
        guessed: whether that split was taken as train because the file's name does not say.

    Raises:
        UserError: it is no CSV of labelled 48x48 faces; the message says what it is if that is known.
    """

    def __init__(self, files: Files, name: str, labels: str | None) -> None:
        self._files, self._name, self._labels = files, name, labels
        self.where = files.where(name)
        self.stem = PurePosixPath(name).name.split(".")[0]
        head = files.head(name, 1 << 16)
        refuse_non_data(head[:512], self.where)
        self._encoding = encoding_of(head)
        self._delimiter, names = _read_header(head.decode(self._encoding, "replace"), self.where)
        self.columns = {name: position for position, name in enumerate(names)}
        self._width = len(names)
        named = canonical_split(self.stem)
        self.split = None if "usage" in self.columns else named or "train"
        self.guessed = "usage" not in self.columns and named is None

    def rows(self) -> Iterator[Row]:
        """Streams the rows.

        Raises:
            UserError: a row that is cut off or too long, or whose emotion or Usage is not known.
        """
        emotion, pixels = self.columns["emotion"], self.columns["pixels"]
        usage = self.columns.get("usage", -1)
        width = 1 + max(emotion, pixels, usage)
        known: dict[tuple[str, str], tuple[int, str]] = {}
        last = ""  # where a row is that the file may be cut in
        with readable(self.where), self._files.open(self._name) as stream:
            lines = data_rows(stream, self._encoding, self._delimiter, self.where)
            for index, (line, cells) in enumerate(lines):
                if len(cells) < width:
                    raise UserError(self._cut_off(self._place(index, line), cells, pixels))
                if len(cells) > self._width and any(cell.strip(" \0") for cell in cells[self._width :]):
                    raise UserError(
                        f"{self._place(index, line)}: {len(cells)} cells for the {self._width} columns of the first "
                        "line: remove what is too much, or download the file again."
                    )
                key = cells[emotion], cells[usage] if usage >= 0 else ""
                if key not in known:  # at most a few dozen different pairs in a file
                    place = self._place(index, line)
                    known[key] = self._label(key[0], place), self.split or self._split(key[1], place)
                label, split = known[key]
                last = self._place(index, line) if len(cells) == usage + 1 else ""
                yield Row(index, line, split, label, cells[pixels])
            if last and any(other != key[1] and other.startswith(key[1]) for _, other in known):
                raise UserError(f"{last}: Usage {key[1]!r} is cut short: download the file again.")

    def image(self, row: Row) -> np.ndarray:
        """The pixels of a row, uint8 [48, 48, 1], 0..255.

        Raises:
            UserError: they are not 2,304 whole numbers in 0..255.
        """
        return parse_pixels(row.pixels, self._place(row.index, row.line)).reshape(SIZE, SIZE, 1)

    def _place(self, index: int, line: int) -> str:
        return f"{self.where}, row {index + 1:,} (line {line:,})"

    def _cut_off(self, place: str, cells: list[str], pixels: int) -> str:
        found = f", {len(cells[pixels].split()):,} pixel values for {PIXELS:,}" if len(cells) > pixels else ""
        return (
            f"{place}: {len(cells)} of {self._width} columns{found}: "
            "the file is damaged or cut short, download it again."
        )

    def _label(self, text: str, place: str) -> int:
        label = class_index(text, self._labels)
        if label is None:
            span = "1..7 (--labels raf)" if self._labels == "raf" else "0..6"
            raise UserError(f"{place}: unknown emotion {text[:40]!r}, not {span} or a class name.")
        return label

    def _split(self, text: str, place: str) -> str:
        split = canonical_split(text)
        if split is None or text.strip().lower() in ("public", "private"):  # the official names, cut short
            raise UserError(
                f"{place}: unknown Usage {text[:40]!r}, not Training, PublicTest or PrivateTest: "
                "correct it, or download the file again if it is cut short."
            )
        return split


def parse_pixels(text: str, where: str) -> np.ndarray:
    """Parses 2,304 numbers divided by white space, 29,000 rows/s on one core.

    Args:
        text: the numbers.
        where: file and row, for the message.

    Returns:
        uint8 [2304], 0..255.

    Raises:
        UserError: another number of values, or one that is not a whole number in 0..255.
    """
    data = text.encode("ascii", "replace")
    if not data.strip():  # np.fromstring reads one zero from blank text
        raise UserError(f"{where}: no pixels.")
    if not data.translate(None, b"0123456789 \t\r\n\v\f"):
        values = np.fromstring(data, sep=" ", dtype=np.int64)  # [2304]; too large a number saturates
        if len(values) == PIXELS and values.max() <= 255:
            return values.astype(np.uint8)
    tokens = text.split()
    wrong = next((i for i, token in enumerate(tokens) if not _is_grey_value(token)), None)
    if len(tokens) != PIXELS:
        raise UserError(f"{where}: {len(tokens):,} pixel values, not {PIXELS:,}: the row is damaged or cut short.")
    raise UserError(
        f"{where}: pixel {(wrong or 0) + 1:,} of {PIXELS:,} (counted from 1) is {tokens[wrong or 0][:20]!r}, "
        "not a whole number in 0..255."
    )


def _is_grey_value(token: str) -> bool:
    return token.isascii() and token.isdecimal() and len(token) < 20 and int(token) <= 255


def has_pixels(files: Files, name: str) -> bool:
    """Whether the first line of a file has a `pixels` column."""
    first = files.head(name, 1 << 12).splitlines()[:1]
    return any(re.search(rb"\bpixels\b", line.replace(b"\0", b""), re.IGNORECASE) for line in first)


def is_fer_plus(files: Files, name: str) -> bool:
    """Whether a file is one of FER+'s vote tables."""
    cells = first_row(files.head(name, 1 << 12).decode("utf-8-sig", "replace"))[1]
    return _looks_like_fer_plus(cells)


def encoding_of(head: bytes) -> str:
    """The encoding of a text file, from its first bytes: spreadsheets write UTF-16."""
    return "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"


def first_row(text: str) -> tuple[str, list[str]]:
    """The delimiter of a CSV, comma, semicolon or tab, and the cells of its first row."""
    line = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    delimiter = next((mark for mark in ",;\t" if mark in line), ",")
    cells = next(csv.reader([line], delimiter=delimiter), [])
    return delimiter, [cell.strip().strip("\0") for cell in cells]


def _looks_like_fer_plus(cells: list[str]) -> bool:
    names = {cell.lower() for cell in cells}
    return {"nf", "contempt"} <= names or (
        len(cells) == _FER_PLUS_COLUMNS and cells[0].lower().endswith((".png", ".jpg")) and cells[1].startswith("(")
    )


def _read_header(text: str, where: str) -> tuple[str, list[str]]:
    """Delimiter and column names in lower case; raises `UserError` for files that are known not to do."""
    delimiter, cells = first_row(text)
    columns = [cell.lower() for cell in cells]
    if _looks_like_fer_plus(cells):
        raise UserError(f"{where} holds the votes of FER+, not images: {_GIVE}.")
    if "pixels" in columns and "emotion" not in columns:
        raise UserError(f"{where} has no emotion column (Kaggle's test.csv has no labels): {_GIVE}.")
    missing = [name for name in ("emotion", "pixels") if name not in columns]
    if missing:
        shown = ", ".join(cell[:20] for cell in cells[:6])
        if any(not cell.isprintable() or "\ufffd" in cell for cell in cells):
            raise UserError(f"{where} is not a CSV, an archive or an image that can be read: {_GIVE}.")
        raise UserError(
            f"{where}: no column {' or '.join(missing)} in its first line ({shown}); expected emotion, pixels, Usage."
        )
    return delimiter, columns


def data_rows(stream: BinaryIO, encoding: str, delimiter: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and rows below the header, without empty ones; NUL bytes left by a broken download are not data."""
    text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    header = True
    try:
        for cells in reader:
            if not any(cell.strip(" \0") for cell in cells):
                continue
            if header:
                header = False
                continue
            yield reader.line_num, cells
    except csv.Error as error:
        raise UserError(f"{where}, line {reader.line_num:,} is not a CSV row ({error}): correct it.") from error


@dataclass(frozen=True)
class Survey:
    """What a CSV says of each of its R rows besides the pixels: the split, and the label or `CONTEMPT_LABEL`."""

    splits: list[str]
    labels: list[int]


def survey(file: CsvFile) -> Survey:
    """Reads a CSV once without parsing pixels."""
    found = [(row.split, row.label) for row in file.rows()]
    return Survey([split for split, _ in found], [label for _, label in found])
