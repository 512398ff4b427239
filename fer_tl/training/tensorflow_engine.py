"""The TensorFlow engine: one compiled function that runs many training steps on resident images.

It knows no model and no dataset. Keras's own ``fit`` is not used: under Keras 3 it fails with several workers
(keras issue 20585), with many steps a call on two devices (19246), and on a last batch smaller than the number of
replicas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fer_tl.data.augment import resample
from fer_tl.errors import UserError
from fer_tl.training.optimizers import clip_by_global_norm
from fer_tl.training.plan import EpochPlan, steps_per_epoch

# Sum over images of the weighted loss, number of right answers, number of images.
Sums = np.ndarray


class TensorFlowEngine:
    """Trains and predicts with one model under one strategy.

    Args:
        strategy: any ``tf.distribute.Strategy``, including the default one.
        model: built in the strategy's scope; pixels ``[B, H, W, C]`` to logits ``[B, K]``.
        images: uint8 ``[N, H, W, C]``; stays on the devices.
        labels: int ``[N]``.
        batch_size: B, images a step over all replicas.

    Raises:
        UserError: the batch does not divide over the replicas.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
    ):
        self.strategy = strategy
        self.model = model
        self.batch_size = batch_size
        self.replicas = strategy.num_replicas_in_sync
        if batch_size % self.replicas:
            raise UserError(
                f"'batch_size' {batch_size} does not divide over the devices: use a multiple of {self.replicas}"
            )
        self._images = self._resident(np.ascontiguousarray(images))
        self._labels = self._resident(labels.astype(np.int32))
        # Augmentation alone is compiled by XLA: 8 times faster on a CPU, where XLA slows the model down 8 times
        # (measured, see DESIGN). A TPU compiles the whole step by itself.
        tpu = isinstance(strategy, tf.distribute.TPUStrategy)
        self._resample = resample if tpu else tf.function(resample, jit_compile=True, autograph=False)
        self._predict = self._compile_prediction(batch_size)
        self._seeds = [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]

    def _resident(self, values: np.ndarray) -> Any:
        if not tf.distribute.has_strategy() and self.strategy is tf.distribute.get_strategy():
            return tf.constant(values)
        return self.strategy.experimental_distribute_values_from_function(lambda _: tf.constant(values))

    def _own_part(self, values: tf.Tensor, share: int) -> tf.Tensor:
        """This replica's ``share`` of the values of a step. Every replica is handed the plan of the whole step, so no
        worker needs to know another's input."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return values[replica * share : (replica + 1) * share] if self.replicas > 1 else values

    def compile_training(self, optimizer: Any, clip: float) -> Callable[[EpochPlan], Sums]:
        """Compile training of the variables that are trainable now.

        Args:
            optimizer: built on ``model.trainable_variables``.
            clip: largest global gradient norm, 0 for none.

        Returns:
            A function that runs the steps of a plan and returns their ``Sums``. It traces at its first call, so the
            layers must still be as they are now, and never again.
        """
        batch_size, share = self.batch_size, self.batch_size // self.replicas
        variables = [v.value for v in self.model.trainable_variables]

        def replica_step(
            images: tf.Tensor, labels: tf.Tensor, rows: Any, weights: Any, transforms: Any, count: Any
        ) -> tf.Tensor:
            rows = tf.ensure_shape(self._own_part(rows, share), [share])
            weights = self._own_part(weights, share)  # [b]
            transforms = tf.ensure_shape(self._own_part(transforms, share), [share, 6])
            truth = tf.gather(labels, rows)  # [b]
            pixels = self._resample(tf.gather(images, rows), transforms)  # [b, H, W, C]
            with tf.GradientTape() as tape:
                logits = self.model(pixels, training=True)  # [b, K]
                losses = keras.losses.sparse_categorical_crossentropy(truth, logits, from_logits=True)  # [b]
                # Divided by the images of the whole step: the replicas' gradients then add up to the step's.
                loss = tf.reduce_sum(losses * weights) / count
                scaled = optimizer.scale_loss(loss)
            gradients = tape.gradient(scaled, variables)
            if clip:
                gradients = self._clip(gradients, clip * (optimizer.loss_scale_factor or 1.0))
            optimizer.apply(gradients, self.model.trainable_variables)
            real = tf.cast(weights > 0, tf.float32)
            right = tf.cast(tf.argmax(logits, axis=1, output_type=tf.int32) == truth, tf.float32)
            return tf.stack([loss * count, tf.reduce_sum(right * real), tf.reduce_sum(real)])

        # A given signature: parts of any number of steps share one trace.
        @tf.function(
            input_signature=[
                tf.TensorSpec([None, batch_size], tf.int32),
                tf.TensorSpec([None, batch_size], tf.float32),
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([None, batch_size, 6], tf.float32),
                tf.TensorSpec([None], tf.float32),
            ],
            autograph=False,
        )
        def train(rows, weights, counts, transforms, rates):  # type: ignore[no-untyped-def]
            def body(step: tf.Tensor, sums: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
                optimizer.learning_rate = rates[step]
                part = self.strategy.run(
                    replica_step,
                    (self._images, self._labels, rows[step], weights[step], transforms[step], counts[step]),
                )
                return step + 1, sums.write(step, self.strategy.reduce(tf.distribute.ReduceOp.SUM, part, axis=None))

            return _stacked(body, tf.shape(rows)[0])  # [S, 3]

        def run(plan: EpochPlan) -> Sums:
            steps = np.asarray(train(plan.rows, plan.weights, plan.counts, plan.transforms, plan.rates))
            # In float64 the sum of float32 numbers does not depend on how an epoch is cut into calls.
            return steps.sum(axis=0, dtype=np.float64)

        return run

    def _clip(self, gradients: list[Any], limit: float) -> list[Any]:
        if self.replicas == 1:
            return clip_by_global_norm(gradients, limit)
        # Clip the sum over replicas, as one device would; the optimizer sums once more, hence the division.
        context = tf.distribute.get_replica_context()
        whole = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        return [gradient / self.replicas for gradient in clip_by_global_norm(whole, limit)]

    def _compile_prediction(self, batch_size: int) -> Any:
        share = batch_size // self.replicas

        def replica_predict(images: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            pixels = tf.gather(images, tf.ensure_shape(self._own_part(rows, share), [share]))
            logits = self.model(pixels, training=False)  # [b, K]
            return tf.distribute.get_replica_context().all_gather(logits, axis=0) if self.replicas > 1 else logits

        @tf.function(input_signature=[tf.TensorSpec([None, batch_size], tf.int32)], autograph=False)
        def predict(rows):  # type: ignore[no-untyped-def]
            def body(step: tf.Tensor, logits: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
                part = self.strategy.run(replica_predict, (self._images, rows[step]))
                return step + 1, logits.write(step, self.strategy.experimental_local_results(part)[0])

            return _stacked(body, tf.shape(rows)[0])  # [S, B, K]

        return predict

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Logits of resident images, unaugmented: int ``[N]`` to float32 ``[N, K]``, every image once."""
        steps = steps_per_epoch(len(rows), self.batch_size)
        filled = np.resize(rows, steps * self.batch_size).reshape(steps, self.batch_size)  # [S, B]
        logits = np.asarray(self._predict(filled.astype(np.int32)))
        return logits.reshape(steps * self.batch_size, -1)[: len(rows)]  # [N, K]

    def reseed(self, key: int) -> None:
        """Set the state of every dropout layer from a 64-bit key, so that a resumed run draws the same."""
        for index, state in enumerate(self._seeds):
            state.assign(np.array([(key + index) & 0x7FFFFFFF, (key >> 32) & 0x7FFFFFFF], dtype=np.int64))


def _stacked(body: Callable[[tf.Tensor, tf.TensorArray], tuple[tf.Tensor, tf.TensorArray]], steps: tf.Tensor) -> Any:
    """What a body writes in each of its steps, stacked. A loop spelt out: AutoGraph, which would turn a ``for`` into
    one, cannot read the source under TensorFlow 2.20 with Python 3.13."""
    results = tf.TensorArray(tf.float32, size=steps)
    _, results = tf.while_loop(lambda step, _: step < steps, body, (0, results), parallel_iterations=1)
    return results.stack()
