"""Face boxes in columns of a table, by their edges or by a corner and a size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fer_tl.core.csv_tables import Table, TableRow
from fer_tl.core.errors import UserError
from fer_tl.faces.box_table import SIDES, BoxTable, box_row, pixels

_CALLED = {
    **dict.fromkeys(("left", "l", "x", "x1", "xmin"), "left"),
    **dict.fromkeys(("top", "t", "y", "y1", "ymin"), "top"),
    **dict.fromkeys(("right", "r", "x2", "xmax"), "right"),
    **dict.fromkeys(("bottom", "b", "y2", "ymax"), "bottom"),
    **dict.fromkeys(("width", "w"), "width"),
    **dict.fromkeys(("height", "h"), "height"),
}
_WAYS = ({*SIDES}, {"left", "top", "width", "height"})
_SIZES = (("width", "left", "right"), ("height", "top", "bottom"))


def read_sides(text: str, header: Sequence[str], name: str) -> dict[str, str]:
    """{side: column} of ``--box-columns``: four columns whose names say what they are, or ``left=COLUMN,...``.

    Args:
        text: as given.
        header: lower-case names of the table's columns.
        name: of the table, for messages.

    Raises:
        UserError: no such columns, or it is not told which is which.
    """
    found = {}
    for item in text.lower().split(","):
        said, equals, column = (part.strip() for part in item.partition("="))
        column = column if equals else said
        letters = re.sub(r"[\W_]+", "", said)
        side = _CALLED.get(letters) or _CALLED.get(re.sub(r"^(face|bbox|box|rect)", "", letters))
        if column not in header or list(header).count(column) > 1:
            raise UserError(f"{name} has no column {column!r}, or two: correct --box-columns {text}")
        if side is None or side in found:
            raise UserError(
                f"--box-columns {text}: it is not told which side {item.strip()!r} is; write "
                "left=COLUMN,top=COLUMN,right=COLUMN,bottom=COLUMN, or width and height for the last two"
            )
        found[side] = column
    if {*found} not in _WAYS:
        raise UserError(
            f"--box-columns {text} gives {', '.join(found)}: give left, top, right and bottom, or left, top, width and "
            "height"
        )
    return found


def read_boxes(rows: Mapping[str, TableRow], sides: Mapping[str, str], table: Table) -> BoxTable:
    """The boxes of rows by the ids of their images; a row whose four cells are blank has none.

    Raises:
        UserError: a box of no area, or a cell that is not a number.
    """
    found = []
    for identity, row in rows.items():
        cells = {side: row.cells[column] for side, column in sides.items()}
        for size, low, high in _SIZES:
            if cells.get(size) and cells[low]:
                length = pixels(cells[size], size, row.place)
                if length <= 0:
                    raise UserError(f"{row.place}: the {size} of the box is {cells[size]}, so it has no area")
                cells[high] = repr(pixels(cells[low], low, row.place) + length)
        edges = {side: cells.get(side, "") for side in SIDES}
        if any(cells.values()):
            found.append(box_row(TableRow({"id": identity, **edges}, row.place)))
    if not found:
        raise UserError(f"{table.name}: no row has a box: leave --box-columns out")
    return BoxTable(table.name, table.sha256, tuple(found))
