"""A face that was found, and what detectors have in common."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple, Protocol

import numpy as np

from fer_tl.faces.boxes import Box


class Face(NamedTuple):
    """A face that a detector found.

    Attributes:
        box: in pixels of the image that was searched.
        score: larger is surer. Haar: how many windows agree; YuNet: 0..1; none: 1.
    """

    box: Box
    score: float


class Detector(Protocol):
    """Looks for faces.

    Attributes:
        name: haar, yunet or none.
        margin: what to add to each side of its boxes, as a fraction of their height and width, so that the crops
            show as much of a head as those of FER-2013.
    """

    name: str
    margin: float

    def find(self, image: np.ndarray) -> list[Face]:
        """The faces of an image, uint8 ``[H, W, 3]``, red, green, blue, 0..255; the largest first. Several threads may
        call it at once."""
        ...


def reduced(cv2: ModuleType, image: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """The image with no side longer than that, and how many of its own pixels one of the result stands for."""
    height, width = image.shape[:2]
    down = max(height, width) / longest
    if down <= 1:
        return image, 1.0
    size = max(1, round(width / down)), max(1, round(height / down))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), down


def face_of(box: np.ndarray, score: float, down: float) -> Face:
    left, top, width, height = (float(value) * down for value in box)
    return Face(Box(top, left, top + height, left + width), float(score))


def largest_first(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: face.box.area, reverse=True)
