"""Averages of the weights follow the formula, on any devices and however the steps are cut into calls."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from fer_tl.core.config import Augment, Loss, Optimizer
from fer_tl.core.randomness import example_keys
from fer_tl.devices.choose import choose_devices
from fer_tl.engines.averaging import decays
from fer_tl.engines.choose import choose_engine
from fer_tl.engines.optimizers import make_optimizer
from fer_tl.engines.plan import plan_epoch
from fer_tl.training.averages import Averages
from fer_tl.training.checkpoint import read_values

COUNT, SIDE, CLASSES, BATCH = 32, 12, 7, 8


def test_decays_rise_to_the_one_that_is_asked_for_wherever_a_call_begins():
    whole = decays(0.9, 0, 200)
    np.testing.assert_allclose(whole[:3], [1 / 10, 2 / 11, 3 / 12])
    np.testing.assert_allclose(whole[80:], 0.9)
    assert np.all(np.diff(whole) >= 0) and whole.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([decays(0.9, 0, 50), decays(0.9, 50, 150)]), whole)


def small_cnn() -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIDE, SIDE, 1))
    x = keras.layers.Conv2D(4, 3, strides=2)(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs))
    x = keras.layers.Dropout(0.2)(keras.layers.BatchNormalization(momentum=0.5)(x))
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(x)))


@pytest.mark.engines
@pytest.mark.parametrize("strategy", ["cpu", "mirrored"])
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_averages_follow_what_the_weights_and_the_statistics_are_after_each_step(strategy: str, precision: str):
    rng, devices = np.random.default_rng(0), choose_devices(strategy)
    images, labels = rng.integers(0, 256, (COUNT, SIDE, SIDE, 1)).astype(np.uint8), rng.integers(0, CLASSES, COUNT)
    with devices.scope():
        model = small_cnn()
        optimizer = make_optimizer(Optimizer("adam", 0.01), precision)
        optimizer.build(model.trainable_variables)
        averages = Averages(model)
    moving = [v for v in model.variables if v.dtype == "float32"]
    assert len(averages.variables) == len(moving) == 8  # two kernels and biases, BatchNorm's four
    engine = choose_engine()(devices, model, images, labels, BATCH)
    train = engine.compile_training(optimizer, 0.0, Loss(), averages.pairs)
    keys, rates = example_keys(np.arange(COUNT).astype(str)), np.full(4, 0.01)
    plan = plan_epoch(np.arange(COUNT), keys, np.ones(COUNT), BATCH, Augment(), (SIDE, SIDE), rates, 0, 0, 1)
    plan = replace(plan, decays=decays(0.2, 0, 4))
    initial = read_values(model.variables + optimizer.variables)
    averages.restart()
    expected = {v.path: np.float64(v) for v in moving}
    for step in range(4):
        train(plan, step, step + 1)
        for v in moving:
            expected[v.path] += (1 - plan.decays[step]) * (np.float64(v) - expected[v.path])
    weights = read_values(model.variables)
    averages.put_in_place()
    for v in moving:
        np.testing.assert_allclose(np.asarray(v), expected[v.path], rtol=0, atol=1e-6, err_msg=v.path)
        assert not np.array_equal(np.asarray(v), weights[[one.path for one in model.variables].index(v.path)])
    # All steps in one call, from the same start.
    stepwise = read_values(averages.variables)
    for v, value in zip(model.variables + optimizer.variables, initial, strict=True):
        v.assign(value)
    averages.restart()
    train(plan)
    for one, other in zip(stepwise, read_values(averages.variables), strict=True):
        np.testing.assert_array_equal(one, other)
