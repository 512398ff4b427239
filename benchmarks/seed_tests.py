"""How often the test over trainings and images finds equal recipes to differ, beside the test over images alone.

usage: python benchmarks/seed_tests.py [--data-sets 2000]
"""

from __future__ import annotations

import argparse

import numpy as np

from fer_tl.evaluation.comparison import sign_flip
from fer_tl.evaluation.two_sources import of_difference

GROUPS = 500
LUCK = (0.0, 0.05, 0.15)
"""Spread of the trainings of a recipe, where images spread by 1."""


def main() -> None:
    """Print one line for each number of trainings and spread of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-sets", type=int, default=2000)
    count = parser.parse_args().data_sets
    print(
        "| trainings a row | sd of their accuracies | over trainings p <= 0.05 | sign-flip p of two trainings <= 0.05 |"
    )
    print("| ---: | ---: | ---: | ---: |")
    rng = np.random.default_rng(0)
    for trainings in (2, 3, 5):
        for luck in LUCK:
            found = np.array([_compare(rng, trainings, luck) for _ in range(count)])  # [count, 3]
            spread, over, alone = found.mean(axis=0)
            print(f"| {trainings} | {100 * spread:.1f} points | {100 * over:.1f} % | {100 * alone:.1f} % |", flush=True)


def _compare(rng: np.random.Generator, trainings: int, luck: float) -> tuple[float, bool, bool]:
    """Standard deviation over the trainings of a recipe; whether it and its equal are found to differ by all trainings,
    and by the first of each."""
    groups = np.repeat(np.arange(GROUPS), rng.integers(1, 4, GROUPS))
    base = rng.normal(0.3, 1, GROUPS)
    one, other = (_draw(rng, base, groups, trainings, luck) for _ in range(2))
    p = of_difference(one, other, groups).p_value(one.mean() - other.mean())
    spread = float(one.mean(axis=1).std(ddof=1))
    return spread, p <= 0.05, sign_flip(one[0], other[0], groups.astype(str)) <= 0.05


def _draw(rng: np.random.Generator, base: np.ndarray, groups: np.ndarray, trainings: int, luck: float) -> np.ndarray:
    """Right answers of the trainings of a recipe, bool ``[S, N]``: each group is easy or hard, for this recipe more or
    less so, and each training is better or worse for all images."""
    own = rng.normal(0, 0.6, GROUPS)
    skill = (base + own)[groups] + rng.normal(0, luck, (trainings, 1))
    return skill + rng.normal(0, 0.4, (trainings, len(groups))) > rng.normal(0, 0.3, len(groups))


if __name__ == "__main__":
    main()
