"""Digests of images: which pictures a network has seen, told again when size, colours and compression are others.

A digest holds the signs of the 126 lowest frequencies of an image in grey. Nothing is resized first, so the size of the
image does not matter, and a mirrored image has the same signs but for the odd frequencies across. Two digests are of
one picture where at most 8 signs differ (`TOLERANCE`).

Measured on FER-2013 (``python benchmarks/digests.py``, `benchmarks/results/digests.md`): of 3,589 PublicTest images
none is taken for one of the 26,534 others; of copies that were compressed as JPEG at quality 50 or more, brought to 32
to 224 pixels and back, mirrored or coloured 99.7 % and more are found. With 63 signs, 3 of which may differ, as many
copies would be found and 1 % of drawn faces mistaken. **Not found**: pictures cut otherwise, one pixel of 48 on each
side already (7 %). Copies that were moved are the builder's to find, see `fer_tl.data.building.duplicates`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from fer_tl.data.building.sketches import CONTRAST, FREQUENCIES, WEIGHTS, content_box, cosines, may_have_bars

WORDS = 2
"""Of 64 bits in a digest."""
TOLERANCE = 8
"""Signs that may differ between digests of one picture."""

_BANDS, _BAND = TOLERANCE + 1, 14  # digests that differ in 8 signs or fewer are equal in one of 9 bands
_KEPT = np.argsort(WEIGHTS.ravel(), kind="stable")[1 : 1 + _BANDS * _BAND]  # the lowest but the mean, [126]
# High and low ones in each band: the lowest say much the same of all faces.
_ORDER = _KEPT.reshape(_BAND, _BANDS).T.ravel()
_SEEN = np.uint64(1 << 63)  # in the last word of a digest: there is something to be seen
_NOTHING = 1e-6  # of the whole spectrum: signs of less are those of rounding, as of an image that is its own mirror
_BLOCK_BYTES = 1 << 22  # of pixels, looked at at once
_PAIRS = 1 << 20  # compared at once, 50 MB
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's grey


class Images(Protocol):
    """Images that are read by slices: uint8 ``[N, H, W, C]``, an array or ``fer_tl.data.records.stream``'s."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


def digest_images(images: Images) -> np.ndarray:
    """The digest of each image, about 40 µs for one of 48x48.

    Args:
        images: uint8 ``[N, H, W, C]``, 0..255, C is 1 or 3.

    Returns:
        uint64 ``[N, 2]``, all 0 for an image in which nothing can be seen.
    """
    found = np.zeros((len(images), WORDS), np.uint64)
    step = max(1, _BLOCK_BYTES // int(np.prod(images.shape[1:])))
    for start in range(0, len(images), step):
        found[start : start + step] = _digest(_in_grey(images[start : start + step]))
    return found


def find_known(digests: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which pictures are among others, also mirrored: bool ``[N]``.

    Time grows with N times M, at a few billion pairs a second.

    Args:
        digests: uint64 ``[N, 2]``; one of nothing is none of the others.
        known: uint64 ``[M, 2]``, none of nothing.
    """
    found = np.zeros(len(digests), bool)
    order = [np.argsort(band, kind="stable") for band in _bands(known).T]
    bands = [np.take(band, rows) for band, rows in zip(_bands(known).T, order, strict=True)]
    for turned in (digests, digests ^ _MIRRORED):
        for number in range(_BANDS):
            rows = np.flatnonzero(~found & is_seen(digests))
            for left, places in _alike(_bands(turned[rows])[:, number], bands[number]):
                differing = np.bitwise_count(turned[rows[left]] ^ known[order[number][places]]).sum(axis=1)
                found[rows[left[differing <= TOLERANCE]]] = True
    return found


def is_seen(digests: np.ndarray) -> np.ndarray:
    """Which digests, uint64 ``[N, 2]``, are of images in which something can be seen: bool ``[N]``."""
    return (digests[:, -1] & _SEEN) > 0


def _in_grey(images: np.ndarray) -> np.ndarray:
    """uint8 ``[B, H, W]``."""
    return images[..., 0] if images.shape[-1] == 1 else np.rint(images @ _LUMA).astype(np.uint8)


def _digest(grey: np.ndarray) -> np.ndarray:
    spectra = _spectra(grey)
    for row in np.flatnonzero(may_have_bars(grey)).tolist():
        left, top, right, bottom = content_box(grey[row])
        spectra[row] = _spectra(grey[None, row, top:bottom, left:right])[0]
    spectra[:, 0] = 0
    sizes = np.linalg.norm(spectra, axis=1)  # of a standard deviation: the transform is orthonormal
    signs = spectra[:, _ORDER] > _NOTHING * sizes[:, None]  # [B, 126]
    digests = _pack(signs)
    digests[:, -1] |= _SEEN
    digests[sizes < CONTRAST] = 0
    return digests


def _spectra(grey: np.ndarray) -> np.ndarray:
    """The lowest frequencies of images ``[B, H, W]``, as of one pixel: float64 ``[B, 256]``."""
    height, width = grey.shape[1:]
    found = cosines(FREQUENCIES, height) @ grey.astype(np.float64) @ cosines(FREQUENCIES, width).T  # [B, 16, 16]
    return (found / np.sqrt(height * width)).reshape(len(grey), FREQUENCIES**2)


def _pack(signs: np.ndarray) -> np.ndarray:
    """bool ``[B, 126]`` as uint64 ``[B, 2]``."""
    padded = np.zeros((len(signs), 64 * WORDS), bool)
    padded[:, : signs.shape[1]] = signs
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


_MIRRORED = _pack((_ORDER % FREQUENCIES % 2 == 1)[None])[0]
"""The signs that change when an image is mirrored."""


def _bands(digests: np.ndarray) -> np.ndarray:
    """The bands of digests, uint64 ``[B, 2]``, as numbers: int64 ``[B, 9]``."""
    signs = np.unpackbits(np.ascontiguousarray(digests, "<u8").view(np.uint8), axis=1, bitorder="little")
    return signs[:, : _BANDS * _BAND].reshape(-1, _BANDS, _BAND) @ (1 << np.arange(_BAND))


def _alike(wanted: np.ndarray, ordered: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of equal numbers: places in ``wanted`` and in ``ordered``, int64 ``[P]`` each, some at a time."""
    first = np.searchsorted(ordered, wanted)
    counts = np.searchsorted(ordered, wanted, side="right") - first
    part = np.cumsum(counts) // _PAIRS
    for rows in np.split(np.arange(len(wanted)), np.flatnonzero(np.diff(part)) + 1):
        sizes = counts[rows]
        starts = np.cumsum(sizes) - sizes
        places = np.arange(sizes.sum()) - np.repeat(starts - first[rows], sizes)
        yield np.repeat(rows, sizes), places
