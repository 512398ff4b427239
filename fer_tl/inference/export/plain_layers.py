"""Layers that a converter gets wrong, in exchange for others that compute the same."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

_SWAP = "rgb_to_bgr"  # of fer_tl.models.pixels


def exchange_layers(model: keras.Model) -> keras.Model:
    """The same function without what tf2onnx 1.17 cannot convert.

    It makes inputs of a ``Normalization``'s mean and variance, which are tensors of no graph: a ``Rescaling`` takes its
    place. It crops the wrong axis where columns are cropped of channels-first images, which is how a model puts
    channels in another order: a convolution with ones and zeros does it instead, exactly.

    Args:
        model: functional, in inference mode. It is left as it is.

    Returns:
        A new model, or the same where there is nothing to exchange.
    """
    if not any(_is_exchanged(layer) for layer in model.layers):
        return model

    def call(layer: Any, *given: Any, **options: Any) -> Any:
        if isinstance(layer, keras.layers.Cropping2D) and layer.data_format == "channels_first":
            return given[0]
        return layer(given[0][0]) if layer.name == _SWAP else layer(*given, **options)

    plain = keras.models.clone_model(model, clone_function=_exchange, call_function=call)
    for layer in model.layers:
        if layer.weights and not _is_exchanged(layer):
            plain.get_layer(layer.name).set_weights(layer.get_weights())
        elif layer.name == _SWAP:
            plain.get_layer(_SWAP).set_weights([np.eye(3)[None, None, ::-1]])  # [1, 1, 3, 3], from c to 2 - c
    return plain


def _is_exchanged(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Normalization) or layer.name == _SWAP


def _exchange(layer: Any) -> Any:
    if layer.name == _SWAP:
        return keras.layers.Conv2D(3, 1, use_bias=False, dtype="float32", name=_SWAP)
    if not isinstance(layer, keras.layers.Normalization):
        return layer.__class__.from_config(layer.get_config())
    mean, variance = (np.asarray(each, np.float64).ravel() for each in (layer.mean, layer.variance))  # [C]
    factor = 1 / np.maximum(np.sqrt(variance), keras.backend.epsilon())
    return keras.layers.Rescaling(factor.tolist(), offset=(-mean * factor).tolist(), dtype="float32", name=layer.name)
