"""Several estimates in the same resamples of groups, with intervals that hold for all of them at once."""

from __future__ import annotations

import numpy as np
from scipy import special

from fer_tl.evaluation.intervals import RESAMPLES

LEVEL = 0.95
_CHUNK_VALUES = 4 * 2**20


def resampled_sums(values: np.ndarray, groups: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sums of values of examples, and the same of groups that are drawn with replacement, as many as there are.

    Args:
        values: float ``[F, N]``, such as whether an example is of a class.
        groups: int ``[N]``, the group of each example, from 0.
        seed: of the resamples, 0 or more. Neither names of groups nor the order of examples decide what is drawn.

    Returns:
        float64 ``[F]`` and ``[RESAMPLES, F]``.
    """
    sums = np.stack([np.bincount(groups, row) for row in values], axis=1)  # [G, F]
    # Groups with the same sums are interchangeable: they are drawn together. ``unique`` sorts them by their sums.
    kinds, counts = np.unique(sums.round(9), axis=0, return_counts=True)
    total, rng = int(counts.sum()), np.random.default_rng(seed)
    chunk = max(1, _CHUNK_VALUES // len(kinds))
    parts = [
        rng.multinomial(total, counts / total, min(chunk, RESAMPLES - start)) @ kinds
        for start in range(0, RESAMPLES, chunk)
    ]
    return sums.sum(axis=0), np.concatenate(parts)


def largest_deviations(found: np.ndarray, sampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors of estimates, and in each resample the largest deviation of any, in such errors (max-T).

    Source: P. Westfall and S. Young, Resampling-Based Multiple Testing (1993), chapter 2, single-step.

    Args:
        found: M estimates.
        sampled: the same of resamples, ``[R, M]``; NaN where one has no examples there.

    Returns:
        float64 ``[M]``, and ``[R]`` in ascending order.
    """
    errors = np.nanstd(sampled, axis=0)
    deviations = np.abs(sampled - found) / np.where(errors > 0, errors, np.inf)
    return errors, np.sort(np.nan_to_num(deviations).max(axis=1))


def adjust(p_values: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """p of several tests, float64 ``[M]``, corrected for all of them: the share of resamples whose largest deviation is
    beyond the score of each, at most M p (Bonferroni).

    Args:
        p_values: two-sided, ``[M]``.
        largest: deviations of resamples in standard errors, in ascending order, see ``largest_deviations``.
    """
    if len(p_values) < 2:
        return p_values
    scores = -special.ndtri(p_values / 2)  # [M]; infinite for the smallest, which Bonferroni's bound decides
    beyond = len(largest) - np.searchsorted(largest, scores, "left")
    shares = (1 + beyond) / (1 + len(largest))
    adjusted: np.ndarray = np.maximum(p_values, np.minimum(shares, np.minimum(1, len(p_values) * p_values)))
    return adjusted


def reaches(errors: np.ndarray, largest: np.ndarray, groups: np.ndarray | int) -> np.ndarray:
    """How far intervals that hold at once with 95 % reach to either side, float64 ``[M]``.

    The variance over resamples of G groups is (G - 1) / G of the unbiased one, and with few groups it is itself
    uncertain: wider by sqrt(G / (G - 1)), and t with G - 1 degrees of freedom in place of z. Of a single mean this is
    the interval of Student's t.

    Source: T. Hesterberg, What Teachers Should Know About the Bootstrap, American Statistician 69 (2015), section 3.2,
    who calls what is mended here the narrowness bias of the percentile interval.

    Args:
        errors: standard errors, ``[M]``.
        largest: from ``largest_deviations``.
        groups: G that each estimate rests on, 2 or more.
    """
    tail = (1 + LEVEL) / 2
    few = np.sqrt(groups / (groups - 1)) * special.stdtrit(groups - 1, tail) / special.ndtri(tail)
    reach: np.ndarray = np.quantile(largest, LEVEL) * few * errors
    return reach
