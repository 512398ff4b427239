"""Exponential moving averages of what a model learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# An average and the variable of the model that it follows, both Keras variables.
Followed = tuple[Any, Any]


def decays(most: float, first_step: int, steps: int) -> np.ndarray:
    """How much of an average stays at each step; the rest is what the model is after it.

    ``min(most, (1 + t) / (10 + t))`` after t steps: that of ``num_updates`` in TensorFlow's
    ``tf.train.ExponentialMovingAverage``. A short training is then averaged over its last tenth or so, where a constant
    decay would keep the initial weights in it.

    Args:
        most: the decay that is reached, 0..1.
        first_step: t, steps of this stage already done.
        steps: S, how many decays to return.

    Returns:
        float32 ``[S]``.
    """
    done = first_step + np.arange(steps)
    return np.minimum(most, (1 + done) / (10 + done)).astype(np.float32)


def averaged(average: Any, value: Any, decay: Any) -> Any:
    """An average one step on: ``decay average + (1 - decay) value``, so written that what does not move stays as it is
    to the last bit."""
    return average + (1 - decay) * (value - average)


def follow(averages: Sequence[Followed], decay: Any) -> None:
    """Let averages take up what their variables are after a step."""
    for average, variable in averages:
        average.assign(averaged(average.value, variable.value, decay))
