"""Learning-rate schedules as plain functions of the step, so that a resumed run meets the same rates."""

from __future__ import annotations

import numpy as np

from fer_tl.core.config import Schedule


def rate_factors(schedule: Schedule, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> np.ndarray:
    """What the peak learning rate is multiplied by at each step.

    Args:
        schedule: shape, see ``fer_tl.core.config.Schedule``; ``plateau`` is constant here, a Keras callback moves it.
        first_step: number of steps of this stage already done.
        steps: how many factors to return.
        steps_per_epoch: of this stage.
        epochs: of this stage.

    Returns:
        float64 ``[steps]``: linear warm-up to 1, then the shape over the epochs that remain. Cosine is half a period
        down to 0 (Loshchilov & Hutter, SGDR, ICLR 2017, one cycle).
    """
    epoch = (first_step + np.arange(steps)) / steps_per_epoch  # [steps], in epochs
    after = np.maximum(epoch - schedule.warmup, 0.0)
    if schedule.kind == "cosine":
        progress = np.minimum(after / max(epochs - schedule.warmup, 1e-9), 1.0)
        factor = 0.5 * (1 + np.cos(np.pi * progress))
    elif schedule.kind == "step":
        factor = schedule.factor ** np.floor(after / schedule.every)
    elif schedule.kind == "exponential":
        factor = schedule.factor ** (after / schedule.every)
    else:
        factor = np.ones(steps)
    if schedule.warmup:
        # The first step gets a part of the rate, not none of it.
        factor = np.where(epoch < schedule.warmup, (epoch + 1 / steps_per_epoch) / schedule.warmup, factor)
    return np.minimum(factor, 1.0)
