"""Random numbers that belong to an example: the same in any order and process, even and independent otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from fer_tl.core.randomness import example_keys, key_of, uniform

IDS = np.array([f"train_{i:05d}.png" for i in range(20_000)])
KEYS = example_keys(IDS)


def chi_square(values: np.ndarray, bins: int) -> float:
    """Distance of a histogram over [0, 1) from an even one, in standard deviations of chi-square."""
    counts = np.bincount((values * bins).astype(int), minlength=bins)
    expected = len(values) / bins
    return float((((counts - expected) ** 2 / expected).sum() - (bins - 1)) / np.sqrt(2 * (bins - 1)))


def test_a_number_follows_its_id_not_its_place() -> None:
    order = np.random.default_rng(0).permutation(len(IDS))
    np.testing.assert_array_equal(
        uniform(example_keys(IDS[order]), "flip", 0, 1, 2), uniform(KEYS, "flip", 0, 1, 2)[order]
    )
    np.testing.assert_array_equal(uniform(example_keys(IDS[7:9]), "flip", 0), uniform(KEYS, "flip", 0)[7:9])


def test_keys_differ_between_ids() -> None:
    assert len(np.unique(KEYS)) == len(IDS)
    assert len(np.unique(example_keys(np.array(["1", "01", "1 ", "", "é", "e"])))) == 6


@pytest.mark.parametrize("stream", [("flip", 0, 0, 1), ("flip", 0, 0, 2), ("flip", 1, 0, 1), ("order", 0, 3, 1)])
def test_numbers_are_even_over_zero_to_one(stream: tuple[object, ...]) -> None:
    values = uniform(KEYS, *stream)
    assert values.dtype == np.float64
    assert values.min() >= 0
    assert values.max() < 1
    # Five standard deviations of each estimate.
    assert abs(values.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / len(values))
    assert abs(values.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / len(values))
    assert abs(chi_square(values, 100)) < 5
    assert abs(chi_square(values * 2**20 % 1, 100)) < 5  # the low bits too


@pytest.mark.parametrize(
    "other",
    [("zoom", 0, 0, 1), ("rotation", 1, 0, 1), ("rotation", 0, 1, 1), ("rotation", 0, 0, 2), ("rotation", 0, 1, 0)],
    ids=["purpose", "seed", "fold", "epoch", "swapped"],
)
def test_streams_are_independent(other: tuple[object, ...]) -> None:
    one, two = uniform(KEYS, "rotation", 0, 0, 1), uniform(KEYS, *other)
    assert abs(np.corrcoef(one, two)[0, 1]) < 5 / np.sqrt(len(KEYS))
    cells = (one * 10).astype(int) * 10 + (two * 10).astype(int)
    assert abs(chi_square((cells + 0.5) / 100, 100)) < 5


def test_neighbouring_ids_are_independent() -> None:
    values = uniform(KEYS, "rotation", 0, 0, 1)
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 5 / np.sqrt(len(KEYS))


def test_the_parts_of_a_stream_do_not_run_together() -> None:
    assert len({key_of("a", 11, 1), key_of("a", 1, 11), key_of("a", 111), key_of("a1", 11), key_of("a", "11", 1)}) == 5


# From BLAKE2b and SplitMix64 in plain Python integers; other values would silently change every run there is.
PINNED = (3399199061963709799, [0.5749936697876551, 0.9571754042871882])


def test_numbers_are_the_same_in_every_process() -> None:
    code = (
        "import numpy as np; from fer_tl.core.randomness import *; "
        "print(key_of('flip', 0, 1), uniform(example_keys(np.array(['a', 'b'])), 'flip', 0, 1).tolist())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    here = key_of("flip", 0, 1), uniform(example_keys(np.array(["a", "b"])), "flip", 0, 1).tolist()
    assert here == PINNED
    assert run.stdout.strip() == f"{here[0]} {here[1]}"
