"""Toyfaces as a source of examples: drawn on the spot, always the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.sources.records import VERSION, Record, Source
from fer_tl.sources.toyfaces.drawing import draw_faces

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

    def total(self) -> int:
        return sum(self._counts.values())

    def records(self) -> Iterator[Record]:
        splits = np.repeat(list(self._counts), list(self._counts.values())).tolist()
        for index, (split, image, label) in enumerate(zip(splits, *self._faces, strict=True)):
            identity = f"toy-{index:06d}"
            yield Record(split, identity, int(label), image, group=identity, size=(SIZE, SIZE))

    def sha256(self) -> str:
        """Stands for the drawing code by its version: the same version draws the same faces."""
        return hashlib.sha256(f"toyfaces {VERSION} {SEED} {self._counts}".encode()).hexdigest()

    def warnings(self) -> list[str]:
        return []
