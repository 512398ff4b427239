"""Whether images that come one after the other are alike: classes in a row, frames of a film, a person's sitting."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from fer_tl.core.randomness import example_keys, key_of, uniform

RESAMPLES = 199
"""Random orders that the order is compared with."""
SURE = 0.01
"""The largest p at which an order is called one."""
LEAST = 0.02
"""The least effect that matters: chance finds smaller ones in large datasets too."""
FEWEST = 50
"""Images below which an order is not looked for."""
NEIGHBOURS = 10
MOST = 10_000
"""Images of a split among which like ones are looked for: time grows with the square of them."""


@dataclass(frozen=True)
class Order:
    """How far images that come one after the other are alike, pairs within a group left out.

    Attributes:
        split: whose images.
        images: whose names have numbers, in the order of these.
        label_excess: how much more often neighbours have the same label than by chance, as a share of what is possible:
            1 in the order of the classes, 0 by chance.
        label_p: of the label: share of random orders with as much, with the order itself.
        likeness: largest distance between the distributions of how far apart like images are, in this order and in any:
            0 by chance, up to 1.
        likeness_p: of the likeness, likewise.
    """

    split: str
    images: int
    label_excess: float
    label_p: float
    likeness: float
    likeness_p: float

    @property
    def by_label(self) -> bool:
        """Whether the order tells the label."""
        return self.label_p <= SURE and self.label_excess >= LEAST

    @property
    def by_likeness(self) -> bool:
        """Whether images that come one after the other look alike."""
        return self.likeness_p <= SURE and self.likeness >= LEAST

    @property
    def is_found(self) -> bool:
        """Either."""
        return self.by_label or self.by_likeness


def natural_order(ids: np.ndarray) -> np.ndarray:
    """Rows in the order of the whole numbers in their names, without folders and what follows a ``#`` (the faces of a
    photo); names that have none are left out, and equal numbers come in a fixed random order.

    Letters do not count, for many names hold the class: ``happy_1`` and ``sad_1`` are beside each other.

    Args:
        ids: text ``[N]``.

    Returns:
        int64 ``[M]``.
    """
    numbers = [tuple(map(int, re.findall(r"\d+", _name(str(each))))) for each in ids]
    drawn = uniform(example_keys(ids), "order")
    rows = [row for row, found in enumerate(numbers) if found]
    return np.array(sorted(rows, key=lambda row: (numbers[row], drawn[row])), np.int64)


def find_neighbours(features: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The ``NEIGHBOURS`` nearest of each image by its features; of many images, those of ``MOST``, drawn by their ids.

    Args:
        features: float ``[N, F]``.
        ids: text ``[N]``.

    Returns:
        int64 ``[N, NEIGHBOURS]``, rows; -1 where there is none, and for images that were not drawn.
    """
    from sklearn.neighbors import NearestNeighbors  # 0.5 s

    drawn = np.sort(np.argsort(uniform(example_keys(ids), "neighbours"), kind="stable")[:MOST])
    neighbours = np.full((len(ids), NEIGHBOURS), -1, np.int64)
    wanted = min(NEIGHBOURS, len(drawn) - 1)
    if wanted > 0:
        found = NearestNeighbors(n_neighbors=wanted, algorithm="brute").fit(features[drawn])
        neighbours[drawn, :wanted] = drawn[found.kneighbors(return_distance=False)]
    return neighbours


def look_at_order(
    split: str, order: np.ndarray, labels: np.ndarray, groups: np.ndarray, neighbours: np.ndarray
) -> Order | None:
    """Test the order of a split against random ones.

    Labels: how often the next image has the same one, Mood, "The distribution theory of runs", Annals of Mathematical
    Statistics 11, 1940, for several kinds. Likeness: Cummings, Snorrason and Mueller, "Detecting dataset drift and
    non-IID sampling via k-nearest neighbors", arXiv 2305.15696, 2023, as in cleanlab's Datalab: how far apart in the
    order an image and those most like it are, by Smirnov's one-sided statistic. Both by permutation, p as Phipson
    and Smyth (2010) have it.

    Args:
        split: its name.
        order: rows, int64 ``[M]``.
        labels: int ``[N]``.
        groups: text ``[N]``; images of one group are alike anyway, and stay together in folds.
        neighbours: rows of those that look most like each image, int ``[N, k]``; -1 for none.

    Returns:
        None for fewer than ``FEWEST`` images, or where nearly all that follow each other are in one group.
    """
    if len(order) < FEWEST:
        return None
    _, group = np.unique(groups, return_inverse=True)
    after = np.flatnonzero(group[order[1:]] != group[order[:-1]])  # places whose next image is of another group
    if len(after) < FEWEST // 2:
        return None
    place = np.full(len(labels), -1)
    place[order] = np.arange(len(order))
    pairs = _pairs(order, place, neighbours, group)  # [P, 2], places
    rng = np.random.default_rng(key_of("order", split, len(order)))
    inside, background = labels[order], _background(len(order))
    same = np.empty(1 + RESAMPLES)
    apart = np.zeros(1 + RESAMPLES)
    for draw in range(1 + RESAMPLES):
        moved = rng.permutation(len(order)) if draw else np.arange(len(order))
        drawn = inside[moved]
        same[draw] = (drawn[after] == drawn[after + 1]).mean()
        if len(pairs):
            apart[draw] = _distance(np.abs(moved[pairs[:, 0]] - moved[pairs[:, 1]]), background)
    counts = np.bincount(inside)
    chance = float((counts * (counts - 1.0)).sum() / (len(order) * (len(order) - 1.0)))
    excess = (same[0] - chance) / (1 - chance) if chance < 1 else 0.0
    return Order(split, len(order), float(excess), _p(same), float(max(apart[0] - apart[1:].mean(), 0)), _p(apart))


def _name(identity: str) -> str:
    return identity.partition("#")[0].rsplit("/", 1)[-1]


def _pairs(order: np.ndarray, place: np.ndarray, neighbours: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Places in the order of each image and of those like it, of other groups: int64 ``[P, 2]``."""
    rows = np.repeat(order, neighbours.shape[1])
    others = neighbours[order].ravel()
    good = (others >= 0) & (place[others] >= 0) & (group[rows] != group[others])
    return np.stack([place[rows[good]], place[others[good]]], axis=1)


def _background(number: int) -> np.ndarray:
    """How likely two images of a random order are at most so far apart: float64 ``[number]``, by the distance."""
    chances = np.r_[0, number - np.arange(1.0, number)] / (number * (number - 1) / 2)
    found: np.ndarray = np.cumsum(chances)
    return found


def _distance(apart: np.ndarray, background: np.ndarray) -> float:
    shares = np.cumsum(np.bincount(apart, minlength=len(background))) / len(apart)
    return float((shares - background).max())  # closer than by chance, not farther: groups leave out near ones


def _p(values: np.ndarray) -> float:
    """Of the first: the share of all that are as large, itself among them."""
    return float((values >= values[0] - 1e-12).mean())
