"""Augmentation: the drawn maps keep their ranges and belong to their example; resampling does what NumPy does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fer_tl.augment.geometry import IDENTITY, draw_transforms
from fer_tl.augment.resampling import resample
from fer_tl.core.config import Augment
from fer_tl.core.randomness import example_keys

NONE = Augment(rotation=0, shear=0, zoom=0, shift=0, flip=False)
ALL = Augment(rotation=20, shear=10, zoom=0.2, shift=0.1, flip=True)
IDS = np.array([f"{i}.png" for i in range(2000)])
KEYS = example_keys(IDS)
SIZE = (24, 32)  # not square, so that swapped axes show


def noise(height: int = 24, width: int = 32, channels: int = 1, count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def smooth(count: int = 3) -> np.ndarray:
    """Slow waves, whose bilinear samples do not depend on the last bit of a coordinate."""
    y, x = np.mgrid[0:24, 0:32]
    waves = [127 + 60 * np.sin(x / (3 + i)) + 60 * np.cos(y / 4 + i) for i in range(count)]
    return np.stack(waves)[..., None].astype(np.float32)


def apply(images: np.ndarray, *transforms: tuple[float, ...]) -> np.ndarray:
    """One transform for each image, or one for all."""
    rows = np.array(transforms, np.float32)
    return np.asarray(resample(images, np.resize(rows, (len(images), 6))))


def draw(augment: Augment, keys: np.ndarray = KEYS, *stream: object) -> np.ndarray:
    return draw_transforms(augment, keys, SIZE, *(stream or (0, 0, 1)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_identity_gives_the_image_back_exactly(channels: int, dtype: type) -> None:
    images = noise(channels=channels).astype(dtype)
    result = apply(images, IDENTITY)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, images)


def test_no_augmentation_draws_the_identity() -> None:
    np.testing.assert_array_equal(draw(NONE), np.tile(np.float32(IDENTITY), (len(KEYS), 1)))
    assert not NONE.moves


@pytest.mark.parametrize("width", [32, 31])
def test_flip_alone_mirrors_left_to_right(width: int) -> None:
    images = noise(width=width, channels=3, count=20)
    transforms = draw_transforms(replace(NONE, flip=True), KEYS[:20], (24, width), 0, 0, 1)
    mirrored = transforms[:, 0] < 0
    assert 0 < mirrored.sum() < 20
    expected = np.where(mirrored[:, None, None, None], np.flip(images, axis=2), images)
    np.testing.assert_array_equal(np.asarray(resample(images, transforms)), expected)


@pytest.mark.parametrize("height", [24, 23])
def test_vertical_flip_alone_turns_upside_down(height: int) -> None:
    images = noise(height=height, channels=3, count=20)
    transforms = draw_transforms(replace(NONE, vertical_flip=True), KEYS[:20], (height, 32), 0, 0, 1)
    turned = transforms[:, 4] < 0
    assert 0 < turned.sum() < 20
    expected = np.where(turned[:, None, None, None], np.flip(images, axis=1), images)
    np.testing.assert_array_equal(np.asarray(resample(images, transforms)), expected)


def test_each_flip_is_drawn_by_itself_and_leaves_the_rest_as_it_is() -> None:
    without, both = draw(ALL), draw(replace(ALL, vertical_flip=True))
    np.testing.assert_array_equal(both[:, :3], without[:, :3])
    turned = both[:, 4] < 0
    np.testing.assert_array_equal(both[~turned], without[~turned])
    np.testing.assert_array_equal(both[turned, 3:5], -without[turned, 3:5])
    mirrored = draw(replace(NONE, flip=True))[:, 0] < 0
    assert abs(turned.mean() - 0.5) < 0.06
    assert abs(np.corrcoef(turned, mirrored)[0, 1]) < 0.12


def test_transforms_of_a_run_in_progress_are_drawn_as_before() -> None:
    """Recorded before there was a vertical flip: other numbers would change every run that is resumed."""
    recorded = [
        [0.88143295, 0.37588722, -2.821982, -0.31503525, 0.88658005, 4.816975],
        [-0.9725398, 0.3350788, 28.273245, 0.22484072, 0.86223775, -4.038197],
        [-0.8693935, 0.20241255, 26.08466, 0.2783877, 0.8348991, -2.1503036],
        [-0.90583163, 0.16486937, 24.857468, 0.31577837, 1.1249301, -5.8650713],
        [0.82380086, 0.17508247, 2.2210271, -0.23573571, 0.9589783, 2.1895473],
        [-1.1115787, 0.5686892, 25.814232, 0.38530084, 1.064699, -5.1979284],
    ]
    np.testing.assert_allclose(draw_transforms(ALL, KEYS[:6], SIZE, 7, 1, 3), recorded, rtol=1e-6)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -2), (-5, 4)])
def test_a_shift_by_whole_pixels_is_a_slice_with_repeated_edges(right: int, down: int) -> None:
    images = noise(channels=3)
    rows = np.clip(np.arange(24) + down, 0, 23)
    columns = np.clip(np.arange(32) + right, 0, 31)
    np.testing.assert_array_equal(apply(images, (1, 0, right, 0, 1, down)), images[:, rows][:, :, columns])


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_quarter_turn_is_rot90(turns: int) -> None:
    images = noise(24, 24)
    cos, sin = [(0, 1), (-1, 0), (0, -1)][turns - 1]
    centre = 11.5
    x_offset, y_offset = centre - cos * centre + sin * centre, centre - sin * centre - cos * centre
    turned = apply(images, (cos, -sin, x_offset, sin, cos, y_offset))
    np.testing.assert_allclose(turned, np.rot90(images, turns, axes=(1, 2)), atol=1e-4)


def test_each_image_gets_its_own_transform() -> None:
    images = noise()
    moved = apply(images, IDENTITY, (1, 0, 2, 0, 1, 0), (-1, 0, 31, 0, 1, 0))
    np.testing.assert_array_equal(moved[0], images[0])
    np.testing.assert_array_equal(moved[1, :, :-2], images[1, :, 2:])
    np.testing.assert_array_equal(moved[2], images[2, :, ::-1])


def test_half_a_pixel_is_the_mean_of_neighbours() -> None:
    images = noise().astype(np.float32)
    between = apply(images, (1, 0, 0.5, 0, 1, 0))
    np.testing.assert_allclose(between[:, :, :-1], (images[:, :, :-1] + images[:, :, 1:]) / 2, atol=1e-3)


def test_everything_but_shift_keeps_the_centre_in_place() -> None:
    transforms = draw(replace(ALL, shift=0)).astype(np.float64)
    centre = np.array([15.5, 11.5, 1])
    np.testing.assert_allclose(transforms[:, :3] @ centre, 15.5, atol=1e-4)
    np.testing.assert_allclose(transforms[:, 3:] @ centre, 11.5, atol=1e-4)


def test_zoom_keeps_its_range_on_each_axis_by_itself() -> None:
    transforms = draw(replace(NONE, zoom=0.25))
    np.testing.assert_array_equal(transforms[:, [1, 3]], 0)
    for scale in (transforms[:, 0], transforms[:, 4]):
        assert scale.min() >= 1 / 1.25 - 1e-6
        assert scale.max() <= 1.25 + 1e-6
        assert scale.min() < 0.82
        assert scale.max() > 1.22
        assert abs(np.mean(scale < 1) - 0.5) < 0.06  # in and out are as likely
    assert abs(np.corrcoef(transforms[:, 0], transforms[:, 4])[0, 1]) < 0.12


@pytest.mark.parametrize("size", [(48, 48), (24, 32)])
def test_a_crop_keeps_its_area_and_aspect_and_lies_inside(size: tuple[int, int]) -> None:
    """As torchvision's RandomResizedCrop draws it: where the first try fits, all areas are as likely."""
    height, width = size
    a, b, c, d, e, f = draw_transforms(replace(NONE, crop=0.4), KEYS, size, 0, 0, 1).astype(np.float64).T
    np.testing.assert_array_equal([b, d], 0)
    # The edges of the result, half a pixel outside of its outermost centres, lie inside the image.
    left, right = c - a / 2, c + a * (width - 0.5)
    top, bottom = f - e / 2, f + e * (height - 0.5)
    assert min(left.min(), top.min()) >= -0.5 - 1e-4
    assert right.max() <= width - 0.5 + 1e-4
    assert bottom.max() <= height - 0.5 + 1e-4
    area, aspect = a * e, a * width / (e * height)
    assert 0.4 - 1e-6 <= area.min() < 0.42
    assert area.max() <= 1 + 1e-6
    assert aspect.min() >= 3 / 4 - 1e-6
    assert aspect.max() <= 4 / 3 + 1e-6
    room = (a < 0.98) & (e < 0.98)
    for places, low, high in ((left, 0, width * (1 - a)), (top, 0, height * (1 - e))):
        share = ((places + 0.5 - low) / np.maximum(high, 1e-9))[room]
        assert share.mean() == pytest.approx(0.5, abs=0.03)
        assert share.std() == pytest.approx(1 / np.sqrt(12), abs=0.02)
    if height == width:  # small crops fit whatever their aspect
        small = area < 0.7
        assert np.mean(np.log(aspect[small]) < 0) == pytest.approx(0.5, abs=0.06)
        assert np.mean(area[small] < 0.55) == pytest.approx(0.5, abs=0.06)


def test_no_crop_fits_into_a_strip_so_its_middle_is_taken() -> None:
    transforms = draw_transforms(replace(NONE, crop=0.9), KEYS[:5], (10, 100), 0, 0, 1)
    share = 10 * 4 / 3 / 100
    left = (100 - 10 * 4 / 3) / 2
    expected = [share, 0, left + (share - 1) / 2, 0, 1, 0]
    np.testing.assert_allclose(transforms, np.tile(expected, (5, 1)), rtol=1e-6)


@pytest.mark.parametrize("crop", [0.0, 1.0])
def test_a_crop_of_nothing_or_of_all_is_none(crop: float) -> None:
    np.testing.assert_array_equal(draw(replace(ALL, crop=crop)), draw(ALL))
    assert not replace(NONE, crop=crop).moves
    assert replace(NONE, crop=0.5).moves


def test_what_is_cropped_is_moved_afterwards() -> None:
    """So that the corners of a turned crop show the image and not repeated edges."""
    crop, moves, both = (
        draw(augment, KEYS[:50]).astype(np.float64)
        for augment in (replace(NONE, crop=0.5), ALL, replace(ALL, crop=0.5))
    )
    point = np.array([3.0, 20.0, 1.0])
    moved = np.stack([moves[:, :3] @ point, moves[:, 3:] @ point, np.ones(50)], axis=1)  # [50, 3]
    np.testing.assert_allclose(both[:, :3] @ point, (crop[:, :3] * moved).sum(axis=1), atol=1e-4)
    np.testing.assert_allclose(both[:, 3:] @ point, (crop[:, 3:] * moved).sum(axis=1), atol=1e-4)


def test_rotation_keeps_its_range_and_turns_both_ways() -> None:
    a, b, _, d, e, _ = draw(replace(NONE, rotation=30)).astype(np.float64).T
    np.testing.assert_allclose(a * e - b * d, 1, atol=1e-6)  # no change of size
    np.testing.assert_allclose([a, b], [e, -d], atol=1e-6)  # nor of shape
    degrees = np.rad2deg(np.arctan2(d, a))
    assert np.abs(degrees).max() <= 30 + 1e-4
    assert degrees.min() < -29
    assert degrees.max() > 29
    assert abs(degrees.mean()) < 5 * 30 / np.sqrt(3 * len(degrees))


def test_shear_keeps_its_range_and_area() -> None:
    a, b, _, d, e, _ = draw(replace(NONE, shear=20)).astype(np.float64).T
    np.testing.assert_allclose([a, d, e], [np.ones_like(a), np.zeros_like(a), np.ones_like(a)], atol=1e-6)
    degrees = np.rad2deg(np.arctan(b))
    assert np.abs(degrees).max() <= 20 + 1e-4
    assert degrees.min() < -19
    assert degrees.max() > 19


def test_shift_is_a_fraction_of_its_own_axis() -> None:
    transforms = draw(replace(NONE, shift=0.25))
    for offset, side in ((transforms[:, 2], 32), (transforms[:, 5], 24)):
        assert np.abs(offset).max() <= side / 4 + 1e-4
        assert np.abs(offset).max() > side / 4 * 0.98
    assert abs(np.corrcoef(transforms[:, 2], transforms[:, 5])[0, 1]) < 0.12


def test_half_of_the_images_are_flipped() -> None:
    a, b, _, d, e, _ = draw(ALL).T
    assert abs(np.mean(a * e - b * d < 0) - 0.5) < 0.06
    a, b, _, d, e, _ = draw(replace(ALL, flip=False)).T
    assert np.all(a * e - b * d > 0)


def test_a_transform_belongs_to_its_example_in_any_order() -> None:
    order = np.random.default_rng(0).permutation(len(IDS))
    np.testing.assert_array_equal(draw(ALL, KEYS[order]), draw(ALL)[order])
    np.testing.assert_array_equal(draw(ALL, KEYS[5:6]), draw(ALL)[5:6])


@pytest.mark.parametrize("stream", [(1, 0, 1), (0, 1, 1), (0, 0, 2)], ids=["seed", "fold", "epoch"])
def test_another_seed_fold_or_epoch_draws_anew(stream: tuple[int, int, int]) -> None:
    moved = np.abs(draw(ALL, KEYS, *stream) - draw(ALL)).max(axis=1)
    assert np.all(moved > 1e-4)


def test_resampling_agrees_with_keras() -> None:
    from keras import ops

    images = smooth(40)
    transforms = draw(replace(ALL, shift=0.05), KEYS[:40])
    ours = np.asarray(resample(images, transforms))
    padded = np.concatenate([transforms, np.zeros((40, 2), np.float32)], axis=1)
    theirs = np.asarray(ops.image.affine_transform(images, padded, "bilinear", "nearest"))
    # Keras blends with the fill value over the last pixel outside; compare where the source lies inside.
    y, x = np.mgrid[0:24, 0:32]
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    source_x, source_y = transforms[:, :3] @ points, transforms[:, 3:] @ points
    inside = ((source_x > 0) & (source_x < 31) & (source_y > 0) & (source_y < 23)).reshape(ours.shape)
    assert inside.mean() > 0.6
    np.testing.assert_allclose(ours[inside], theirs[inside], atol=1e-3)
