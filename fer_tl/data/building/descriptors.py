"""Short descriptions of sketches, in which copies stay near each other though they are moved, and other images do not.

A copy that was cropped anew has other low frequencies than its original, and how much other each of them is can be
computed: a crop is a linear map of a spectrum. So those directions are taken in which images of the set differ most
for what crops change: the generalized eigenvectors of linear discriminant analysis (Fisher, "The use of multiple
measurements in taxonomic problems", Annals of Eugenics 1936). Besides, each image is described as if it had been
cropped itself: one of these is near a copy that was.
"""

from __future__ import annotations

import numpy as np

from fer_tl.data.building.likeness import EVEN, spectra
from fer_tl.data.building.sketches import COSINES, FREQUENCIES, SKETCH

LENGTH = 64
"""Numbers of a description."""
UNIT = 256
"""Length of a description. Its entries are whole, -127..127, so that float32 holds every sum of products exactly: what
is found depends neither on the order of the images nor on threads."""
ALIKE = 0.70
"""Correlation of two descriptions from which their images may be copies: 15 in a million pairs of FER-2013's faces, and
all but 5 in 1,000 of those that all-pairs search finds there."""
VAGUE = 10
"""Most of the first odd entry of an image that may as well be turned the other way: one in five."""
_CROPS = np.array(
    [
        (0, 0, 0, 0),
        *(2 * np.eye(4)),
        *((1.2, 0, 1.2, 0), (1.2, 0, 0, 1.2), (0, 1.2, 1.2, 0), (0, 1.2, 0, 1.2)),
        (1, 1, 1, 1),
    ]
)
"""Pixels of 32 that are cut off at the top, bottom, left and right in each description of an image. For each there is
the mirrored one, so a mirrored image has the same descriptions, mirrored."""
WAYS = len(_CROPS)
"""Descriptions of an image: as it is, and cropped."""
_CHANGES = np.array([*(1.2 * np.eye(4)), *_CROPS[5:9]])
"""Crops that are to change little."""
_NOISE = 1e-3
"""Variance by compression, rescaling and marks of an entry of a spectrum of length 1, beside that by crops."""
_WHOLE = 2.0**12


class Descriptions:
    """Describes images of a set.

    Args:
        sample: sketches of different images of it, uint8 ``[B, 32, 32]``.

    Attributes:
        even: how many entries stay as they are where an image is mirrored: the first. The others change their sign.
    """

    def __init__(self, sample: np.ndarray) -> None:
        found = spectra(sample)  # [B, 256]
        norms = np.linalg.norm(found, axis=1, keepdims=True)
        unit = (found / np.maximum(norms, 1e-9))[norms[:, 0] > 0]
        moments = unit.T @ unit / max(1, len(unit))
        moments[EVEN[:, None] != EVEN] = 0  # mirrored images are of the set as well
        directions, self.even = _discriminants(moments)
        self._maps = np.rint(_WHOLE * np.stack([_crop(*sides).T @ directions for sides in _CROPS]))  # [10, 256, 64]

    def describe(self, sketches: np.ndarray) -> np.ndarray:
        """Sketches, uint8 ``[B, 32, 32]``, none constant, as int8 ``[B, 10, 64]``, all turned the same way: mirrored
        where their first odd entry is less than 0."""
        found = spectra(sketches)
        found = np.rint(_WHOLE / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1.0) * found)
        described = np.rint(found @ self._maps / _WHOLE).swapaxes(0, 1)  # sums of whole numbers, exact in any order
        norms = np.sqrt(np.vecdot(described, described))[..., None]
        whole = np.clip(np.rint(UNIT / np.maximum(norms, 1.0) * described), -127, 127).astype(np.int8)
        if self.even < LENGTH:
            whole[whole[:, 0, self.even] < 0, :, self.even :] *= -1
        return np.ascontiguousarray(whole)


def _discriminants(moments: np.ndarray) -> tuple[np.ndarray, int]:
    """Directions in which images differ and their crops do not, from the second moments of spectra of length 1,
    ``[256, 256]``: float64 ``[256, 64]``, even ones first, and how many these are."""
    from scipy.linalg import eigh  # a fifth of a second of import that plain runs do without

    changes = [_crop(*sides) - np.eye(FREQUENCIES**2) for sides in _CHANGES]
    within = sum(change @ moments @ change.T for change in changes) / len(changes)
    within += _NOISE * np.eye(len(moments))
    ratios, columns = [], []
    for same in (EVEN, ~EVEN):
        here = np.ix_(same, same)
        values, vectors = eigh(moments[here], within[here])
        whole = np.zeros((len(moments), len(values)))
        whole[same] = vectors * (values / (1 + values) / np.sqrt(np.maximum(values, 1e-9)))
        ratios.append(values)
        columns.append(whole)
    least = np.sort(np.concatenate(ratios))[-LENGTH]
    # eigh gives the least first.
    kept = [whole[:, values >= least][:, ::-1] for whole, values in zip(columns, ratios, strict=True)]
    return np.concatenate(kept, axis=1)[:, :LENGTH], kept[0].shape[1]


def _crop(top: float, bottom: float, left: float, right: float) -> np.ndarray:
    """What cutting off so many pixels makes of a spectrum: float64 ``[256, 256]``."""
    return np.kron(_crop_line(top, bottom), _crop_line(left, right))


def _crop_line(first: float, last: float) -> np.ndarray:
    """Likewise for 32 values in a line, of which the waves between pixels are known: float64 ``[16, 16]``."""
    places = (np.arange(SKETCH) + 0.5) * (1 - (first + last) / SKETCH) + first  # of pixels' middles, before
    waves = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * places / SKETCH) * np.sqrt(2 / SKETCH)
    waves[0] /= np.sqrt(2)
    return COSINES @ waves.T
