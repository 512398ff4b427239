"""How alike the images of a set are to begin with, and what that asks of two of them before they count as copies.

Two faces that are cut out of different photographs have little in common. Those of one laboratory share ground, light
and pose, and those behind one mask its outline; drawn ones consist of a few shapes. A correlation that is one in a
million among the former is nothing among the latter. So a sample of the set is looked at first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_tl.data.building.sketches import COSINES, FREQUENCIES, SKETCH, WEIGHTS

ENOUGH = 32
"""Images below which nothing can be said of what all have in common."""

SAMPLE = 1024
"""Images that are looked at: their pairs take 30 ms."""

TYPICAL = 0.16
"""Correlation of every second pair of sketches from which a set shares one scene. 0.07 of FER-2013's faces, 0.04 of
ExpW's photos, 0.10 of drawn faces on different grounds; 0.25 to 0.7 before one ground or behind one mask."""

_PAIRED = 256
"""Those of them of which the pairs are looked at again and again."""

_SHARED = 0.07
"""What is left of it where what they share is taken out: as of FER-2013."""

CROWDED = 0.40
"""Correlation of one pair in a hundred, without what all share, from which chance makes pairs that look like copies:
0.34 of FER-2013's faces, 0.24 of ExpW's photos, 0.46 to 0.84 of drawn ones."""

EVEN = np.tile(np.arange(FREQUENCIES) % 2 == 0, (FREQUENCIES, 1)).ravel()
"""Which frequencies stay as they are when an image is mirrored; the others change their sign, [256]."""


@dataclass(frozen=True)
class Likeness:
    """What a set of sketches asks for.

    Attributes:
        crowded: chance makes pairs that look like copies, so light and layout have to agree as well.
        shared: float64 ``[256, 256]``, takes what all have in common out of a spectrum; None where that is little.

    Both together: the images show one scene, such as a laboratory's.
    """

    crowded: bool = False
    shared: np.ndarray | None = None

    def take_out(self, sketches: np.ndarray) -> np.ndarray:
        """Sketches, uint8 ``[B, 32, 32]``, without what all have in common."""
        if self.shared is None or not len(sketches):
            return sketches
        return _draw(spectra(sketches) @ self.shared)


def look_at(sketches: np.ndarray) -> Likeness:
    """How alike a sample is, of different images: uint8 ``[B, 32, 32]``, in an order that theirs in the set has no
    part in, for the sums are rounded."""
    found = spectra(sketches)  # [B, 256]
    norms = np.linalg.norm(found, axis=1)
    clear = norms > 0
    if clear.sum() < ENOUGH:
        return Likeness()
    unit = found[clear] / norms[clear, None]
    found = _correlations(unit)
    shared = None
    if np.quantile(found, 0.5) > TYPICAL:
        shared = _find_shared(unit)
        found = _correlations(_unit(unit @ shared))
    return Likeness(bool(np.quantile(found, 0.99) > CROWDED), shared)


def spectra(sketches: np.ndarray) -> np.ndarray:
    """The lowest frequencies of sketches, uint8 ``[B, 32, 32]``, as float64 ``[B, 256]``; the means are left out."""
    found = COSINES @ (np.asarray(sketches, np.float64) - 128) @ COSINES.T  # [B, 16, 16]
    found[:, 0, 0] = 0
    return found.reshape(-1, FREQUENCIES**2)


def light_and_layout(sketches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sketches, uint8 ``[B, 32, 32]``, as the pictures were before their frequencies were weighted, and with the
    frequencies below 3.5 only: uint8 ``[B, 32, 32]`` each."""
    found = spectra(sketches)
    weights = np.maximum(WEIGHTS, 1).ravel()
    return _draw(found / weights), _draw(found * (weights < 3.5))


def _find_shared(unit: np.ndarray) -> np.ndarray:
    """Weakens the directions in which most of the spectra, ``[B, 256]`` of length 1, lie, until every second pair is
    alike no more than photographs of different people."""
    moments = unit.T @ unit / len(unit)
    # Mirrored images are of the set as well.
    moments[EVEN[:, None] != EVEN] = 0
    sizes, directions = np.linalg.eigh(moments)
    limit, some = sizes[-1], unit[:_PAIRED]
    while True:
        limit *= 0.85
        kept = np.minimum(1, np.sqrt(limit / np.maximum(sizes, 1e-12)))
        matrix: np.ndarray = (directions * kept) @ directions.T
        if np.quantile(_correlations(_unit(some @ matrix)), 0.5) <= _SHARED or limit < 1e-3:
            return matrix


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)


def _correlations(unit: np.ndarray) -> np.ndarray:
    """Of every pair, the way round in which they are more alike: ``[B * (B - 1) / 2]``."""
    even = unit[:, EVEN] @ unit[:, EVEN].T
    odd = unit[:, ~EVEN] @ unit[:, ~EVEN].T
    return (even + np.abs(odd))[np.triu_indices(len(unit), 1)]


def _draw(spectrum: np.ndarray) -> np.ndarray:
    drawn = COSINES.T @ spectrum.reshape(-1, FREQUENCIES, FREQUENCIES) @ COSINES  # [B, 32, 32]
    peaks = np.abs(drawn).reshape(len(drawn), SKETCH * SKETCH).max(axis=1)[:, None, None]
    return np.rint(drawn * (127 / np.maximum(peaks, 1e-6)) + 128).astype(np.uint8)
