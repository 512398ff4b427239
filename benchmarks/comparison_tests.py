"""How often the tests and intervals of `fer-tl compare` are wrong, on drawn answers whose truth is known.

usage: python benchmarks/comparison_tests.py [--data-sets 1000]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy import special

from fer_tl.evaluation.comparison import compare_pairs

GROUPS = 300
ROWS = 5
NOISE = 0.4
"""Spread of the rows' own luck beside what makes an image hard for all of them: some 15 % of answers differ."""
SIZES = {
    "one image each": lambda rng: np.ones(GROUPS, np.int64),
    "copies, 1 to 3": lambda rng: rng.choice([1, 2, 3], GROUPS, p=[0.9, 0.07, 0.03]),
    "photos, 1 to 40": lambda rng: np.minimum(40, rng.geometric(0.3, GROUPS) ** 2),
}

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]  # right [R, N], groups [N], accuracies expected [R]


def main() -> None:
    """Print one line for each kind of groups and of truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-sets", type=int, default=1000)
    count = parser.parse_args().data_sets
    print("| groups | rows | truth | p <= 0.05 | adjusted p <= 0.05 | an interval misses the truth |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for name, sizes in SIZES.items():
        for rows in (2, ROWS):
            for truth, draw in (
                ("equal", draw_equal),
                ("equal, each better at its own", draw_opposed),
                ("unlike", draw_unlike),
            ):
                shares = measure(draw, sizes, rows, count)
                print(f"| {name} | {rows} | {truth} | {' | '.join(f'{100 * share:.1f} %' for share in shares)} |")


def measure(draw: Callable[..., Drawn], sizes: Callable[..., np.ndarray], rows: int, count: int) -> tuple[float, ...]:
    """Share of data sets in which one or more of the pairs of equal rows (of all, for intervals) is wrong."""
    rng = np.random.default_rng(0)
    wrong = np.zeros(3)
    for _ in range(count):
        right, groups, truth = draw(rng, sizes(rng), rows)
        pairs = compare_pairs(right, groups, None)
        equal = [pair for pair in pairs if abs(truth[pair.better] - truth[pair.other]) < 1e-12]
        wrong[0] += any(pair.sign_flip <= 0.05 for pair in equal)
        wrong[1] += any(pair.sign_flip_adjusted <= 0.05 for pair in equal)
        wrong[2] += any(
            not pair.interval[0] <= truth[pair.better] - truth[pair.other] <= pair.interval[1] for pair in pairs
        )
    return tuple((wrong / count).tolist())


def draw_equal(rng: np.random.Generator, sizes: np.ndarray, rows: int, lead: np.ndarray | None = None) -> Drawn:
    """Rows that are as good as one another; a group succeeds or fails as one. ``lead`` makes some better."""
    easy = rng.random(len(sizes))
    limit = 0.6 + (np.zeros(rows) if lead is None else lead)  # [R]
    right = easy + NOISE * rng.normal(size=(rows, len(sizes))) < limit[:, None]  # [R, G]
    return _spread(right, sizes, _expected(limit))


def draw_unlike(rng: np.random.Generator, sizes: np.ndarray, rows: int) -> Drawn:
    """Two rows are equal, each further one better than the one before."""
    return draw_equal(rng, sizes, rows, 0.05 * np.maximum(0, np.arange(rows) - 1))


def draw_opposed(rng: np.random.Generator, sizes: np.ndarray, rows: int) -> Drawn:
    """Equal accuracies; the first row is better at the largest groups, the others at the smaller ones.

    Groups are then not exchangeable between rows, which the sign-flip test supposes, but the accuracies are equal,
    which is what it is asked.
    """
    order = np.argsort(-sizes, kind="stable")
    many = np.cumsum(sizes[order]) <= sizes.sum() / 2
    large = np.zeros(len(sizes), bool)
    large[order[many]] = True
    share = sizes[large].sum() / sizes.sum()
    chance = np.where(large, 0.6 - 0.1 * (1 - share), 0.6 + 0.1 * share)  # [G], 0.6 on average over the images
    first = np.where(large, 0.6 + 0.1 * (1 - share), 0.6 - 0.1 * share)
    chances = np.vstack([first, np.repeat(chance[None], rows - 1, axis=0)])  # [R, G]
    return _spread(rng.random(chances.shape) < chances, sizes, np.full(rows, 0.6))


def _spread(right: np.ndarray, sizes: np.ndarray, truth: np.ndarray) -> Drawn:
    """Answers of groups as those of their images."""
    return np.repeat(right, sizes, axis=1), np.repeat(np.arange(len(sizes)), sizes).astype(str), truth


def _expected(limit: np.ndarray) -> np.ndarray:
    """Chance that a uniform number and noise together are below the limit, float64 ``[R]``."""
    middle = (np.arange(100_000) + 0.5) / 100_000
    return np.array([special.ndtr((each - middle) / NOISE).mean() for each in limit])


if __name__ == "__main__":
    main()
