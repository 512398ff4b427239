"""Mixing belongs to the images and not to their batch; its shares are those of the pixels; XLA computes the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fer_tl.augment.geometry import IDENTITY, draw_transforms
from fer_tl.augment.mixing import Mixing, draw_erased, draw_mixing, prepare
from fer_tl.augment.resampling import resample
from fer_tl.core.config import Augment
from fer_tl.core.randomness import example_keys

STILL = Augment(rotation=0, shear=0, zoom=0, shift=0, flip=False)
MIXUP, CUTMIX = replace(STILL, mixup=0.4), replace(STILL, cutmix=1.0)
BOTH = Augment(mixup=0.4, cutmix=1.0)
COUNT = 4000
KEYS = example_keys(np.array([f"{i}.png" for i in range(COUNT)]))
SIZE = (24, 32)  # not square, so that swapped axes show


def draw(augment: Augment, keys: np.ndarray = KEYS, *stream: object) -> Mixing:
    return draw_mixing(augment, keys, SIZE, *(stream or (0, 0, 1)))


def box_sides(boxes: np.ndarray) -> np.ndarray:
    """Height and width ``[N, 2]``."""
    return (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)


def inside(boxes: np.ndarray) -> bool:
    ordered = (boxes[:, :2] <= boxes[:, 2:]).all()
    return bool(ordered and (boxes >= 0).all() and (boxes[:, 2:] <= SIZE).all())


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)


def still(count: int) -> np.ndarray:
    return np.tile(np.float32(IDENTITY), (count, 1))


def mix_all(images: np.ndarray, mixing: Mixing, **more: Any) -> np.ndarray:
    """Unmoved images combined with their partners."""
    return np.asarray(prepare(images, still(len(images)), images[mixing.partners], vars(mixing), **more))


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 8.0])
def test_shares_of_mixup_are_beta_distributed(alpha: float) -> None:
    mixing = draw(replace(STILL, mixup=alpha))
    shares = mixing.shares.astype(np.float64)
    assert ((shares >= 0) & (shares <= 1)).all()
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(shares.mean() - 0.5) < 5 * np.sqrt(variance / COUNT)
    assert shares.var() == pytest.approx(variance, rel=0.07)
    np.testing.assert_array_equal(mixing.blends, mixing.shares)
    assert not mixing.boxes.any()


def test_the_share_of_cutmix_is_that_of_the_pixels_exactly() -> None:
    mixing = draw(CUTMIX)
    assert inside(mixing.boxes)
    assert (mixing.blends == 1).all()
    images = np.zeros((COUNT, *SIZE, 1), np.uint8)
    others = np.full_like(images, 255)
    mixed = np.asarray(prepare(images, still(COUNT), others, vars(mixing)))
    assert set(np.unique(mixed)) == {0, 255}
    np.testing.assert_allclose((mixed == 0).mean(axis=(1, 2, 3)), mixing.shares, rtol=0, atol=1e-7)
    assert mixing.shares.min() < 0.1
    assert mixing.shares.max() == 1.0


def test_sides_of_the_box_follow_the_share_that_was_drawn() -> None:
    # Beta(100, 100) is 0.5 ± 0.035, so the sides are 0.71 ± 0.03 of the image's where the edge does not cut them.
    boxes = draw(replace(STILL, cutmix=100.0)).boxes
    whole = (boxes[:, :2] > 0).all(axis=1) & (boxes[:, 2:] < SIZE).all(axis=1)
    assert whole.sum() > 100
    sides = box_sides(boxes[whole]) / SIZE
    np.testing.assert_allclose(sides.mean(axis=0), np.sqrt(0.5), atol=0.02)
    assert np.abs(sides - np.sqrt(0.5)).max() < 0.15
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / SIZE
    np.testing.assert_allclose(centres.mean(axis=0), 0.5, atol=0.02)


def test_with_both_each_image_takes_one_half_each() -> None:
    mixing = draw(BOTH)
    cut = mixing.blends == 1
    assert abs(cut.mean() - 0.5) < 0.06
    assert not mixing.boxes[~cut].any()
    np.testing.assert_array_equal(mixing.blends[~cut], mixing.shares[~cut])


@pytest.mark.parametrize("augment", [MIXUP, CUTMIX, BOTH], ids=["mixup", "cutmix", "both"])
def test_a_part_of_the_images_is_mixed_as_if_all_were_and_the_rest_not_at_all(augment: Augment) -> None:
    whole, part = draw(augment), draw(replace(augment, mix_share=0.3))
    left_alone = (part.shares == 1) & (part.blends == 1) & ~part.boxes.any(axis=1)
    alike = (part.shares == whole.shares) & (part.blends == whole.blends) & (part.boxes == whole.boxes).all(axis=1)
    assert (left_alone | alike).all()
    assert left_alone[whole.shares < 1].mean() == pytest.approx(0.7, abs=0.04)
    nobody = draw(replace(augment, mix_share=0.0))
    images = noise(20)
    mixing = nobody[np.arange(20)]
    mixed = prepare(images, still(20), images[::-1], vars(mixing))
    np.testing.assert_array_equal(mixed, images.astype(np.float32))
    assert (nobody.shares == 1).all()


def test_partners_are_others_and_all_of_them() -> None:
    partners = np.concatenate([draw(MIXUP, KEYS[:10], 0, 0, epoch).partners for epoch in range(900)]).reshape(900, 10)
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (np.tile(np.arange(10), 900), partners.ravel()), 1)
    assert (np.diag(counts) == 0).all()
    others = counts[~np.eye(10, dtype=bool)]
    assert np.abs(others - 100).max() < 5 * np.sqrt(100 * 8 / 9)


def test_an_only_image_is_its_own_partner() -> None:
    assert draw(BOTH, KEYS[:1]).partners.tolist() == [0]
    assert draw(BOTH, KEYS[:2]).partners.tolist() == [1, 0]


def test_mixing_belongs_to_the_image_in_any_order() -> None:
    order = np.random.default_rng(0).permutation(COUNT)
    one, other = draw(BOTH), draw(BOTH, KEYS[order])
    np.testing.assert_array_equal(KEYS[order][other.partners], KEYS[one.partners][order])
    for name in ("transforms", "blends", "boxes", "shares"):
        np.testing.assert_array_equal(getattr(other, name), getattr(one, name)[order])
    erased = draw_erased(0.5, KEYS, SIZE, 0, 0, 1)
    np.testing.assert_array_equal(draw_erased(0.5, KEYS[order], SIZE, 0, 0, 1), erased[order])


@pytest.mark.parametrize("stream", [(1, 0, 1), (0, 1, 1), (0, 0, 2)], ids=["seed", "fold", "epoch"])
def test_another_seed_fold_or_epoch_mixes_anew(stream: tuple[int, int, int]) -> None:
    one, again, other = draw(BOTH), draw(BOTH), draw(BOTH, KEYS, *stream)
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert np.mean(one.partners == other.partners) < 0.01
    assert np.mean(one.shares == other.shares) < 0.1  # some boxes have the same area
    erased = (draw_erased(1.0, KEYS, SIZE, *each) for each in ((0, 0, 1), stream))
    assert np.mean(np.equal(*erased).all(axis=1)) < 0.01


def test_a_partner_is_augmented_in_its_ranges_but_not_as_in_its_own_place() -> None:
    own = draw_transforms(BOTH, KEYS, SIZE, 0, 0, 1)
    mixing = draw(BOTH)
    assert np.abs(mixing.transforms - own).max(axis=1).min() > 0
    assert np.abs(mixing.transforms - own[mixing.partners]).max(axis=1).min() > 0
    np.testing.assert_allclose(np.quantile(mixing.transforms, 0.99, axis=0), np.quantile(own, 0.99, axis=0), rtol=0.15)
    np.testing.assert_array_equal(draw(MIXUP).transforms, still(COUNT))


@pytest.mark.parametrize("size", [SIZE, (16, 16), (48, 48)])
def test_erased_boxes_lie_inside_and_keep_area_and_aspect(size: tuple[int, int]) -> None:
    height, width = size
    boxes = draw_erased(1.0, KEYS, size, 0, 0, 1)
    assert (boxes >= 0).all()
    assert (boxes[:, 2:] <= size).all()
    down, across = box_sides(boxes).T
    assert min(down.min(), across.min()) >= 1
    # Rounding moves a side by half a pixel at most.
    assert ((down + 0.5) * (across + 0.5) >= 0.02 * height * width).all()
    assert ((down - 0.5) * (across - 0.5) <= 0.33 * height * width).all()
    area = down * across / (height * width)
    assert area.mean() == pytest.approx((0.02 + 0.33) / 2, abs=0.01)
    assert ((down + 0.5) / (across - 0.5) >= 0.3).all()
    assert ((down - 0.5) / (across + 0.5) <= 1 / 0.3).all()
    assert np.mean(down < across) == pytest.approx(0.5, abs=0.06)
    for edge, room in ((boxes[:, 0], height - down), (boxes[:, 1], width - across)):
        assert edge.sum() / room.sum() == pytest.approx(0.5, abs=0.03)


def test_as_many_images_are_erased_as_asked_for() -> None:
    erased = draw_erased(0.25, KEYS, SIZE, 0, 0, 1)
    hit = erased.any(axis=1)
    assert hit.mean() == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / COUNT))
    np.testing.assert_array_equal(erased[hit], draw_erased(1.0, KEYS, SIZE, 0, 0, 1)[hit])
    assert not draw_erased(0.0, KEYS, SIZE, 0, 0, 1).any()


def test_pixels_are_blended_cut_and_erased_as_numpy_would() -> None:
    images = noise(40)
    mixing = draw(BOTH, KEYS[:40])
    mixing = replace(mixing, transforms=still(40))
    erased = draw_erased(0.5, KEYS[:40], SIZE, 0, 0, 1)
    expected = images.astype(np.float64)
    for row, (partner, blend, box, hole) in enumerate(
        zip(mixing.partners, mixing.blends.astype(np.float64), mixing.boxes, erased, strict=True)
    ):
        image = blend * images[row] + (1 - blend) * images[partner]
        cut, out = (np.s_[top:bottom, left:right] for top, left, bottom, right in (box, hole))
        image[cut] = images[partner][cut]
        image[out] = image.mean(axis=(0, 1))
        expected[row] = image
    np.testing.assert_allclose(mix_all(images, mixing, erased=erased), expected, atol=1e-3)


def test_partners_are_moved_before_they_are_mixed() -> None:
    images, others = noise(5), noise(5, seed=1)
    mixing = replace(draw(MIXUP, KEYS[:5]), transforms=np.float32([(-1, 0, 31, 0, 1, 0)] * 5))
    share = mixing.shares[:, None, None, None]
    expected = share * images + (1 - share) * others[:, :, ::-1]
    np.testing.assert_allclose(prepare(images, still(5), others, vars(mixing)), expected, atol=1e-3)


def test_without_mixing_and_erasing_images_are_only_resampled() -> None:
    images = noise(5)
    transforms = draw_transforms(BOTH, KEYS[:5], SIZE, 0, 0, 1)
    np.testing.assert_array_equal(prepare(images, transforms), resample(images, transforms))


def test_xla_computes_the_same() -> None:
    import tensorflow as tf

    images = noise(40)
    transforms = draw_transforms(BOTH, KEYS[:40], SIZE, 0, 0, 1)
    mixing = draw(BOTH, KEYS[:40])
    given = (images, transforms, images[mixing.partners], vars(mixing), draw_erased(0.5, KEYS[:40], SIZE, 0, 0, 1))
    compiled = tf.function(prepare, jit_compile=True, autograph=False)(*given)
    # In noise the last bits of a coordinate, 1e-5 of a pixel, count up to 255 times.
    np.testing.assert_allclose(compiled, prepare(*given), rtol=0, atol=0.02)
