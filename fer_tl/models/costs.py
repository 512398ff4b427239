"""How large a saved model is and how much it computes, read from its file without Keras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.core.json_files import load_member

# Layers of Keras that have no weights and multiply nothing that is counted.
_FREE = frozenset(
    {
        "Activation",
        "Add",
        "AveragePooling2D",
        "Concatenate",
        "Cropping2D",
        "Dropout",
        "Flatten",
        "GlobalAveragePooling2D",
        "GlobalMaxPooling2D",
        "InputLayer",
        "MaxPooling2D",
        "Multiply",
        "ReLU",
        "Rescaling",
        "Reshape",
        "Resizing",
        "Subtract",
        "ZeroPadding2D",
    }
)


class Uncounted(UserError):
    """A model with a layer whose weights and work are not known here: better no figure than a wrong one."""


@dataclass(frozen=True)
class Costs:
    """What a model takes.

    Attributes:
        parameters: all of its weights, as Keras's ``count_params`` counts them: those that are not trained too.
        macs: multiplications of its convolutions and dense layers for one image, as ``Backbone.macs``.
    """

    parameters: int
    macs: int

    def __add__(self, other: Costs) -> Costs:
        return Costs(self.parameters + other.parameters, self.macs + other.macs)


def read_costs(path: Path) -> Costs:
    """The costs of a ``model.keras``, of which only the configuration is read.

    Raises:
        Uncounted: the file is missing, or holds a layer that is not known here.
        UserError: it is damaged.
    """
    try:
        config = {"layers": load_member(path, "config.json")["config"]["layers"]}
    except FileNotFoundError:
        raise Uncounted(f"{path} is not there any more") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no whole model of fer-tl ({' '.join(str(error).split())})") from None
    try:
        return count_costs(config)
    except Uncounted as error:
        raise Uncounted(f"{path}: {error}") from None


def count_costs(config: dict[str, Any]) -> Costs:
    """The costs of a flat functional model.

    Args:
        config: as of ``model.get_config()``: ``layers``, each with ``class_name``, ``config``, ``build_config`` and
            ``inbound_nodes``.

    Raises:
        Uncounted: it holds a layer that is not known here, or one whose shapes it does not say.
    """
    total = Costs(0, 0)
    for layer in config["layers"]:
        total += _layer_costs(layer)
    return total


def _layer_costs(layer: dict[str, Any]) -> Costs:
    kind, config = layer.get("class_name"), layer.get("config", {})
    name = config.get("name", kind)
    # A class of the same name that is not Keras's own may be anything.
    own = layer.get("module") == "keras.layers" and not layer.get("registered_name")
    if own and kind in _FREE:
        return Costs(0, 0)
    if not own or kind not in _COUNTED:
        raise Uncounted(f"layer '{name}' is a {kind}, whose parameters and multiplications are not known")
    # Changed weights, as of a quantized layer, and one that is called twice or never.
    if config.get("quantization_config") or config.get("lora_rank") or len(layer.get("inbound_nodes", [])) != 1:
        raise Uncounted(f"layer '{name}' is quantized, adapted or shared, whose cost is not known")
    try:
        return _COUNTED[kind](config, layer["build_config"]["input_shape"])
    except (KeyError, TypeError, IndexError, ValueError):
        raise Uncounted(f"layer '{name}' does not say the shapes that it was built for") from None


def _conv2d(config: dict[str, Any], shape: list[int]) -> Costs:
    positions, channels = _positions(config, shape)
    kernel = prod(config["kernel_size"]) * (channels // config["groups"]) * config["filters"]
    return Costs(kernel + config["use_bias"] * config["filters"], kernel * positions)


def _depthwise(config: dict[str, Any], shape: list[int]) -> Costs:
    positions, channels = _positions(config, shape)
    width = channels * config["depth_multiplier"]
    kernel = prod(config["kernel_size"]) * width
    return Costs(kernel + config["use_bias"] * width, kernel * positions)


def _dense(config: dict[str, Any], shape: list[int]) -> Costs:
    kernel = shape[-1] * config["units"]
    return Costs(kernel + config["use_bias"] * config["units"], kernel * prod(shape[1:-1]))


def _batch_norm(config: dict[str, Any], shape: list[int]) -> Costs:
    if config.get("renorm"):  # has further statistics
        raise ValueError
    # Scale and offset, if it has them, and the moving mean and variance.
    return Costs((config["scale"] + config["center"] + 2) * shape[config["axis"]], 0)


def _normalization(config: dict[str, Any], shape: list[int]) -> Costs:
    if config["mean"] is not None:  # given as constants
        return Costs(0, 0)
    axes = config["axis"] if isinstance(config["axis"], list) else [config["axis"]]
    # Mean and variance, and how many examples they were taken of.
    return Costs(2 * prod(shape[axis] for axis in axes) + 1, 0)


def _positions(config: dict[str, Any], shape: list[int]) -> tuple[int, int]:
    """Output positions and input channels of a convolution."""
    first = config["data_format"] == "channels_first"
    sides, channels = (shape[2:4], shape[1]) if first else (shape[1:3], shape[3])
    keys = ("kernel_size", "strides", "dilation_rate")
    positions = 1
    for side, kernel, stride, dilation in zip(sides, *(config[key] for key in keys), strict=True):
        covered = 1 if config["padding"] == "same" else dilation * (kernel - 1) + 1
        positions *= (side - covered) // stride + 1
    return positions, channels


_COUNTED: dict[str, Callable[[dict[str, Any], list[int]], Costs]] = {
    "BatchNormalization": _batch_norm,
    "Conv2D": _conv2d,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "Normalization": _normalization,
}
