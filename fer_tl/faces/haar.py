"""OpenCV's cascade of frontal faces, after Viola and Jones (2001)."""

from __future__ import annotations

import threading
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.faces.boxes import Face, face_of, largest_first, reduced


class _Steps(NamedTuple):
    """How the cascade searches: images are made smaller until no side is longer than ``longest`` pixels, faces from
    ``smallest`` pixels on are looked for in sizes that grow by ``scale``, and ``neighbours`` windows must agree."""

    longest: int
    smallest: int
    scale: float
    neighbours: int


# Chosen on 250 photos of ExpW. Steps of 1.05 find 66 % of the labelled faces in 149 ms a photo, 1.1 find 62 %
# in 78 ms, 1.2 with three neighbours 60 % in 41 ms, all with 0.7 to 1.1 other boxes a photo; an equalised histogram
# costs 5 points. benchmarks/results/face-detection.md has what these two find.
_HAAR = _Steps(640, 32, 1.1, 5)
_HAAR_FAST = _Steps(640, 40, 1.2, 3)


class Haar:
    """Finds upright faces that look into the camera; does not say where the eyes are."""

    name = "haar"
    # FER-2013 was cut by boxes like these; no other margin is surely better: benchmarks/results/face-detection.md.
    margin = 0.0

    def __init__(self, cv2: ModuleType, fast: bool) -> None:
        self._cv2 = cv2
        self._path = _file(cv2)
        self._steps = _HAAR_FAST if fast else _HAAR
        self._own = threading.local()  # a cascade must not be used by two threads at once

    def find(self, image: np.ndarray) -> list[Face]:
        cv2 = self._cv2
        if not hasattr(self._own, "cascade"):
            self._own.cascade = cv2.CascadeClassifier(str(self._path))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        steps = self._steps
        small, down = reduced(cv2, grey, steps.longest)
        boxes, agreeing = self._own.cascade.detectMultiScale2(
            small, scaleFactor=steps.scale, minNeighbors=steps.neighbours, minSize=(steps.smallest, steps.smallest)
        )
        found = zip(np.reshape(boxes, (-1, 4)), np.ravel(agreeing), strict=True)
        return largest_first([face_of(box, score, down) for box, score in found])


def open_haar(cv2: ModuleType, model: Path | None, fast: bool) -> Haar:
    """See ``fer_tl.faces.detectors.KnownDetector``.

    Raises:
        UserError: OpenCV is 5, which has neither the class nor the cascades, or a build without them.
    """
    if hasattr(cv2, "CascadeClassifier") and hasattr(cv2, "data") and _file(cv2).is_file():
        return Haar(cv2, fast)
    raise UserError(
        f"OpenCV {cv2.__version__} has no Haar cascades: give --detector mtcnn, or pip install "
        "'opencv-python-headless<5'"
    )


def _file(cv2: ModuleType) -> Path:
    return Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
