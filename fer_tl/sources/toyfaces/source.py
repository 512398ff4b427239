"""Toyfaces as a source of examples: drawn on the spot, always the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import accumulate

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.sources.records import VERSION, Record, Source
from fer_tl.sources.toyfaces.drawing import CHUNK, draw_faces

COUNTS = {"train": 2800, "validation": 700, "test": 700}
SEED = 2013
SIZE = 48


class ToySource(Source):
    """Drawn faces; face n of the series is always the same, and each split is a run of the series.

    Args:
        count: of all; two thirds are for training, a sixth for validation and the rest for test. None for ``COUNTS``.
    """

    kind = "drawn"
    divides = True
    name = "toyfaces"
    class_names = CLASS_NAMES

    def __init__(self, count: int | None = None) -> None:
        self.options: dict[str, str] = {}
        self.notes: list[str] = []
        self._counts = dict(COUNTS)
        if count is not None:
            sixth = count // 6
            self._counts = {"train": count - 2 * sixth, "validation": sixth, "test": sixth}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (SIZE, SIZE, 1)

    def total(self) -> int:
        return len(self._mine)

    @property
    def _mine(self) -> range:
        """The numbers of the faces of the part."""
        return range(*self.part.span(sum(self._counts.values())))

    def records(self) -> Iterator[Record]:
        ends = dict(zip(self._counts, accumulate(self._counts.values()), strict=True))
        # As many at a time as are drawn at a time: a face is then drawn with the same others in every part.
        for start in range(self._mine.start // CHUNK * CHUNK, self._mine.stop, CHUNK):
            chunk = range(start, min(start + CHUNK, sum(self._counts.values())))
            for index, image, label in zip(chunk, *draw_faces(len(chunk), SEED, start), strict=True):
                if index in self._mine:
                    split = next(name for name, end in ends.items() if index < end)
                    identity = f"toy-{index:06d}"
                    yield Record(split, identity, int(label), image, group=identity, size=(SIZE, SIZE))

    def sha256(self) -> str:
        """Stands for the drawing code by its version: the same version draws the same faces."""
        return hashlib.sha256(f"toyfaces {VERSION} {SEED} {self._counts}".encode()).hexdigest()

    def warnings(self) -> list[str]:
        return []
