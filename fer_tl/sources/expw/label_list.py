"""ExpW's own list of faces, label.lst."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePosixPath

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.faces.boxes import Box
from fer_tl.sources.expw.faces import Face, Listing

FIELDS = ("image_name", "face_id_in_image", "top", "left", "right", "bottom", "confidence", "expression_label")
"""Of a line, divided by spaces, in the order of ExpW's readme: the box is neither x, y, w, h nor l, t, r, b."""


def read_label_list(text: str) -> Listing:
    """Read a label list; its labels 0..6 are in the order of ``CLASS_NAMES``.

    A line that is malformed, has a box of no area, a label that does not exist, or the photo and face id of a line
    before it becomes a ``Problem``. Empty lines are passed over.
    """
    listing = Listing()
    for line, row in enumerate(text.splitlines(), 1):
        words = row.split()
        if not words:
            continue
        what = "#".join(words[:2])[:80]
        try:
            face = _face(line, words)
        except ValueError as error:
            listing.refuse(line, what, str(error))
        else:
            listing.add(face)
    return listing


def is_label_line(words: Sequence[str]) -> bool:
    """Whether these words, eight or more, begin as a line about a face does: a file name, then numbers only."""
    return len(words) >= len(FIELDS) and "." in words[0] and all(map(_is_number, words[1:]))


def _face(line: int, words: list[str]) -> Face:
    """Raise ``ValueError`` with what is wrong with the line."""
    if len(words) != len(FIELDS):
        raise ValueError(f"{len(words)} fields, not {len(FIELDS)} ({', '.join(FIELDS)})")
    name, number = PurePosixPath(words[0]).name, words[1]
    if not (number.isascii() and number.isdecimal()):
        raise ValueError(f"face_id_in_image is {number[:20]!r}, not a whole number")
    for field, text in zip(FIELDS[2:7], words[2:7], strict=True):
        if not _is_number(text):
            raise ValueError(f"{field} is {text[:20]!r}, not a number")
    top, left, right, bottom, confidence = map(float, words[2:7])
    if bottom <= top or right <= left:
        raise ValueError(f"the box has no area (top {top:g}, left {left:g}, right {right:g}, bottom {bottom:g})")
    if words[7] not in map(str, range(len(CLASS_NAMES))):
        raise ValueError(f"unknown label {words[7][:20]!r}, not 0..{len(CLASS_NAMES) - 1}")
    return Face(
        line,
        photo=name,
        id=f"{name}#{number}",
        group=name,
        label=int(words[7]),
        box=Box(top, left, bottom, right),
        confidence=confidence,
    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
