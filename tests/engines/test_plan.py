"""The plan of an epoch: every image once, whatever the batch size, in an order that belongs to the images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fer_tl.augment.geometry import IDENTITY, draw_transforms
from fer_tl.augment.mixing import Mixing, draw_erased, draw_mixing
from fer_tl.augment.photometry import draw_photometry
from fer_tl.core.config import Augment
from fer_tl.core.randomness import example_keys
from fer_tl.engines.plan import EpochPlan, adjustment, balanced_weights, plan_epoch, sample_evenly, steps_per_epoch

ROWS = np.arange(100, 150)
IDS = np.array([f"{i}.png" for i in range(50)])
KEYS = example_keys(IDS)
SIZE = (24, 32)
STILL = Augment(rotation=0, shear=0, zoom=0, shift=0, flip=False)
MOVING = Augment(rotation=20, shear=10, zoom=0.2, shift=0.1, flip=True)
LIGHT = {"brightness": 0.2, "contrast": 0.5, "gamma": 0.5, "blur": 1.0, "noise": 0.1}
EVERYTHING = Augment(
    rotation=20, vertical_flip=True, mixup=0.4, cutmix=1.0, erase=0.5, crop=0.5, policy="trivial", **LIGHT
)
OFFSETS = np.array([-1.0, -2.0, -3.0])
LABELS = np.repeat([0, 2, 3, 5], [30, 13, 5, 2])  # classes 1 and 4 have no image


def plan(
    count: int = 50,
    batch_size: int = 8,
    augment: Augment = STILL,
    weights: np.ndarray | None = None,
    stream: tuple[int, int, int] = (0, 0, 1),
    order: np.ndarray | None = None,
) -> EpochPlan:
    """The plan of the first ``count`` images, given in another order if asked."""
    chosen = np.arange(count) if order is None else order
    rates = np.linspace(1, 2, steps_per_epoch(count, batch_size))
    given = np.ones(count) if weights is None else weights
    offsets = OFFSETS if augment is EVERYTHING else None
    return plan_epoch(
        ROWS[chosen], KEYS[chosen], given[chosen], batch_size, augment, SIZE, rates, *stream, offsets=offsets
    )


def leaves(arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a plan without the nesting."""
    flat = {name: array for name, array in arrays.items() if name not in ("mixing", "photometry")}
    nested = {group: arrays.get(group, {}) for group in ("mixing", "photometry")}
    return flat | {f"{group}.{name}": array for group, inside in nested.items() for name, array in inside.items()}


@pytest.mark.parametrize(("count", "batch_size"), [(50, 8), (48, 8), (50, 50), (3, 8), (1, 64), (50, 1)])
def test_every_image_counts_once_and_the_filling_for_nothing(count: int, batch_size: int) -> None:
    epoch = plan(count, batch_size)
    steps = -(-count // batch_size)
    assert len(epoch) == steps == steps_per_epoch(count, batch_size)
    assert epoch.rows.shape == epoch.weights.shape == (steps, batch_size)
    assert epoch.transforms.shape == (steps, batch_size, 6)
    real = epoch.weights > 0
    assert sorted(epoch.rows[real].tolist()) == ROWS[:count].tolist()
    np.testing.assert_array_equal(epoch.weights[real], 1)
    np.testing.assert_array_equal(epoch.weights[~real], 0)
    assert set(epoch.rows[~real].tolist()) <= set(ROWS[:count].tolist())  # BatchNorm sees real images
    np.testing.assert_array_equal(epoch.counts, real.sum(axis=1))
    assert real[:-1].all()  # only the last step is filled up


def test_arrays_have_the_types_that_engines_compile_for() -> None:
    whole_numbers = {"rows", "mixing.partners", "mixing.boxes", "erased", "photometry.seeds"}
    for name, array in leaves(plan(augment=EVERYTHING).arrays()).items():
        assert array.dtype == (np.int32 if name in whole_numbers else np.float32), name


def test_plain_plans_hold_nothing_that_they_do_not_use() -> None:
    always = {"rows", "weights", "counts", "transforms", "rates"}
    assert plan().arrays().keys() == plan(augment=MOVING).arrays().keys() == always
    assert plan(augment=EVERYTHING).arrays().keys() == always | {"offsets", "mixing", "erased", "photometry"}
    assert plan(augment=Augment(erase=0.1)).arrays().keys() == always | {"erased"}
    relit = plan(augment=Augment(gamma=0.1)).arrays()
    assert relit.keys() == always | {"photometry"}
    assert relit["photometry"].keys() == {"gammas"}
    assert plan(augment=Augment(cutmix=0.1)).arrays().keys() == always | {"mixing"}


@pytest.mark.parametrize("augment", [STILL, MOVING, EVERYTHING], ids=["still", "moving", "everything"])
def test_the_plan_belongs_to_the_images_not_to_their_rows(augment: Augment) -> None:
    weights = np.linspace(0.5, 1.5, 50)
    one = leaves(plan(augment=augment, weights=weights).arrays())
    two = leaves(plan(augment=augment, weights=weights, order=np.random.default_rng(0).permutation(50)).arrays())
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_batches_of_another_size_hold_the_same_images() -> None:
    small, large = (leaves(plan(48, size, EVERYTHING).arrays()) for size in (8, 48))
    for name in small.keys() - {"counts", "rates", "offsets"}:
        np.testing.assert_array_equal(small[name].reshape(large[name].shape), large[name], err_msg=name)


def test_an_image_less_leaves_the_others_in_their_order() -> None:
    whole, fewer = plan(50).rows.ravel()[:50].tolist(), plan(49).rows.ravel()[:49].tolist()
    assert [row for row in whole if row != ROWS[49]] == fewer


@pytest.mark.parametrize("stream", [(1, 0, 1), (0, 1, 1), (0, 0, 2)], ids=["seed", "fold", "epoch"])
def test_another_seed_fold_or_epoch_is_another_order(stream: tuple[int, int, int]) -> None:
    np.testing.assert_array_equal(plan().rows, plan().rows)
    assert np.mean(plan(stream=stream).rows == plan().rows) < 0.2


def test_the_order_is_shuffled() -> None:
    """Over many epochs each image is anywhere: its mean place is the middle."""
    places = np.array([np.argsort(plan(stream=(0, 0, epoch)).rows.ravel()[:50]) for epoch in range(400)])  # [E, 50]
    assert np.abs(places.mean(axis=0) - 24.5).max() < 5 * np.sqrt((50**2 - 1) / 12 / 400)


def test_weights_and_transforms_stay_with_their_image() -> None:
    weights = np.linspace(0.5, 1.5, 50)
    epoch = plan(augment=MOVING, weights=weights)
    images = epoch.rows - ROWS[0]
    real = epoch.weights > 0
    np.testing.assert_allclose(epoch.weights[real], weights[images[real]], rtol=1e-6)
    np.testing.assert_array_equal(epoch.transforms, draw_transforms(MOVING, KEYS, SIZE, 0, 0, 1)[images])


def test_mixing_and_erasing_stay_with_their_image() -> None:
    weights = np.linspace(0.5, 1.5, 50)
    epoch = plan(augment=EVERYTHING, weights=weights)
    mixing, images = epoch.mixing, epoch.rows - ROWS[0]
    assert isinstance(mixing, Mixing)
    drawn = draw_mixing(EVERYTHING, KEYS, SIZE, 0, 0, 1)
    np.testing.assert_array_equal(mixing.partners, ROWS[drawn.partners][images])
    for name in ("transforms", "blends", "boxes", "shares"):
        np.testing.assert_array_equal(getattr(mixing, name), getattr(drawn, name)[images])
    np.testing.assert_array_equal(epoch.erased, draw_erased(0.5, KEYS, SIZE, 0, 0, 1)[images])
    # The weight is shared as the target is.
    real = epoch.weights > 0
    shared = mixing.shares * weights[images] + (1 - mixing.shares) * weights[mixing.partners - ROWS[0]]
    np.testing.assert_allclose(epoch.weights[real], shared[real], rtol=1e-6)
    assert real.sum() == epoch.counts.sum() == 50


def test_light_stays_with_its_image() -> None:
    epoch = plan(augment=EVERYTHING)
    drawn = draw_photometry(EVERYTHING, KEYS, SIZE, SIZE, 0, 0, 1)
    assert epoch.photometry is not None
    assert drawn is not None
    for name, values in epoch.photometry.arrays().items():
        np.testing.assert_array_equal(values, drawn.arrays()[name][epoch.rows - ROWS[0]])


def test_offsets_are_those_of_every_step() -> None:
    offsets = plan(augment=EVERYTHING).offsets
    assert offsets is not None
    np.testing.assert_array_equal(offsets, np.tile(np.float32(OFFSETS), (7, 1)))


def test_counts_ignore_weights() -> None:
    np.testing.assert_array_equal(plan(weights=np.full(50, 3.0)).counts, plan().counts)


def test_without_augmentation_every_map_is_the_identity() -> None:
    assert (plan().transforms == np.float32(IDENTITY)).all()


def test_parts_make_the_whole() -> None:
    epoch = plan(augment=EVERYTHING)
    parts = [epoch.part(start, start + 3) for start in range(0, len(epoch), 3)]
    assert sum(map(len, parts)) == len(epoch)
    cut = [leaves(part.arrays()) for part in parts]
    for name, array in leaves(epoch.arrays()).items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in cut]), array)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (LABELS, {0: 13, 2: 13, 3: 12, 5: 12}),  # 50 images, 4 classes
        (np.repeat([0, 1, 2], [1, 1, 6]), {0: 3, 1: 3, 2: 2}),
        (np.array([4, 4, 4]), {4: 3}),
        (np.arange(5), dict.fromkeys(range(5), 1)),
    ],
)
def test_even_sampling_gives_classes_the_same_number_and_images_of_a_class_too(
    labels: np.ndarray, expected: dict[int, int]
) -> None:
    for epoch in range(1, 4):
        chosen, keys = sample_evenly(labels, KEYS[: len(labels)], 0, 0, epoch)
        assert len(chosen) == len(keys) == len(labels)
        counts = np.bincount(labels[chosen])
        assert {label: counts[label] for label in expected} == expected
        for label, count in expected.items():
            members = np.flatnonzero(labels == label)
            copies = np.bincount(chosen, minlength=len(labels))[members]
            assert set(copies) <= {count // len(members), -(-count // len(members))}


def test_copies_have_keys_of_their_own_and_the_first_one_that_of_the_image() -> None:
    chosen, keys = sample_evenly(LABELS, KEYS, 0, 0, 1)
    assert len(set(keys.tolist())) == len(keys)
    for image in np.unique(chosen):
        assert (keys[chosen == image] == KEYS[image]).sum() == 1
    transforms = draw_transforms(MOVING, keys, SIZE, 0, 0, 1)
    assert len(np.unique(transforms, axis=0)) == len(keys)


def test_even_sampling_belongs_to_the_images_in_any_order_and_is_drawn_anew() -> None:
    order = np.random.default_rng(0).permutation(50)

    def drawn(stream: tuple[int, int, int], order: np.ndarray) -> set[tuple[int, int]]:
        chosen, keys = sample_evenly(LABELS[order], KEYS[order], *stream)
        return set(zip(order[chosen].tolist(), keys.tolist(), strict=True))

    for stream in ((0, 0, 1), (0, 0, 2)):
        assert drawn(stream, np.arange(50)) == drawn(stream, order)
    for other in ((1, 0, 1), (0, 1, 1), (0, 0, 2)):
        assert drawn((0, 0, 1), order) != drawn(other, order)
    # Over the epochs the images of a frequent class come equally often.
    often = np.bincount(
        np.concatenate([sample_evenly(LABELS, KEYS, 0, 0, epoch)[0] for epoch in range(300)]), minlength=50
    )[LABELS == 0]
    assert np.abs(often - 130).max() < 5 * np.sqrt(300 * 13 / 30 * 17 / 30)


def test_the_adjustment_is_the_logarithm_of_the_shares() -> None:
    labels = np.repeat([0, 1, 2], [5, 2, 1])
    np.testing.assert_allclose(adjustment(labels, 3, 1.0), np.log([5 / 8, 2 / 8, 1 / 8]))
    np.testing.assert_allclose(adjustment(labels, 3, 0.5), np.log([5 / 8, 2 / 8, 1 / 8]) / 2)
    assert np.isfinite(adjustment(labels, 4, 1.0)).all()


@pytest.mark.parametrize("shares", [(1, 1, 1), (8, 1, 1), (5, 0, 2), (3, 0, 0)])
def test_balanced_weights_have_mean_one_and_give_classes_the_same_say(shares: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(3), shares)
    weights = balanced_weights(labels, 3)
    assert weights.mean() == pytest.approx(1)
    says = [weights[labels == label].sum() for label in np.unique(labels)]
    np.testing.assert_allclose(says, len(labels) / len(says))


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    labels = np.random.default_rng(0).choice(4, 200, p=[0.6, 0.2, 0.15, 0.05])
    np.testing.assert_allclose(balanced_weights(labels, 4), compute_sample_weight("balanced", labels))
