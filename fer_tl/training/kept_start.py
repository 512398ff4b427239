"""A share of the weights that a training starts from, kept in what is scored and saved."""

from __future__ import annotations

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
        shapes = [[tuple(weight.shape) for weight in each.weights] for each in (model, start)]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"'keep_start' needs a start of the same layers, but {path} has another head: give its --head.dense "
                "and the like, or omit it"
            )
        self._weights: list[Any] = model.weights
        self._start: Values = read_values(start.weights)
        self._share = share
        assign_values(self._weights, self._start)

    def mix_in(self) -> None:
        """Give the model its share of the start, for good."""
        pairs = zip(self._start, read_values(self._weights), strict=True)
        share = np.float32(self._share)
        assign_values(self._weights, [share * start + (1 - share) * learnt for start, learnt in pairs])
