"""A column of a table about images: which value each image has, carefully matched, and what is missing is told."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.csv_tables import image_finder, read_table
from fer_tl.core.errors import UserError, suggest

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none"))
"""Cells that say nothing, in lower case; a value such as "unknown" is one of its own."""
MANY_NUMBERS = 12
"""A column of more different numbers than these is divided into quarters of the images."""
_ID_COLUMNS = ("id", "image", "file", "path", "filename", "image_id")


@dataclass(frozen=True, eq=False)
class Column:
    """What a table says of N examples.

    Attributes:
        name: of the column.
        source: base name of the file.
        values: text ``[N]``, "" where the cell says nothing or no row is about the image.
        order: the values that occur, sorted: numbers by size.
        bins: whether numbers were divided into quarters.
        not_listed: images that no row is about.
        empty: images whose cell says nothing.
        others: rows about no image here.
    """

    name: str
    source: str
    values: np.ndarray
    order: tuple[str, ...]
    bins: bool
    not_listed: int
    empty: int
    others: int


def read_column(path: Path, name: str, ids: np.ndarray, id_column: str | None = None) -> Column:
    """Read a column for examples.

    An image is found as ``fer_tl.core.csv_tables.image_finder`` does it.

    Args:
        path: of a CSV with a column of ids.
        name: of the column; case makes no difference.
        ids: text ``[N]``, of the examples; an id may be there more than once.
        id_column: that holds the ids; default: the only one of usual names such as ``id``, ``image`` or ``path``.

    Raises:
        UserError: no such table or column, several that may hold the ids, no row about any image, two values for one
            image, or nothing but empty cells.
    """
    table = read_table(path, (), "values of images")
    wanted, keys = name.lower(), [each for each in _ID_COLUMNS if each in table.header]
    key = id_column.lower() if id_column else keys[0] if keys else None
    if key is None or key not in table.header:
        asked = f"no column {id_column}" if id_column else f"no column of ids ({', '.join(_ID_COLUMNS)})"
        raise UserError(f"{table.name}: {asked} in {', '.join(table.header)}: name it with --id-column")
    if wanted not in table.header:
        raise UserError(f"{table.name} has no column {name}{suggest(wanted, [h for h in table.header if h != key])}")
    if table.header.count(wanted) > 1 or table.header.count(key) > 1:
        raise UserError(f"{table.name}: two columns are called {wanted if key != wanted else key}: rename one")
    find = image_finder(np.unique(ids).tolist())
    found: dict[str, tuple[str, str]] = {}
    others = 0
    for row in table.rows:
        image, value = find(row.cells[key]), row.cells[wanted]
        if image is None:
            others += 1
            continue
        before, place = found.setdefault(image, (value, row.place))
        if before != value:
            raise UserError(f"{row.place}: {name} of '{image}' is {value!r}, in {place} it is {before!r}: correct one")
    if not found:
        raise UserError(
            f"{table.name}: none of its {len(table.rows):,} rows is about an image that is scored: its {key} is such "
            f"as {table.rows[0].cells[key][:80]!r}, that of an image {str(ids[0])!r}; name another with --id-column"
        )
    cells = [found.get(each, ("", ""))[0] for each in ids.tolist()]
    plain = np.array(["" if cell.lower() in MISSING else cell for cell in cells])
    if not plain.any():
        raise UserError(f"{table.name}: {name} says nothing of any image that is scored")
    unique = np.unique(ids)
    not_listed = sum(each not in found for each in unique.tolist())
    empty = sum(each in found and found[each][0].lower() in MISSING for each in unique.tolist())
    values, order, bins = _ordered(plain)
    return Column(name, table.name, values, order, bins, not_listed, empty, others)


def _ordered(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], bool]:
    """The values with numbers in quarters where there are many, what occurs of them in order, and whether they are."""
    known = [each for each in np.unique(values).tolist() if each]
    numbers = _numbers(known)
    if numbers is None:
        return values, tuple(known), False
    if len(known) <= MANY_NUMBERS:
        return values, tuple(sorted(known, key=numbers.__getitem__)), False
    of_all = np.array([numbers.get(each, np.nan) for each in values.tolist()])
    cuts = np.unique(np.quantile(of_all[values != ""], (0, 0.25, 0.5, 0.75, 1)))
    inner = cuts[1:-1]
    spelled = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(cuts)]
    bin_of = np.searchsorted(inner, of_all, side="right").clip(0, len(spelled) - 1)
    binned = np.where(values == "", "", np.array(spelled)[bin_of])
    return binned, tuple(each for each in spelled if (binned == each).any()), True


def _numbers(texts: list[str]) -> dict[str, float] | None:
    try:
        found = {text: float(text) for text in texts}
    except ValueError:
        return None
    return found if np.isfinite(list(found.values())).all() else None
