"""Changes of light keep their ranges and belong to their example; pixels change as NumPy says and stay pixels."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from fer_tl.augment.geometry import IDENTITY
from fer_tl.augment.mixing import draw_erased, draw_mixing, prepare
from fer_tl.augment.photometry import Photometry, draw_photometry
from fer_tl.core.config import Augment
from fer_tl.core.randomness import example_keys

STILL = Augment(rotation=0, shear=0, zoom=0, shift=0, flip=False)
LIGHT = replace(STILL, brightness=0.2, contrast=0.5, gamma=0.5, blur=1.0, noise=0.1)
COUNT = 3000
KEYS = example_keys(np.array([f"{i}.png" for i in range(COUNT)]))
SIZE = (24, 32)  # not square, so that swapped axes show


def draw(
    augment: Augment, keys: np.ndarray = KEYS, side: tuple[int, int] = SIZE, stream: tuple[int, ...] = (0, 0, 1)
) -> Photometry:
    drawn = draw_photometry(augment, keys, SIZE, side, *stream)
    assert drawn is not None
    return drawn


def noise(count: int = 3, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *SIZE, channels), dtype=np.uint8)


def change(images: np.ndarray, photometry: Photometry) -> np.ndarray:
    """Unmoved images, the rest changed."""
    still = np.tile(np.float32(IDENTITY), (len(images), 1))
    return np.asarray(prepare(images, still, photometry=photometry.arrays()))


def all_are(value: float, count: int = 3) -> np.ndarray:
    return np.full(count, value, np.float32)


def test_nothing_is_drawn_that_is_not_asked_for() -> None:
    assert draw_photometry(Augment(), KEYS, SIZE, SIZE, 0, 0, 1) is None
    assert not Augment().relights
    of_options = {"brightness": {"shifts"}, "contrast": {"contrasts"}, "gamma": {"gammas"}, "blur": {"blurs"}}
    of_options["noise"] = {"noises", "seeds"}
    for option, names in of_options.items():
        assert draw(replace(STILL, **{option: 0.1})).arrays().keys() == names
    assert draw(LIGHT).arrays().keys() == {field.name for field in fields(Photometry)}


def test_draws_keep_their_ranges_and_go_both_ways() -> None:
    drawn = draw(LIGHT)
    factors = [(np.log(values), np.log(1.5)) for values in (drawn.contrasts, drawn.gammas)]
    for values, limit in [(drawn.shifts, 51), *factors]:
        assert np.abs(values).max() <= limit * (1 + 1e-6)
        assert values.min() < -0.98 * limit
        assert values.max() > 0.98 * limit
        assert abs(values.mean()) < 5 * limit / np.sqrt(3 * COUNT)
    assert 0 <= drawn.noises.min() < 0.5
    assert 25 < drawn.noises.max() <= 25.5
    columns = [drawn.shifts, drawn.contrasts, drawn.gammas, drawn.noises, drawn.blurs[:, 0]]
    assert np.abs(np.corrcoef(columns) - np.eye(5)).max() < 0.1  # each by itself


def test_draws_belong_to_the_image_in_any_order_and_to_seed_fold_and_epoch() -> None:
    order = np.random.default_rng(0).permutation(COUNT)[:100]
    whole, some = draw(LIGHT), draw(LIGHT, KEYS[order])
    for name, values in whole[order].arrays().items():
        np.testing.assert_array_equal(some.arrays()[name], values)
    for stream in ((1, 0, 1), (0, 1, 1), (0, 0, 2)):
        for name, values in draw(LIGHT, stream=stream).arrays().items():
            assert np.mean(values == whole.arrays()[name]) < 0.05, name


def test_a_blur_is_drawn_in_stored_pixels() -> None:
    for side, scales in ((SIZE, (1, 1)), ((48, 96), (2, 3))):
        blurs = draw(replace(STILL, blur=1.5), side=side).blurs / np.float32(scales)  # [N, 2]
        np.testing.assert_allclose(blurs[:, 0], blurs[:, 1], rtol=1e-6)
        assert blurs.mean() == pytest.approx(0.75, abs=5 * 1.5 / np.sqrt(12 * COUNT))
        assert 0 <= blurs.min() < 0.01
        assert 1.49 < blurs.max() <= 1.5


def test_contrast_is_about_the_mean_of_the_image() -> None:
    image = np.full((1, *SIZE, 1), 60, np.uint8)
    image[:, :12] = 140  # mean 100, so 40 on either side become 60
    changed = change(image, Photometry(contrasts=all_are(1.5, 1)))
    np.testing.assert_allclose(np.unique(changed), [40, 160], atol=1e-4)


def test_gamma_is_an_exponent_of_the_share_of_white() -> None:
    image = np.full((1, *SIZE, 1), 51, np.uint8)  # a fifth of 255, whose square is a 25th
    np.testing.assert_allclose(change(image, Photometry(gammas=all_are(2.0, 1))), 10.2, atol=1e-4)
    ends = np.where(noise(1) < 128, 0, 255).astype(np.uint8)
    np.testing.assert_allclose(change(ends, Photometry(gammas=all_are(0.5, 1))), ends, atol=1e-4)


def test_brightness_is_added_and_cut_at_white_and_black() -> None:
    images = noise()
    moved = change(images, Photometry(shifts=np.float32([-80, 0.25, 80])))
    by = np.float64([-80, 0.25, 80])[:, None, None, None]
    np.testing.assert_allclose(moved, np.clip(images + by, 0, 255), atol=1e-4)


def test_blur_is_the_mean_of_the_neighbours_by_a_gaussian() -> None:
    images = noise(3, channels=3)
    blurs = np.float32([[0.7, 0], [0, 1.5], [2.0, 0.5]])
    expected = images.astype(np.float64)
    for row, deviations in enumerate(blurs):
        for axis, deviation in enumerate(deviations):
            if deviation:
                gaussian = {"sigma": float(deviation), "axis": axis, "mode": "constant", "truncate": 10.0}
                inside = gaussian_filter1d(np.ones(images.shape[1:]), **gaussian)
                expected[row] = gaussian_filter1d(expected[row], **gaussian) / inside
    np.testing.assert_allclose(change(images, Photometry(blurs=blurs)), expected, atol=1e-3)


def test_noise_is_gaussian_and_that_of_its_seed() -> None:
    grey = np.full((40, *SIZE, 3), 127, np.uint8)
    seeds = draw(LIGHT, KEYS[:40]).seeds
    noisy = change(grey, Photometry(noises=all_are(20, 40), seeds=seeds)).astype(np.float64) - 127
    for channel in (1, 2):
        np.testing.assert_array_equal(noisy[..., channel], noisy[..., 0])  # grey stays grey
    normal = noisy[..., 0].reshape(40, -1) / 20  # [40, P]
    assert abs(normal.mean()) < 5 / np.sqrt(normal.size)
    assert normal.std() == pytest.approx(1, abs=0.02)
    shares = [np.mean(np.abs(normal) < deviations) for deviations in (0.5, 1, 2, 3)]
    np.testing.assert_allclose(shares, [0.3829, 0.6827, 0.9545, 0.9973], atol=0.01)
    assert np.abs(np.corrcoef(normal) - np.eye(40)).max() < 0.2  # each image has its own
    neighbours = np.corrcoef(normal[:, :-1].ravel(), normal[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(normal.size)
    alone = change(grey[:1], Photometry(noises=all_are(20, 1), seeds=seeds[7:8]))
    np.testing.assert_allclose(alone[0], noisy[7] + 127, atol=1e-3)


def test_pixels_stay_pixels_whatever_is_asked_for() -> None:
    most = replace(STILL, brightness=1, contrast=9, gamma=9, blur=4, noise=1, policy="rand", strength=1)
    changed = change(noise(200), draw(most, KEYS[:200]))
    assert changed.min() == 0
    assert changed.max() == 255
    assert np.isfinite(changed).all()


def test_no_change_gives_the_image_back() -> None:
    images = noise()
    blurs = np.zeros((3, 2), np.float32)
    nothing = Photometry(all_are(0), all_are(1), all_are(1), all_are(0), np.arange(3, dtype=np.int32), blurs)
    np.testing.assert_allclose(change(images, nothing), images, atol=1e-3)


def test_light_changes_after_mixing_and_before_erasing() -> None:
    images = noise(40)
    still = np.tile(np.float32(IDENTITY), (40, 1))
    mixing = draw_mixing(replace(STILL, mixup=1.0), KEYS[:40], SIZE, 0, 0, 1)
    erased, light = draw_erased(0.5, KEYS[:40], SIZE, 0, 0, 1), draw(LIGHT, KEYS[:40])
    mixed = np.asarray(prepare(images, still, images[mixing.partners], mixing.arrays()))
    expected = prepare(change(mixed, light), still, erased=erased)
    given = (images, still, images[mixing.partners], mixing.arrays(), erased, light.arrays())
    np.testing.assert_allclose(prepare(*given), expected, atol=1e-3)


def test_xla_computes_the_same() -> None:
    import tensorflow as tf

    images, light = noise(40), draw(replace(LIGHT, policy="trivial"), KEYS[:40])
    given = (images, np.tile(np.float32(IDENTITY), (40, 1)), None, None, None, light.arrays())
    compiled = tf.function(prepare, jit_compile=True, autograph=False)(*given)
    np.testing.assert_allclose(compiled, prepare(*given), rtol=0, atol=0.01)
