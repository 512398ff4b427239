"""Videos written, through OpenCV."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.faces.detection import import_opencv


class VideoWriter:
    """Writes an MP4 file (MPEG-4 part 2, which every OpenCV can encode).

    Args:
        path: of the file.
        rate: frames a second.
        size: width and height in pixels.

    Raises:
        UserError: it cannot be written.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int]) -> None:
        self._cv2 = cv2 = import_opencv()
        self._size = size
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
        if not self._writer.isOpened():
            raise UserError(f"{path.parent}: OpenCV cannot write a video of {size[0]} x {size[1]} pixels there")

    def write(self, pixels: np.ndarray) -> None:
        """Append a frame, uint8 ``[H, W, 3]``, red, green, blue."""
        cv2 = self._cv2
        if pixels.shape[1::-1] != self._size:  # a stream that changes its size
            pixels = cv2.resize(pixels, self._size)
        self._writer.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()
