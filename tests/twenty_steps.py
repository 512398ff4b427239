"""Trains a small network for 20 steps on the backend of the environment; prints the losses and its answers after it."""

from __future__ import annotations

import json

import keras
import numpy as np

from fer_tl.core.config import Augment, Loss, Optimizer
from fer_tl.core.randomness import example_keys
from fer_tl.devices.choose import choose_devices
from fer_tl.engines.choose import choose_engine
from fer_tl.engines.optimizers import make_optimizer
from fer_tl.engines.plan import plan_epoch

COUNT, SIDE, CLASSES, BATCH = 160, 16, 7, 8


def make_model(rng: np.random.Generator) -> keras.Model:
    """BatchNorm and resizing, no dropout, weights by NumPy."""
    layers = keras.layers
    inputs = x = keras.Input((SIDE, SIDE, 1))
    x = layers.Resizing(20, 20)(layers.Rescaling(1 / 127.5, -1)(x))
    for filters in (8, 16):
        x = layers.BatchNormalization()(layers.Conv2D(filters, 3, use_bias=False)(x))
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    model = keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x)))
    model.set_weights([rng.normal(0, 0.1, w.shape) if w.ndim > 1 else w for w in model.get_weights()])
    return model


def train() -> tuple[list[float], list[list[float]]]:
    """Mean losses of the steps, and logits of all images after them."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, SIDE, SIDE, 1)).astype("uint8")
    labels = rng.integers(0, CLASSES, COUNT)
    model = make_model(rng)
    optimizer = make_optimizer(Optimizer("adam", clip=1.0), "float32")
    optimizer.build(model.trainable_variables)
    engine = choose_engine()(choose_devices("cpu"), model, images, labels, BATCH)
    # Nothing moves: in noise the last bits of a coordinate count up to 255 times.
    light = {"brightness": 0.2, "contrast": 0.5, "gamma": 0.5, "blur": 1.0, "noise": 0.1}
    still = Augment(rotation=0, zoom=0, shift=0, flip=False, **light)
    keys, rates = example_keys(np.arange(COUNT).astype(str)), np.full(COUNT // BATCH, 1e-3)
    plan = plan_epoch(
        np.arange(COUNT), keys, np.ones(COUNT), BATCH, still, (SIDE, SIDE), rates, 0, 0, 1, side=engine.side
    )
    sums = engine.compile_training(optimizer, 1.0, Loss("focal", smoothing=0.1, l2=1e-3))(plan)
    return (sums[:, 0] / sums[:, 2]).tolist(), engine.predict(np.arange(COUNT)).tolist()


if __name__ == "__main__":
    print(json.dumps(train()))
