"""Drawn faces that face detectors know."""

from __future__ import annotations

import cv2
import numpy as np


def drawn_face(side: int) -> np.ndarray:
    """A head that the frontal cascade knows, uint8 ``[side, side, 3]``: shadowed eyes, bright nose, dark mouth."""
    y, x = np.mgrid[0:side, 0:side] / side
    grey = np.full((side, side), 60.0)

    def blot(row: float, column: float, high: float, wide: float, level: float) -> None:
        inside = ((y - row) / high) ** 2 + ((x - column) / wide) ** 2 < 1
        grey[inside] = level

    blot(0.5, 0.5, 0.46, 0.36, 200)
    for column in (0.36, 0.64):
        blot(0.42, column, 0.07, 0.11, 90)
        blot(0.43, column, 0.03, 0.05, 30)
    blot(0.56, 0.5, 0.12, 0.05, 225)
    blot(0.72, 0.5, 0.04, 0.15, 80)
    blurred: np.ndarray = cv2.GaussianBlur(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8), (0, 0), side / 60)
    return blurred


def scene(height: int, width: int, *places: tuple[int, int, int]) -> np.ndarray:
    """Faces at (top, left, side) on a plain ground."""
    image = np.full((height, width, 3), 60, np.uint8)
    for top, left, side in places:
        image[top : top + side, left : left + side] = drawn_face(side)
    return image
