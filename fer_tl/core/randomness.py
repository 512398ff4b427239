"""Stateless random numbers, keyed on what they are for and on the example they belong to.

A number drawn here depends on (purpose, seed, fold, epoch, example id) and on nothing else, so it is the same in
whatever order, batch, process or resumed run the example is met.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

import numpy as np

# Increment and multipliers of SplitMix64: Steele, Lea & Flood, "Fast splittable pseudorandom number generators",
# OOPSLA 2014, with the finalizer constants of D. Stafford's variant 13.
INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def mix(z: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer: uint64 of any shape to well mixed uint64 of the same shape; arithmetic wraps around."""
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


def key_of(*parts: object) -> int:
    """A 64-bit key of a tuple of plain values (text, integers): the same on every machine and in every process."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "little")


def example_keys(ids: np.ndarray) -> np.ndarray:
    """One 64-bit key an example from its id: text ``[N]`` to uint64 ``[N]``. About 1 µs an id."""
    return np.fromiter(
        (int.from_bytes(blake2b(str(i).encode(), digest_size=8).digest(), "little") for i in ids), np.uint64, len(ids)
    )


def uniform(keys: np.ndarray, *stream: object) -> np.ndarray:
    """Uniform numbers in [0, 1), one an example: uint64 ``[N]`` to float64 ``[N]``.

    Args:
        keys: from ``example_keys``.
        stream: what the numbers are for, such as ``("rotation", seed, fold, epoch)``; other streams are independent.
    """
    mixed = mix(mix(keys ^ np.uint64(key_of(*stream))) + INCREMENT)
    return (mixed >> np.uint64(11)) * 2.0**-53


@contextmanager
def kept_states() -> Iterator[None]:
    """For what seeds Python and NumPy, or draws from them: afterwards their other users go on with the numbers that
    they would have had without it."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
