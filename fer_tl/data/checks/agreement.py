"""How far the people who labelled a dataset agree, where their votes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from fer_tl.data.examples import Example
from fer_tl.sources.votes import MEASURE

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Agreement:
    """What the votes on N images say.

    Attributes:
        choices: what could be voted for, V names.
        ids: of the images, text ``[N]``.
        class_names: their labels, text ``[N]``.
        votes: float64 ``[N, V]``, 0 or more; two or more an image.
        alpha: Krippendorff's of nominal values, 1 where all agree, 0 as by chance.
        low: lower bound of its 95 % interval over groups of images.
        high: upper one.
    """

    choices: tuple[str, ...]
    ids: np.ndarray
    class_names: np.ndarray
    votes: np.ndarray
    alpha: float
    low: float
    high: float

    @property
    def majority(self) -> np.ndarray:
        """Share of an image's votes that its most frequent choice has: float64 ``[N]``, 0..1."""
        found: np.ndarray = self.votes.max(axis=1) / self.votes.sum(axis=1)
        return found

    @property
    def pairwise(self) -> np.ndarray:
        """Share of the pairs of voters who agree on an image: float64 ``[N]``, 0..1 (Fleiss, 1971)."""
        number = self.votes.sum(axis=1)
        found: np.ndarray = (self.votes * (self.votes - 1)).sum(axis=1) / (number * (number - 1))
        return found

    def describe_votes(self, row: int) -> str:
        """The votes on one image, the most frequent choice first: ``4 fear, 3 surprise``."""
        order = np.argsort(-self.votes[row], kind="stable")
        return ", ".join(f"{self.votes[row, k]:g} {self.choices[k]}" for k in order if self.votes[row, k])


def find_agreement(examples: Sequence[Example]) -> Agreement | None:
    """How far votes agree; None where no build has kept counts of them.

    Krippendorff, "Content analysis", 2004, chapter 11: any number of voters an image, of whom nobody needs to know who
    they are. The interval is the jackknife's over groups.

    Args:
        examples: of a dataset; those with counts of votes among their measures, two or more, are looked at.
    """
    names = sorted({name for each in examples for name in each.measures if name.startswith(MEASURE)})
    chosen = [each for each in examples if sum(each.measures.get(name, 0.0) for name in names) >= 2]
    if not chosen:
        return None
    votes = np.array([[each.measures.get(name, 0.0) for name in names] for each in chosen])
    _, group = np.unique([each.group for each in chosen], return_inverse=True)
    alpha, low, high = _alpha(votes, group)
    return Agreement(
        tuple(name.removeprefix(MEASURE) for name in names),
        np.array([each.id for each in chosen]),
        np.array([each.class_name for each in chosen]),
        votes,
        alpha,
        low,
        high,
    )


def _alpha(votes: np.ndarray, group: np.ndarray) -> tuple[float, float, float]:
    number = votes.sum(axis=1)
    disagreed = (votes * (number[:, None] - votes)).sum(axis=1) / (number - 1)
    parts = np.column_stack([disagreed, votes])  # sums of these give it: [N, 1 + V]
    sums = np.stack([np.bincount(group, column) for column in parts.T], axis=1)  # [G, 1 + V]
    total = sums.sum(axis=0)
    alpha = float(_of_sums(total[None])[0])
    if len(sums) < 2:
        return alpha, float("nan"), float("nan")
    without = _of_sums(total - sums)  # [G]
    spread = np.sqrt((len(sums) - 1) / len(sums) * ((without - without.mean()) ** 2).sum())
    half = float(norm.ppf((1 + LEVEL) / 2) * spread)
    return alpha, alpha - half, min(alpha + half, 1.0)


def _of_sums(sums: np.ndarray) -> np.ndarray:
    """Alpha of each row: 1 where nobody chose anything else, for then nothing can differ."""
    totals = sums[:, 1:]
    number = totals.sum(axis=1)
    expected = (totals * (number[:, None] - totals)).sum(axis=1) / np.maximum(number - 1, 1)
    return 1 - np.divide(sums[:, 0], expected, out=np.zeros(len(sums)), where=expected > 0)
