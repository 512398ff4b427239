"""The TensorFlow engine: one ``tf.function`` that runs many training steps under a ``tf.distribute`` strategy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from fer_tl.augment.mixing import prepare
from fer_tl.core.config import Loss
from fer_tl.core.framework import switch_off_graph_rewriting
from fer_tl.engines.averaging import Followed, follow
from fer_tl.engines.base import ALIGNMENT, PER_IMAGE, Arrays, Engine, Sums, Train
from fer_tl.engines.fused_batch_norm import fuse_batch_norm
from fer_tl.engines.objective import image_losses, weight_penalty
from fer_tl.engines.optimizers import apply_gradients, clip_by_global_norm, loss_scale
from fer_tl.engines.plan import EpochPlan


class TensorFlowEngine(Engine):
    """An engine under any ``tf.distribute.Strategy``, including the default one."""

    def __init__(self, *given: Any):
        super().__init__(*given)
        fuse_batch_norm(self.model)
        # Augmentation alone is compiled by XLA: 8 times faster on a CPU, where XLA slows the model down 8 times
        # (measured, see DESIGN). A TPU compiles the whole step by itself.
        tpu = isinstance(self._strategy, tf.distribute.TPUStrategy)
        if not tpu:
            switch_off_graph_rewriting()
        self._prepare = functools.partial(prepare, side=self.side) if tpu else _compiled_prepare(self.side)

    @property
    def _strategy(self) -> tf.distribute.Strategy:
        return self.devices.strategy  # type: ignore[attr-defined]

    @property
    def _replicas(self) -> int:
        return self.devices.replicas

    def _resident(self, values: np.ndarray) -> Any:
        if tf.distribute.has_strategy() or self._strategy is not tf.distribute.get_strategy():
            return self._strategy.experimental_distribute_values_from_function(lambda _: tf.constant(values))
        shareable = values.flags.writeable and values.ctypes.data % ALIGNMENT == 0
        if shareable and not tf.config.list_logical_devices("GPU"):
            # The array itself: tf.constant takes twice its memory besides (measured, 500 MB: 1,017 MB more).
            return tf.experimental.dlpack.from_dlpack(values.__dlpack__())
        return tf.constant(values)

    def ran_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, tf.errors.ResourceExhaustedError)

    def _own_share(self, arrays: Any) -> Any:
        """This replica's part of arrays ``[B, ...]`` of a step, nested or not. Every replica is handed the plan of the
        whole step, so no worker needs to know another's input."""
        share = self.batch_size // self._replicas
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group

        def own(values: tf.Tensor) -> tf.Tensor:
            part = values[replica * share : (replica + 1) * share] if self._replicas > 1 else values
            return tf.ensure_shape(part, [share, *values.shape[1:]])

        return tf.nest.map_structure(own, arrays)

    def compile_training(
        self,
        optimizer: Any,
        clip: float,
        loss: Loss,
        averages: Sequence[Followed] = (),
        scales: Sequence[float] = (),
    ) -> Train:
        variables = self.model.trainable_variables
        values = [v.value for v in variables]
        both = self._resident(self._truth())  # [N, 2, K]

        def gradients_of(images: tf.Tensor, truth: tf.Tensor, step: dict[str, Any], mine: dict[str, Any]) -> Any:
            """Of a part of this replica's images: gradients, and what they add to ``Sums``."""
            count, weights = step["counts"], mine["weights"]  # weights: [b]
            pixels, targets, labels = self._inputs(images, truth, mine)
            with tf.GradientTape() as tape:
                logits = self.trunk(pixels, training=True)  # [b, K]
                # Divided by the images of the whole step: the gradients of replicas and parts add up to the step's.
                data_loss = tf.reduce_sum(image_losses(loss, logits, targets, step.get("offsets")) * weights) / count
                shares = self._replicas * self.parts
                whole = data_loss + weight_penalty(loss.l2, variables) / shares if loss.l2 else data_loss
                scaled = optimizer.scale_loss(whole)
            real = tf.cast(weights > 0, tf.float32)
            # The share of the image that the answer is right for: 1 or 0 where nothing is mixed.
            right = tf.gather(labels, tf.argmax(logits, axis=1), batch_dims=1)  # [b]
            sums = tf.stack([data_loss * count, tf.reduce_sum(right * real), tf.reduce_sum(real)])
            return tape.gradient(scaled, values), sums

        def replica_step(images: tf.Tensor, truth: tf.Tensor, step: dict[str, Any]) -> tf.Tensor:
            mine = {name: self._own_share(step[name]) for name in PER_IMAGE if name in step}
            gradients, sums = self._in_parts(functools.partial(gradients_of, images, truth, step), mine, values)
            if clip:
                gradients = self._clip(gradients, clip * loss_scale(optimizer))
            apply_gradients(optimizer, gradients, variables, scales)
            if averages:
                follow(averages, step["decays"])
            return sums

        def train(arrays):  # type: ignore[no-untyped-def]
            def body(step: tf.Tensor, sums: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
                now = tf.nest.map_structure(lambda array: array[step], arrays)
                optimizer.learning_rate = now["rates"]
                part = self._strategy.run(replica_step, (self._images, both, now))
                return step + 1, sums.write(step, self._strategy.reduce(tf.distribute.ReduceOp.SUM, part, axis=None))

            return _stacked(body, tf.shape(arrays["rows"])[0])  # [S, 3]

        compiled: list[Any] = []

        def run(plan: EpochPlan, start: int = 0, stop: int | None = None) -> Sums:
            stop = len(plan) if stop is None else stop
            arrays = self._arrays_of(plan, start, stop)
            if not compiled:
                # A given signature: parts of any number of steps share one trace.
                signature = tf.nest.map_structure(lambda a: tf.TensorSpec([None, *a.shape[1:]], a.dtype), arrays)
                compiled.append(tf.function(train, input_signature=[signature], autograph=False))
            return np.asarray(compiled[0](arrays))

        return run

    def _in_parts(self, gradients_of: Callable[[Any], Any], mine: dict[str, Any], values: list[Any]) -> Any:
        """Gradients and sums of this replica's images, computed part after part and added."""
        if self.parts == 1:
            return gradients_of(mine)
        size = self.batch_size // self._replicas // self.parts

        def body(index: tf.Tensor, gradients: list[tf.Tensor], sums: tf.Tensor) -> Any:
            def own(values: tf.Tensor) -> tf.Tensor:
                return tf.ensure_shape(values[index * size : (index + 1) * size], [size, *values.shape[1:]])

            more, new = gradients_of(tf.nest.map_structure(own, mine))
            return index + 1, [one + other for one, other in zip(gradients, more, strict=True)], sums + new

        # A loop: what a part leaves for its backward pass is given back before the next one.
        start = (0, [tf.zeros(value.shape, value.dtype) for value in values], tf.zeros(3))
        return tf.while_loop(lambda index, *_: index < self.parts, body, start, parallel_iterations=1)[1:]

    def _inputs(self, images: tf.Tensor, truth: tf.Tensor, mine: dict[str, Any]) -> tuple[tf.Tensor, ...]:
        """What a replica's part of a step trains on: pixels ``[b, *side, C]``, targets and labels ``[b, K]``."""
        rows, mixing = mine["rows"], mine.get("mixing")
        own = mine["pixels"] if self._feed else tf.gather(images, rows)  # [b, H, W, C]
        known = tf.gather(truth, rows)  # [b, 2, K]
        if len(own.shape) == 2:
            pixels = own
        elif mixing is None:
            pixels = self._prepare(
                own, mine["transforms"], erased=mine.get("erased"), photometry=mine.get("photometry")
            )
        else:
            others = mine["others"] if self._feed else tf.gather(images, mixing["partners"])
            shares = mixing["shares"][:, None, None]
            known = shares * known + (1 - shares) * tf.gather(truth, mixing["partners"])
            pixels = self._prepare(own, mine["transforms"], others, mixing, **_later(mine))
        return pixels, *tf.unstack(known, axis=1)

    def _clip(self, gradients: list[Any], limit: float) -> list[Any]:
        if self._replicas == 1:
            return clip_by_global_norm(gradients, limit)
        # Clip the sum over replicas, as one device would; the optimizer sums once more, hence the division.
        context = tf.distribute.get_replica_context()
        whole = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        return [gradient / self._replicas for gradient in clip_by_global_norm(whole, limit)]

    def _compile_prediction(self, step: Arrays) -> Callable[[Arrays], np.ndarray]:
        def replica_predict(images: tf.Tensor, now: dict[str, tf.Tensor]) -> tf.Tensor:
            mine = self._own_share(now)
            pixels = mine["pixels"] if self._feed else tf.gather(images, mine["rows"])  # [b, H, W, C]
            if "transforms" in mine:
                prepared = self._prepare(
                    pixels, mine["transforms"], erased=mine.get("erased"), photometry=mine.get("photometry")
                )
                logits = self.trunk(prepared, training=False)
            else:
                logits = self.model(pixels, training=False)  # [b, K]
            logits = tf.cast(logits, tf.float32)  # a backbone alone answers in the precision of its layers
            return tf.distribute.get_replica_context().all_gather(logits, axis=0) if self._replicas > 1 else logits

        def predict(arrays):  # type: ignore[no-untyped-def]
            def body(index: tf.Tensor, logits: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
                now = tf.nest.map_structure(lambda array: array[index], arrays)
                part = self._strategy.run(replica_predict, (self._images, now))
                return index + 1, logits.write(index, self._strategy.experimental_local_results(part)[0])

            return _stacked(body, tf.shape(arrays["rows"])[0])  # [S, B, K]

        signature = tf.nest.map_structure(lambda a: tf.TensorSpec([None, *a.shape[1:]], a.dtype), step)
        compiled = tf.function(predict, input_signature=[signature], autograph=False)
        return lambda arrays: np.asarray(compiled(arrays))


def _later(mine: dict[str, Any]) -> dict[str, Any]:
    """What ``prepare`` does after the mixing, as its keywords."""
    return {name: mine[name] for name in ("erased", "photometry") if name in mine}


def _stacked(body: Callable[[tf.Tensor, tf.TensorArray], tuple[tf.Tensor, tf.TensorArray]], steps: tf.Tensor) -> Any:
    """What a body writes in each of its steps, stacked. A loop spelt out: AutoGraph, which would turn a ``for`` into
    one, cannot read the source under TensorFlow 2.20 with Python 3.13."""
    results = tf.TensorArray(tf.float32, size=steps)
    _, results = tf.while_loop(lambda step, _: step < steps, body, (0, results), parallel_iterations=1)
    return results.stack()


@functools.cache
def _compiled_prepare(side: tuple[int, int]) -> Any:
    """Augmentation compiled by XLA, once for all folds of a run."""
    return tf.function(functools.partial(prepare, side=side), jit_compile=True, autograph=False)
