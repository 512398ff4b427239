"""BatchNorm by TensorFlow's fused kernel, in training, where Keras 3 has moments and elementwise operations."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

# The operation's own bound on a GPU, CUDNN_BN_MIN_EPSILON of cuDNN.
SMALLEST_EPSILON = 1e-5


def fuse_batch_norm(model: keras.Model) -> int:
    """Let the BatchNorm layers of a model train by the fused kernel: the same numbers but for rounding (1e-5), in a
    half to two thirds of a CPU step (benchmarks/results/engine.md).

    The layers stay what they are, so that a saved model holds Keras's own. What does not learn, and inference, are left
    to Keras, which is faster there. Layers that normalize another axis than the last, synchronize over replicas,
    renormalize, or have a smaller epsilon than the kernel takes are left alone.

    Args:
        model: functional; models inside it are looked through.

    Returns:
        The number of layers that were changed.
    """
    layers = [layer for layer in _layers_of(model) if _fits(layer)]
    for layer in layers:
        layer.call = functools.partial(_call, layer)
    return len(layers)


def _layers_of(model: keras.Model) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers_of(layer)
        else:
            yield layer


def _fits(layer: Any) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.axis in (-1, 3)
        and not layer.synchronized
        and not getattr(layer, "renorm", False)  # new in Keras 3.14
        and layer.epsilon >= SMALLEST_EPSILON
    )


def _call(layer: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    """What ``BatchNormalization.call`` computes."""
    if not (training and layer.trainable) or mask is not None or len(inputs.shape) != 4:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    images = tf.cast(inputs, layer.compute_dtype)  # [B, H, W, C]
    depth = images.shape[-1]
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images,
        scale=tf.cast(layer.gamma, tf.float32) if layer.scale else tf.ones(depth),
        offset=tf.cast(layer.beta, tf.float32) if layer.center else tf.zeros(depth),
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The kernel divides the squares by one less than their number (Bessel); Keras's moving averages are by the number.
    number = tf.cast(tf.reduce_prod(tf.shape(images)[:-1]), tf.float32)
    variance *= tf.maximum(number - 1, 1) / number
    for moving, new in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + tf.cast(new, moving.dtype) * (1 - layer.momentum))
    return outputs
