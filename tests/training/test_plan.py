"""The plan of an epoch: every image once, whatever the batch size, in an order that belongs to the images."""

from __future__ import annotations

import numpy as np
import pytest

from fer_tl.config import Augment
from fer_tl.data.augment import IDENTITY, draw_transforms
from fer_tl.data.randomness import example_keys
from fer_tl.training.plan import EpochPlan, balanced_weights, plan_epoch, steps_per_epoch

ROWS = np.arange(100, 150)
IDS = np.array([f"{i}.png" for i in range(50)])
KEYS = example_keys(IDS)
SIZE = (24, 32)
STILL = Augment(rotation=0, shear=0, zoom=0, shift=0, flip=False)
MOVING = Augment(rotation=20, shear=10, zoom=0.2, shift=0.1, flip=True)


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
    return plan_epoch(ROWS[chosen], KEYS[chosen], given[chosen], batch_size, augment, SIZE, rates, *stream)


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
    epoch = plan(augment=MOVING)
    assert epoch.rows.dtype == np.int32
    assert {a.dtype for a in (epoch.weights, epoch.counts, epoch.transforms, epoch.rates)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("augment", [STILL, MOVING], ids=["still", "moving"])
def test_the_order_belongs_to_the_images_not_to_their_rows(augment: Augment) -> None:
    weights = np.linspace(0.5, 1.5, 50)
    one = plan(augment=augment, weights=weights)
    two = plan(augment=augment, weights=weights, order=np.random.default_rng(0).permutation(50))
    for name in ("rows", "weights", "transforms"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


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


def test_counts_ignore_weights() -> None:
    np.testing.assert_array_equal(plan(weights=np.full(50, 3.0)).counts, plan().counts)


def test_without_augmentation_every_map_is_the_identity() -> None:
    assert (plan().transforms == np.float32(IDENTITY)).all()


def test_parts_make_the_whole() -> None:
    epoch = plan(augment=MOVING)
    parts = [epoch.part(start, start + 3) for start in range(0, len(epoch), 3)]
    assert sum(map(len, parts)) == len(epoch)
    for name in ("rows", "weights", "counts", "transforms", "rates"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(epoch, name))


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
