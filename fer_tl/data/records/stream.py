"""Images that stay in their records: read by offset and decoded whenever they are asked for."""

from __future__ import annotations

import copy
import io
import os
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from fer_tl.core.errors import UserError

_THREADS = min(4, os.cpu_count() or 1)
_TASK = 32  # images that a thread decodes in one go
_SMALL = 4096
"""Bytes of pixels: half the time of a smaller image is Python's, which threads cannot share. 48x48 in grey, images a
second: 16,000 in one thread, 15,000 in two, 13,000 in four."""


class StreamedImages:
    """N images of records, read like a uint8 array ``[N, H, W, C]``, 0..255, but never in memory as a whole.

    An index gives a new array each time: ``images[3]`` is ``[H, W, C]``, ``images[rows]`` and ``images[4:8]`` are
    ``[M, H, W, C]``; rows are read in the order in which they are named. Any number of threads may read at once. The
    files are opened once and for all: a dataset that is built anew meanwhile changes nothing here.

    Args:
        files: the shards, of one split or of several.
        shards: int ``[N]``, which of them each image is in.
        offsets: int ``[N]``, where its PNG or JPEG begins in that file, bytes.
        lengths: int ``[N]``, bytes of it.
        image_shape: (H, W, C), C is 1 or 3.

    Raises:
        UserError: a file cannot be opened; when images are read: it was changed since.
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        files: Sequence[Path],
        shards: np.ndarray,
        offsets: np.ndarray,
        lengths: np.ndarray,
        image_shape: tuple[int, int, int],
    ) -> None:
        self._files = _OpenFiles(files)
        self._pool = ThreadPoolExecutor(_THREADS, "fer-tl-decode")
        self._shards, self._offsets, self._lengths = shards, offsets, lengths
        self._image_shape = image_shape

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        return len(self), *self._image_shape

    @property
    def nbytes(self) -> int:
        """What they would take as an array."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        shards, offsets, lengths = self._shards[rows], self._offsets[rows], self._lengths[rows]
        if np.ndim(shards) == 0:
            return self._read(int(shards), int(offsets), int(lengths))
        images = np.empty((len(shards), *self._image_shape), np.uint8)

        def decode(task: range) -> None:
            for row in task:
                images[row] = self._read(shards[row], offsets[row], lengths[row])

        if np.prod(self._image_shape) < _SMALL:
            decode(range(len(images)))
        else:
            tasks = (range(start, min(start + _TASK, len(images))) for start in range(0, len(images), _TASK))
            list(self._pool.map(decode, tasks))  # raises what a thread has raised
        return images

    def select(self, rows: slice | np.ndarray) -> StreamedImages:
        """Some of the images, in this order, still in their records."""
        chosen = copy.copy(self)
        chosen._shards, chosen._offsets, chosen._lengths = self._shards[rows], self._offsets[rows], self._lengths[rows]
        return chosen

    def _read(self, shard: int, offset: int, length: int) -> np.ndarray:
        try:
            return decode_stored(os.pread(self._files.descriptors[shard], length, offset), self._image_shape)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self._files.paths[shard]} was changed or damaged while it was in use (the image at byte {offset:,} "
                f"{error}): run `fer-tl verify`"
            ) from None


def decode_stored(data: bytes, image_shape: tuple[int, int, int]) -> np.ndarray:
    """The pixels of an image as the records hold it: uint8 ``[H, W, C]``, 55 microseconds for a grey PNG of 48x48.

    Everything here that decodes goes through Pillow. TensorFlow gives the same pixels of a PNG, and of a JPEG others by
    up to 20 of 255: it takes libjpeg's fast and less exact transform, Pillow the exact one.

    Args:
        data: a PNG or JPEG file.
        image_shape: (H, W, C) that it must have, C is 1 or 3.

    Raises:
        ValueError: it cannot be decoded, or has another shape; the message follows "the image".
    """
    height, width, channels = image_shape
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            if image.size == (width, height) and image.mode == ("L" if channels == 1 else "RGB"):
                return np.asarray(image).reshape(image_shape)
            found = f"is {image.height}x{image.width} in mode {image.mode}, not {height}x{width}x{channels}"
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged data
        raise ValueError(f"cannot be decoded: {error}") from None
    raise ValueError(found)


class _OpenFiles:
    """Files open for reading until nobody needs them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.descriptors: list[int] = []
        weakref.finalize(self, _close, self.descriptors)
        for path in self.paths:
            try:
                self.descriptors.append(os.open(path, os.O_RDONLY))
            except OSError as error:
                raise UserError(f"{path} cannot be opened ({error.strerror})") from None


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
