"""The TensorFlow engine: one compiled function that runs many training steps, on images that stay on the device or are
streamed to it.

It knows no model and no dataset. Keras's own ``fit`` is not used: under Keras 3 it fails with several workers
(keras issue 20585), with many steps a call on two devices (19246), and on a last batch smaller than the number of
replicas.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, cast

import keras
import numpy as np
import tensorflow as tf

from fer_tl.config import Loss
from fer_tl.data.augment import compose, scaling
from fer_tl.data.mixing import prepare
from fer_tl.errors import UserError
from fer_tl.training.feed import Feed, Images
from fer_tl.training.objective import image_losses, weight_penalty
from fer_tl.training.optimizers import clip_by_global_norm
from fer_tl.training.plan import EpochPlan, steps_per_epoch

# Of each step, float32 [S, 3]: sum over its images of the weighted loss without the penalty on the weights, number of
# right answers (of mixed images: the shares that were right), number of images.
Sums = np.ndarray

# The arrays of a step that every replica takes its own part of.
PER_IMAGE = ("rows", "weights", "transforms", "mixing", "erased", "pixels", "others")

# Bytes. TensorFlow's kernels abort on arrays whose memory begins elsewhere.
ALIGNMENT = 64

# Steps of one call of prediction: between two calls an interruption is noticed.
PREDICTED_AT_ONCE = 32


class Train(Protocol):
    """Runs the steps ``start`` to ``stop`` of a plan, by default all, and returns their ``Sums``."""

    def __call__(self, plan: EpochPlan, start: int = 0, stop: int | None = None) -> Sums: ...


class TensorFlowEngine:
    """Trains and predicts with one model under one strategy.

    Args:
        strategy: any ``tf.distribute.Strategy``, including the default one.
        model: built in the strategy's scope; pixels ``[B, H, W, C]`` to logits ``[B, K]``.
        images: uint8 ``[N, H, W, C]``, or features, float32 ``[N, F]``, that are neither resampled nor mixed. An array
            stays on the devices; anything else that gives images by row is streamed, and gives the same numbers.
        labels: int ``[N]``, 0..K-1.
        batch_size: B, images a step over all replicas.
        targets: float32 ``[N, K]``, rows that sum to 1, what training aims at; None for the labels. Accuracy is always
            that of the labels.

    Raises:
        UserError: the batch does not divide over the replicas.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        images: Images,
        labels: np.ndarray,
        batch_size: int,
        targets: np.ndarray | None = None,
    ):
        self.strategy = strategy
        self.model = model
        self.batch_size = batch_size
        self.replicas = strategy.num_replicas_in_sync
        if batch_size % self.replicas:
            raise UserError(
                f"'batch_size' {batch_size} does not divide over the devices: use a multiple of {self.replicas}"
            )
        self.image_size = cast(tuple[int, int], tuple(images.shape[1:3]))
        self._feed = None if isinstance(images, np.ndarray) else Feed(images, batch_size)
        self._images = self._resident(np.ascontiguousarray(images)) if isinstance(images, np.ndarray) else ()
        # What is resampled anyway is brought to the side of the backbone at once, past the model's own resizing.
        self.trunk = _behind_resizing(model)
        self.side = cast(tuple[int, int], tuple(self.trunk.input_shape[1:3]))
        self._labels, self._targets = labels, targets
        # Augmentation alone is compiled by XLA: 8 times faster on a CPU, where XLA slows the model down 8 times
        # (measured, see DESIGN). A TPU compiles the whole step by itself.
        tpu = isinstance(strategy, tf.distribute.TPUStrategy)
        if not tpu and not tf.config.list_logical_devices("GPU"):
            # TensorFlow's rewriting of graphs takes 5 s of MobileNetV2's start and gains nothing on a CPU (measured,
            # benchmarks/results/engine-choices.md).
            tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        resize = functools.partial(prepare, side=self.side)
        self._prepare = resize if tpu else tf.function(resize, jit_compile=True, autograph=False)
        self._predict: dict[tuple[str, ...], Any] = {}
        self._seeds = [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]

    def _resident(self, values: np.ndarray) -> Any:
        if tf.distribute.has_strategy() or self.strategy is not tf.distribute.get_strategy():
            return self.strategy.experimental_distribute_values_from_function(lambda _: tf.constant(values))
        shareable = values.flags.writeable and values.ctypes.data % ALIGNMENT == 0
        if shareable and not tf.config.list_logical_devices("GPU"):
            # The array itself: tf.constant takes twice its memory besides (measured, 500 MB: 1,017 MB more).
            return tf.experimental.dlpack.from_dlpack(values.__dlpack__())
        return tf.constant(values)

    def _own_share(self, arrays: Any) -> Any:
        """This replica's part of arrays ``[B, ...]`` of a step, nested or not. Every replica is handed the plan of the
        whole step, so no worker needs to know another's input."""
        share = self.batch_size // self.replicas
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group

        def own(values: tf.Tensor) -> tf.Tensor:
            part = values[replica * share : (replica + 1) * share] if self.replicas > 1 else values
            return tf.ensure_shape(part, [share, *values.shape[1:]])

        return tf.nest.map_structure(own, arrays)

    @property
    def steps_at_once(self) -> int:
        """The largest number of steps of one call of training."""
        return self._feed.steps_at_once if self._feed else 1024

    def compile_training(self, optimizer: Any, clip: float, loss: Loss) -> Train:
        """Compile training of the variables that are trainable now.

        Args:
            optimizer: built on ``model.trainable_variables``.
            clip: largest global gradient norm, the weight penalty's part included, 0 for none.
            loss: the objective.

        Returns:
            A function that traces at its first call, so the layers must still be as they are now, and never again: all
            plans must have the same arrays in use.
        """
        variables = self.model.trainable_variables
        values = [v.value for v in variables]
        one_hot = np.eye(self.model.output_shape[-1], dtype=np.float32)[self._labels]  # [N, K]
        # Side by side, so that both are gathered and mixed at once.
        both = self._resident(np.stack([one_hot if self._targets is None else self._targets, one_hot], 1))  # [N, 2, K]

        def replica_step(images: tf.Tensor, truth: tf.Tensor, step: dict[str, Any]) -> tf.Tensor:
            count, offsets = step["counts"], step.get("offsets")
            mine = {name: self._own_share(step[name]) for name in PER_IMAGE if name in step}
            weights = mine["weights"]  # [b]
            pixels, targets, labels = self._inputs(images, truth, mine)
            with tf.GradientTape() as tape:
                logits = self.trunk(pixels, training=True)  # [b, K]
                # Divided by the images of the whole step: the replicas' gradients then add up to the step's.
                data_loss = tf.reduce_sum(image_losses(loss, logits, targets, offsets) * weights) / count
                whole = data_loss + weight_penalty(loss.l2, variables) / self.replicas if loss.l2 else data_loss
                scaled = optimizer.scale_loss(whole)
            gradients = tape.gradient(scaled, values)
            if clip:
                gradients = self._clip(gradients, clip * (optimizer.loss_scale_factor or 1.0))
            optimizer.apply(gradients, variables)
            real = tf.cast(weights > 0, tf.float32)
            # The share of the image that the answer is right for: 1 or 0 where nothing is mixed.
            right = tf.gather(labels, tf.argmax(logits, axis=1), batch_dims=1)  # [b]
            return tf.stack([data_loss * count, tf.reduce_sum(right * real), tf.reduce_sum(real)])

        def train(arrays):  # type: ignore[no-untyped-def]
            def body(step: tf.Tensor, sums: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
                now = tf.nest.map_structure(lambda array: array[step], arrays)
                optimizer.learning_rate = now["rates"]
                part = self.strategy.run(replica_step, (self._images, both, now))
                return step + 1, sums.write(step, self.strategy.reduce(tf.distribute.ReduceOp.SUM, part, axis=None))

            return _stacked(body, tf.shape(arrays["rows"])[0])  # [S, 3]

        compiled: list[Any] = []

        def run(plan: EpochPlan, start: int = 0, stop: int | None = None) -> Sums:
            stop = len(plan) if stop is None else stop
            arrays = plan.part(start, stop).arrays()
            if self._feed:
                read = self._feed.read(_rows_of(plan), start, stop)
                arrays |= dict(zip(("pixels", "others"), read, strict=False))
            if not compiled:
                # A given signature: parts of any number of steps share one trace.
                signature = tf.nest.map_structure(lambda a: tf.TensorSpec([None, *a.shape[1:]], a.dtype), arrays)
                compiled.append(tf.function(train, input_signature=[signature], autograph=False))
            return np.asarray(compiled[0](arrays))

        return run

    def _inputs(self, images: tf.Tensor, truth: tf.Tensor, mine: dict[str, Any]) -> tuple[tf.Tensor, ...]:
        """What a replica's part of a step trains on: pixels ``[b, *side, C]``, targets and labels ``[b, K]``."""
        rows, mixing = mine["rows"], mine.get("mixing")
        own = mine["pixels"] if self._feed else tf.gather(images, rows)  # [b, H, W, C]
        known = tf.gather(truth, rows)  # [b, 2, K]
        if len(own.shape) == 2:
            pixels = own
        elif mixing is None:
            pixels = self._prepare(own, mine["transforms"], erased=mine.get("erased"))
        else:
            others = mine["others"] if self._feed else tf.gather(images, mixing["partners"])
            shares = mixing["shares"][:, None, None]
            known = shares * known + (1 - shares) * tf.gather(truth, mixing["partners"])
            pixels = self._prepare(own, mine["transforms"], others, mixing, mine.get("erased"))
        return pixels, *tf.unstack(known, axis=1)

    def _clip(self, gradients: list[Any], limit: float) -> list[Any]:
        if self.replicas == 1:
            return clip_by_global_norm(gradients, limit)
        # Clip the sum over replicas, as one device would; the optimizer sums once more, hence the division.
        context = tf.distribute.get_replica_context()
        whole = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        return [gradient / self.replicas for gradient in clip_by_global_norm(whole, limit)]

    def _compile_prediction(self, step: dict[str, np.ndarray]) -> Any:
        """A function of the arrays of some steps, which are told by name; it traces when it is first called."""

        def replica_predict(images: tf.Tensor, now: dict[str, tf.Tensor]) -> tf.Tensor:
            mine = self._own_share(now)
            pixels = mine["pixels"] if self._feed else tf.gather(images, mine["rows"])  # [b, H, W, C]
            if "transforms" in mine:
                prepared = self._prepare(pixels, mine["transforms"], erased=mine.get("erased"))
                logits = self.trunk(prepared, training=False)
            else:
                logits = self.model(pixels, training=False)  # [b, K]
            return tf.distribute.get_replica_context().all_gather(logits, axis=0) if self.replicas > 1 else logits

        def predict(arrays):  # type: ignore[no-untyped-def]
            def body(index: tf.Tensor, logits: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
                now = tf.nest.map_structure(lambda array: array[index], arrays)
                part = self.strategy.run(replica_predict, (self._images, now))
                return index + 1, logits.write(index, self.strategy.experimental_local_results(part)[0])

            return _stacked(body, tf.shape(arrays["rows"])[0])  # [S, B, K]

        signature = {name: tf.TensorSpec([None, *array.shape[1:]], array.dtype) for name, array in step.items()}
        return tf.function(predict, input_signature=[signature], autograph=False)

    def predict(
        self, rows: np.ndarray, transforms: np.ndarray | None = None, erased: np.ndarray | None = None
    ) -> np.ndarray:
        """Logits of images, in the order of the rows.

        Args:
            rows: int ``[N]``.
            transforms: float32 ``[6]``, one affine map for all images, or ``[N, 6]``, one for each, from pixels of the
                image to pixels of the image, see ``fer_tl.data.augment``; None leaves the stored pixels as they are,
                not even resampled.
            erased: with transforms: int32 ``[N, 4]``, boxes to blank, in pixels of ``side``.

        Returns:
            float32 ``[N, K]``.
        """
        steps = steps_per_epoch(len(rows), self.batch_size)
        filled = np.resize(np.arange(len(rows)), (steps, self.batch_size))  # [S, B]
        arrays: dict[str, np.ndarray] = {"rows": rows[filled].astype(np.int32)}
        if transforms is not None:
            moved = compose(np.broadcast_to(transforms, (len(rows), 6)), scaling(self.image_size, self.side))
            arrays["transforms"] = moved[filled]
        if erased is not None:
            arrays["erased"] = erased[filled]
        size = min(PREDICTED_AT_ONCE, self.steps_at_once)
        logits = []
        for start in range(0, steps, size):
            part = {name: array[start : start + size] for name, array in arrays.items()}
            if self._feed:
                part["pixels"] = self._feed.read([arrays["rows"]], start, min(start + size, steps))[0]
            compiled = self._predict.get(tuple(part))
            if compiled is None:
                compiled = self._predict[tuple(part)] = self._compile_prediction(part)
            logits.append(np.asarray(compiled(part)))  # [s, B, K]
        return np.concatenate(logits).reshape(steps * self.batch_size, -1)[: len(rows)]  # [N, K]

    def reseed(self, key: int) -> None:
        """Set the state of every dropout layer from a 64-bit key, so that a resumed run draws the same."""
        for index, state in enumerate(self._seeds):
            state.assign(np.array([(key + index) & 0x7FFFFFFF, (key >> 32) & 0x7FFFFFFF], dtype=np.int64))


def _behind_resizing(model: keras.Model) -> keras.Model:
    """The same model from where its images have the side that its backbone takes."""
    resized = [layer for layer in model.layers if isinstance(layer, keras.layers.Resizing)]
    return keras.Model(resized[0].output, model.output) if resized else model


def _rows_of(plan: EpochPlan) -> list[np.ndarray]:
    return [plan.rows] if plan.mixing is None else [plan.rows, plan.mixing.partners]


def _stacked(body: Callable[[tf.Tensor, tf.TensorArray], tuple[tf.Tensor, tf.TensorArray]], steps: tf.Tensor) -> Any:
    """What a body writes in each of its steps, stacked. A loop spelt out: AutoGraph, which would turn a ``for`` into
    one, cannot read the source under TensorFlow 2.20 with Python 3.13."""
    results = tf.TensorArray(tf.float32, size=steps)
    _, results = tf.while_loop(lambda step, _: step < steps, body, (0, results), parallel_iterations=1)
    return results.stack()
