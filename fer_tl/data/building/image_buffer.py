"""Images on the disk while a dataset is built: read once, looked at as a whole, then written."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_tl.data.building.joined_files import joined
from fer_tl.data.building.rows import Rows
from fer_tl.data.building.sketches import SKETCH, sketch
from fer_tl.sources.images import encode_image


class SpoolWriter:
    """Appends images to two files, encoded as the records will hold them and as sketches; close it when all are there.

    Args:
        place: an empty folder.
        encoding: "png" or "jpeg", see `encode_image`.
        sketched: whether sketches are kept as well, 1 kB an image.

    Attributes:
        end: bytes of all encoded images.
    """

    def __init__(self, place: Path, encoding: str, sketched: bool) -> None:
        self._encoding = encoding
        self._images = (place / "images").open("wb")
        self._sketches = (place / "sketches").open("wb") if sketched else None
        self.end = 0

    def add(self, image: np.ndarray) -> bytes:
        """Appends one image, uint8 [H, W, C], and gives it encoded."""
        data = encode_image(image, self._encoding)
        self._images.write(data)
        self.end += len(data)
        if self._sketches:
            self._sketches.write(sketch(image).tobytes())
        return data

    def close(self) -> None:
        self._images.close()
        if self._sketches:
            self._sketches.close()


class Spool:
    """The images of several folders, one after the other; close it when no more are wanted.

    Args:
        places: filled by ``SpoolWriter``.
        rows: of their images.
    """

    def __init__(self, places: Sequence[Path], rows: Rows) -> None:
        self._files = [(place / "images").open("rb") for place in places]
        self._rows = rows
        self._turn = threading.Lock()

    def encoded(self, row: int) -> bytes:
        """The bytes of one image as the records hold them; several threads may ask."""
        part = int(np.searchsorted(self._rows.starts, row, side="right")) - 1
        start = 0 if row == self._rows.starts[part] else int(self._rows.end[row - 1])
        with self._turn:
            self._files[part].seek(start)
            return self._files[part].read(int(self._rows.end[row]) - start)

    def close(self) -> None:
        for file in self._files:
            file.close()


def sketches_of(places: Sequence[Path], folder: Path) -> np.ndarray:
    """uint8 [N, 32, 32] of all images, mapped from the disk; see ``joined``."""
    return joined([place / "sketches" for place in places], folder / "sketches", np.uint8, (SKETCH, SKETCH))
