"""Animated pictures (GIF, WebP, PNG, AVIF) read frame by frame, as films are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.faces.convert import to_mode
from fer_tl.faces.decoder_warnings import no_warnings
from fer_tl.faces.films import VideoFrame
from fer_tl.faces.opening import open_header

_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")  # TIFF has pages, which have no times
_UNTIMED = 0.1  # seconds that a frame is shown where the file says 0, as browsers do


class AnimationReader:
    """An animated picture; each frame as it is seen, those before it below it, and what is transparent on mid grey.

    Args:
        path: a file for which ``is_animation`` holds.

    Attributes:
        rate: frames a second, by the first frame.
        frames: how many there are.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = path.open("rb")
        self._image = open_header(self._stream, str(path))
        self.frames = int(getattr(self._image, "n_frames", 1))
        self._image.load()  # WebP and AVIF tell how long a frame is shown when it is decoded
        self.rate = 1 / self._duration()

    def read(self, wanted: Callable[[int], bool]) -> Iterator[VideoFrame]:
        """All frames in order, up to the first that is damaged: later ones build on it. Those that are not wanted have
        no pixels."""
        moment = 0.0
        for number in range(self.frames):
            try:
                with no_warnings():
                    self._image.seek(number)
                    self._image.load()
                    shown = to_mode(self._image, 3, str(self._path)) if wanted(number) else None
            except Exception:  # Pillow's plugins raise nearly anything on damaged data
                return
            pixels = None if shown is None else np.asarray(shown)[..., ::-1]  # as OpenCV's films: blue first
            yield VideoFrame(number, moment, None if pixels is None else np.ascontiguousarray(pixels))
            moment += self._duration()

    def close(self) -> None:
        """Close the file."""
        self._image.close()
        self._stream.close()

    def _duration(self) -> float:
        """Of the frame that is shown, in seconds."""
        said = self._image.info.get("duration", 0)
        return float(said) / 1000 if isinstance(said, int | float) and said > 0 else _UNTIMED


def is_animation(path: Path) -> bool:
    """Whether a picture's file has several frames with times."""
    try:
        with path.open("rb") as stream, open_header(stream, str(path)) as image:
            return image.format in _FORMATS and bool(getattr(image, "is_animated", False))
    except (UserError, OSError):
        return False  # opened as a picture, it says what is wrong
