"""What images look like in a few hundred numbers, without a network: tones and edges, place by place.

The features of the network that ships were tried instead, see ``benchmarks/results/inspect-checks.md``: what is not a
face excites them little, so that noise and text lie nearer to all others than faces do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from fer_tl.data.building.sketches import grey_picture

_SIDE, _CELLS, _DIRECTIONS = 48, 6, 8
_SMALL = 12
_CONTRAST = 16.0  # grey levels a pixel: edges below are counted less, or the grain of a flat cell would be its shape
_BLOCK = 1024  # images at a time


def features(images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Tones in small, each image's mean and contrast taken away; and which way edges run: histograms of oriented
    gradients (Dalal and Triggs, CVPR 2005) of 6 by 6 cells and 8 directions, each cell against its own contrast.

    Args:
        images: N times uint8 ``[H, W, C]``, 0..255; colours do not count.

    Returns:
        float32 ``[N, 144]``, rows of length 1 or 0, and ``[N, 288]``, 0..1.
    """
    tones = np.empty((len(images), _SMALL**2), np.float32)
    edges = np.empty((len(images), _CELLS**2 * _DIRECTIONS), np.float32)
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK]
        resized = [grey_picture(each).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR) for each in block]
        grey = np.stack([np.asarray(each, np.float32) for each in resized])  # [B, 48, 48]
        tones[start : start + _BLOCK], edges[start : start + _BLOCK] = _tones(grey), _edges(grey)
    return tones, edges


def _tones(grey: np.ndarray) -> np.ndarray:
    step = _SIDE // _SMALL
    small = grey.reshape(-1, _SMALL, step, _SMALL, step).mean(axis=(2, 4)).reshape(len(grey), -1)
    small -= small.mean(axis=1, keepdims=True)
    found: np.ndarray = small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1.0)
    return found


def _edges(grey: np.ndarray) -> np.ndarray:
    down, right = np.gradient(grey, axis=(1, 2))  # [B, 48, 48]
    strength = np.hypot(down, right)
    turned = np.arctan2(down, right) % np.pi * (_DIRECTIONS / np.pi)  # 0.._DIRECTIONS
    lower = np.floor(turned).astype(np.int64)
    step = _SIDE // _CELLS
    line = np.arange(_SIDE) // step
    cell = np.arange(len(grey))[:, None, None] * _CELLS**2 + line[:, None] * _CELLS + line  # [B, 48, 48]
    upper = strength * (turned - lower)  # shared between the two nearest directions
    size = len(grey) * _CELLS**2 * _DIRECTIONS
    sums = np.zeros(size)
    for direction, part in ((lower, strength - upper), (lower + 1, upper)):
        sums += np.bincount((cell * _DIRECTIONS + direction % _DIRECTIONS).ravel(), part.ravel(), size)
    cells = sums.reshape(-1, _DIRECTIONS)
    found: np.ndarray = cells / (np.linalg.norm(cells, axis=1, keepdims=True) + _CONTRAST * step)
    return found.reshape(len(grey), -1)
