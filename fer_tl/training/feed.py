"""Pixels of images that do not stay in memory, read ahead while the device computes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

# What is read at once: enough steps that a call does not count, little enough that two of them are no burden.
BYTES_AT_ONCE = 1 << 25


class Images(Protocol):
    """Images by row: a resident array, or ``fer_tl.data.stream.StreamedImages``."""

    shape: tuple[int, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> np.ndarray: ...


class Feed:
    """Reads the pixels of arrays of rows, and of those that are asked for next, in a thread of its own.

    Args:
        images: uint8 ``[N, H, W, C]`` by row.
        batch_size: B.
    """

    def __init__(self, images: Images, batch_size: int):
        self._images = images
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._ahead: tuple[bytes, Future[list[np.ndarray]]] | None = None
        self.steps_at_once = max(1, BYTES_AT_ONCE // (batch_size * int(np.prod(images.shape[1:]))))

    def read(self, rows: Sequence[np.ndarray], following: Sequence[np.ndarray] = ()) -> list[np.ndarray]:
        """Pixels of some arrays of rows.

        Args:
            rows: int ``[S, B]`` each.
            following: those that will be asked for next; they are read in the meantime.

        Returns:
            uint8 ``[S, B, H, W, C]`` for each of ``rows``.
        """
        ahead, self._ahead = self._ahead, None
        if ahead and ahead[0] == _key(rows):
            pixels = ahead[1].result()
        else:
            if ahead:
                ahead[1].cancel()
            pixels = self._read(rows)
        if following and following[0].size:
            self._ahead = _key(following), self._thread.submit(self._read, following)
        return pixels

    def _read(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [self._images[each.reshape(-1)].reshape(*each.shape, *self._images.shape[1:]) for each in rows]


def _key(rows: Sequence[np.ndarray]) -> bytes:
    return b"".join(each.tobytes() for each in rows)
