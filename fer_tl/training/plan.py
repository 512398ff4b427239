"""The plan of an epoch: every decision that is random or depends on the step, made on the host before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_tl.config import Augment
from fer_tl.data.augment import IDENTITY, draw_transforms
from fer_tl.data.randomness import uniform


@dataclass(frozen=True)
class EpochPlan:
    """What an engine does in S steps of B images each.

    Attributes:
        rows: int32 ``[S, B]``, which resident image.
        weights: float32 ``[S, B]``, weight of its loss; 0 marks the filling of the last step.
        counts: float32 ``[S]``, how many images of the step are real: the loss is divided by it.
        transforms: float32 ``[S, B, 6]``, see ``fer_tl.data.augment``.
        rates: float32 ``[S]``, learning rates.
    """

    rows: np.ndarray
    weights: np.ndarray
    counts: np.ndarray
    transforms: np.ndarray
    rates: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, start: int, stop: int) -> EpochPlan:
        """The steps ``start`` to ``stop``."""
        chosen = slice(start, stop)
        return EpochPlan(
            self.rows[chosen], self.weights[chosen], self.counts[chosen], self.transforms[chosen], self.rates[chosen]
        )


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Steps in which every image is seen once: the last one may be filled up."""
    return -(-images // batch_size)


def plan_epoch(
    rows: np.ndarray,
    keys: np.ndarray,
    example_weights: np.ndarray,
    batch_size: int,
    augment: Augment,
    size: tuple[int, int],
    rates: np.ndarray,
    *stream: object,
) -> EpochPlan:
    """Shuffle one epoch and draw its augmentation, keyed on the examples.

    Args:
        rows: int ``[N]``, resident rows of the training images.
        keys: uint64 ``[N]`` from ``example_keys``, of the same images.
        example_weights: float ``[N]``, weight of each image in the loss.
        batch_size: B.
        augment: what to draw.
        size: height and width of the stored images.
        rates: float ``[S]``, learning rate of each step.
        stream: (seed, fold, epoch).
    """
    order = np.argsort(uniform(keys, "order", *stream), kind="stable")  # [N]
    steps = steps_per_epoch(len(rows), batch_size)
    # The last step is filled with images of the first at weight 0, so that shapes stay fixed (a TPU needs that) and
    # BatchNorm sees only real images.
    slots = np.resize(order, steps * batch_size).reshape(steps, batch_size)  # [S, B]
    real = (np.arange(steps * batch_size) < len(rows)).reshape(steps, batch_size)
    if augment.active:
        transforms = draw_transforms(augment, keys, size, *stream)[slots]  # [S, B, 6]
    else:
        transforms = np.broadcast_to(np.array(IDENTITY, np.float32), (steps, batch_size, 6))
    return EpochPlan(
        rows=rows[slots].astype(np.int32),
        weights=(example_weights[slots] * real).astype(np.float32),
        counts=real.sum(axis=1).astype(np.float32),
        transforms=transforms,
        rates=rates.astype(np.float32),
    )


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights inversely proportional to the share of each example's class, with mean 1: int ``[N]`` to float64 ``[N]``.

    ``n / (K n_c)`` as in scikit-learn's ``class_weight="balanced"`` (King & Zeng, 2001).
    """
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)))[labels]
