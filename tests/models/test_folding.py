"""A folded network computes the same, with fewer layers, whatever is in front of a BatchNorm."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from fer_tl.models.backbones import BACKBONES
from fer_tl.models.folding import fold_batch_norm
from fer_tl.models.record import Variant

LAYERS = keras.layers


def shake(model: keras.Model) -> None:
    """Weights and statistics that are neither 0 nor 1."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([rng.uniform(0.5, 1.5, w.shape) * np.where(w == 0, 0.1, w) for w in layer.get_weights()])


def norms(model: keras.Model) -> int:
    return sum(isinstance(layer, LAYERS.BatchNormalization) for layer in model.layers)


def difference(one: keras.Model, other: keras.Model, images: np.ndarray) -> float:
    expected = np.asarray(one(images, training=False))
    return float(np.abs(np.asarray(other(images, training=False)) - expected).max() / np.abs(expected).max())


def test_every_kind_of_convolution_is_folded():
    x = inputs = keras.Input((8, 8, 3))
    for layer in (
        LAYERS.Conv2D(4, 3, use_bias=False),
        LAYERS.Conv2D(4, 1),
        LAYERS.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        LAYERS.DepthwiseConv2D(3),
    ):
        x = LAYERS.ReLU()(LAYERS.BatchNormalization()(layer(x)))
    x = LAYERS.BatchNormalization(scale=False)(LAYERS.Conv2D(2, 1)(x))
    model = keras.Model(inputs, LAYERS.BatchNormalization(center=False)(LAYERS.Conv2D(2, 1)(x)))
    shake(model)
    folded = fold_batch_norm(model)
    assert norms(folded) == 0
    assert difference(model, folded, np.random.default_rng(1).normal(size=(3, 8, 8, 3))) < 1e-5


def two_uses(x: Any) -> Any:
    y = LAYERS.Conv2D(3, 1)(x)
    return LAYERS.Add()([y, LAYERS.BatchNormalization()(y)])


KEPT = {
    "nothing in front": lambda x: LAYERS.BatchNormalization()(x),
    "another use": two_uses,
    "an activation between": lambda x: LAYERS.BatchNormalization()(LAYERS.Conv2D(3, 1, activation="relu")(x)),
    "another axis": lambda x: LAYERS.BatchNormalization(axis=1)(LAYERS.Conv2D(3, 1)(x)),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_cannot_be_folded_is_kept(name: str):
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, KEPT[name](inputs))
    shake(model)
    folded = fold_batch_norm(model)
    assert norms(folded) == 1
    assert difference(model, folded, np.random.default_rng(1).normal(size=(3, 6, 6, 3))) < 1e-6


@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnetb0", "resnet18", "shallow_cnn"])
def test_backbones_lose_all_their_norms(name: str):
    record = BACKBONES[name]
    channels = 3 if record.rgb else 1
    inputs = keras.Input((record.min_size, record.min_size, channels))
    model = keras.Model(inputs, record.build(inputs, Variant(alpha=record.alphas[0])).output)
    before = model.get_weights()
    folded = fold_batch_norm(model)
    assert norms(folded) == 0 < norms(model)
    images = np.random.default_rng(1).uniform(-1, 1, (2, record.min_size, record.min_size, channels))
    assert difference(model, folded, images) < 1e-4
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
