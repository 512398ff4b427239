"""Videos, cameras and streams read frame by frame, through OpenCV."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.faces.detection import import_opencv

# Where a file or camera does not say how many frames it has in a second.
_USUAL_RATE = 25.0
# Frames one after the other that cannot be decoded and behind which the film may go on; then it has ended.
_DAMAGED = 250
_DAMAGED_LIVE = 10  # of a camera or stream, which has no end to be looked for behind a gap


class VideoFrame(NamedTuple):
    """A frame.

    Attributes:
        number: from 0.
        time: seconds since the first.
        pixels: uint8 ``[H, W, 3]``, blue, green, red as OpenCV has them; None where it was passed over undecoded.
    """

    number: int
    time: float
    pixels: np.ndarray | None


class VideoReader:
    """A video file, a camera by its index ("0"), or a stream by its address.

    Args:
        source: what to open.
        live: of a camera or stream, whose times are those of a clock; a file has its own.

    Attributes:
        rate: frames a second, as the source says or a usual rate.
        frames: that the file says it has, 0 if it does not.
        damaged: frames that were passed over so far, behind which others came.

    Raises:
        UserError: it cannot be opened, or OpenCV is missing.
    """

    def __init__(self, source: str, live: bool) -> None:
        cv2 = import_opencv()
        self._cv2, self._source, self._live = cv2, source, live
        self._capture = cv2.VideoCapture(int(source) if source.isdecimal() and live else source)
        if not self._capture.isOpened():
            raise UserError(self._refusal())
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if math.isfinite(rate) and 1 <= rate <= 1000 else _USUAL_RATE
        frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.damaged = 0
        self.frames = int(frames) if math.isfinite(frames) and not live else 0

    def read(self, wanted: Callable[[int], bool]) -> Iterator[VideoFrame]:
        """All frames in order; those whose number is not wanted are not decoded to pixels.

        Damaged frames are passed over: they keep their numbers and times, which no frame here has.
        """
        cv2, began, number, moment, failed = self._cv2, time.monotonic(), -1, 0.0, 0
        while failed <= (_DAMAGED_LIVE if self._live else _DAMAGED):
            if not self._capture.grab():
                failed += 1
                continue
            before = moment
            moment = time.monotonic() - began if self._live else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            steps = 1 + failed
            if number >= 0 and not moment > before:  # not every container has times
                moment = before + steps / self.rate
            self.damaged += failed
            number, failed, pixels = number + steps, 0, None
            if wanted(number):
                there, pixels = self._capture.retrieve()
                if not there:
                    self.damaged += 1
                    continue
            yield VideoFrame(number, moment, pixels)

    def close(self) -> None:
        """Give the camera or file back."""
        self._capture.release()

    def _refusal(self) -> str:
        if self._live and self._source.isdecimal():
            return f"there is no camera {self._source}, or another program uses it: give its index, a file or a stream"
        if self._live:
            return f"the stream {_hide_password(self._source)} cannot be opened: check its address and that it runs"
        return f"{self._source} is neither a picture nor a video that OpenCV can read, or it is truncated"


def _hide_password(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)
