"""The plan of an epoch: every decision that is random or depends on the step, made on the host before it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fer_tl.augment.geometry import IDENTITY, compose, draw_transforms, scaling
from fer_tl.augment.mixing import Mixing, draw_erased, draw_mixing
from fer_tl.augment.photometry import Photometry, draw_photometry
from fer_tl.core.config import Augment
from fer_tl.core.randomness import INCREMENT, mix, uniform


@dataclass(frozen=True)
class EpochPlan:
    """What an engine does in S steps of B images each. Arrays that an experiment has no use for are None.

    Attributes:
        rows: int32 ``[S, B]``, which resident image.
        weights: float32 ``[S, B]``, weight of its loss; 0 marks the filling of the last step.
        counts: float32 ``[S]``, how many images of the step are real: the loss is divided by it.
        transforms: float32 ``[S, B, 6]``, from pixels that the model takes to stored ones, see ``augment.geometry``.
        rates: float32 ``[S]``, learning rates.
        offsets: float32 ``[S, K]``, what the objective adds to the logits, see ``adjustment``.
        mixing: ``[S, B]``, which other image is combined with it and how, see ``augment.mixing``; its partners are
            resident rows.
        erased: int32 ``[S, B, 4]``, the box that is blanked.
        decays: float32 ``[S]``, how much of the averages of the weights stays, see ``averaging``.
        photometry: ``[S, B]``, how light, sharpness and noise change, see ``augment.photometry``.
    """

    rows: np.ndarray
    weights: np.ndarray
    counts: np.ndarray
    transforms: np.ndarray
    rates: np.ndarray
    offsets: np.ndarray | None = None
    mixing: Mixing | None = None
    erased: np.ndarray | None = None
    decays: np.ndarray | None = None
    photometry: Photometry | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def _in_use(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}

    def part(self, start: int, stop: int) -> EpochPlan:
        """The steps ``start`` to ``stop``."""
        return EpochPlan(**{name: value[start:stop] for name, value in self._in_use().items()})

    def narrowed(self, batch_size: int) -> EpochPlan:
        """The first step, of its first images only."""
        whole = ("counts", "rates", "offsets", "decays")
        return EpochPlan(
            **{name: value[:1] if name in whole else value[:1, :batch_size] for name, value in self._in_use().items()}
        )

    def arrays(self) -> dict[str, Any]:
        """The arrays in use by name, those of ``mixing`` and ``photometry`` in dictionaries of their own; the first
        axis is the step."""
        return {
            name: value if isinstance(value, np.ndarray) else value.arrays() for name, value in self._in_use().items()
        }


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
    offsets: np.ndarray | None = None,
    side: tuple[int, int] | None = None,
) -> EpochPlan:
    """Shuffle one epoch and draw its augmentation, keyed on the examples.

    Args:
        rows: int ``[N]``, resident rows of the training images.
        keys: uint64 ``[N]`` from ``example_keys``, of the same images; from ``sample_evenly`` where one comes twice.
        example_weights: float ``[N]``, weight of each image in the loss.
        batch_size: B.
        augment: what to draw.
        size: height and width of the stored images.
        rates: float ``[S]``, learning rate of each step.
        stream: (seed, fold, epoch).
        offsets: float ``[K]`` from ``adjustment``, the same in every step.
        side: height and width at which the model takes them, if it is another: the same resampling resizes.
    """
    side = side or size
    order = np.argsort(uniform(keys, "order", *stream), kind="stable")  # [N]
    steps = steps_per_epoch(len(rows), batch_size)
    # The last step is filled with images of the first at weight 0, so that shapes stay fixed (a TPU needs that) and
    # BatchNorm sees only real images.
    slots = np.resize(order, steps * batch_size).reshape(steps, batch_size)  # [S, B]
    real = (np.arange(steps * batch_size) < len(rows)).reshape(steps, batch_size)
    if augment.moves:
        transforms = draw_transforms(augment, keys, side, *stream)[slots]  # [S, B, 6]
    else:
        transforms = np.broadcast_to(np.array(IDENTITY, np.float32), (steps, batch_size, 6))
    mixing = draw_mixing(augment, keys, side, *stream) if augment.mixes else None
    photometry = draw_photometry(augment, keys, size, side, *stream)
    if side != size:
        resize = scaling(size, side)
        transforms = compose(resize, transforms)
        mixing = mixing and replace(mixing, transforms=compose(resize, mixing.transforms))
    if mixing:
        others, share = mixing.partners, mixing.shares.astype(np.float64)
        example_weights = share * example_weights + (1 - share) * example_weights[others]
        mixing = replace(mixing, partners=rows[others].astype(np.int32))[slots]  # [S, B]
    return EpochPlan(
        rows=rows[slots].astype(np.int32),
        weights=(example_weights[slots] * real).astype(np.float32),
        counts=real.sum(axis=1).astype(np.float32),
        transforms=transforms,
        rates=rates.astype(np.float32),
        offsets=None if offsets is None else np.broadcast_to(offsets.astype(np.float32), (steps, len(offsets))),
        mixing=mixing,
        erased=draw_erased(augment.erase, keys, side, *stream)[slots] if augment.erase else None,  # [S, B, 4]
        photometry=photometry and photometry[slots],  # [S, B]
    )


def sample_evenly(labels: np.ndarray, keys: np.ndarray, *stream: object) -> tuple[np.ndarray, np.ndarray]:
    """Draw the images of an epoch so that all classes come equally often, with as many images as there are.

    Of C classes that have images each gets N / C, the first ones of what is left over one more. An image of a class
    comes equally often as any other of it, or once more: which ones do is drawn anew every epoch.

    Args:
        labels: int ``[N]``.
        keys: uint64 ``[N]`` from ``example_keys``.
        stream: (seed, fold, epoch).

    Returns:
        Which of the images, int64 ``[N]``, and a key for each, uint64 ``[N]``, all different: an image's own at its
        first place, and others at the next, so that its copies are not augmented alike.
    """
    chance = uniform(keys, "extra copy", *stream)  # [N]
    copies = np.zeros(len(labels), np.int64)
    present = np.unique(labels)
    for place, label in enumerate(present):
        members = np.flatnonzero(labels == label)
        wanted = len(labels) // len(present) + (place < len(labels) % len(present))
        copies[members] = wanted // len(members)
        copies[members[np.argsort(chance[members], kind="stable")[: wanted % len(members)]]] += 1
    chosen = np.repeat(np.arange(len(labels)), copies)  # [N]
    copy = np.arange(len(chosen)) - (np.cumsum(copies) - copies)[chosen]  # 0, 1, ... within each image
    return chosen, np.where(copy == 0, keys[chosen], mix(keys[chosen] + copy.astype(np.uint64) * INCREMENT))


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights inversely proportional to the share of each example's class, with mean 1: int ``[N]`` to float64 ``[N]``.

    ``n / (K n_c)`` as in scikit-learn's ``class_weight="balanced"`` (King & Zeng, 2001).
    """
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)))[labels]


def adjustment(labels: np.ndarray, classes: int, tau: float) -> np.ndarray:
    """What logit adjustment adds to the logits in training: int labels ``[N]`` to float64 ``[K]``.

    ``tau log(n_c / n)``: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, equation 10. A model that
    has learnt with it no longer leans to the frequent classes. A class without images counts as if it had one.
    """
    return tau * np.log(np.maximum(np.bincount(labels, minlength=classes), 1) / len(labels))
