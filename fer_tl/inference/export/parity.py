"""Whether an exported model says what the original says, how often it is right, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from fer_tl.evaluation.comparison import compare_pairs
from fer_tl.evaluation.intervals import Interval

# Of probabilities, between models in float: sums in another order differ by 1e-6 to 1e-5, a wrong layer by 0.1.
TOLERANCE = 1e-3
# Images of a call. More gains nothing on a CPU.
BATCH = 64
_WARM_UP, _CALLS, _SECONDS = 3, 50, 2.0

Runner = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Parity:
    """An exported model beside the original on the same images.

    Attributes:
        images: how many.
        difference: the largest between two probabilities of the same class, 0..1.
        agreement: share of the images for which both name the same class, 0..1.
    """

    images: int
    difference: float
    agreement: float


@dataclass(frozen=True)
class Loss:
    """What int8 numbers cost on images that neither the training nor the calibration has seen.

    Attributes:
        images: how many.
        original: accuracy of the original, 0..1.
        quantized: of the int8 model.
        difference: the first less the second.
        interval: 95 % of it, by a bootstrap over groups of the paired answers.
        agreement: share of the images for which both name the same class, 0..1.
    """

    images: int
    original: float
    quantized: float
    difference: float
    interval: Interval
    agreement: float


def compare_probabilities(original: np.ndarray, exported: np.ndarray) -> Parity:
    """Compare two models' float ``[N, K]`` on the same images, N at least 1."""
    return Parity(
        images=len(original),
        difference=float(np.abs(original - exported).max()),
        agreement=float(np.mean(original.argmax(axis=1) == exported.argmax(axis=1))),
    )


def run_batched(run: Runner, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Probabilities float32 ``[N, K]`` of N rows of images, of which a batch is decoded at a time.

    Args:
        run: the model.
        images: uint8 ``[M, H, W, C]``, or images that stay in their records.
        rows: int ``[N]``, N at least 1.
    """
    batches = [run(images[rows[start : start + BATCH]]) for start in range(0, len(rows), BATCH)]
    return np.concatenate(batches)


def measure_loss(labels: np.ndarray, original: np.ndarray, quantized: np.ndarray, groups: np.ndarray) -> Loss:
    """Compare how often two models are right.

    Args:
        labels: int ``[N]``, the true classes.
        original: int ``[N]``, the classes that the original names.
        quantized: int ``[N]``, likewise of the int8 model.
        groups: text ``[N]``, of images that succeed and fail together; two or more.
    """
    right = np.stack([original == labels, quantized == labels])  # [2, N]
    (pair,) = compare_pairs(right, groups, None)
    sign = 1 if pair.better == 0 else -1
    low, high = sorted(sign * end for end in pair.interval)
    return Loss(
        images=len(labels),
        original=float(right[0].mean()),
        quantized=float(right[1].mean()),
        difference=sign * pair.difference,
        interval=(low, high),
        agreement=float(np.mean(original == quantized)),
    )


def time_one(run: Runner, image: np.ndarray) -> float:
    """Milliseconds that a model takes for one image: the median of up to 50 calls in 2 s.

    Args:
        run: the model.
        image: uint8 ``[1, H, W, C]``.
    """
    for _ in range(_WARM_UP):
        run(image)
    taken: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(taken) < _CALLS and (not taken or time.perf_counter() < end):
        began = time.perf_counter()
        run(image)
        taken.append(time.perf_counter() - began)
    return 1000 * median(taken)
