"""What AffectNet says of a face, in whichever layout."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from fer_tl.core.classes import CLASS_NAMES, CONTEMPT
from fer_tl.core.counting import counted
from fer_tl.core.csv_tables import decimal
from fer_tl.faces.boxes import Box
from fer_tl.sources.findings import Skipped
from fer_tl.sources.label_orders import LABEL_ORDERS, number_of

ORDER = LABEL_ORDERS["affectnet"]
NO_EXPRESSION = {8: "none", 9: "uncertain", 10: "no face"}
"""Numbers beyond those of ``ORDER``: Mollahosseini et al., IEEE Transactions on Affective Computing 2019."""
MEASURES = ("valence", "arousal")

_NOT_MEASURED = -2.0  # where there is no expression; a few faces with one have it too


@dataclass(frozen=True)
class Face:
    """A face with an expression.

    Attributes:
        image: the image's name in the files.
        id: unique.
        split: "train", "validation" or "test".
        class_name: one of ``ORDER``.
        measures: those of ``MEASURES`` that are known, -1..1.
        box: where the face is in the image; None if the image is the face.
        place: what says all this, for messages: "training.csv, line 7".
    """

    image: str
    id: str
    split: str
    class_name: str
    measures: dict[str, float]
    box: Box | None
    place: str


@dataclass
class Listing:
    """What was read.

    Attributes:
        lists: the names in the files of what was read besides images.
        faces: in the order of the lists.
        problems: likewise.
        left_out: how many images have no expression, by the number that says so.
        seen: the names in the files of their images.
    """

    lists: list[str] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    problems: list[Skipped] = field(default_factory=list)
    left_out: Counter[int] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)

    def leave_out(self, number: int, image: str | None) -> None:
        """Counts an image that has no expression, whether or not it is there."""
        self.left_out[number] += 1
        if image is not None:
            self.seen.add(image)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that occur, in label order."""
        found = {face.class_name for face in self.faces}
        return tuple(name for name in (*CLASS_NAMES, CONTEMPT) if name in found)

    def describe_left_out(self) -> str:
        """One line, "" if all images have an expression."""
        if not self.left_out:
            return ""
        parts = [f"{NO_EXPRESSION[number]} {count:,}" for number, count in sorted(self.left_out.items())]
        return f"{counted(sum(self.left_out.values()), 'image')} without an expression left out: {', '.join(parts)}."


def read_expression(text: str) -> int:
    """The number of an expression, 0 to 10.

    Raises:
        ValueError: it is none, with what is wrong.
    """
    number = number_of(text)
    if number is None or number > max(NO_EXPRESSION):
        raise ValueError(f"expression is {text[:20]!r}, not 0 to {max(NO_EXPRESSION)}")
    return number


def read_measures(texts: dict[str, str]) -> dict[str, float]:
    """Valence and arousal from their texts, without those that were not measured.

    Raises:
        ValueError: one is neither blank nor -1 to 1, with what is wrong.
    """
    found = {}
    for name, text in texts.items():
        if not text.strip():
            continue
        try:
            value = decimal(text)
        except ValueError:
            value = math.nan
        if value == _NOT_MEASURED:
            continue
        if not -1 <= value <= 1:  # nor NaN
            raise ValueError(f"{name} is {text[:20]!r}, not -1 to 1")
        found[name] = value
    return found
