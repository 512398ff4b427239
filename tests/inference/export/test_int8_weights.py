"""Rounding to int8 shifts no layer's mean, and costs less of a network's answers than rounding alone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from fer_tl.inference.export.int8_weights import round_weights

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 12, 12, 1)).astype(np.uint8)


def network() -> keras.Model:
    """Depthwise kernels of one large and eight small numbers, behind inputs that are never negative."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    inputs = keras.Input(IMAGES.shape[1:])
    x = layers.Conv2D(6, 3, activation="relu", name="first")(layers.Rescaling(1 / 255)(inputs))
    x = layers.ReLU()(layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x))
    x = layers.Conv2D(8, 1, strides=2, name="pointwise")(x)
    model = keras.Model(inputs, layers.Dense(5, name="classes")(layers.GlobalAveragePooling2D()(x)))
    kernel, bias = model.get_layer("depthwise").get_weights()
    kernel[:] = RNG.uniform(0.1, 0.9, kernel.shape) / 127
    kernel[1, 1] = 1.0
    kernel *= RNG.uniform(0.3, 3.0, (1, 1, *kernel.shape[2:]))
    model.get_layer("depthwise").set_weights([kernel, bias])
    return model


def rounded(model: keras.Model, correct: bool) -> keras.Model:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    round_weights(copy, IMAGES)
    if not correct:
        for layer in copy.layers:
            if layer.weights:
                layer.set_weights([layer.get_weights()[0], model.get_layer(layer.name).get_weights()[1]])
    return copy


def mean_output(model: keras.Model, name: str) -> np.ndarray:
    """Before the activation, so that the mean is linear in the weights: ``[F]``."""
    layer: Any = model.get_layer(name)
    activation, layer.activation = layer.activation, keras.activations.linear
    found = keras.Model(model.input, layer.output).predict(IMAGES.astype(np.float32), verbose=0)
    layer.activation = activation
    return found.mean(axis=tuple(range(found.ndim - 1)))


@pytest.mark.parametrize("name", ["first", "depthwise", "pointwise", "classes"])
def test_the_mean_of_a_layer_is_what_it_was_on_the_same_inputs(name: str) -> None:
    model = network()
    found = rounded(model, correct=True)
    alone = keras.models.clone_model(model)
    alone.set_weights(model.get_weights())
    alone.get_layer(name).set_weights(found.get_layer(name).get_weights())
    moved = np.abs(alone.get_layer(name).get_weights()[1] - model.get_layer(name).get_weights()[1])
    assert moved.max() > 1e-5
    np.testing.assert_allclose(mean_output(alone, name), mean_output(model, name), atol=2e-6)


def test_kernels_are_whole_numbers_of_127ths_of_the_largest_of_each_output() -> None:
    found = rounded(network(), correct=True)
    for name, axes in {"first": (0, 1, 2), "depthwise": (0, 1), "pointwise": (0, 1, 2), "classes": (0,)}.items():
        kernel = found.get_layer(name).get_weights()[0]
        steps = kernel / np.abs(kernel).max(axes, keepdims=True) * 127
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)


def test_answers_move_less_than_by_rounding_alone() -> None:
    model, pixels = network(), IMAGES.astype(np.float32)
    expected = model(pixels)
    errors = [np.abs(rounded(model, correct)(pixels) - expected).mean() for correct in (True, False)]
    assert errors[0] < errors[1] / 2


def test_a_channel_of_zeros_stays_one() -> None:
    model = network()
    kernel, bias = model.get_layer("first").get_weights()
    kernel[..., 0] = 0
    model.get_layer("first").set_weights([kernel, bias])
    found = rounded(model, correct=True)
    assert all(np.isfinite(weights).all() for weights in found.get_weights())
    np.testing.assert_array_equal(found.get_layer("first").get_weights()[0][..., 0], 0)


def test_layers_along_rows_of_features_are_corrected_too() -> None:
    keras.utils.set_random_seed(3)
    layers = keras.layers
    inputs = keras.Input(IMAGES.shape[1:])
    x = layers.Dense(6, name="along")(layers.Reshape((-1, 12))(layers.Rescaling(1 / 255)(inputs)))  # [B, 12, 6]
    model = keras.Model(inputs, layers.Dense(5, name="classes")(layers.GlobalAveragePooling1D()(x)))
    found = rounded(model, correct=True)
    means = [np.mean(keras.Model(m.input, m.get_layer("along").output)(IMAGES), axis=(0, 1)) for m in (found, model)]
    np.testing.assert_allclose(*means, atol=2e-6)


def test_a_network_without_biases_stays_as_it_is() -> None:
    inputs = keras.Input(IMAGES.shape[1:])
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(5, 3, use_bias=False)(inputs))
    model = keras.Model(inputs, x)
    before = model.get_weights()
    round_weights(model, IMAGES)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
