"""The vote table of "ExpW Cleaned", label_expw.csv: no header, a face crop and ten votes in each row."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import PurePosixPath

from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.sources.expw.faces import Face, Listing
from fer_tl.sources.votes import COLUMNS, Verdict, decide, describe_left_out, read_votes

WIDTH = 2 + len(COLUMNS)
"""Cells of a row: image name, box ("(0, 0, w, h)", of no use: the crop is the box), votes in the order of FER+."""

_NUMBER = re.compile(r"[\d.]+")
# ExpW calls a photo keywords_number, a crop of it keywords_number_index.
_CROP_STEM = re.compile(r"(.+_\d+)_\d+")


def read_vote_table(text: str, mode: str) -> Listing:
    """Read a vote table; faces without a label are left out and counted in the warnings.

    An id is the file's name without its ending, a group the photo's as far as that name tells it. A row that is
    malformed or repeats an id becomes a ``Problem``. A header, if there is one, says the order of the votes.

    Args:
        text: the table.
        mode: "majority" or "soft", see ``votes.decide``.

    Raises:
        UserError: it is not a CSV, or has a header of other columns.
    """
    listing = Listing()
    left_out: Counter[str] = Counter()
    reader = csv.reader(io.StringIO(text, newline=""))
    order: list[int] | None = None  # where each of COLUMNS is among the votes; None before the first row
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if order is None:
                header = not any(map(_NUMBER.fullmatch, cells[2:]))
                order = _order(cells) if header else list(range(len(COLUMNS)))
                if header:
                    continue
            try:
                if len(cells) == WIDTH:
                    cells = [*cells[:2], *(cells[2 + position] for position in order)]
                reason = _add(listing, reader.line_num, cells, mode)
            except UserError as error:
                listing.refuse(reader.line_num, cells[0][:80], str(error))
                continue
            left_out[reason] += bool(reason)
    except csv.Error as error:
        raise UserError(f"line {reader.line_num:,} is not a CSV row ({error}): correct it") from error
    if left_out := +left_out:
        listing.warnings.append(describe_left_out(left_out, mode))
    return listing


def _order(header: Sequence[str]) -> list[int]:
    """Where a header has each of ``COLUMNS`` among the cells of votes."""
    names = [cell.lower() for cell in header[2:]]
    if sorted(names) != sorted(column.lower() for column in COLUMNS):
        raise UserError(
            f"line 1: the columns are {', '.join(cell[:20] for cell in header[:WIDTH])}; expected image name, box, "
            f"{', '.join(COLUMNS)}, the votes in any order, or no header"
        )
    return [names.index(column.lower()) for column in COLUMNS]


def photo_of(stem: str) -> str:
    """The photo of a crop, by the crop's name without its ending: "angry_man_7_0" was cut from "angry_man_7"."""
    match = _CROP_STEM.fullmatch(stem)
    return match.group(1) if match else stem


def is_vote_header(cells: Sequence[str]) -> bool:
    """Whether a row names FER+'s vote columns, in any order, instead of holding votes."""
    return sorted(cell.lower() for cell in cells[2:]) == sorted(column.lower() for column in COLUMNS)


@lru_cache(1 << 14)  # most rows repeat the votes of another: 88,000 rows take 1 s, not 7
def _decide(cells: tuple[str, ...], mode: str) -> Verdict:
    return decide(read_votes(cells, "votes"), mode)


def _add(listing: Listing, line: int, cells: list[str], mode: str) -> str:
    """Add one row and return "", or why it has no label; raises ``UserError`` for a row that is not such a row."""
    if len(cells) != WIDTH:
        raise UserError(f"{counted(len(cells), 'cell')}, not {WIDTH} (image name, box, {', '.join(COLUMNS)})")
    verdict = _decide(tuple(cells[2:]), mode)
    if verdict.label is None:
        return verdict.reason
    path = PurePosixPath(cells[0].strip("\"'"))
    if not path.name:
        raise UserError("no image name")
    photo, told = photo_of(path.stem), verdict.measures
    listing.add(Face(line, path.name, path.stem, photo, verdict.label, targets=verdict.targets, measures=told))
    return ""
