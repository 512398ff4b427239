"""Saved networks for inference alone, compiled: what predicting asks of a framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.backend import import_backend

Logits = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Network:
    """A saved model that computes.

    Attributes:
        class_names: the K classes, in the order of its logits.
        image_shape: height, width and channels that it takes.
        logits: from uint8 ``[B, H, W, C]``, 0..255, to float32 ``[B, K]``; any B.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    logits: Logits


def open_network(path: Path, brief: bool = False) -> Network:
    """Load what ``fer_tl.training.saved_model.save_model`` wrote, and compile it.

    It computes in float32 whatever it was trained in: CPUs are slow in half precision.

    Args:
        path: of the ``.keras`` file.
        brief: leave BatchNorm as it is, see ``fer_tl.inference.predictor.load``.

    Raises:
        UserError: missing, damaged, or not written by fer-tl.
    """
    backend = import_backend()
    from fer_tl.models.folding import fold_batch_norm
    from fer_tl.training.saved_model import load_model

    model, class_names = load_model(path)
    for layer in model.layers:
        layer.dtype_policy = "float32"
    network = model if brief else fold_batch_norm(model)
    compile_network = _compile_for_jax if backend == "jax" else _compile_for_tensorflow
    return Network(class_names, tuple(model.input_shape[1:]), compile_network(network))


def _compile_for_tensorflow(network: Any) -> Logits:
    import tensorflow as tf

    if not tf.config.list_logical_devices("GPU"):
        # As in the engine: TensorFlow's rewriting of graphs takes seconds and gains nothing on a CPU.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    call = tf.function(
        lambda images: network(tf.cast(images, tf.float32), training=False),
        input_signature=[tf.TensorSpec(network.input_shape, tf.uint8)],
        autograph=False,
    )
    return lambda images: call(tf.constant(images)).numpy()


def _compile_for_jax(network: Any) -> Logits:
    import jax
    import keras

    variables = network.variables

    @jax.jit
    def call(values: list[Any], images: Any) -> Any:
        with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
            return network(images.astype("float32"), training=False)

    def logits(images: np.ndarray) -> np.ndarray:
        # Filled up to a power of two: XLA compiles for a shape.
        filled = np.resize(images, (1 << (len(images) - 1).bit_length(), *images.shape[1:]))
        return np.asarray(call([v.value for v in variables], filled))[: len(images)]

    return logits
