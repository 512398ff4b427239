"""Pictures that are written as numbers into the cells of a table, square, grey or in colour, all of one size."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from fer_tl.core.archives import Files
from fer_tl.core.checksums import hash_stream
from fer_tl.core.counting import counted
from fer_tl.core.csv_tables import LONGEST_LINE, Table, TableRow, data_rows, encoding_of, first_row
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import readable
from fer_tl.core.safe_text import from_csv
from fer_tl.sources.csv_pixels import parse_numbers, picture_shape
from fer_tl.sources.findings import Skipped
from fer_tl.sources.images import encode_image
from fer_tl.sources.records import reason_of

PICTURE = "(pixels)"
"""The column of a read table that names the picture of a row: "00007.png" for that with 7 rows between it and the
header."""

_CALLED = ("pixels", "pixel", "image_pixels", "image")
_ONE_EACH = re.compile(r"(?:pixel|px|p)?[ _-]?(\d{1,6})")
_FEWEST = 64  # numbers that are a picture


class PixelFiles(Files):
    """The pictures of a table's rows as if each were a PNG file.

    Args:
        label: the table's name, for messages.
        pictures: {name: uint8 [S, S, 1 or 3], 0..255}.
        places: {name: how a message calls its row}.
    """

    def __init__(self, label: str, pictures: dict[str, np.ndarray], places: dict[str, str]) -> None:
        super().__init__(label, list(pictures))
        self._pictures, self._places = pictures, places

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(encode_image(self._pictures[name], "png"))

    def where(self, name: str) -> str:
        return self._places[name]


@dataclass(frozen=True)
class PixelRows:
    """What was read of a table of pictures.

    Attributes:
        table: its rows without the pixels, with the column ``PICTURE``.
        files: their pictures.
        side: height and width of them all, pixels.
        unusable: rows whose pixels cannot be used.
    """

    table: Table
    files: PixelFiles
    side: int
    unusable: list[Skipped]


def find_pixels(files: Files, name: str, given: str | None) -> slice | None:
    """Where a table has its pixels: one column of many numbers, or a column for each; None if it has none.

    Args:
        files: that hold the table.
        name: of it.
        given: the column that the user names, in any case; None to go by names.

    Raises:
        UserError: columns of pixels that are not in order.
    """
    head = files.head(name, 2 * LONGEST_LINE)
    text = head.decode(encoding_of(head[:64]), "replace")
    delimiter, cells = first_row(text)
    header = [cell.lower() for cell in cells]
    wanted = _CALLED if given is None else (given.strip().lower(),)
    column = next((header.index(each) for each in wanted if each in header), None)
    if column is not None:
        first = next((row for _, row in data_rows(io.StringIO(text, newline=""), delimiter, name)), [])
        numbers = re.findall(r"\d+", first[column]) if len(first) > column else []
        return slice(column, column + 1) if len(numbers) >= _FEWEST else None
    numbered = [(at, int(found[1])) for at, each in enumerate(header) if (found := _ONE_EACH.fullmatch(each))]
    if given is not None or len(numbered) < _FEWEST:
        return None
    (start, number), count = numbered[0], len(numbered)
    if numbered != [(start + i, number + i) for i in range(count)]:
        raise UserError(
            f"{name}: its {count:,} columns of pixels ({header[start]} to {header[numbered[-1][0]]}) are not in order: "
            "put them side by side, row by row of a picture"
        )
    return slice(start, start + count)


def read_pixel_rows(files: Files, name: str, pixels: slice) -> PixelRows:
    """Read a table of pictures; their numbers are in the order of ``image.ravel()``, ``[H, W]`` or ``[H, W, 3]``.

    Args:
        files: that hold the table.
        name: of it.
        pixels: its columns of pixels.

    Raises:
        UserError: it is no table, or no picture can be used.
    """
    where = files.where(name)
    head = files.head(name, 2 * LONGEST_LINE)
    encoding = encoding_of(head[:64])
    delimiter, cells = first_row(head.decode(encoding, "replace"))
    header = [cell.lower() for cell in cells]
    others = [at for at in range(len(header)) if not pixels.start <= at < pixels.stop]
    found: list[tuple[str, TableRow, np.ndarray]] = []
    unusable = []
    with readable(where), files.open(name) as stream:
        text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
        for number, (line, row) in enumerate(data_rows(text, delimiter, name)):
            place, picture = f"{name}, row {number + 1:,} (line {line:,})", f"{number:05d}.png"
            try:
                values = _values(row, len(header), pixels, place)
            except UserError as error:
                unusable.append(Skipped(place, picture, reason_of(error, place)))
                continue
            told = {header[at]: from_csv(row[at].strip()) for at in others}
            found.append((picture, TableRow({**told, PICTURE: picture}, place), values))
    if not found:
        first = f" (the first: {unusable[0].reason})" if unusable else ""
        raise UserError(f"{name} has no row with pixels that can be used{first}: correct it")
    height, width, channels = _shape_of_most([values for _, _, values in found], name)
    good = [each for each in found if len(each[2]) == height * width * channels]
    unusable += [
        Skipped(row.place, picture, f"{len(values):,} pixel values, most rows have {height * width * channels:,}")
        for picture, row, values in found
        if len(values) != height * width * channels
    ]
    pictures = {picture: values.reshape(height, width, channels) for picture, _, values in good}
    places = {picture: row.place for picture, row, _ in good}
    with readable(where), files.open(name) as stream:
        digest = hash_stream(stream)
    table = Table(name, digest, tuple(row for _, row, _ in good), (*(header[at] for at in others), PICTURE))
    return PixelRows(table, PixelFiles(name, pictures, places), height, unusable)


def _values(row: Sequence[str], width: int, pixels: slice, place: str) -> np.ndarray:
    """uint8 [n] of a row of so many columns."""
    if len(row) < width or any(cell.strip(" \0") for cell in row[width:]):
        raise UserError(f"{place}: {counted(len(row), 'cell')} for the {width:,} columns of the first line: correct it")
    return parse_numbers(" ".join(row[pixels]), place, lambda count: None)


def _shape_of_most(found: Sequence[np.ndarray], name: str) -> tuple[int, int, int]:
    ((count, _),) = Counter(map(len, found)).most_common(1)
    shape = picture_shape(count)
    if shape is None or count < _FEWEST:
        raise UserError(
            f"{name}: most rows have {count:,} pixel values, which are no square picture in grey or colour: save the "
            "pictures as files"
        )
    return shape
