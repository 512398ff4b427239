"""What a source learns while it reads, and which part of it is read: parts added up tell what the whole tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from fer_tl.core.errors import UserError
from fer_tl.core.safe_text import printable

T = TypeVar("T")


@dataclass(frozen=True)
class Skipped:
    """An example that could not be used and was left out, as the user allowed.

    Attributes:
        where: its file and line: "label.lst, line 12".
        what: its id or file: "photo.jpg#0".
        reason: what is wrong with it.
    """

    where: str
    what: str
    reason: str

    @property
    def place(self) -> str:
        """How a message names it."""
        # The number of a row, and the name of a file in its path, say no more than where it is.
        what = "" if self.what in self.where or self.what.rsplit("-")[-1].isdecimal() else f" ({self.what})"
        return printable(f"{self.where}{what}")


@dataclass
class Findings:
    """What reading tells besides records.

    Attributes:
        counts: of what a source or a build counts, by name, such as "constant".
        largest: value of any image of 16 bits that does not say how many are used; 0 where there is none.
        skipped: examples that could not be used, in the order in which they were read.
    """

    counts: Counter[str] = field(default_factory=Counter)
    largest: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    def __add__(self, later: Findings) -> Findings:
        """Those of two parts, one after the other."""
        return Findings(self.counts + later.counts, max(self.largest, later.largest), [*self.skipped, *later.skipped])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "counts": dict(sorted((+self.counts).items()))}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Findings:
        """The reverse of ``to_dict``."""
        return cls(Counter(found["counts"]), found["largest"], [Skipped(**each) for each in found["skipped"]])


@dataclass(frozen=True)
class Part:
    """Which of so many parts of a source is read, each a run of its items: images, rows, photos, films, drawings.

    Attributes:
        number: from 1.
        count: of all.
    """

    number: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def folder(self) -> str:
        """How a folder of it is called."""
        return f"{self.number}-of-{self.count}"

    def span(self, total: int) -> tuple[int, int]:
        """The first of so many items that is in it, and the one behind the last."""
        return total * (self.number - 1) // self.count, total * self.number // self.count

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """The items that are in it."""
        return items[slice(*self.span(len(items)))]


WHOLE = Part()
MOST_PARTS = 100_000


def parse_part(text: str) -> Part:
    """``2/8``.

    Raises:
        UserError: it is no such pair of numbers.
    """
    number, slash, count = str(text).partition("/")
    if not (slash and number.strip().isdecimal() and count.strip().isdecimal()):
        raise UserError(f"--part is {text!r}, not a number of a part and how many there are, such as 2/8")
    part = Part(int(number), int(count))
    if not 1 <= part.number <= part.count <= MOST_PARTS:
        raise UserError(
            f"--part {part}: there are parts 1/{part.count} to {part.count}/{part.count}"
            if 1 <= part.count <= MOST_PARTS
            else f"--part {part}: give 1 to {MOST_PARTS:,} parts"
        )
    return part
