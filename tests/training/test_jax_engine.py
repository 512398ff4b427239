"""The JAX engine's loss is the TensorFlow engine's, step by step, from the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import json
import keras, numpy as np
from fer_tl.config import Augment, Loss, Optimizer
from fer_tl.data.randomness import example_keys
from fer_tl.training.devices import choose_devices
from fer_tl.training.engine import make_engine
from fer_tl.training.optimizers import make_optimizer
from fer_tl.training.plan import plan_epoch

rng = np.random.default_rng(0)
count, side, classes = 160, 16, 7
images, labels = rng.integers(0, 256, (count, side, side, 1)).astype("uint8"), rng.integers(0, classes, count)
layers = keras.layers
inputs = x = keras.Input((side, side, 1))
x = layers.Resizing(20, 20)(layers.Rescaling(1 / 127.5, -1)(x))
for filters in (8, 16):
    x = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, use_bias=False)(x))))
model = keras.Model(inputs, layers.Dense(classes)(layers.Flatten()(x)))
model.set_weights([rng.normal(0, 0.1, w.shape) if w.ndim > 1 else w for w in model.get_weights()])
optimizer = make_optimizer(Optimizer("adam", clip=1.0), "float32")
optimizer.build(model.trainable_variables)
engine = make_engine(choose_devices("cpu"), model, images, labels, 8)
still = Augment(rotation=0, zoom=0, shift=0, flip=False)
keys = example_keys(np.arange(count).astype(str))
plan = plan_epoch(
    np.arange(count), keys, np.ones(count), 8, still, (side, side), np.full(20, 1e-3), 0, 0, 1, side=engine.side
)
sums = engine.compile_training(optimizer, 1.0, Loss("focal", smoothing=0.1, l2=1e-3))(plan)
print(json.dumps([(sums[:, 0] / sums[:, 2]).tolist(), engine.predict(np.arange(count)).tolist()]))
"""


def test_both_engines_have_the_same_losses_over_20_steps_and_the_same_answers():
    pytest.importorskip("jax")
    found = []
    for backend in ("tensorflow", "jax"):
        environment = {**os.environ, "KERAS_BACKEND": backend}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.append([np.array(values) for values in json.loads(done.stdout.splitlines()[-1])])
    assert len(found[0][0]) == 20 and np.ptp(found[0][0]) > 0.01
    for mine, other in zip(*found, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-4)
