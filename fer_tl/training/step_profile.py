"""The parts of a training step, each compiled by itself so that it can be timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fer_tl.core.config import Loss
from fer_tl.engines.averaging import follow
from fer_tl.engines.base import Train
from fer_tl.engines.choose import choose_engine
from fer_tl.engines.feed import Images
from fer_tl.engines.objective import image_losses, weight_penalty
from fer_tl.engines.optimizers import apply_gradients, clip_by_global_norm
from fer_tl.training.session import CompiledStage, Session

# Runs so many steps and waits for them.
Run = Callable[[int], None]


class StepParts:
    """What the steps of a stage are made of, on constant pixels; all of it traces at its first call.

    The model and the optimizer learn from those pixels: start the stage anew before training in earnest.

    Attributes:
        shape: of the pixels or features that the model trains on, without the batch.
        forward: the model's answers, in training mode.
        gradients: the same, the loss and its gradients.
        update: the optimizer's change of the weights, by constant gradients, with clipping and averaging.
        model: all three in one step: a step without its input.

    Args:
        session: of the run.
        compiled: the stage that is the current one.
    """

    def __init__(self, session: Session, compiled: CompiledStage):
        self._strategy = session.devices.strategy  # type: ignore[attr-defined]
        self.trunk = session.engine.trunk
        self._optimizer = compiled.optimizer
        self._loss: Loss = session.experiment.loss
        self._clip = session.experiment.optimizer.clip
        self._variables, self._scales = session.model.trainable_variables, session.rate_scales()
        self._averages = compiled.averages.pairs if compiled.averages else []
        self._parts = session.engine.parts
        share = session.experiment.batch_size // session.devices.replicas // self._parts
        rng = np.random.default_rng(0)
        self.shape = self.trunk.input_shape[1:]
        # Two, taken in turn: what does not change in a loop TensorFlow may compute once.
        pixels = rng.uniform(0, 255, (2, share, *self.shape))
        self._pixels = tf.constant(pixels.astype(np.float32))  # [2, b, H, W, C] or [2, b, F]
        classes = self.trunk.output_shape[-1]
        self._targets = tf.one_hot(np.arange(share) % classes, classes)  # [b, K]
        self._gradients = [tf.fill(v.shape, tf.cast(1e-6, v.dtype)) for v in self._variables]
        parts = range(self._parts)
        self.forward = self._repeated(lambda step: sum((tf.reduce_sum(self._logits(step + i)) for i in parts), 0.0))
        self.gradients = self._repeated(lambda step: sum(map(_total, self._gradients_of(step)), 0.0))
        self.update = self._repeated(lambda step: self._apply(self._gradients))
        self.model = self._repeated(lambda step: self._apply(self._gradients_of(step)))

    def _logits(self, step: tf.Tensor) -> tf.Tensor:
        return self.trunk(self._pixels[step % 2], training=True)  # [b, K]

    def _gradients_of(self, step: tf.Tensor) -> list[tf.Tensor]:
        parts = [self._gradients_of_part(step + i) for i in range(self._parts)]
        return parts[0] if len(parts) == 1 else [tf.add_n(part) for part in zip(*parts, strict=True)]

    def _gradients_of_part(self, step: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(image_losses(self._loss, self._logits(step), self._targets))
            if self._loss.l2:
                loss += weight_penalty(self._loss.l2, self._variables)
            scaled = self._optimizer.scale_loss(loss)
        return tape.gradient(scaled, [v.value for v in self._variables])

    def _apply(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        if self._clip:
            gradients = clip_by_global_norm(gradients, self._clip)
        apply_gradients(self._optimizer, gradients, self._variables, self._scales)
        follow(self._averages, 0.999)  # whichever decay: it costs the same
        return tf.constant(0.0)

    def _repeated(self, part: Callable[[tf.Tensor], tf.Tensor]) -> Run:
        """A function of the number of steps; steps follow each other as in training."""

        @tf.function(input_signature=[tf.TensorSpec([], tf.int32)], autograph=False)
        def run(steps):  # type: ignore[no-untyped-def]
            def body(step: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                value = self._strategy.run(part, (step,))
                return step + 1, total + self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)

            return tf.while_loop(lambda step, _: step < steps, body, (0, 0.0), parallel_iterations=1)[1]

        return lambda steps: run(tf.constant(steps, tf.int32)).numpy()


def compile_input(session: Session, images: Images) -> Train:
    """Training of a model that only averages its pixels: what a step's input costs, from the stored images on.

    Batch, resampling, mixing and side are those of the session; the average and what learns from it cost about 0.2 ms.

    Args:
        session: of the run.
        images: those that its engine trains on.
    """
    engine, batch_size = session.engine, session.experiment.batch_size
    with session.devices.scope():
        taken = keras.Input(images.shape[1:])
        pixels = taken  # [B, H, W, C], or features [B, F]
        if len(images.shape) == 4 and engine.side != images.shape[1:3]:
            pixels = keras.layers.Resizing(*engine.side)(taken, training=False)
        flat = keras.layers.Reshape((-1, 1))(pixels)
        logits = keras.layers.Dense(engine.model.output_shape[-1])(keras.layers.GlobalAveragePooling1D()(flat))
        model = keras.Model(taken, logits)
        optimizer = keras.optimizers.SGD(0.0)
        optimizer.build(model.trainable_variables)
    labels = np.zeros(len(images), np.int64)
    return choose_engine()(session.devices, model, images, labels, batch_size).compile_training(optimizer, 0.0, Loss())


def _total(gradient: Any) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(tf.convert_to_tensor(gradient), tf.float32))
