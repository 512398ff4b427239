"""Which frames of a recording are taken."""

from __future__ import annotations

from dataclasses import dataclass

EVERY = 15
"""Of a film, where nobody says: two a second, for RAVDESS has 29.97."""


@dataclass(frozen=True)
class Choice:
    """The middles of equal parts of a recording, for at its ends the face is neutral.

    Attributes:
        frames: how many parts, or fewer frames if there are no more; None for as many as ``every`` makes.
        every: frames of a part.
    """

    frames: int | None = None
    every: int = 1

    def of(self, number: int) -> list[int]:
        """Positions from 0, in order, of a recording of so many frames."""
        if self.frames is None:
            return list(range(self.every // 2, number, self.every)) or [number // 2][:number]
        if number <= self.frames:
            return list(range(number))
        return [(2 * part + 1) * number // (2 * self.frames) for part in range(self.frames)]
