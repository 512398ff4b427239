"""Weights rounded to int8 so that what the rounding does to a layer's output is zero on average."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

# Images a step.
_BATCH = 32


def round_weights(model: keras.Model, images: np.ndarray) -> None:
    """Replace the kernels of a model by those that an int8 converter makes of them, and correct the biases for it.

    A depthwise kernel has 9 numbers a channel, and its inputs are seldom zero on average: rounding moves the whole
    channel. Of MobileNetV2, one such layer alone changes the class of one image in ten. The mean of that shift, over
    images, is known beforehand: it is subtracted from the bias. Nagel et al., "Data-free quantization through weight
    equalization and bias correction", ICCV 2019, section 4.2; here with images in place of BatchNorm's statistics.

    Converters scale each output channel of a kernel by its largest number, symmetrically: rounded once, the kernel
    stays the same.

    Args:
        model: functional, float32, without BatchNorm behind its convolutions; its weights are changed.
        images: uint8 or float32 ``[N, H, W, C]``, what it takes.
    """
    layers = [layer for layer in model.layers if _is_rounded(layer)]
    if not layers:
        return
    rounded = {layer.name: _rounded(layer) for layer in layers}
    errors = [_error(layer, layer.get_weights()[0] - rounded[layer.name]) for layer in layers]
    means = _means(keras.Model(model.input, errors), images)
    for layer, mean in zip(layers, means, strict=True):
        _, bias = layer.get_weights()
        layer.set_weights([rounded[layer.name], bias + mean])


def _is_rounded(layer: Any) -> bool:
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    return type(layer) in kinds and layer.use_bias


def _rounded(layer: Any) -> np.ndarray:
    kernel = layer.get_weights()[0]
    # The outputs of a depthwise kernel [h, w, C, M] are its last two axes, of all others the last one.
    axes = (0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else tuple(range(kernel.ndim - 1))
    scale = np.abs(kernel).max(axes, keepdims=True) / 127
    scale[scale == 0] = 1.0
    return np.round(kernel / scale) * scale


def _error(layer: Any, difference: np.ndarray) -> Any:
    """What the layer computes less for its rounded kernel, an output of the model: ``[B, F]``."""
    config = layer.get_config() | {"use_bias": False, "activation": "linear", "name": f"{layer.name}_rounding"}
    twin = layer.__class__.from_config(config)
    lost = twin(layer.input)  # [B, ..., F]
    twin.set_weights([difference])
    places = tuple(range(1, len(lost.shape) - 1))
    return keras.ops.mean(lost, axis=places) if places else lost


def _means(model: keras.Model, images: np.ndarray) -> list[np.ndarray]:
    """The mean of each output over images, ``[F]``."""
    sums: list[np.ndarray] = [np.zeros(output.shape[-1]) for output in model.outputs]
    for start in range(0, len(images), _BATCH):
        found = model.predict_on_batch(images[start : start + _BATCH].astype(np.float32))
        for total, part in zip(sums, found if isinstance(found, list) else [found], strict=True):
            total += np.asarray(part).sum(axis=0)
    return [total / len(images) for total in sums]
