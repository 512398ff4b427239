"""A share of the weights that a training starts from, kept in what is scored and saved."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.runs.saved_model import load_model
from fer_tl.training.checkpoint import Values, assign_values, read_values


class KeptStart:
    """The weights of a start, head included, and how much of them is kept.

    M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022: weights between those of a network and of
    the same one trained further are right more often than either, where the second has seen other images. BatchNorm's
    moving statistics are mixed as the weights are.

    Args:
        model: that will be trained; it is given the weights of the start, of the same layers.
        path: ``.keras`` file of fer-tl.
        class_names: that the model learns, in the order of its logits.
        share: of the start in what is scored and saved, 0 to 1.

    Raises:
        UserError: the start answers other classes, or in another order, or has another head.
    """

    def __init__(self, model: keras.Model, path: Path, class_names: tuple[str, ...], share: float):
        start, names = load_model(path)
        if names != class_names:
            raise UserError(
                f"'keep_start' mixes a start's answers with those learnt, but {path} knows the classes "
                f"{', '.join(names)}, and the data has {', '.join(class_names)}: omit it"
            )
        if difference := _difference(_head_of(model), _head_of(start)):
            raise UserError(
                f"'keep_start' needs a start of the same layers, but {path} has another head ({difference}): give its "
                "--head.pooling, .dense, .activation and .batch-norm, or omit it"
            )
        self._weights: list[Any] = model.weights
        self._start: Values = read_values(start.weights)
        self._share = share
        assign_values(self._weights, self._start)

    def mix_in(self) -> None:
        """Give the model its share of the start, for good; what has not moved stays as it is to the last bit."""
        pairs = zip(self._start, read_values(self._weights), strict=True)
        share = np.float32(self._share)
        assign_values(self._weights, [learnt + share * (start - learnt) for start, learnt in pairs])


def _head_of(model: keras.Model) -> list[str]:
    """What each layer behind the backbone computes when the model answers: layers of the same shapes may differ."""
    return [
        " ".join([type(layer).__name__, *_activation(layer), *(str(tuple(weight.shape)) for weight in layer.weights)])
        for layer in model.layers
        if layer.name.startswith(("head_", "logits")) and not isinstance(layer, keras.layers.Dropout)
    ]


def _activation(layer: Any) -> list[str]:
    return [str(layer.get_config()["activation"])] if "activation" in layer.get_config() else []


def _difference(asked: list[str], there: list[str]) -> str:
    """The first layer that is another; "" where none is."""
    for mine, other in zip_longest(asked, there, fillvalue="no layer"):
        if mine != other:
            return f"{other}, where {mine} is asked for"
    return ""
