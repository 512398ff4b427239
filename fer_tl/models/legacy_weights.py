"""Weights files in the layout of Keras 1 and 2 (``.h5``), in which published weights come: read strictly, by order.

The file lists its layers in ``layer_names`` and the arrays of each in ``weight_names``. Keras's own reader by order
raises where their number or a shape differs, but has assigned the layers before by then, and compares no names.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py


def read_layer_names(path: Path) -> tuple[str, ...]:
    """Names of the layers that have weights, in order; empty for an HDF5 file of another layout.

    Raises:
        OSError: it is no HDF5 file.
    """
    with h5py.File(path) as file:
        # A whole model that Keras 2 saved has its weights one level down.
        group = file.get("model_weights", file)
        return tuple(name for name in _attribute(group, "layer_names") if _attribute(group[name], "weight_names"))


def load_legacy(model: Any, path: Path) -> None:
    """Set the weights of a Keras model from a file, layer by layer in order; all of them or, on an error, none.

    Args:
        model: layers without weights are passed over, as in the file.
        path: of the file, ``.h5``.

    Raises:
        OSError: it is no HDF5 file.
        ValueError: it has another number of layers, or arrays of other shapes. Names are not compared.
    """
    before = model.get_weights()
    try:
        model.load_weights(path)
    except Exception:
        model.set_weights(before)
        raise


def name_difference(found: Sequence[str], expected: Sequence[str]) -> str:
    """The first layer that differs, in words; empty where the names are the same."""
    count = f" ({len(found)} layers with weights instead of {len(expected)})" if len(found) != len(expected) else ""
    for number, (name, wanted) in enumerate(itertools.zip_longest(found, expected), start=1):
        if name is None:
            return f"its layer {number} should be {wanted}, but is missing{count}"
        if wanted is None:
            return f"its layer {number}, {name}, is too many{count}"
        if name != wanted:
            return f"its layer {number} is {name} instead of {wanted}{count}"
    return ""


def _attribute(group: Any, name: str) -> list[str]:
    """A list of names: one attribute, or ``name0``, ``name1`` ... where it exceeds the 64 KiB of an HDF5 header."""
    attributes = group.attrs
    numbered = itertools.takewhile(lambda part: part in attributes, (f"{name}{index}" for index in itertools.count()))
    parts = [name] if name in attributes else numbered
    items = [item for part in parts for item in attributes[part]]
    return [item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in items]
