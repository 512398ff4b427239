"""A network for inference alone: BatchNorm as part of the convolution in front of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np


def fold_batch_norm(model: Any) -> Any:
    """The same function in inference mode, with fewer operations: a third less CPU time for MobileNetV2 at 96x96
    (measured, benchmarks/results/engine-choices.md).

    A convolution ``k * x + b`` and the BatchNorm behind it, ``gamma (y - mean) / sqrt(var + epsilon) + beta``, are the
    convolution with the kernel ``s k`` and the bias ``s (b - mean) + beta``, where ``s = gamma / sqrt(var + epsilon)``.
    Results differ by rounding.

    Args:
        model: functional, each of its layers called once. It is left as it is.

    Returns:
        A new model. BatchNorm stays where there is no convolution in front of it, or others use its output too.
    """
    import keras

    norms = _foldable(model)

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        return layer.__class__.from_config(config | {"use_bias": True} if layer.name in norms else config)

    gone = {norm.name for norm in norms.values()}

    def call(layer: Any, *given: Any, **options: Any) -> Any:
        return given[0] if layer.name in gone else layer(*given, **options)

    folded = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in model.layers:
        if layer.name in norms:
            folded.get_layer(layer.name).set_weights(_folded_weights(layer, norms[layer.name]))
        elif layer.variables and layer.name not in gone:
            store: dict[str, Any] = {}
            layer.save_own_variables(store)
            folded.get_layer(layer.name).load_own_variables(store)
    return folded


def _foldable(model: Any) -> dict[str, Any]:
    """The BatchNorm layer that is all that follows a convolution, by the convolution's name."""
    import keras

    settings = model.get_config()
    inputs = {layer["name"]: list(_names_of(layer["inbound_nodes"])) for layer in settings["layers"]}
    uses = Counter(name for names in inputs.values() for name in names)
    uses.update(_names_of(settings["output_layers"]))
    layers: dict[str, Any] = {layer.name: layer for layer in model.layers}
    found = {}
    for name, layer in layers.items():
        before: Any = layers[inputs[name][0]] if inputs[name] else None
        is_last_axis = isinstance(layer, keras.layers.BatchNormalization) and layer.axis in (-1, 3)
        if (
            is_last_axis
            and type(before) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
            and before.activation is keras.activations.linear
            and uses[before.name] == 1
        ):
            found[before.name] = layer
    return found


def _names_of(nodes: Any) -> Iterator[str]:
    """The layers whose outputs a part of a model's configuration refers to."""
    if isinstance(nodes, dict):
        if "keras_history" in nodes:
            yield nodes["keras_history"][0]
        else:
            for value in nodes.values():
                yield from _names_of(value)
    elif isinstance(nodes, list | tuple):
        if len(nodes) == 3 and isinstance(nodes[0], str):
            yield nodes[0]
        else:
            for value in nodes:
                yield from _names_of(value)


def _folded_weights(convolution: Any, norm: Any) -> list[np.ndarray]:
    import keras

    kernel, *bias = convolution.get_weights()
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    scale = (np.asarray(norm.gamma) if norm.scale else 1.0) / np.sqrt(variance + norm.epsilon)  # [F]
    shift = np.asarray(norm.beta) if norm.center else 0.0
    depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    # A depthwise kernel is [h, w, C, M] with outputs in the order of C, M.
    factors = scale.reshape(kernel.shape[2:]) if depthwise else scale
    return [kernel * factors, scale * ((bias[0] if bias else 0.0) - mean) + shift]
