"""Policies draw every operation as often, at the strengths of their papers, and do what their parts do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fer_tl.augment.geometry import IDENTITY, draw_transforms
from fer_tl.augment.photometry import draw_photometry
from fer_tl.augment.policies import LARGEST, UNSIGNED, draw_operations
from fer_tl.core.config import Augment
from fer_tl.core.randomness import example_keys

STILL = Augment(rotation=0, shear=0, zoom=0, shift=0, flip=False)
TRIVIAL, RAND = replace(STILL, policy="trivial"), replace(STILL, policy="rand")
COUNT = 6000
KEYS = example_keys(np.array([f"{i}.png" for i in range(COUNT)]))
SIZE = (24, 32)  # not square, so that swapped axes show


def shares(slot: dict[str, np.ndarray]) -> np.ndarray:
    """Amounts as shares of the largest: float64 ``[N, 10]``."""
    return np.stack([slot[name] / largest for name, largest in LARGEST.items()], axis=1)


@pytest.mark.parametrize(("augment", "operations"), [(STILL, 0), (TRIVIAL, 1), (RAND, 2)])
def test_each_operation_is_as_likely_as_any_other_and_as_none(augment: Augment, operations: int) -> None:
    drawn = draw_operations(augment, KEYS, 0, 0, 1)
    assert len(drawn) == operations
    for slot in drawn:
        done = shares(slot) != 0
        assert done.sum(axis=1).max() == 1
        chances = [*done.mean(axis=0), 1 - done.any(axis=1).mean()]
        np.testing.assert_allclose(chances, 1 / 11, atol=5 * np.sqrt(10 / 121 / COUNT))
    if operations == 2:
        first, second = (shares(slot) != 0 for slot in drawn)
        both = first.T.astype(float) @ second / COUNT  # [10, 10]: how often an operation follows another one
        np.testing.assert_allclose(both, 1 / 121, atol=5 * np.sqrt(1 / 121 / COUNT))


def test_strengths_are_drawn_evenly_or_fixed_and_go_both_ways() -> None:
    (slot,) = draw_operations(TRIVIAL, KEYS, 0, 0, 1)
    for name, amounts in slot.items():
        found = amounts[amounts != 0] / LARGEST[name]
        assert np.abs(found).mean() == pytest.approx(0.5, abs=0.07)
        assert np.abs(found).max() == pytest.approx(1, abs=0.02)
        assert np.mean(found < 0) == pytest.approx(0.0 if name in UNSIGNED else 0.5, abs=0.12)
        if name not in UNSIGNED:
            assert np.abs(found[found < 0]).mean() == pytest.approx(0.5, abs=0.1)  # whatever the strength
    for strength, expected in ((None, 0.3), (0.7, 0.7)):
        for slot in draw_operations(replace(RAND, strength=strength), KEYS, 0, 0, 1):
            found = np.abs(shares(slot))
            np.testing.assert_allclose(found[found > 0], expected)


@pytest.mark.parametrize("augment", [TRIVIAL, RAND])
def test_operations_belong_to_the_image_and_to_seed_fold_and_epoch(augment: Augment) -> None:
    order = np.random.default_rng(0).permutation(COUNT)[:100]
    whole, some = (draw_operations(augment, keys, 0, 0, 1) for keys in (KEYS, KEYS[order]))
    for one, other in zip(whole, some, strict=True):
        np.testing.assert_array_equal(shares(one)[order], shares(other))
    for stream in ((1, 0, 1), (0, 1, 1), (0, 0, 2)):
        other = draw_operations(augment, KEYS, *stream)
        same = [(shares(one) == shares(two)).all(axis=1).mean() for one, two in zip(whole, other, strict=True)]
        assert max(same) < 0.15  # by chance 1 in 11, where the strength is fixed, or none is done


def test_an_image_is_moved_or_relit_as_it_was_drawn() -> None:
    """One image of each operation: its map is that of a turn, a slant or a shift, its light that of the amount."""
    (slot,) = draw_operations(TRIVIAL, KEYS, 0, 0, 1)
    transforms = draw_transforms(TRIVIAL, KEYS, SIZE, 0, 0, 1)
    light = draw_photometry(TRIVIAL, KEYS, SIZE, SIZE, 0, 0, 1)
    assert light is not None
    amount, row = {}, {}
    for name, amounts in slot.items():
        row[name] = int(np.flatnonzero(amounts)[0])
        amount[name] = amounts[row[name]]
    for name in ("brightness", "contrast", "gamma", "blur", "noise"):
        np.testing.assert_allclose(transforms[row[name]], IDENTITY, atol=1e-5)
    centre = np.array([15.5, 11.5, 1])
    for name in ("rotation", "shear-x", "shear-y", "shift-x", "shift-y"):
        a, b, _, d, e, _ = moved = transforms[row[name]].astype(np.float64)
        if name == "rotation":
            assert np.rad2deg(np.arctan2(d, a)) == pytest.approx(amount[name], abs=1e-4)
            np.testing.assert_allclose([a, b], [e, -d], atol=1e-6)
        else:
            slant = [1, amount[name] * (name == "shear-x"), amount[name] * (name == "shear-y"), 1]
            np.testing.assert_allclose([a, b, d, e], slant, atol=1e-6)
        x, y = moved[:3] @ centre, moved[3:] @ centre
        assert x - 15.5 == pytest.approx(32 * amount[name] if name == "shift-x" else 0, abs=1e-4)
        assert y - 11.5 == pytest.approx(24 * amount[name] if name == "shift-y" else 0, abs=1e-4)
    assert light.shifts[row["brightness"]] == pytest.approx(255 * amount["brightness"])
    assert light.contrasts[row["contrast"]] == pytest.approx(np.exp(amount["contrast"]))
    assert light.gammas[row["gamma"]] == pytest.approx(np.exp(amount["gamma"]))
    assert light.noises[row["noise"]] == pytest.approx(255 * amount["noise"])
    assert light.blurs[row["blur"]] == pytest.approx(amount["blur"])
    elsewhere = row["rotation"]
    assert (light.shifts[elsewhere], light.contrasts[elsewhere], light.gammas[elsewhere]) == (0, 1, 1)
    assert (light.noises[elsewhere], *light.blurs[elsewhere]) == (0, 0, 0)


def test_a_policy_adds_to_the_rest() -> None:
    """Twice the same operation is one of both amounts, and noise and blur add up as variances do."""
    augment = replace(RAND, brightness=0.2, contrast=0.5, noise=0.05, strength=1.0)
    slots = draw_operations(augment, KEYS, 0, 0, 1)
    alone = draw_photometry(replace(augment, policy="none", strength=None), KEYS, SIZE, SIZE, 0, 0, 1)
    light = draw_photometry(augment, KEYS, SIZE, SIZE, 0, 0, 1)
    assert light is not None
    assert alone is not None
    shifts = alone.shifts + 255 * sum(slot["brightness"] for slot in slots)
    contrasts = alone.contrasts * np.exp(sum(slot["contrast"] for slot in slots))
    variances = alone.noises.astype(float) ** 2 + 255**2 * sum(slot["noise"] ** 2 for slot in slots)
    np.testing.assert_allclose(light.shifts, shifts, rtol=0, atol=1e-3)
    np.testing.assert_allclose(light.contrasts, contrasts, rtol=1e-5)
    np.testing.assert_allclose(light.noises**2.0, variances, rtol=1e-4)
    assert np.abs(light.shifts).max() > 255 * (0.25 + 0.25)


def test_maps_of_a_policy_follow_those_of_the_rest() -> None:
    """Two operations on a mirrored image: the map of the rest is applied to where the policy's leads."""
    augment = replace(RAND, flip=True, rotation=15.0)
    rest = draw_transforms(replace(augment, policy="none"), KEYS[:200], SIZE, 0, 0, 1).astype(np.float64)
    policy = draw_transforms(replace(augment, flip=False, rotation=0.0), KEYS[:200], SIZE, 0, 0, 1).astype(np.float64)
    whole = draw_transforms(augment, KEYS[:200], SIZE, 0, 0, 1)
    assert min(len(np.unique(maps, axis=0)) for maps in (rest, policy)) > 30

    def matrices(maps: np.ndarray) -> np.ndarray:
        last = np.broadcast_to([0.0, 0.0, 1.0], (200, 1, 3))
        return np.concatenate([maps.reshape(200, 2, 3), last], axis=1)

    np.testing.assert_allclose(whole.reshape(200, 2, 3), (matrices(rest) @ matrices(policy))[:, :2], atol=1e-4)
