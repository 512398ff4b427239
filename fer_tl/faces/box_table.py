"""Tables of face boxes, as any detector can write them: one CSV row for each image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fer_tl.core.csv_tables import TableRow, decimal, id_finder, read_table
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import is_archive, readable, refuse_non_data
from fer_tl.faces.boxes import Box, FaceCrop

SIDES = Box._fields
COLUMNS = ("id", *SIDES)
_SHARES = 1.5  # a share of 1 and a little beyond the picture


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
        """Find the image of each row.

        Names are found as ``csv_tables.id_finder`` does it.

        Args:
            names: {name: id} for every name that an image goes by, None if several do.
            margin: see ``fer_tl.faces.recipe.FaceRecipe``.

        Raises:
            UserError: a row's image cannot be told, two rows are about one image, no row is about any, or the boxes are
                shares of the pictures.
        """
        self._refuse_shares()
        find = id_finder(names)
        boxes: dict[str, tuple[Box, str]] = {}
        seen: dict[str, str] = {}  # image id, or the name of a row without an image -> place
        strangers = []
        for row in self.rows:
            identity = find(row.name)
            if identity is None:
                if row.name in names:
                    raise UserError(
                        f"{row.place}: several images are called {row.name!r}: give the path of each in the source"
                    )
                strangers.append(row)
            key = identity or row.name
            if key in seen:
                raise UserError(f"{row.place}: {key!r} is in {seen[key]} already: keep one box for each image")
            seen[key] = row.place
            if identity is not None and row.box is not None:
                boxes[identity] = row.box, row.place
        if len(strangers) == len(self.rows):
            known = next(identity for identity in names.values() if identity)
            raise UserError(
                f"{self.name}: none of its {len(self.rows):,} ids is an image's (the first is {self.rows[0].name!r}, "
                f"an image's is {known!r}): give the boxes of these images"
            )
        return FaceCrop(boxes, margin, self._warnings(strangers))

    def _refuse_shares(self) -> None:
        boxes = [row.box for row in self.rows if row.box is not None]
        if len(boxes) > 1 and max(max(abs(side) for side in box) for box in boxes) <= _SHARES:
            raise UserError(
                f"{self.name}: no box has a side beyond {_SHARES:g}, such as {boxes[0]}: these are shares of the "
                "picture, and boxes are wanted in pixels: multiply them by its width and height"
            )

    def _warnings(self, strangers: list[BoxRow]) -> tuple[str, ...]:
        if not strangers:
            return ()
        first = strangers[0]
        return (
            f"{self.name}: no image for {len(strangers):,} of its {len(self.rows):,} ids (first: {first.name!r}, "
            f"{first.place.removeprefix(f'{self.name}, ')}); those rows are passed over.",
        )


def read_box_table(path: Path) -> BoxTable:
    """Read a CSV with the columns id, top, left, bottom, right, see ``csv_tables.read_table``.

    See ``face_crop.Box`` for the coordinates; a row whose four are blank says that the image has no box.

    Raises:
        UserError: there is no such file, it is not such a table, or a row is not complete.
    """
    if path.is_file():
        with readable(path.name), path.open("rb") as stream:
            head = stream.read(512)
        refuse_non_data(head, path.name)
        if is_archive(head):
            raise UserError(f"{path.name} is an archive: unpack it and give the CSV of face boxes")
    table = read_table(path, COLUMNS, "face boxes")
    return BoxTable(table.name, table.sha256, tuple(map(box_row, table.rows)))


def box_row(row: TableRow) -> BoxRow:
    """The box of a row with the columns ``COLUMNS``.

    Raises:
        UserError: no id, some of the sides alone, a cell that is not a number, or a box of no area.
    """
    values, place = row.cells, row.place
    row.check_filled("id")
    texts = [values[side] for side in SIDES]
    if not any(texts):
        return BoxRow(values["id"], None, place)
    box = Box(*(pixels(text, side, place) for text, side in zip(texts, SIDES, strict=True)))
    for low, high in (("top", "bottom"), ("left", "right")):
        if getattr(box, high) <= getattr(box, low):
            raise UserError(
                f"{place}: {high} is {values[high]}, not more than {low} ({values[low]}), so the box has no area: "
                "the columns are edges in pixels, not a width or a height"
            )
    return BoxRow(values["id"], box, place)


def pixels(text: str, side: str, place: str) -> float:
    """A cell with a number of pixels.

    Args:
        text: of the cell.
        side: what it is of the box, for messages.
        place: how a message names the row.

    Raises:
        UserError: it is blank or no finite number.
    """
    if not text:
        raise UserError(f"{place}: {side} is blank and another side is not: fill it in, or blank all four for no box")
    try:
        value = decimal(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{place}: {side} is {text[:20]!r}, not a number of pixels")
    return value
