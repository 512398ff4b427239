"""Losses have their closed forms and agree with Keras's own; the penalty is that of Keras's regularizers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fer_tl.core.config import Loss
from fer_tl.engines.objective import image_losses, weight_penalty

CROSS_ENTROPY = Loss()
# Probabilities 1/2, 1/4, 1/4.
HALF = np.log(np.array([[2.0, 1.0, 1.0]], np.float32)) + 5
LOG2 = np.log(2.0)


def random_case(count: int = 50, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Logits and soft targets."""
    rng = np.random.default_rng(0)
    targets = rng.dirichlet(np.ones(classes), count)
    return rng.normal(size=(count, classes)).astype(np.float32), targets.astype(np.float32)


def losses(settings: Loss, logits: Any, targets: Any, offsets: Any = None) -> np.ndarray:
    return np.asarray(image_losses(settings, tf.constant(logits), tf.constant(targets, tf.float32), offsets))


@pytest.mark.parametrize(
    ("settings", "targets", "expected"),
    [
        (CROSS_ENTROPY, [1, 0, 0], LOG2),
        (CROSS_ENTROPY, [0, 1, 0], 2 * LOG2),
        (CROSS_ENTROPY, [0.5, 0.5, 0], 1.5 * LOG2),
        (Loss(smoothing=0.3), [1, 0, 0], (0.8 + 2 * 0.1 + 2 * 0.1) * LOG2),
        (Loss(smoothing=0.3), [0, 0.5, 0.5], (0.1 + 2 * 0.45 + 2 * 0.45) * LOG2),
        (Loss("focal", gamma=2), [1, 0, 0], 0.5**2 * LOG2),
        (Loss("focal", gamma=2), [0, 1, 0], 0.75**2 * 2 * LOG2),
        (Loss("focal", gamma=2), [0.5, 0.5, 0], (0.5 * 0.5**2 + 0.5 * 0.75**2 * 2) * LOG2),
        (Loss("focal", gamma=1, smoothing=0.3), [1, 0, 0], (0.8 * 0.5 + 2 * 0.1 * 0.75 * 2) * LOG2),
    ],
)
def test_losses_of_one_image_by_hand(settings: Loss, targets: list[float], expected: float) -> None:
    assert losses(settings, HALF, [targets]) == pytest.approx([expected], rel=1e-6)


def test_focal_without_focus_is_cross_entropy() -> None:
    logits, targets = random_case()
    focal, plain = (losses(settings, logits, targets) for settings in (Loss("focal", gamma=0), CROSS_ENTROPY))
    np.testing.assert_allclose(focal, plain, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_and_smoothing_are_those_of_keras(gamma: float) -> None:
    logits, targets = random_case()
    theirs = keras.losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=gamma, from_logits=True, label_smoothing=0.1, reduction="none"
    )(targets, logits)
    np.testing.assert_allclose(losses(Loss("focal", gamma, smoothing=0.1), logits, targets), theirs, rtol=1e-4)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction="none")(
        targets, logits
    )
    np.testing.assert_allclose(losses(Loss(smoothing=0.1), logits, targets), theirs, rtol=1e-5)


@pytest.mark.parametrize("settings", [CROSS_ENTROPY, Loss("focal", 0.5), Loss("focal", 2.0), Loss("focal", 0.0)])
def test_an_image_that_is_surely_right_or_wrong_has_a_finite_slope(settings: Loss) -> None:
    logits = tf.Variable([[200.0, -200.0], [-200.0, 200.0]])
    with tf.GradientTape() as tape:
        values = image_losses(settings, logits, tf.constant([[1.0, 0.0], [1.0, 0.0]]))
    slopes = tape.gradient(values, logits).numpy()
    np.testing.assert_allclose(values, [0, 400], atol=1e-4)
    np.testing.assert_allclose(slopes, [[0, 0], [-1, 1]], atol=1e-4)


def test_adjusted_logits_hold_the_prior_of_the_classes() -> None:
    even = np.zeros((1, 3), np.float32)
    prior = np.log(np.array([0.5, 0.25, 0.25], np.float32))
    # Without evidence the probability of a class is its prior.
    for settings, expected in ((CROSS_ENTROPY, LOG2), (Loss("focal", gamma=2), 0.25 * LOG2)):
        assert losses(settings, even, [[1, 0, 0]], prior) == pytest.approx([expected], rel=1e-6)
    logits, targets = random_case()
    uniform = np.full(7, np.log(1 / 7), np.float32)
    np.testing.assert_allclose(
        losses(CROSS_ENTROPY, logits, targets, uniform), losses(CROSS_ENTROPY, logits, targets), rtol=1e-5
    )


def test_the_penalty_is_that_of_keras_on_kernels_that_learn() -> None:
    l2 = keras.regularizers.L2(0.01)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, kernel_regularizer=l2),
            keras.layers.DepthwiseConv2D(3, depthwise_regularizer=l2),
            keras.layers.SeparableConv2D(5, 3, depthwise_regularizer=l2, pointwise_regularizer=l2),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(2, kernel_regularizer=l2),
        ]
    )
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    penalties = []
    for trainable in (True, False):
        model.layers[0].trainable = trainable
        penalties.append(float(weight_penalty(0.01, model.trainable_variables)))
        assert penalties[-1] == pytest.approx(float(sum(model.losses)), rel=1e-5)
    assert penalties[0] - penalties[1] == pytest.approx(float(l2(model.layers[0].kernel)), rel=1e-4)
