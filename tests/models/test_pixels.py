"""Scaling of pixels: channel order, centring, and the training images' standard deviation."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from fer_tl.core.options import load_experiment
from fer_tl.models.classifier import build_classifier
from fer_tl.models.pixels import centred_variance, fit_standardization, scale_pixels
from fer_tl.models.published import CAFFE
from fer_tl.models.record import Scaling

rng = np.random.default_rng(0)


def images(count: int, side: int = 12, channels: int = 3) -> np.ndarray:
    """Noise of another brightness in each image and channel."""
    level = rng.integers(0, 200, (count, 1, 1, channels))
    return (level + rng.integers(0, 56, (count, side, side, channels))).astype(np.uint8)


def scaled(given: np.ndarray, scaling: Scaling, pixels: str) -> np.ndarray:
    inputs = keras.Input(given.shape[1:], dtype="float32")
    return np.asarray(keras.Model(inputs, scale_pixels(inputs, scaling, pixels))(given))


def centred(given: np.ndarray) -> np.ndarray:
    return given - given.mean(axis=(1, 2), keepdims=True, dtype=np.float64)


def test_caffe_is_blue_green_red_minus_their_means():
    given = images(2)
    expected = given[..., ::-1] - np.array([103.939, 116.779, 123.68])
    np.testing.assert_allclose(scaled(given, CAFFE, "backbone"), expected, atol=1e-4)


def test_centred_takes_each_image_and_channel_to_mean_zero():
    given = images(3)
    np.testing.assert_allclose(scaled(given, CAFFE, "centred"), centred(given) / 127.5, atol=1e-5)


@pytest.mark.parametrize(("count", "side", "channels"), [(40, 12, 3), (2000, 48, 1), (1, 8, 1)])
def test_the_variance_is_that_of_float64_over_the_chosen_images_alone(count: int, side: int, channels: int):
    given = images(2 * count, side, channels)
    rows = np.arange(0, 2 * count, 2)
    given[1::2] = rng.integers(0, 2, (count, side, side, channels)) * 255  # the others: as wild as can be
    expected = np.square(centred(given[rows])).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(centred_variance(given, rows), expected, rtol=1e-12)
    assert (expected < 1000).all()


def test_the_variance_of_large_images_does_not_overflow():
    given = np.zeros((3, 1024, 1024, 1), np.uint8)
    given[:, :512] = 255
    assert centred_variance(given, np.arange(3)) == 127.5**2


def standardized(stored: int, **options: object) -> keras.Model:
    experiment = load_experiment(
        backbone="shallow_cnn", weights="none", pixels="standardized", image_size=16, **options
    )
    return build_classifier(experiment, (16, 16, stored), 7, None).model


@pytest.mark.parametrize(("stored", "seen"), [(1, None), (1, 3), (3, None)])
def test_standardized_divides_by_the_deviation_that_was_set_in_training_too(stored: int, seen: int | None):
    model, given = standardized(stored, channels=seen), images(20, 16, stored)
    rows = np.arange(5)
    fit_standardization(model, given, rows)
    into_network = keras.Model(model.input, model.get_layer("standardize").output)
    expected = centred(given) / np.sqrt(np.square(centred(given[rows])).mean(axis=(0, 1, 2)))
    for training in (False, True):
        np.testing.assert_allclose(
            into_network(given, training=training), np.broadcast_to(expected, (20, 16, 16, seen or stored)), atol=1e-4
        )
    # Calls in training have not moved it.
    variance = np.broadcast_to(centred_variance(given, rows), (seen or stored,))
    np.testing.assert_allclose(model.get_layer("standardize").moving_variance, variance, rtol=1e-6)


def test_blank_images_stay_finite():
    model, blank = standardized(1), np.full((2, 16, 16, 1), 77, np.uint8)
    fit_standardization(model, blank, np.arange(2))
    assert np.isfinite(np.asarray(model(blank))).all()


def test_the_deviation_is_saved_with_the_model(tmp_path: Path):
    model, given = standardized(1), images(20, 16, 1)
    fit_standardization(model, given, np.arange(20))
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(given), model(given))


@pytest.mark.parametrize("pixels", ["backbone", "centred", "standardized"])
def test_scaling_is_made_of_keras_own_layers_and_saved_whole(pixels: str, tmp_path: Path):
    given, inputs = images(3), keras.Input((12, 12, 3), dtype="float32")
    model = keras.Model(inputs, scale_pixels(inputs, CAFFE, pixels))
    assert {layer["module"] for layer in model.get_config()["layers"]} == {"keras.layers"}
    model.save(tmp_path / "scaling.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "scaling.keras")(given), model(given))


def test_scaling_is_float32_in_any_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = standardized(1)
    finally:
        keras.config.set_dtype_policy("float32")
    for name in ("image_mean", "centre", "standardize"):
        assert model.get_layer(name).compute_dtype == "float32"
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
