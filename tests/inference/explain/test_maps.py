"""Maps by the published definitions, computed by hand; and what a reader sees of them."""

from __future__ import annotations

import numpy as np
import pytest

from fer_tl.inference.explain.maps import (
    colour_bar,
    enlarge,
    grad_cam,
    normalize,
    overlay,
    peak,
    place_of_maximum,
    saliency,
)


def test_grad_cam_is_the_rectified_sum_of_features_weighted_by_their_mean_gradients():
    features = np.array([[[[1, 2], [0, 3]], [[4, 0], [2, 1]]]], np.float32)  # [1, 2, 2, 2]
    gradients = np.array([[[[4, 0], [0, -4]], [[0, -4], [4, 0]]]], np.float32)  # means 2 and -2
    by_hand = [[[2 * 1 - 2 * 2, 2 * 0 - 2 * 3], [2 * 4 - 2 * 0, 2 * 2 - 2 * 1]]]
    np.testing.assert_array_equal(grad_cam(features, gradients), np.maximum(by_hand, 0))


def test_saliency_is_the_largest_absolute_gradient_of_the_channels():
    gradients = np.array([[[[1, -3, 2], [0, 0, 0.5]]]])  # [1, 1, 2, 3]
    np.testing.assert_array_equal(saliency(gradients), [[[3, 0.5]]])


def test_maps_are_shown_from_0_to_their_own_top():
    values = np.array([[0, 1], [3, 4]], np.float32)
    np.testing.assert_allclose(normalize(values), values / 4)
    spiked = np.append(np.linspace(0, 1, 399), 1000).reshape(20, 20)
    assert normalize(spiked).mean() < 0.01
    assert normalize(spiked, 99).mean() > 0.45 and normalize(spiked, 99).max() == 1
    lone = np.zeros((20, 20))
    lone[3, 4] = 2
    assert normalize(lone, 99).sum() == 1  # its 99th percentile is 0
    assert not normalize(np.zeros((2, 2))).any()


def test_enlarging_is_bilinear_between_the_centres_of_cells():
    values = np.array([[0, 1, 5], [2, 2, 0]], np.float32)
    large = enlarge(values, (10, 15))
    np.testing.assert_allclose(large[2::5, 2::5], values, atol=1e-6)  # the middle of each cell
    np.testing.assert_allclose(large[2, 2:8], np.linspace(0, 1, 6), atol=1e-6)
    np.testing.assert_allclose(large[:2, :], large[2:3, :].repeat(2, 0), atol=1e-6)


def test_the_image_stays_visible_under_any_colour():
    image = np.array([[[20], [120], [220]]], np.uint8)
    for value in (0.0, 0.5, 1.0):
        mixed = overlay(image, np.full((1, 3), value)).astype(int)  # [1, 3, 3]
        assert (np.diff(mixed[0], axis=0) >= 30).all()
    colour = overlay(image.repeat(3, axis=2), np.ones((1, 3)))
    np.testing.assert_array_equal(colour, overlay(image, np.ones((1, 3))))
    bright, dark = overlay(np.full((1, 2, 1), 128, np.uint8), np.array([[1.0, 0.0]]))[0].astype(int)
    assert bright.sum() > dark.sum() + 100
    assert bright[2] < bright[0] and dark[2] > dark[1]  # yellowish and bluish


def test_colours_get_lighter_at_an_even_pace_for_every_kind_of_colour_vision():
    bar = colour_bar(2, 64)
    assert bar.shape == (2, 64, 3)
    linear = (bar[0] / 255) ** 2.2
    lightness = np.cbrt(linear @ [0.2126, 0.7152, 0.0722])  # CIE L* but for its scale
    steps = np.diff(lightness)
    assert (steps > 0).all()
    assert steps.max() < 2 * np.median(steps)


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        (0, 0, "upper left"),
        (1, 4, "upper"),
        (2, 8, "upper right"),
        (4, 0, "left"),
        (3, 5, "centre"),
        (8, 8, "lower right"),
    ],
)
def test_the_place_of_the_maximum_is_told_by_thirds(row: int, column: int, said: str):
    values = np.zeros((9, 9))
    values[row, column] = 1
    assert place_of_maximum(values) == said
    assert peak(values) == (row, column)


def test_maps_without_a_maximum_say_so():
    assert place_of_maximum(np.zeros((3, 3))) == "nowhere"
    assert place_of_maximum(np.ones((1, 1))) == "all alike"
