"""Images unlike all others: what was cropped beside a face, drawings, noise, photos that were not available."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

FEWEST = 100
"""Images below which none is called an outlier: so few do not tell what is usual."""
CHANCE = 0.05
"""Of calling any image an outlier where all are alike."""
_COMPONENTS = 40
_IMAGES_EACH = 20  # images that a component needs, at least: fewer would be explained by components of their own


@dataclass(frozen=True, eq=False)
class Outliers:
    """How far N images are from what all have in common.

    Attributes:
        deviations: of the logarithm of the distance above its median, in standard deviations as the quartiles tell
            them, the larger of tones and edges: float64 ``[N]``. Zeros for fewer than ``FEWEST`` images.
        is_beyond: whether it is farther by its tones than the farthest of so many normal values would be but with
            ``CHANCE`` (Davies and Gather, "The identification of multiple outliers", JASA 88, 1993): bool ``[N]``.
            Edges of good faces have longer tails than normal values, so they only put images in order.
    """

    deviations: np.ndarray
    is_beyond: np.ndarray


def find_outliers(tones: np.ndarray, edges: np.ndarray) -> Outliers:
    """How badly the principal components of all images explain each of them, Turk and Pentland, "Eigenfaces for
    recognition", J. Cognitive Neuroscience 3, 1991: the distance from face space.

    An image that is there in many copies makes a component of its own, so it is not found; clusters of duplicates are
    counted elsewhere.

    Args:
        tones: of ``features``.
        edges: likewise.
    """
    number = len(tones)
    if number < FEWEST:
        return Outliers(np.zeros(number), np.zeros(number, bool))
    by_tones, by_edges = _deviations(tones), _deviations(edges)
    return Outliers(np.maximum(by_tones, by_edges), by_tones > norm.isf(CHANCE / number))


def _deviations(values: np.ndarray) -> np.ndarray:
    distances = np.log(np.maximum(_from_space(values.astype(np.float64)), 1e-6))
    lower, median, upper = np.percentile(distances, (25, 50, 75))
    found: np.ndarray = (distances - median) * (norm.ppf(0.75) - norm.ppf(0.25)) / max(upper - lower, 1e-6)
    return found


def _from_space(values: np.ndarray) -> np.ndarray:
    """What the first components leave over of each row: ``[N, F]`` to ``[N]``."""
    centred = values - values.mean(axis=0)
    count = max(1, min(_COMPONENTS, len(values) // _IMAGES_EACH))
    _, vectors = np.linalg.eigh(centred.T @ centred)  # the largest last
    axes = vectors[:, -count:]
    found: np.ndarray = np.linalg.norm(centred - centred @ axes @ axes.T, axis=1)
    return found
