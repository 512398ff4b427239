"""Whether a class is told by how its pictures look instead of by faces: darker, blurred, smaller, with borders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

SMALL, MEDIUM = 0.56, 0.64
"""Probabilities from which a difference between two groups is small and medium: Vargha and Delaney, "A critique and
improvement of the CL common language effect size statistics", J. Educational and Behavioral Statistics 25, 2000."""
FEWEST = 10
"""Groups of images that a class must have, for an interval of fewer says nothing."""
LEVEL = 0.95


@dataclass(frozen=True)
class Association:
    """How one property of the images of a class differs from that of all others.

    Attributes:
        look: the property.
        class_name: of the class.
        share: probability that an image of the class has more of it than one of the others, ties half: 0..1, 0.5
            without a difference.
        low: the lower bound of its interval, which holds for all classes and properties at once.
        high: the upper one.
    """

    look: str
    class_name: str
    share: float
    low: float
    high: float

    @property
    def is_found(self) -> bool:
        """Whether it is surely more than small: a network can gain by looking at this instead of at the face."""
        return self.low > SMALL or self.high < 1 - SMALL

    @property
    def distance(self) -> float:
        """From no difference: 0..0.5."""
        return abs(self.share - 0.5)


def associate(
    looks: Mapping[str, np.ndarray], labels: np.ndarray, class_names: Sequence[str], groups: np.ndarray
) -> list[Association]:
    """Compare each class with all others, property by property.

    The probability is the statistic of Mann and Whitney over the number of pairs (the area under the ROC curve). Its
    variance is that of Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53, 1997, since
    copies and pictures of one person are not independent; its interval is Wilson's for a share of as many images as
    give this variance. Bonferroni's correction is for all comparisons together.

    Args:
        looks: float64 ``[N]`` of each property; a value that is not known is NaN, and left out.
        labels: int ``[N]``.
        class_names: the K names.
        groups: text ``[N]``.

    Returns:
        One for each property that differs between images at all, and class with ``FEWEST`` groups or more, as have the
        others together; in the order of both.
    """
    _, group = np.unique(groups, return_inverse=True)
    found = []
    for look, values in looks.items():
        known = np.isfinite(values)
        if not known.any() or np.ptp(values[known]) == 0:
            continue
        x, of, inside = values[known], group[known], labels[known]
        for label, name in enumerate(class_names):
            own = inside == label
            counts = [len(np.unique(of[side])) for side in (own, ~own)]
            if min(counts) >= FEWEST:
                found.append((look, name, *_compare(x, own, of), min(counts)))
    quantile = float(norm.ppf(1 - (1 - LEVEL) / (2 * max(len(found), 1))))
    return [
        Association(look, name, share, *_wilson(share, variance, fewest, quantile))
        for look, name, share, variance, fewest in found
    ]


def _compare(values: np.ndarray, own: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """The probability and its variance: values ``[N]``, whose are of the class, bool ``[N]``, group numbers ``[N]``."""
    ranks = rankdata(values)
    first, second = int(own.sum()), int((~own).sum())
    placements = np.empty(len(values))  # the share of the other side that each image is above, or below
    placements[own] = (ranks[own] - rankdata(values[own])) / second
    placements[~own] = 1 - (ranks[~own] - rankdata(values[~own])) / first
    share = float(placements[own].mean())
    influence = np.bincount(group, (placements - share) / np.where(own, first, second))  # [G], of groups
    present = len(np.unique(group))
    return share, float((influence**2).sum() * present / (present - 1))


def _wilson(share: float, variance: float, fewest: int, z: float) -> tuple[float, float]:
    """Interval of a share (Wilson, JASA 22, 1927); where all of one side are above all of the other, the variance is 0,
    and each group of the smaller side counts once."""
    size = share * (1 - share) / variance if variance > 0 and 0 < share < 1 else fewest
    middle, half = share + z**2 / (2 * size), z * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    return float((middle - half) / (1 + z**2 / size)), float((middle + half) / (1 + z**2 / size))
