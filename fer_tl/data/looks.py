"""How images look, measured: brightness, contrast, how many tones, sharpness, flat borders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from fer_tl.data.tones import NEARLY_BLANK

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow turns colour to grey
_BLOCK_BYTES = 2**22  # of pixels at a time; the counting needs 8 times that
_FLAT = 24
"""Grey levels between the darkest and the brightest pixel of a line up to which it is flat: bars that were compressed
as JPEG are."""


@dataclass(frozen=True, eq=False)
class Looks:
    """Grey values of N images.

    Attributes:
        brightness: their mean, float64 ``[N]``, 0..255.
        contrast: their standard deviation, float64 ``[N]``, 0..127.5.
        entropy: of their histogram, in bits, float64 ``[N]``, 0 (one tone) to 8 (all tones equally often). Drawings,
            signs and text have few tones: in FER-2013, the lowest are notes that a photo is not available.
        sharpness: variance of the Laplacian, ``Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy",
            ICPR 2000``, as a share of the variance of grey, so that contrast does not count; float64 ``[N]``, 0 (also
            of one tone) to about 20 (noise). Blurred and enlarged pictures are low.
        border: share of the picture that flat lines along its four sides cover, float64 ``[N]``, 0..1: bars, frames,
            corners that a rotation left.
    """

    brightness: np.ndarray
    contrast: np.ndarray
    entropy: np.ndarray
    sharpness: np.ndarray
    border: np.ndarray

    @property
    def is_blank(self) -> np.ndarray:
        """All pixels have one tone: bool ``[N]``."""
        return self.contrast == 0

    @property
    def is_nearly_blank(self) -> np.ndarray:
        """See ``NEARLY_BLANK``; blank ones not among them: bool ``[N]``."""
        return (self.contrast < NEARLY_BLANK) & ~self.is_blank


def measure(images: np.ndarray) -> Looks:
    """Measure images in blocks, so that a memory map of any size fits: about 15,000 grey ones of 48 by 48 a second.

    Args:
        images: uint8 ``[N, H, W, C]``, 0..255, C is 1 or 3.
    """
    step = max(1, _BLOCK_BYTES // max(1, int(np.prod(images.shape[1:]))))
    return join_looks([_measure(images[start : start + step]) for start in range(0, max(len(images), 1), step)])


def join_looks(looks: Sequence[Looks]) -> Looks:
    """The looks of several parts, one after the other."""
    return Looks(*(np.concatenate([getattr(look, field.name) for look in looks]) for field in fields(Looks)))


def in_grey(images: np.ndarray) -> np.ndarray:
    """Images without colours: uint8 ``[N, H, W, C]`` to ``[N, H, W]``, uint8 or, of colours, float32 whole numbers."""
    return images[..., 0] if images.shape[-1] == 1 else np.rint(images @ _LUMA)


def _measure(images: np.ndarray) -> Looks:
    """One block; its histograms give three exactly, and a blank image a contrast of exactly 0."""
    grey = in_grey(images)  # [B, H, W]
    shares = _histograms(grey) / np.prod(images.shape[1:3])  # [B, 256], 0..1
    tones = np.arange(256.0)
    brightness = shares @ tones
    contrast = np.sqrt(np.maximum(shares @ tones**2 - brightness**2, 0))
    bits = np.log2(shares, where=shares > 0, out=np.zeros_like(shares))
    return Looks(brightness, contrast, np.abs((shares * bits).sum(axis=1)), _sharpness(grey, contrast), _border(grey))


def _histograms(grey: np.ndarray) -> np.ndarray:
    """How often each grey value is in each image: ``[B, H, W]`` to int64 [B, 256]."""
    number, height, width = grey.shape
    values = grey.reshape(number, height * width).astype(np.int64) + 256 * np.arange(number)[:, None]
    return np.bincount(values.ravel(), minlength=256 * number).reshape(number, 256)


def _sharpness(grey: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    number, height, width = grey.shape
    if min(height, width) < 3:  # no pixel has four neighbours
        return np.zeros(number)
    g = grey.astype(np.float32)
    laplacian = g[:, :-2, 1:-1] + g[:, 2:, 1:-1] + g[:, 1:-1, :-2] + g[:, 1:-1, 2:] - 4 * g[:, 1:-1, 1:-1]
    variance = laplacian.var(axis=(1, 2)).astype(np.float64)
    return np.divide(variance, contrast**2, out=np.zeros(number), where=contrast > 0)


def _border(grey: np.ndarray) -> np.ndarray:
    rows, columns = (_flat_sides(grey, axis) for axis in (2, 1))
    return 1 - (1 - rows) * (1 - columns)


def _flat_sides(grey: np.ndarray, axis: int) -> np.ndarray:
    """Share of the lines along one direction that are flat and reach a side through flat ones: float64 ``[B]``."""
    flat = np.ptp(grey, axis=axis) <= _FLAT  # [B, H] or [B, W]
    first, last = (np.logical_and.accumulate(lines, axis=1) for lines in (flat, flat[:, ::-1]))
    found: np.ndarray = (first | last[:, ::-1]).mean(axis=1)
    return found
