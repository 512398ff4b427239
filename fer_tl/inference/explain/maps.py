"""Maps of what an answer depends on: computed from features and gradients, placed, and laid over an image."""

from __future__ import annotations

from functools import cache

import numpy as np
from matplotlib import colormaps
from PIL import Image

# Perceptually uniform, and the same to all kinds of colour vision: Nunez, Anderton and Renslow, "Optimizing colormaps
# with consideration for color vision deficiency", PLoS ONE 13 (2018).
COLOURS = "viridis"
# How much of the colour covers the image where a map is 0 and where it is 1; the image stays visible below both.
LEAST_COVER, MOST_COVER = 0.25, 0.65

_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "", "right")


def grad_cam(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Where the features of a layer speak for a class: Grad-CAM (Selvaraju et al., ICCV 2017, equations 1 and 2).

    Args:
        features: float32 ``[B, h, w, F]``.
        gradients: float32 ``[B, h, w, F]``, of the logit of the class with respect to the features.

    Returns:
        float32 ``[B, h, w]``: the features weighted by the means of their gradients over the map, 0 where their sum
        speaks against the class.
    """
    weights = gradients.mean(axis=(1, 2))  # [B, F]
    return np.maximum(np.einsum("bhwf,bf->bhw", features, weights), 0)


def saliency(gradients: np.ndarray) -> np.ndarray:
    """How much a pixel moves a logit, up or down: Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks"
    (ICLR workshop 2014), section 3.1.

    Args:
        gradients: float ``[B, H, W, C]``, of the logit with respect to the pixels.

    Returns:
        ``[B, H, W]``, the largest absolute value of the channels.
    """
    return np.abs(gradients).max(axis=-1)


def normalize(values: np.ndarray, percentile: float = 100.0) -> np.ndarray:
    """Bring a map to 0..1 for display.

    Args:
        values: ``[h, w]``, 0 or more.
        percentile: what becomes 1, and all above it too; the maximum, if that percentile is 0.

    Returns:
        float32 ``[h, w]``; all 0 for a map that is.
    """
    top = np.percentile(values, percentile) or values.max()
    if not top:
        return np.zeros(values.shape, np.float32)
    return np.clip(values / top, 0, 1).astype(np.float32)


def enlarge(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map ``[h, w]`` over an image of ``size`` (height, width), not smaller: float32, bilinear between the centres of
    its cells, and constant beyond the outermost."""
    height, width = size
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image with a map in colours over it.

    Args:
        image: uint8 ``[H, W, C]``, 0..255, C is 1 or 3.
        heat: float ``[H, W]``, 0..1.

    Returns:
        uint8 ``[H, W, 3]``.
    """
    cover = (LEAST_COVER + (MOST_COVER - LEAST_COVER) * heat)[..., None]  # [H, W, 1]
    mixed = (1 - cover) * image + cover * 255 * _palette()[np.round(255 * heat).astype(np.int64)]
    return np.round(mixed).astype(np.uint8)


def colour_bar(height: int, width: int) -> np.ndarray:
    """The colours from 0, on the left, to 1: uint8 ``[height, width, 3]``."""
    steps = np.round(np.linspace(0, 255, width)).astype(np.int64)
    return np.tile(np.round(255 * _palette()[steps]).astype(np.uint8), (height, 1, 1))


def place_of_maximum(values: np.ndarray) -> str:
    """Where a map ``[h, w]`` is largest, by thirds of its height and width: "upper left", "left", "centre"; or "all
    alike" for a map that has one value, and "nowhere" if that is 0."""
    if values.min() == values.max():
        return "all alike" if values.any() else "nowhere"
    row, column = peak(values)
    height, width = values.shape
    words = _ROWS[int(3 * (row + 0.5) / height)], _COLUMNS[int(3 * (column + 0.5) / width)]
    return " ".join(filter(None, words)) or "centre"


def peak(values: np.ndarray) -> tuple[int, int]:
    """Row and column of the first maximum of a map ``[h, w]``."""
    row, column = np.unravel_index(values.argmax(), values.shape)
    return int(row), int(column)


@cache
def _palette() -> np.ndarray:
    """float64 ``[256, 3]``, 0..1."""
    return np.asarray(colormaps[COLOURS](np.arange(256)))[:, :3]
