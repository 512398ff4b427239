"""Weights files in the layout of Keras 1 and 2 (``.h5``), in which published weights come: read strictly, by order.

The file lists its layers in ``layer_names`` and the arrays of each in ``weight_names``. Keras's own readers are either
by name, and load nothing without a word when names differ, or assign until something does not fit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py

Shapes = tuple[tuple[int, ...], ...]


def read_layer_names(path: Path) -> tuple[str, ...]:
    """Names of the layers that have weights, in order; empty for an HDF5 file of another layout.

    Raises:
        OSError: it is no HDF5 file.
    """
    with h5py.File(path) as file:
        return tuple(name for name, _ in _stored_layers(file))


def load_legacy(layers: Iterable[Any], path: Path) -> None:
    """Set the weights of Keras layers from a file, layer by layer in order; all of them or, on an error, none.

    Args:
        layers: in the order of the model; those without weights are passed over, as in the file.
        path: of the file.

    Raises:
        OSError: it is no HDF5 file.
        ValueError: its layers are not these, with the first that differs. Names are not compared.
    """
    # The order of each layer's arrays in such files: trainable first, whatever the order of their making.
    own = [(layer, layer.trainable_weights + layer.non_trainable_weights) for layer in layers if layer.weights]
    with h5py.File(path) as file:
        stored = _stored_layers(file)
        found = [(name, tuple(array.shape for array in arrays)) for name, arrays in stored]
        expected = [(layer.name, tuple(tuple(weight.shape) for weight in weights)) for layer, weights in own]
        if difference := shape_difference(found, expected):
            raise ValueError(difference)
        for (layer, weights), (_, arrays) in zip(own, stored, strict=True):
            for weight, array in zip(weights, arrays, strict=True):
                weight.assign(array[()])
            if hasattr(layer, "finalize_state"):
                layer.finalize_state()  # Normalization computes with numbers that it derives from its weights


def name_difference(found: Sequence[str], expected: Sequence[str]) -> str:
    """The first layer that differs, in words; empty where the names are the same."""
    return _first_difference([(name, name) for name in found], [(name, name) for name in expected])


def shape_difference(found: Sequence[tuple[str, Shapes]], expected: Sequence[tuple[str, Shapes]]) -> str:
    """The first layer whose arrays have other shapes, in words; empty where all fit.

    Args:
        found: name, and shapes of the arrays, of each layer in the file.
        expected: likewise of the model.
    """

    def described(layers: Sequence[tuple[str, Shapes]]) -> list[tuple[Any, str]]:
        return [(shapes, f"{name} ({', '.join(map(_shape_text, shapes))})") for name, shapes in layers]

    return _first_difference(described(found), described(expected))


def _shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"


def _first_difference(found: Sequence[tuple[Any, str]], expected: Sequence[tuple[Any, str]]) -> str:
    """Compares the first of each pair and tells with the second."""
    count = f"{len(found)} layers with weights instead of {len(expected)}"
    about = f" ({count})" if len(found) != len(expected) else ""
    for number, ((key, text), (expected_key, expected_text)) in enumerate(zip(found, expected, strict=False), start=1):
        if key != expected_key:
            return f"its layer {number} is {text} instead of {expected_text}{about}"
    if len(found) < len(expected):
        return f"its layer {len(found) + 1} should be {expected[len(found)][1]}, but is missing{about}"
    if len(found) > len(expected):
        return f"its layer {len(expected) + 1}, {found[len(expected)][1]}, is too many{about}"
    return ""


def _stored_layers(file: Any) -> list[tuple[str, list[Any]]]:
    """Name and arrays, unread, of each layer that has some."""
    # A whole model that Keras 2 saved has its weights one level down.
    group = file.get("model_weights", file)
    layers = [(name, _attribute(group[name], "weight_names")) for name in _attribute(group, "layer_names")]
    return [(name, [group[name][array] for array in arrays]) for name, arrays in layers if arrays]


def _attribute(group: Any, name: str) -> list[str]:
    """A list of names: one attribute, or ``name0``, ``name1`` ... where it exceeds the 64 KiB of an HDF5 header."""
    attributes = group.attrs
    numbered = itertools.takewhile(lambda part: part in attributes, (f"{name}{index}" for index in itertools.count()))
    parts = [name] if name in attributes else numbered
    items = [item for part in parts for item in attributes[part]]
    return [item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in items]
