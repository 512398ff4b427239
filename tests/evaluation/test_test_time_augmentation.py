"""Views for test-time augmentation: which source pixel each output pixel shows, and what a mirror of a mirror is."""

from __future__ import annotations

import numpy as np
import pytest

from fer_tl.augment.resampling import resample
from fer_tl.core.errors import UserError
from fer_tl.evaluation.test_time_augmentation import TTA, check_tta, make_views

RNG = np.random.default_rng(0)


def source_of(view: np.ndarray, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = view.astype(float)
    return a * x + b * y + c, d * x + e * y + f


def show(image: np.ndarray, view: np.ndarray | None) -> np.ndarray:
    """An image ``[H, W]`` in a view."""
    if view is None:
        return image.astype(np.float32)
    return np.asarray(resample(image[None, :, :, None], view[None]))[0, :, :, 0]


def test_none_is_the_stored_image_and_flip_adds_its_exact_mirror():
    image = RNG.integers(0, 256, (6, 9)).astype(np.uint8)
    assert make_views("none", (6, 9)) == [None]
    as_it_is, mirror = make_views("flip", (6, 9))
    np.testing.assert_array_equal(show(image, as_it_is), image)
    np.testing.assert_array_equal(show(image, mirror), image[:, ::-1])
    np.testing.assert_array_equal(show(show(image, mirror), mirror), image)


def test_ten_crops_show_corners_and_centre_of_44_of_48_pixels_and_their_mirrors():
    views = make_views("ten-crop", (48, 48))
    # Left, top, right and bottom source pixel of each crop.
    boxes = [(0, 0, 43, 43), (4, 0, 47, 43), (0, 4, 43, 47), (4, 4, 47, 47), (2, 2, 45, 45)]
    assert len(views) == 10
    for view, mirror, (left, top, right, bottom) in zip(views[:5], views[5:], boxes, strict=True):
        assert view is not None and mirror is not None
        assert source_of(view, 0, 0) == pytest.approx((left, top), abs=1e-5)
        assert source_of(view, 47, 0) == pytest.approx((right, top), abs=1e-5)
        assert source_of(view, 0, 47) == pytest.approx((left, bottom), abs=1e-5)
        assert source_of(view, 23.5, 47) == pytest.approx(((left + right) / 2, bottom), abs=1e-5)
        for x, y in ((0, 0), (47, 0), (13, 29)):
            assert source_of(mirror, x, y) == pytest.approx(source_of(view, 47 - x, y), abs=1e-5)


def test_an_oblong_image_is_cropped_by_the_same_share_of_each_side():
    bottom_right = make_views("ten-crop", (24, 96))[3]
    assert bottom_right is not None
    assert source_of(bottom_right, 0, 0) == pytest.approx((8, 2), abs=1e-5)
    assert source_of(bottom_right, 95, 23) == pytest.approx((95, 23), abs=1e-5)


def test_a_crop_shows_what_it_says():
    image = np.zeros((12, 12), np.uint8)
    image[:, 0] = 240  # outside the crops at the right
    seen = [show(image, view)[:, 0].mean() for view in make_views("ten-crop", (12, 12))[:5]]
    assert seen == pytest.approx([240, 0, 240, 0, 120])


@pytest.mark.parametrize("tta", ["flop", "tencrop", ""])
def test_an_unknown_augmentation_is_named_with_those_there_are(tta: str):
    with pytest.raises(UserError, match=r"no such test-time augmentation; (did you mean|valid are)"):
        check_tta(tta)
    for known in TTA:
        check_tta(known)
