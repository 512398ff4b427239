"""Toyfaces as a source of examples: drawn on the spot, always the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from fer_tl.data.classes import CLASS_NAMES
from tfrecords_builder.records import VERSION, Record, Source, tabulate
from tfrecords_builder.toyfaces.drawing import draw_faces

COUNTS = {"train": 2800, "validation": 700, "test": 700}
SEED = 2013
SIZE = 48


class ToySource(Source):
    """Drawn faces; face n of the series is always the same, and each split is a run of the series."""

    kind = "drawn"
    name = "toyfaces"
    class_names = CLASS_NAMES

    def __init__(self) -> None:
        self.options: dict[str, str] = {}
        self.notes: list[str] = []
        self._counts = dict(COUNTS)

    @cached_property
    def _faces(self) -> tuple[np.ndarray, np.ndarray]:
        """All faces, drawn once: uint8 [N, 48, 48, 1], 10 MB, and int64 [N]."""
        return draw_faces(sum(self._counts.values()), SEED)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (SIZE, SIZE, 1)

    def counts(self) -> dict[str, dict[str, int]]:
        records = (record for split in self._counts for record in self.records(split))
        return tabulate(Counter((record.split, record.label) for record in records), CLASS_NAMES)

    def records(self, split: str) -> Iterator[Record]:
        splits = list(self._counts)
        first = sum(self._counts[other] for other in splits[: splits.index(split)])
        last = first + self._counts[split]
        images, labels = self._faces
        for index in range(first, last):
            identity = f"toy-{index:06d}"
            yield Record(split, identity, int(labels[index]), images[index], group=identity)

    def sha256(self) -> str:
        """Stands for the drawing code by its version: the same version draws the same faces."""
        return hashlib.sha256(f"toyfaces {VERSION} {SEED} {self._counts}".encode()).hexdigest()

    def warnings(self) -> list[str]:
        return []
