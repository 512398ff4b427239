"""Averages of a model's weights over the steps, which are scored and saved in place of the weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fer_tl.engines.averaging import Followed
from fer_tl.training.checkpoint import assign_values, read_values

STATISTICS = ("moving_mean", "moving_variance")


class Averages:
    """Averages of what a model learns now, and of BatchNorm's moving statistics.

    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on Control and Optimization
    1992; to classify by a running average of the parameters: Szegedy et al., "Rethinking the Inception architecture for
    computer vision", CVPR 2016, section 8. The statistics are averaged too, as in the published code of EfficientNet:
    those of the last weights belong to other activations than the averaged weights have.

    Args:
        model: its layers frozen or not as they are to be; to be made in the scope of its devices.

    Attributes:
        variables: the averages: Keras variables, part of what a checkpoint holds.
        pairs: each with the variable that it follows.
    """

    def __init__(self, model: keras.Model):
        statistics = [v for v in model.non_trainable_variables if v.name in STATISTICS]
        self._followed: list[Any] = [*model.trainable_variables, *statistics]
        self.variables = [
            keras.Variable(np.zeros(v.shape, v.dtype), dtype=v.dtype, trainable=False) for v in self._followed
        ]
        self.pairs: list[Followed] = list(zip(self.variables, self._followed, strict=True))

    def restart(self) -> None:
        """Begin with the weights as they are now."""
        assign_values(self.variables, read_values(self._followed))

    def put_in_place(self) -> None:
        """Give the model the averages in place of its weights."""
        assign_values(self._followed, read_values(self.variables))
