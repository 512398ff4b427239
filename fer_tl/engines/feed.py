"""Pixels of images that do not stay in memory, read ahead while the device computes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

# Of one call of the engine, at most. As much again is read ahead.
BYTES_AT_ONCE = 1 << 25
# Read in one go: little, because the first of an epoch is waited for.
STEPS_IN_ONE_GO = 8


class Images(Protocol):
    """Images by row: a resident array, or ``fer_tl.data.records.stream.StreamedImages``."""

    shape: tuple[int, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> np.ndarray: ...


class Feed:
    """Reads the pixels of steps in their order, some steps ahead of what is asked for, in a thread of its own.

    Args:
        images: uint8 ``[N, H, W, C]`` by row.
        batch_size: B.
    """

    def __init__(self, images: Images, batch_size: int):
        self._images = images
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._rows: Sequence[np.ndarray] = []
        self._parts: dict[int, Future[list[np.ndarray]]] = {}
        self.steps_at_once = max(1, BYTES_AT_ONCE // (batch_size * int(np.prod(images.shape[1:]))))
        self._size = min(STEPS_IN_ONE_GO, self.steps_at_once)

    def read(self, rows: Sequence[np.ndarray], start: int, stop: int) -> list[np.ndarray]:
        """Pixels of the steps ``start`` to ``stop``.

        Args:
            rows: int ``[S, B]`` each, of all steps; the same objects in each call until they are through.
            start: first step.
            stop: the one after the last; as many steps behind it are read in the meantime.

        Returns:
            uint8 ``[stop - start, B, H, W, C]`` for each of ``rows``.
        """
        if len(rows) != len(self._rows) or any(one is not other for one, other in zip(rows, self._rows, strict=True)):
            for part in self._parts.values():
                part.cancel()
            self._rows, self._parts = rows, {}
        first, last = start // self._size, (stop - 1) // self._size
        ahead = min(2 * stop - start, len(rows[0]) - 1) // self._size
        self._parts = {index: part for index, part in self._parts.items() if index >= first}
        for index in range(first, ahead + 1):
            if index not in self._parts:
                self._parts[index] = self._thread.submit(self._read, rows, index)
        read = [self._parts[index].result() for index in range(first, last + 1)]
        offset = first * self._size
        return [np.concatenate(pixels)[start - offset : stop - offset] for pixels in zip(*read, strict=True)]

    def _read(self, rows: Sequence[np.ndarray], index: int) -> list[np.ndarray]:
        steps = slice(index * self._size, (index + 1) * self._size)
        shape = self._images.shape[1:]
        return [self._images[each[steps].reshape(-1)].reshape(-1, each.shape[1], *shape) for each in rows]
