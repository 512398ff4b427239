"""What a list of ExpW's faces says, whichever of the two lists it is; and its own list, label.lst."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.faces.boxes import Box


@dataclass(frozen=True, slots=True)
class Face:
    """One usable line of a list.

    Attributes:
        line: its number in the file, from 1.
        photo: the file name of the photo, or of the face crop, without folders.
        id: unique in the list.
        group: the photo that the face was cut from, as far as the list tells.
        label: index into ``fer_tl.core.classes.CLASS_NAMES``.
        box: where the face is in the photo; None if the image is the face.
        confidence: score of the face detector, 0 or more without a bound; None if the list has none.
        targets: float32 [7], shares of votes; None where the label is all there is.
        measures: see ``fer_tl.sources.records.Record``.
    """

    line: int
    photo: str
    id: str
    group: str
    label: int
    box: Box | None = None
    confidence: float | None = None
    targets: np.ndarray | None = None
    measures: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that cannot be used: its number from 1, the id or text it begins with, and what is wrong."""

    line: int
    what: str
    reason: str


@dataclass
class Listing:
    """A list that was read.

    Attributes:
        faces: in the list's order, without the lines in ``problems``.
        problems: in the list's order.
        warnings: lines to tell about what the list itself leaves out.
    """

    faces: list[Face] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _first: dict[str, int] = field(default_factory=dict)

    def add(self, face: Face) -> None:
        """Appends a face, or a problem if its id is there already: the first line with it is kept."""
        first = self._first.setdefault(face.id, face.line)
        if first == face.line:
            self.faces.append(face)
        else:
            self.refuse(face.line, face.id, f"it is in line {first:,} already")

    def refuse(self, line: int, what: str, reason: str) -> None:
        """Appends a problem."""
        self.problems.append(Problem(line, what, reason))


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
    for column, text in zip(FIELDS[2:7], words[2:7], strict=True):
        if not _is_number(text):
            raise ValueError(f"{column} is {text[:20]!r}, not a number")
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
