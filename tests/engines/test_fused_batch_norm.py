"""The fused kernel trains BatchNorm as Keras does, and leaves no trace in a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's kernel", allow_module_level=True)

import tensorflow as tf

from fer_tl.core.config import Augment, Loss, Optimizer
from fer_tl.core.randomness import example_keys
from fer_tl.devices.choose import choose_devices
from fer_tl.engines import tensorflow_engine
from fer_tl.engines.choose import choose_engine
from fer_tl.engines.fused_batch_norm import fuse_batch_norm
from fer_tl.engines.optimizers import make_optimizer
from fer_tl.engines.plan import plan_epoch, steps_per_epoch

RNG = np.random.default_rng(0)
SIDE, CLASSES, BATCH = 8, 5, 6


def normed_cnn(**norm: Any) -> keras.Model:
    """BatchNorm behind both kinds of convolution, one inside a model of its own, with and without gamma and beta."""
    keras.utils.set_random_seed(2)
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, 1))
    x = layers.Conv2D(4, 3, use_bias=False)(layers.Rescaling(1 / 64, offset=-2.0)(inputs))
    x = layers.ReLU()(layers.BatchNormalization(name="whole", momentum=0.9, **norm)(x))
    x = layers.DepthwiseConv2D(3, strides=2)(x)
    within = keras.Input(x.shape[1:])
    inner = keras.Model(within, layers.BatchNormalization(name="unscaled", scale=False, **norm)(within), name="inner")
    x = layers.Conv2D(6, 2)(layers.ReLU()(inner(x)))  # [B, 1, 1, 6]
    x = layers.BatchNormalization(name="uncentred", center=False, **norm)(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x)))


def step(model: keras.Model, images: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Answers, gradients of all weights, and moving averages after a training step."""

    @tf.function(autograph=False)
    def run(pixels: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            answers = model(pixels, training=True)
            loss = tf.reduce_sum(tf.sin(answers))
        return answers, tape.gradient(loss, [v.value for v in model.trainable_variables])

    answers, gradients = run(tf.constant(images))
    averages = [v for v in model.non_trainable_variables if v.name.startswith("moving")]
    return answers.numpy(), [np.asarray(g) for g in gradients], [np.asarray(v) for v in averages]


@pytest.mark.parametrize("batch", [3, BATCH])  # the last BatchNorm sees as many numbers a channel
def test_a_step_is_that_of_keras(batch: int) -> None:
    images = RNG.uniform(0, 255, (batch, SIDE, SIDE, 1)).astype(np.float32)
    plain, fused = normed_cnn(), normed_cnn()
    assert fuse_batch_norm(fused) == 3
    expected, found = step(plain, images), step(fused, images)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-5)
    largest = max(np.abs(gradient).max() for gradient in expected[1])
    for one, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * largest)
    for one, other in zip(found[2], expected[2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert np.abs(expected[2][1] - 1).max() > 1e-3  # the averages moved


def test_the_kernel_is_the_fused_one_where_batch_norm_learns_and_nowhere_else() -> None:
    model = normed_cnn()
    fuse_batch_norm(model)

    def kernels(training: bool) -> int:
        graph = tf.function(lambda x: model(x, training=training), autograph=False).get_concrete_function(
            tf.TensorSpec((BATCH, SIDE, SIDE, 1))
        )
        return sum(operation.type == "FusedBatchNormV3" for operation in graph.graph.get_operations())

    assert (kernels(True), kernels(False)) == (3, 0)
    model.get_layer("whole").trainable = False
    assert kernels(True) == 2


@pytest.mark.parametrize("norm", [{"axis": 1}, {"synchronized": True}, {"epsilon": 1e-6}], ids=str)
def test_what_the_kernel_cannot_do_is_left_to_keras(norm: dict[str, Any]) -> None:
    assert fuse_batch_norm(normed_cnn(**norm)) == 0


def test_frozen_layers_keep_their_averages_and_inference_its_bits() -> None:
    images = RNG.uniform(0, 255, (BATCH, SIDE, SIDE, 1)).astype(np.float32)
    plain, fused = normed_cnn(), normed_cnn()
    fuse_batch_norm(fused)
    np.testing.assert_array_equal(fused(images, training=False), plain(images, training=False))
    frozen = fused.get_layer("whole")
    frozen.trainable = False
    before = frozen.get_weights()
    step(fused, images)
    for one, other in zip(frozen.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_flat_inputs_are_computed_by_keras() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.BatchNormalization()(inputs))
    fuse_batch_norm(model)
    answers = model(RNG.normal(3, 2, (50, 4)).astype(np.float32), training=True)
    np.testing.assert_allclose(np.mean(answers, axis=0), 0, atol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_gets_its_own_type_and_float32_averages(precision: str) -> None:
    images = RNG.normal(0, 1, (BATCH, SIDE, SIDE, 4)).astype(np.float32)
    inputs = keras.Input(images.shape[1:])
    model = keras.Model(inputs, keras.layers.BatchNormalization(dtype=precision)(inputs))
    fuse_batch_norm(model)
    answers = model(images, training=True)
    assert answers.dtype == precision.removeprefix("mixed_")
    assert model.layers[1].moving_mean.dtype == "float32"
    expected = (images - images.mean((0, 1, 2))) / np.sqrt(images.var((0, 1, 2)) + 1e-3)
    np.testing.assert_allclose(np.asarray(answers, np.float32), expected, atol=0.03)


def train(strategy: str, monkeypatch: pytest.MonkeyPatch, fused: bool) -> tuple[np.ndarray, keras.Model]:
    count = 30
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (count, SIDE, SIDE, 1)).astype(np.uint8)
    labels = rng.integers(0, CLASSES, count)
    devices = choose_devices(strategy)
    with devices.scope():
        model = normed_cnn()
        optimizer = make_optimizer(Optimizer("sgd", momentum=0.9), "float32")
        optimizer.build(model.trainable_variables)
    with monkeypatch.context() as patch:
        if not fused:
            patch.setattr(tensorflow_engine, "fuse_batch_norm", lambda model: 0)
        engine = choose_engine()(devices, model, images, labels, BATCH)
    rates = np.full(steps_per_epoch(count, BATCH), 0.02)
    keys = example_keys(np.array([f"{row}" for row in range(count)]))
    plan = plan_epoch(
        np.arange(count), keys, np.ones(count), BATCH, Augment(), (SIDE, SIDE), rates, 0, 0, 1, offsets=None
    )
    return engine.compile_training(optimizer, 0.0, Loss())(plan), model


@pytest.mark.parametrize("strategy", ["cpu", "mirrored"])
def test_an_engine_trains_by_it_as_without_it_on_any_devices(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, plain = train(strategy, monkeypatch, fused=False)
    found, fused = train(strategy, monkeypatch, fused=True)
    assert not np.array_equal(found, expected)  # two kernels, as their last bits show
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for one, other in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_the_same_steps_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (train("cpu", monkeypatch, fused=True) for _ in range(2))
    for left, right in zip(one[1].get_weights(), other[1].get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_saved_model_holds_layers_of_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, model = train("cpu", monkeypatch, fused=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("whole")) is keras.layers.BatchNormalization
    assert "call" not in vars(loaded.get_layer("whole"))
    images = RNG.uniform(0, 255, (BATCH, SIDE, SIDE, 1)).astype(np.float32)
    np.testing.assert_array_equal(loaded(images), model(images))
