"""Encoded images on the disk while a dataset is built: read once, looked at as a whole, then written."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from fer_tl.data.building.sketches import SKETCH, sketch
from fer_tl.sources.images import encode_image


class Spool:
    """Keeps images in two files, encoded as the records will hold them and as sketches; 8 bytes each in memory.

    Args:
        place: an empty folder.
        encoding: "png" or "jpeg", see `encode_image`.
        sketched: whether sketches are kept as well, 1 kB an image.
    """

    def __init__(self, place: Path, encoding: str, sketched: bool) -> None:
        self._encoding = encoding
        self._images = (place / "images").open("w+b")
        self._sketches = (place / "sketches").open("w+b") if sketched else None
        self._ends = [0]
        self._place = threading.Lock()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, image: np.ndarray) -> None:
        """Appends one image, uint8 [H, W, C]."""
        data = encode_image(image, self._encoding)
        self._images.write(data)
        self._ends.append(self._ends[-1] + len(data))
        if self._sketches:
            self._sketches.write(sketch(image).tobytes())

    def encoded(self, index: int) -> bytes:
        """The bytes of one image as the records hold them; several threads may ask."""
        with self._place:
            self._images.seek(self._ends[index])
            return self._images.read(self._ends[index + 1] - self._ends[index])

    def sketches(self) -> np.ndarray:
        """uint8 [N, 32, 32], mapped from the disk.

        Raises:
            ValueError: the spool keeps none.
        """
        if self._sketches is None or not len(self):
            raise ValueError("this spool keeps no sketches")
        self._sketches.flush()
        return np.memmap(self._sketches.name, dtype=np.uint8, mode="r", shape=(len(self), SKETCH, SKETCH))

    def close(self) -> None:
        self._images.close()
        if self._sketches:
            self._sketches.close()
