"""Whether probabilities mean what they say: reliability, its error, and the one rule by which answers are scaled.

A temperature is fitted to what answers, on images that it was not trained on: that of a single model on those that its
training held out, that of the mean of several on the dataset's validation split. Where there are none, nothing is
scaled, and it is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.randomness import example_keys, uniform
from fer_tl.evaluation.open_split import last_opening, results_folder
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions, load_predictions, predicted_labels, softmax
from fer_tl.runs.refits import read_refit
from fer_tl.runs.run_file import holds_none_out

BINS = 15
"""Of equal width, as in C. Guo, G. Pleiss, Y. Sun and K. Weinberger, On Calibration of Modern Neural Networks, ICML
2017."""

# Between these a temperature is looked for: far beyond what trained networks need (0.5 to 5).
LOWEST, HIGHEST = 0.02, 50.0
# Newton's method takes some 6 steps; where the bounds are halved each time, 30 reach the precision.
_MOST_STEPS, _PRECISION = 100, 1e-6
# Of the mean of several models, in its logarithm.
_GRID, _MEAN_PRECISION = 41, 1e-4
# So that a temperature is scored on other images than those that it was fitted to.
_FIFTHS = 5


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
        part_temperatures: float64 ``[P]``: of each part's model, fitted to what it held out: ``choose_scaling``'s.
        scaled: the predictions, each divided by a temperature that was fitted to other groups of images of the same
            part: no image has a say in how it is scaled.
    """

    part_temperatures: np.ndarray
    scaled: Predictions


@dataclass(frozen=True)
class Scaling:
    """What logits are divided by before the softmax, and why.

    Attributes:
        temperature: 1 where nothing is scaled.
        note: a sentence: what it was fitted to, or that the probabilities are not calibrated, and why not.
    """

    temperature: float
    note: str


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


def reliability_of(predictions: Predictions) -> Reliability:
    """How often predictions are right, by how sure they are."""
    return reliability(predictions.probabilities.max(axis=1), predicted_labels(predictions) == predictions.labels)


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
    # Newton's method, kept between bounds that close in. scipy.optimize.minimize_scalar gives the same to 1e-6, but its
    # import takes 0.35 s (measured 2026-11-29), which ``predict``, ``serve`` and ``export`` need for nothing else.
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


def fit_mean_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of several models under which the mean of their probabilities gives the labels the largest
    likelihood.

    It is not that of the single models: a mean is less sure than its members (R. Rahaman and A. Thiery, Uncertainty
    Quantification and Deep Ensembles, NeurIPS 2021). The cross-entropy of a mean need not be convex: the best of a grid
    is refined by golden sections.

    Args:
        logits: float ``[M, N, K]``, finite, of M models for the same images, which none of them was trained on.
        labels: int ``[N]``, 0..K-1.

    Returns:
        T, ``LOWEST`` to ``HIGHEST``.
    """
    rows = np.arange(len(labels))

    def cost(log_temperature: float) -> float:
        p = softmax(logits.astype(np.float64) / np.exp(log_temperature)).mean(axis=0)  # [N, K]
        return float(-np.log(np.maximum(p[rows, labels], np.finfo(np.float64).tiny)).mean())

    grid = np.linspace(np.log(LOWEST), np.log(HIGHEST), _GRID)
    best = int(np.argmin([cost(each) for each in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, _GRID - 1)]
    ratio = (np.sqrt(5) - 1) / 2
    while high - low > _MEAN_PRECISION:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if cost(left) < cost(right) else (left, high)
    return float(np.exp((low + high) / 2))


def choose_scaling(run: RunFolder, parts: Sequence[str]) -> Scaling:
    """How the answers of models of a run are scaled, whoever gives them: the one rule.

    The model of a single part is scaled by the temperature of the images that it held out. The mean of several has no
    such images in a cross validation: each is in the training of some. It is scaled by the dataset's validation split,
    which a cross validation does not train on, where ``fer-tl evaluate RUN --split validation`` has saved what the
    models say of it, in the build that the run was trained on; else not at all. Images that early stopping watched had
    a say in the training and count for none. A refit,
    which holds no image out, takes the temperature of its cross validation; what ``fer_tl.Classifier`` trained takes
    none.

    Args:
        run: whose saved predictions are read; their checksums are the caller's to check.
        parts: whose models answer, by the mean of their probabilities if there are several.

    Raises:
        UserError: damaged predictions.
    """
    if refit := read_refit(run.read_run()):
        return Scaling(refit.temperature, f"{refit.calibration} {refit.estimate}")
    if holds_none_out(run.read_run()):
        return Scaling(1.0, "Probabilities are not calibrated: no image was held out of the training.")
    if len(parts) == 1:
        found = load_predictions(run.part(parts[0]) / "predictions.npz")
        where, logits, labels = (
            f"the {len(found.ids):,} images that its training held out",
            found.logits[None],
            found.labels,
        )
    else:
        several = _of_validation(run, parts)
        if several is None:
            return Scaling(
                1.0,
                f"Probabilities are not calibrated: the mean of {len(parts)} models has seen every image of the "
                f"training. Where the dataset has a validation split, fer-tl evaluate RUN --split "
                "validation gives what to calibrate it on.",
            )
        opened = last_opening(run, "validation", "none")
        if opened and not opened.get("same_build", True):  # not in records of before 2026-11-29
            return Scaling(
                1.0,
                "Probabilities are not calibrated: split validation was predicted in another build of the dataset than "
                "the run was trained on, so the models may have been trained on its images.",
            )
        labels, logits = several[0].labels, np.stack([each.logits for each in several])
        where = f"the {len(labels):,} images of split validation, which no model was trained on"
    why = _unfit(logits, labels)
    if why:
        return Scaling(1.0, f"Probabilities are not calibrated: {where} cannot set a temperature ({why}).")
    fitted = fit_temperature(logits[0], labels) if len(parts) == 1 else fit_mean_temperature(logits, labels)
    return Scaling(fitted, f"Probabilities are calibrated: temperature {fitted:.3f}, fitted to {where}.")


def _of_validation(run: RunFolder, parts: Sequence[str]) -> list[Predictions] | None:
    """What each of several models says of the validation split of the run's dataset; None if it was not asked, or the
    split was trained on."""
    if run.read_run()["kind"] != "cv":
        return None
    paths = [results_folder(run, "validation", "none") / f"{part}.npz" for part in parts]
    if not all(path.is_file() for path in paths):
        return None
    found = [load_predictions(path) for path in paths]
    for path, each in zip(paths, found, strict=True):
        if not (np.array_equal(each.ids, found[0].ids) and np.array_equal(each.labels, found[0].labels)):
            raise UserError(f"{path} is not of the same images as {paths[0]}: evaluate the split again")
    return found


def _unfit(logits: np.ndarray, labels: np.ndarray) -> str:
    """Why a temperature cannot be fitted to ``[M, N, K]``, else ""."""
    if not np.isfinite(logits).all():
        return "numbers that are not finite"
    if not len(labels):
        return "there are none"
    return "all are answered rightly" if (softmax(logits).mean(axis=0).argmax(axis=1) == labels).all() else ""


def calibrate(predictions: Predictions, parts: np.ndarray, groups: np.ndarray) -> Calibration | None:
    """Fit a temperature to what each part held out, as ``choose_scaling`` does, and score it on other images.

    For the score, the groups of a part are dealt into five: each fifth is scaled by what the other four say.

    Args:
        predictions: held out, finite.
        parts: int ``[N]``, 0..P-1: whose model predicted each image.
        groups: text ``[N]``.

    Returns:
        None where a part has too few groups.
    """
    logits, labels = predictions.logits, predictions.labels
    fifths = (_FIFTHS * uniform(example_keys(groups), "calibration")).astype(np.int64)  # [N]
    divisors, temperatures = np.ones(len(labels)), []
    for part in range(int(parts.max()) + 1):
        of_part = parts == part
        temperatures.append(_fit(logits[of_part], labels[of_part]))
        dealt = np.unique(fifths[of_part])
        if len(dealt) < 2:
            return None
        for fifth in dealt:
            here, rest = of_part & (fifths == fifth), of_part & (fifths != fifth)
            divisors[here] = _fit(logits[rest], labels[rest])
    scaled = (logits / divisors[:, None]).astype(np.float32)
    return Calibration(np.array(temperatures), Predictions(predictions.ids, labels, scaled, predictions.class_names))


def _fit(logits: np.ndarray, labels: np.ndarray) -> float:
    return 1.0 if _unfit(logits[None], labels) else fit_temperature(logits, labels)
