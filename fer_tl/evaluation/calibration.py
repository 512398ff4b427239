"""Whether probabilities mean what they say: reliability, its error, and temperatures fitted out of fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_tl.training.predictions import Predictions

BINS = 15
"""Of equal width, as in C. Guo, G. Pleiss, Y. Sun and K. Weinberger, On Calibration of Modern Neural Networks, ICML
2017."""

# Between these a temperature is looked for: far beyond what trained networks need (0.5 to 5).
LOWEST, HIGHEST = 0.02, 50.0
# Newton's method takes some 6 steps; where the bounds are halved each time, 30 reach the precision.
_MOST_STEPS, _PRECISION = 100, 1e-6


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predictions by their confidence, the largest probability of each, in bins of equal width.

    Attributes:
        count: int64 ``[B]``, predictions with a confidence in bin b, above b / B and up to (b + 1) / B.
        confidence: float64 ``[B]``, their mean confidence, 0..1; 0 for an empty bin.
        accuracy: float64 ``[B]``, share of them that is right, 0..1; 0 for an empty bin.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: mean over the predictions of the gap between confidence and accuracy of their
        bin, 0..1 (Guo et al. 2017, equation 3). Chance gaps of small bins add up: it leans upwards for few images."""
        return float(self.count @ np.abs(self.confidence - self.accuracy) / self.count.sum())


@dataclass(frozen=True, eq=False)
class Calibration:
    """What temperature scaling does to held-out predictions.

    Attributes:
        temperature: fitted to all of them: what to divide the logits of new images by.
        part_temperatures: float64 ``[P]``: of each part, fitted to the others.
        scaled: the predictions, each divided by the temperature of its part: no image has a say in how it is scaled.
    """

    temperature: float
    part_temperatures: np.ndarray
    scaled: Predictions


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """The bin of each confidence 0..1: float ``[N]`` to int64 ``[N]``, 0..``BINS`` - 1."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def reliability(confidence: np.ndarray, right: np.ndarray) -> Reliability:
    """Count predictions by their confidence.

    Args:
        confidence: float ``[N]``, probability of the predicted class, 0..1.
        right: bool ``[N]``, whether that is the true class.
    """
    bins = confidence_bins(confidence)
    count = np.bincount(bins, minlength=BINS)
    filled = np.maximum(count, 1)
    return Reliability(
        count=count,
        confidence=np.bincount(bins, confidence, BINS) / filled,
        accuracy=np.bincount(bins, right, BINS) / filled,
    )


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature under which softmax(logits / T) gives the labels the largest likelihood.

    Temperature scaling of Guo et al. 2017, section 4.2. The cross-entropy is convex in 1 / T, so it has one minimum;
    where all predictions are right it has none, and the lowest temperature that is looked at is returned.

    Args:
        logits: float ``[N, K]``, finite.
        labels: int ``[N]``, 0..K-1.

    Returns:
        T, ``LOWEST`` to ``HIGHEST``; no predicted class changes by it.
    """
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)  # [N, K], 0 or less
    true = z[np.arange(len(z)), labels]  # [N]
    low, high, sharpness = 1 / HIGHEST, 1 / LOWEST, 1.0
    # Newton's method, kept between bounds that close in: a library's minimizer takes 0.4 s to import.
    for _ in range(_MOST_STEPS):
        p = np.exp(sharpness * z)
        p /= p.sum(axis=1, keepdims=True)  # [N, K]
        mean = (p * z).sum(axis=1)  # [N]
        slope, curvature = float(np.mean(mean - true)), float(np.mean((p * z * z).sum(axis=1) - mean**2))
        low, high = (low, sharpness) if slope > 0 else (sharpness, high)
        new = sharpness - slope / curvature if curvature > 0 else 0.0
        new = new if low < new < high else float(np.sqrt(low * high))
        if abs(new / sharpness - 1) < _PRECISION:
            break
        sharpness = new
    return 1 / new


def calibrate(predictions: Predictions, parts: np.ndarray) -> Calibration:
    """Fit a temperature to all predictions, and for each part one to the others, by which it is scored.

    Args:
        predictions: held out, finite.
        parts: int ``[N]``, 0..P-1, P at least 2: the fold of each image, or any parts that divide no group.
    """
    logits, labels = predictions.logits, predictions.labels
    others = [parts != part for part in range(int(parts.max()) + 1)]
    temperatures = np.array([fit_temperature(logits[rest], labels[rest]) for rest in others])  # [P]
    scaled = (logits / temperatures[parts, None]).astype(np.float32)
    return Calibration(
        fit_temperature(logits, labels),
        temperatures,
        Predictions(predictions.ids, labels, scaled, predictions.class_names),
    )
