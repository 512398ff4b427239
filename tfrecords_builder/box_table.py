"""Tables of face boxes, as any detector can write them: one CSV row for each image."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fer_tl.errors import UserError
from tfrecords_builder.face_crop import Box, FaceCrop
from tfrecords_builder.files import is_archive, readable, refuse_non_data

SIDES = Box._fields
COLUMNS = ("id", *SIDES)


@dataclass(frozen=True)
class BoxRow:
    """One row: how it calls its image, the box or None if its cells are blank, and how a message names the row."""

    name: str
    box: Box | None
    place: str


@dataclass(frozen=True)
class BoxTable:
    """A table that was read.

    Attributes:
        name: base name of its file.
        sha256: of the file, 64 hexadecimal digits.
        rows: in the file's order, at least one.
    """

    name: str
    sha256: str
    rows: tuple[BoxRow, ...]

    def match(self, names: Mapping[str, str | None], margin: float) -> FaceCrop:
        """Finds the image of each row.

        A number that has lost its leading zeros in a spreadsheet is found all the same.

        Args:
            names: {name: id} for every name that an image goes by, None if several do.
            margin: see `face_crop.window_of`.

        Raises:
            UserError: a row's image cannot be told, two rows are about one image, or no row is about any.
        """
        shortened = _without_zeros(names)
        boxes: dict[str, tuple[Box, str]] = {}
        seen: dict[str, str] = {}  # image id, or the name of a row without an image -> place
        strangers = []
        for row in self.rows:
            identity = names.get(row.name, shortened.get(row.name))
            if identity is None:
                if row.name in names:
                    raise UserError(
                        f"{row.place}: several images are called {row.name!r}: give the path of each in the source."
                    )
                strangers.append(row)
            key = identity or row.name
            if key in seen:
                raise UserError(f"{row.place}: {key!r} is in {seen[key]} already: keep one box for each image.")
            seen[key] = row.place
            if identity is not None and row.box is not None:
                boxes[identity] = row.box, row.place
        if len(strangers) == len(self.rows):
            known = next(identity for identity in names.values() if identity)
            raise UserError(
                f"{self.name}: none of its {len(self.rows):,} ids is an image's (the first is {self.rows[0].name!r}, "
                f"an image's is {known!r}): give the boxes of these images."
            )
        return FaceCrop(boxes, margin, self._warnings(strangers))

    def _warnings(self, strangers: list[BoxRow]) -> tuple[str, ...]:
        if not strangers:
            return ()
        first = strangers[0]
        return (
            f"{self.name}: no image for {len(strangers):,} of its {len(self.rows):,} ids (first: {first.name!r}, "
            f"{first.place.removeprefix(f'{self.name}, ')}); those rows are passed over.",
        )


def read_box_table(path: Path) -> BoxTable:
    """Reads a CSV with the columns id, top, left, bottom, right, in any order and among others.

    Case and spaces in the header, a byte order mark, the kind of line end, and semicolons or tabs for commas make no
    difference. See `face_crop.Box` for the coordinates; a row whose four are blank says that the image has no box.

    Raises:
        UserError: there is no such file, it is no such table, or a row is not complete.
    """
    if path.is_dir() or not path.exists():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"{path} {what}: give a CSV of face boxes with the columns {', '.join(COLUMNS)}.")
    with readable(path.name):
        head = _head(path)
        refuse_non_data(head, path.name)
        if is_archive(head):
            raise UserError(f"{path.name} is an archive: unpack it and give the CSV of face boxes.")
        data = path.read_bytes()
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name} is not text in UTF-8: save the face boxes as a CSV in UTF-8.") from error
    rows = tuple(_rows(text, path.name))
    if not rows:
        raise UserError(f"{path.name} has a header but no rows: give the face boxes of the images.")
    return BoxTable(path.name, hashlib.sha256(data).hexdigest(), rows)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(512)


def _rows(text: str, name: str) -> Iterator[BoxRow]:
    first = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=next((m for m in ",;\t" if m in first), ","))
    header: list[str] | None = None
    number = 0
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = _checked_header(cells, name)
                continue
            number += 1
            yield _row(cells, header, f"{name}, row {number:,} (line {reader.line_num:,})")
    except csv.Error as error:
        raise UserError(f"{name}, line {reader.line_num:,} is not a CSV row ({error}): correct it.") from error


def _checked_header(cells: list[str], name: str) -> list[str]:
    header = [cell.lower() for cell in cells]
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        shown = ", ".join(cell[:20] for cell in cells[:8])
        raise UserError(
            f"{name}: no column {' or '.join(missing)} in its first line ({shown}); expected {', '.join(COLUMNS)}."
        )
    double = next((column for column in COLUMNS if header.count(column) > 1), None)
    if double:
        raise UserError(f"{name}: two columns are called {double}: remove or rename one.")
    return header


def _row(cells: list[str], header: list[str], place: str) -> BoxRow:
    if len(cells) < len(header) or any(cells[len(header) :]):
        raise UserError(f"{place}: {len(cells)} cells for the {len(header)} columns of the first line: correct it.")
    values = dict(zip(header, cells, strict=False))  # blank cells at the end may be left over
    if not values["id"]:
        raise UserError(f"{place}: no id.")
    texts = [values[side] for side in SIDES]
    if not any(texts):
        return BoxRow(values["id"], None, place)
    box = Box(*(_number(text, side, place) for text, side in zip(texts, SIDES, strict=True)))
    for low, high in (("top", "bottom"), ("left", "right")):
        if getattr(box, high) <= getattr(box, low):
            raise UserError(
                f"{place}: {high} is {values[high]}, not more than {low} ({values[low]}), so the box has no area: "
                "the columns are edges in pixels, not a width or a height."
            )
    return BoxRow(values["id"], box, place)


def _number(text: str, side: str, place: str) -> float:
    if not text:
        raise UserError(f"{place}: {side} is blank and another side is not: fill it in, or blank all four for no box.")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{place}: {side} is {text[:20]!r}, not a number of pixels.")
    return value


def _without_zeros(names: Mapping[str, str | None]) -> dict[str, str | None]:
    """{number without leading zeros: id} for the names that are numbers and stay different without them."""
    short = {name: name.lstrip("0") or "0" for name in names if name.isdecimal()}
    times = Counter(short.values())
    return {number: names[name] for name, number in short.items() if times[number] == 1}
