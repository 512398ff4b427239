"""What a list of ExpW's faces says, whichever of the two lists it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

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
    """

    line: int
    photo: str
    id: str
    group: str
    label: int
    box: Box | None = None
    confidence: float | None = None
    targets: np.ndarray | None = None


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
