"""Means around each pixel of pictures of 64 x 64."""

from __future__ import annotations

from functools import cache

import numpy as np


def blurred(pictures: np.ndarray, pixels: int) -> np.ndarray:
    """Two means over so many pixels each way, one after the other: ``[P, S, S]`` like what is given."""
    weights = _blur(pixels, pictures.shape[1])
    found: np.ndarray = weights @ pictures @ weights.T
    return found


def around(pictures: np.ndarray, inside: np.ndarray, pixels: int) -> np.ndarray:
    """The same of those pixels only that are ``inside``, ``[P, S, S]`` of 0 and 1."""
    found: np.ndarray = blurred(pictures * inside, pixels) / np.maximum(blurred(inside, pixels), 1e-6)
    return found


@cache
def _blur(pixels: int, side: int) -> np.ndarray:
    """float32 ``[side, side]``."""
    places = np.arange(side)
    near = (np.abs(places[:, None] - places) <= pixels).astype(np.float32)
    near /= near.sum(axis=1, keepdims=True)
    found: np.ndarray = near @ near
    return found
