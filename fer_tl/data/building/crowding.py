"""How many images of a crowded set are compared with each other: the most alike of each, so that time grows with their
number and not with its square.

Of 3,000 drawn faces each looks like 250 others at the first glance, of 100,000 like 8,000. A copy is among the most
alike: recompressed or in other light it is the first, and moved by 4 % within the first 1 or 2 % of those 3,000.
"""

from __future__ import annotations

import numpy as np

MOST = 64
"""Others that an image is compared with closely; more where it is among the most alike of theirs."""
_COLUMNS = 2048
_WAITING = 2**18
"""Scores that are kept before all but the highest of each row are dropped."""


def most_alike(even: np.ndarray, odd: np.ndarray, rows: slice, least: float) -> tuple[np.ndarray, np.ndarray]:
    """How alike another image has to be to count among the `MOST` most alike of one.

    Args:
        even: float32 ``[M, 18]``, see ``signatures_of``.
        odd: likewise.
        rows: those of a block.
        least: score from which images look alike at all.

    Returns:
        float32 ``[B]`` scores, ``least`` where fewer look alike, and int64 ``[B]`` how many do.
    """
    count = len(even[rows])
    needed, number = np.full(count, least, np.float32), np.zeros(count, np.int64)
    kept = np.zeros(0, np.int64), np.zeros(0, np.float32)  # rows and scores
    for begin in range(0, len(even), _COLUMNS):
        other = slice(begin, begin + _COLUMNS)
        scores = np.abs(odd[rows] @ odd[other].T)
        scores += even[rows] @ even[other].T  # [B, C]
        number += (scores >= least).sum(axis=1)
        row, column = np.nonzero(scores >= needed[:, None])
        kept = np.concatenate([kept[0], row]), np.concatenate([kept[1], scores[row, column]])
        if len(kept[0]) > _WAITING or begin + _COLUMNS >= len(even):
            kept = _highest(*kept)
            full = np.bincount(kept[0], minlength=count) > MOST
            lowest = np.full(count, np.inf, np.float32)
            np.minimum.at(lowest, kept[0], kept[1])
            needed[full] = lowest[full]
    return needed, number - 1  # without itself


def _highest(rows: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row the highest scores: itself, and `MOST` others."""
    order = np.lexsort((-scores, rows))
    rows, scores = rows[order], scores[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return rows[place <= MOST], scores[place <= MOST]
