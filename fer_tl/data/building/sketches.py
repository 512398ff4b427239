"""Sketches of images: small, grey, of their content only, each frequency weighted by itself."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

SKETCH = 32
"""Height and width of a sketch in pixels."""

CONTRAST = 3.0
"""Standard deviation of a picture in grey levels below which it can only be an exact copy. Blank images compressed as
JPEG have few patterns to choose from: with noise, at quality 30, 367 of 400 were copies at 0, none from 1 on."""

FREQUENCIES = 16
"""The lowest frequencies of each direction that a sketch keeps."""

_FLAT = 12
"""Grey levels by which pixels of an outermost line may differ from its mean: bars that were compressed as JPEG do."""
_OTHER = 20
"""Grey levels from a bar's own from which a pixel is none of it."""


@cache
def cosines(count: int, size: int = SKETCH) -> np.ndarray:
    """The lowest frequencies of the orthonormal cosine transform of ``size`` values: float64 ``[count, size]``.

    DCT-II: Ahmed, Natarajan & Rao, "Discrete Cosine Transform", IEEE Trans. Computers 1974.
    """
    found = np.cos(np.pi * np.arange(count)[:, None] * (2 * np.arange(size) + 1) / (2 * size))
    found *= np.sqrt(2 / size)
    found[0] /= np.sqrt(2)
    return found


COSINES = cosines(FREQUENCIES)
WEIGHTS = np.hypot(np.arange(FREQUENCIES)[:, None], np.arange(FREQUENCIES))
"""The frequency of each entry of a spectrum, ``[16, 16]``."""


def sketch(image: np.ndarray) -> np.ndarray:
    """What near copies are recognized by: the content in small and grey, its 16x16 lowest frequencies weighted.

    Bars that padding or a letterbox left around the content do not count. About 60 µs an image.

    Args:
        image: uint8 ``[H, W, C]``, C 1 or 3.

    Returns:
        uint8 ``[32, 32]``, 1..255 about a mean of 128; all 128 for an image without contrast.
    """
    picture = grey_picture(image)
    box = content_box(np.asarray(picture))
    grey = np.asarray(picture.resize((SKETCH, SKETCH), Image.Resampling.BOX, box), np.float64)
    spectrum = COSINES @ grey @ COSINES.T  # [16, 16]
    spectrum[0, 0] = 0
    # The transform is orthonormal: its norm is that of the 32 x 32 pixels, 32 standard deviations.
    if np.linalg.norm(spectrum) < CONTRAST * SKETCH:
        return np.full((SKETCH, SKETCH), 128, np.uint8)
    weighted = COSINES.T @ (spectrum * WEIGHTS) @ COSINES  # [32, 32]
    return np.rint(weighted * (127 / np.abs(weighted).max()) + 128).astype(np.uint8)


def grey_picture(image: np.ndarray) -> Image.Image:
    """An image, uint8 ``[H, W, C]``, C 1 or 3, without colours."""
    return Image.fromarray(image[:, :, 0]) if image.shape[2] == 1 else Image.fromarray(image).convert("L")


def may_have_bars(grey: np.ndarray) -> np.ndarray:
    """Which of several images can have a ``content_box`` that is not all of them: bool ``[B]``.

    Args:
        grey: uint8 ``[B, H, W]``.
    """
    sides = [(grey[:, 0], grey[:, -1]), (grey[:, :, 0], grey[:, :, -1])]
    return np.any([np.all([_spread(line) <= 2 * _FLAT for line in lines], axis=0) for lines in sides], axis=0)


def _spread(lines: np.ndarray) -> np.ndarray:
    """Highest less lowest of some pixels of lines, uint8 ``[..., W]``: int ``[...]``."""
    some = lines[..., :: max(1, lines.shape[-1] // 5)]
    return some.max(axis=-1).astype(np.int64) - some.min(axis=-1)


def content_box(grey: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what lies between two bars of one colour and width, each way; else all of it.

    A bar ends in a straight line: so hair before a white wall, or a head before a black ground, is left as it is. Where
    only one side is flat it may be part of the picture: of FER-2013's images one in 1,000 has two bars, one in ten a
    flat side.

    Args:
        grey: uint8 ``[H, W]``.
    """
    top, bottom = _between_bars(grey)
    left, right = _between_bars(grey[top:bottom].T)
    return left, top, right, bottom


def _between_bars(grey: np.ndarray) -> tuple[int, int]:
    height, width = grey.shape
    for line in (grey[0], grey[-1]):  # most pictures end here, at a tenth of the cost
        some = line[:: max(1, width // 5)].tolist()
        if max(some) - min(some) > 2 * _FLAT:
            return 0, height
    ends = grey[[0, -1]].astype(np.float32)  # [2, W]
    levels = ends.mean(axis=1)
    if abs(levels[0] - levels[1]) > _FLAT or (np.abs(ends - levels[:, None]) > _FLAT).mean() > 0.05:
        return 0, height
    other = (np.abs(grey - levels.mean()) > _OTHER).mean(axis=1)  # [H], share of each line
    lines = np.flatnonzero(other >= 0.7)
    if not len(lines):
        return 0, height
    first, end = int(lines[0]), int(lines[-1]) + 1
    # Resampling and compression blur the edge of a bar over two lines; a round outline takes more.
    straight = other[max(0, first - 2)] <= 0.1 and other[min(height - 1, end + 1)] <= 0.1
    alike = abs(first - (height - end)) <= 2  # padding is divided, and its halves rounded
    if not first or end == height or not straight or not alike or end - first < max(8, height // 4):
        return 0, height
    return first, end
