"""Learning rates: points worked out by hand, and nothing that depends on where a run was cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fer_tl.core.config import Schedule
from fer_tl.training.schedules import rate_factors

KINDS = ("constant", "step", "exponential", "cosine", "one_cycle", "plateau")
STEPS, EPOCHS = 10, 8  # steps an epoch, epochs


def factors(schedule: Schedule, steps: int = STEPS, epochs: int = EPOCHS) -> np.ndarray:
    """The factor of every step of a stage."""
    return rate_factors(schedule, 0, steps * epochs, steps, epochs)


@pytest.mark.parametrize("kind", ["constant", "plateau"])
def test_constant_and_plateau_do_not_move(kind: str) -> None:
    np.testing.assert_array_equal(factors(Schedule(kind=kind)), 1)  # type: ignore[arg-type]


def test_step_falls_once_every_so_many_epochs() -> None:
    values = factors(Schedule(kind="step", factor=0.5, every=3))
    np.testing.assert_allclose(values, np.repeat([1, 0.5, 0.25], [30, 30, 20]))


def test_step_may_fall_within_an_epoch() -> None:
    values = factors(Schedule(kind="step", factor=0.99, every=0.5))
    np.testing.assert_allclose(values[[0, 4, 5, 9, 10, 79]], 0.99 ** np.array([0, 0, 1, 1, 2, 15]))


def test_exponential_is_smooth_and_meets_the_factor() -> None:
    values = factors(Schedule(kind="exponential", factor=0.1, every=2))
    np.testing.assert_allclose(values[[0, 10, 20, 40]], [1, 10**-0.5, 0.1, 0.01])
    np.testing.assert_allclose(values[1:] / values[:-1], 0.1 ** (1 / 20))


def test_cosine_goes_from_one_through_a_half_to_nearly_nothing() -> None:
    values = factors(Schedule(kind="cosine"))
    np.testing.assert_allclose(values[[0, 20, 40, 60]], [1, 0.5 + 0.5 * np.sqrt(0.5), 0.5, 0.5 - 0.5 * np.sqrt(0.5)])
    assert 0 < values[-1] < 1e-3
    assert np.all(np.diff(values) < 0)


def test_cosine_ends_with_its_stage() -> None:
    """What is asked for beyond the end stays at nothing and does not rise again."""
    np.testing.assert_allclose(rate_factors(Schedule(kind="cosine"), 80, 50, STEPS, EPOCHS), 0, atol=1e-12)


def test_one_cycle_rises_for_three_tenths_and_falls_by_cosines() -> None:
    values = factors(Schedule(kind="one_cycle"), steps=100, epochs=10)
    np.testing.assert_allclose(values[[0, 150, 300, 650]], [0.04, 0.52, 1, (1 + 1e-4) / 2], rtol=1e-6)
    assert values.argmax() == 300
    assert np.all(np.diff(values[:301]) > 0) and np.all(np.diff(values[300:]) < 0)
    np.testing.assert_allclose(values[299:302], 1, atol=1e-4)  # flat at the top, without a jump
    assert values[-1] == pytest.approx(1e-4, abs=1e-5)
    np.testing.assert_allclose(rate_factors(Schedule(kind="one_cycle"), 1000, 9, 100, 10), 1e-4)  # and stays there
    # The very shape whatever the number of steps.
    np.testing.assert_allclose(values[::50], factors(Schedule(kind="one_cycle"), steps=2, epochs=10))


@pytest.mark.parametrize("kind", KINDS[:4])
def test_warm_up_rises_evenly_and_reaches_one(kind: str) -> None:
    values = factors(Schedule(kind=kind, warmup=2, every=3, factor=0.5))  # type: ignore[arg-type]
    np.testing.assert_allclose(values[:20], np.arange(1, 21) / 20)
    after = factors(Schedule(kind=kind, every=3, factor=0.5), epochs=EPOCHS - 2)  # type: ignore[arg-type]
    np.testing.assert_allclose(values[20:], after)  # then the shape over what is left


def test_warm_up_may_be_part_of_an_epoch() -> None:
    values = factors(Schedule(kind="cosine", warmup=0.5))
    np.testing.assert_allclose(values[:6], [0.2, 0.4, 0.6, 0.8, 1, 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warmup", [0.0, 0.3, 1.0, 2.5, 8.0, 20.0])
@pytest.mark.parametrize("steps", [1, 7, 10])
def test_factors_are_never_above_one_nor_below_nothing(kind: str, warmup: float, steps: int) -> None:
    values = factors(Schedule(kind=kind, warmup=warmup, factor=0.7, every=1.5), steps)  # type: ignore[arg-type]
    assert values.shape == (steps * EPOCHS,)
    assert values.max() <= 1
    assert values.min() >= 0
    assert values[0] > 0  # the first step learns something


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warmup", [0.0, 1.3])
def test_parts_make_the_whole(kind: str, warmup: float) -> None:
    schedule = Schedule(kind=kind, warmup=warmup, factor=0.3, every=1.7)  # type: ignore[arg-type]
    cuts = [0, 1, 9, 10, 33, 80]
    parts = [rate_factors(schedule, a, b - a, STEPS, EPOCHS) for a, b in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(parts), factors(schedule))
