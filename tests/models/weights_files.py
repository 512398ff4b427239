"""Weights files in the layout of published ones, made in the test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import keras
import numpy as np

from fer_tl.core.options import load_experiment
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights


def find(backbone: str, weights: str | Path, accepted: str | None = None) -> Path | None:
    """The file that an experiment with these weights starts from."""
    return find_weights(resolve_model(load_experiment(backbone=backbone, weights=str(weights))), str(weights), accepted)


def write_layers(path: Path, layers: Sequence[tuple[str, Sequence[np.ndarray]]]) -> Path:
    """The layout of the published ``.h5`` files: layers in order, each with its arrays in order."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name, _ in layers]
        for name, arrays in layers:
            group = file.create_group(name)
            names = [f"{name}/array{index}:0".encode() for index in range(len(arrays))]
            group.attrs["weight_names"] = names
            for array_name, array in zip(names, arrays, strict=True):
                group[array_name] = array
    return path


def write_legacy(model: keras.Model, path: Path) -> None:
    write_layers(
        path,
        [
            (layer.name, [np.asarray(w) for w in layer.trainable_weights + layer.non_trainable_weights])
            for layer in model.layers
        ],
    )


def randomize(model: keras.Model) -> None:
    """Other values in all weights, BatchNorm's too, with which deep networks neither explode nor die out."""
    rng = np.random.default_rng(5)
    values = []
    for weight in model.weights:
        value = rng.random(weight.shape, dtype=np.float32)
        fan_in = np.prod(weight.shape[:-1]) if "kernel" in weight.name else 0
        values.append((value - 0.5) * np.sqrt(24 / fan_in) if fan_in else 0.5 + value)
    model.set_weights(values)
