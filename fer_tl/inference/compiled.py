"""Saved networks for inference alone, compiled: what predicting asks of a framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.framework import import_backend, switch_off_graph_rewriting

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
    """Load what ``fer_tl.runs.saved_model.save_model`` wrote, and compile it.

    It computes in float32 whatever it was trained in: CPUs are slow in half precision.

    Args:
        path: of the ``.keras`` file.
        brief: leave BatchNorm as it is, see ``fer_tl.inference.predictor.load``.

    Raises:
        UserError: missing, damaged, or not written by fer-tl.
    """
    backend = import_backend()
    from fer_tl.models.folding import fold_batch_norm
    from fer_tl.runs.saved_model import compute_in_float32, load_model

    model, class_names = load_model(path)
    compute_in_float32(model)
    network = model if brief else fold_batch_norm(model)
    compile_network = _compile_for_jax if backend == "jax" else _compile_for_tensorflow
    return Network(class_names, tuple(model.input_shape[1:]), compile_network(network))


def _compile_for_tensorflow(network: Any) -> Logits:
    import tensorflow as tf

    switch_off_graph_rewriting()
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

    return lambda images: np.asarray(call([v.value for v in variables], fill(images)))[: len(images)]


def fill(values: np.ndarray) -> np.ndarray:
    """Values ``[B, ...]``, repeated up to a power of two of them: XLA compiles for a shape."""
    return np.resize(values, (1 << (len(values) - 1).bit_length(), *values.shape[1:]))
