"""Learning-rate schedules as plain functions of the step, so that a resumed run meets the same rates."""

from __future__ import annotations

import numpy as np

from fer_tl.core.config import Schedule

# Of one_cycle: the share of the epochs in which the rate rises, and what it is at the start and at the end, in parts of
# its peak. The first two are PyTorch's; its end is 25 times lower, fastai's 10 times.
RISING, FIRST, LAST = 0.3, 1 / 25, 1e-4


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
        down to 0 (Loshchilov & Hutter, SGDR, ICLR 2017, one cycle). One_cycle rises from 1/25 and falls to 1/10,000,
        both along half a period of a cosine: Smith & Topin, "Super-convergence", 2017, whose rise and fall are linear;
        the cosines are fastai's and PyTorch's. Momentum stays as it is: it is not cycled.
    """
    epoch = (first_step + np.arange(steps)) / steps_per_epoch  # [steps], in epochs
    after = np.maximum(epoch - schedule.warmup, 0.0)
    if schedule.kind == "cosine":
        progress = np.minimum(after / max(epochs - schedule.warmup, 1e-9), 1.0)
        factor = 0.5 * (1 + np.cos(np.pi * progress))
    elif schedule.kind == "one_cycle":
        factor = _one_cycle(epoch / epochs)
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


def _one_cycle(progress: np.ndarray) -> np.ndarray:
    """Factors by the share of the stage that is done, float64 ``[steps]``, 0..1."""
    rise = np.minimum(progress / RISING, 1.0)
    fall = np.clip((progress - RISING) / (1 - RISING), 0.0, 1.0)
    up = FIRST + (1 - FIRST) * 0.5 * (1 - np.cos(np.pi * rise))
    down = LAST + (1 - LAST) * 0.5 * (1 + np.cos(np.pi * fall))
    return np.where(progress < RISING, up, down)
