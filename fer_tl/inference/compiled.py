"""Saved networks for inference alone, compiled: what predicting asks of a framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.quiet import import_tensorflow


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
    logits: Callable[[np.ndarray], np.ndarray]


def open_network(path: Path, brief: bool = False) -> Network:
    """Load what ``fer_tl.training.saved_model.save_model`` wrote, and compile it.

    It computes in float32 whatever it was trained in: CPUs are slow in half precision.

    Args:
        path: of the ``.keras`` file.
        brief: leave BatchNorm as it is, see ``fer_tl.inference.predictor.load``.

    Raises:
        UserError: missing, damaged, or not written by fer-tl.
    """
    import_tensorflow()
    import tensorflow as tf

    from fer_tl.models.folding import fold_batch_norm
    from fer_tl.training.saved_model import load_model

    model, class_names = load_model(path)
    for layer in model.layers:
        layer.dtype_policy = "float32"
    network = model if brief else fold_batch_norm(model)
    shape = tuple(model.input_shape[1:])
    if not tf.config.list_logical_devices("GPU"):
        # As in the engine: TensorFlow's rewriting of graphs takes seconds and gains nothing on a CPU.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    call = tf.function(
        lambda images: network(tf.cast(images, tf.float32), training=False),
        input_signature=[tf.TensorSpec([None, *shape], tf.uint8)],
        autograph=False,
    )
    return Network(class_names, shape, lambda images: call(tf.constant(images)).numpy())
