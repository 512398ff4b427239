"""Metrics of saved predictions, over every example, without TensorFlow."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.evaluation.calibration import reliability
from fer_tl.runs.predictions import Predictions

# Attributes of ``Metrics`` that are one number each: those of every table, in its order, and those of a report besides.
METRIC_NAMES = ("accuracy", "balanced_accuracy", "macro_f1", "loss")
MORE_NAMES = ("top2_accuracy", "kappa", "brier", "calibration_error")


@dataclass(frozen=True, eq=False)
class Metrics:
    """How well a set of predictions does; every number is over all N examples, none is a mean over batches.

    Attributes:
        class_names: the K class names; the per-class arrays and the confusion matrix follow their order.
        accuracy: share of examples whose largest logit is the true class, 0..1.
        balanced_accuracy: mean recall over the classes that have examples, 0..1.
        macro_f1: mean F1 over the classes that have examples or are predicted (scikit-learn's default), 0..1.
        loss: mean cross-entropy in nats, 0 or more.
        top2_accuracy: share of examples whose true class has one of the two largest logits, 0..1.
        kappa: Cohen's kappa of true and predicted class: agreement beyond that of chance, -1..1 (J. Cohen, A
            coefficient of agreement for nominal scales, 1960). 0 where both are one class throughout.
        brier: mean squared distance of the probabilities to the true class, summed over the classes, 0..2 (G. Brier,
            Verification of forecasts expressed in terms of probability, 1950).
        calibration_error: expected calibration error, 0..1, see ``fer_tl.evaluation.calibration.Reliability``.
        precision: float64 ``[K]``, 0..1; 0 for a class that is never predicted.
        recall: float64 ``[K]``, 0..1; 0 for a class without examples.
        f1: float64 ``[K]``, 0..1; 0 where undefined.
        support: int64 ``[K]``, true examples of each class.
        confusion: int64 ``[K, K]``, row = true class, column = predicted class.
    """

    class_names: tuple[str, ...]
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    loss: float
    top2_accuracy: float
    kappa: float
    brier: float
    calibration_error: float
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    confusion: np.ndarray

    @property
    def images(self) -> int:
        """Number of examples."""
        return int(self.support.sum())

    def to_dict(self) -> dict[str, Any]:
        """The same as plain Python values, ready for JSON; the classes by name."""
        per_class = {
            name: {
                "precision": float(self.precision[k]),
                "recall": float(self.recall[k]),
                "f1": float(self.f1[k]),
                "support": int(self.support[k]),
            }
            for k, name in enumerate(self.class_names)
        }
        return {
            "images": self.images,
            **{name: float(getattr(self, name)) for name in (*METRIC_NAMES, *MORE_NAMES)},
            "per_class": per_class,
            "confusion": {"rows": "true class", "columns": "predicted class", "counts": self.confusion.tolist()},
        }


def predicted_labels(predictions: Predictions) -> np.ndarray:
    """Index of the largest logit of each example (the first of several equal ones): int64 ``[N]``.

    Raises:
        ValueError: there are no predictions, or a label is no index into the class names.
        UserError: a logit is not finite, which is what a diverged training leaves.
    """
    labels, logits = predictions.labels, predictions.logits
    if len(labels) == 0:
        raise ValueError("there are no predictions to score")
    if labels.min() < 0 or labels.max() >= len(predictions.class_names):
        raise ValueError(f"labels must be in 0..{len(predictions.class_names) - 1}: {labels.min()}..{labels.max()}")
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    if broken:
        raise UserError(
            f"{broken} of {len(labels)} predictions are not finite numbers: the training diverged; "
            "lower the learning rate or clip the gradients"
        )
    return logits.argmax(axis=1)


def score(predictions: Predictions) -> Metrics:
    """Score predictions.

    A class without examples keeps its row and column. Its recall counts for nothing in the balanced accuracy.

    The metrics are scikit-learn's, where it has them for any number of classes in the oldest version that is supported.
    The cross-entropy is taken from the logits, as ``logsumexp(z) - z[true]``: scikit-learn's ``log_loss`` wants
    probabilities and clips them, which caps the cost of a confident mistake at 36 nats.

    Raises:
        ValueError, UserError: see ``predicted_labels``.
    """
    from sklearn import metrics as sk  # 1 s

    predicted = predicted_labels(predictions)
    labels = predictions.labels
    indices = np.arange(len(predictions.class_names))
    costs = example_costs(predictions)
    with warnings.catch_warnings():
        # Some versions of scikit-learn take a small set with many classes for a regression problem.
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        precision, recall, f1, support = sk.precision_recall_fscore_support(
            labels, predicted, labels=indices, zero_division=0
        )
        # Recall averaged over the classes present is the balanced accuracy; scikit-learn's function of that name
        # warns whenever a class is predicted that has no examples.
        balanced = sk.recall_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)
        return Metrics(
            class_names=tuple(predictions.class_names),
            accuracy=float(sk.accuracy_score(labels, predicted)),
            balanced_accuracy=float(balanced),
            macro_f1=float(sk.f1_score(labels, predicted, average="macro", zero_division=0)),
            loss=float(costs.loss.mean()),
            top2_accuracy=float(costs.top2.mean()),
            kappa=_kappa(labels, predicted),
            brier=float(costs.brier.mean()),
            calibration_error=reliability(costs.confidence, predicted == labels).error,
            precision=precision,
            recall=recall,
            f1=f1,
            support=support.astype(np.int64),
            confusion=sk.confusion_matrix(labels, predicted, labels=indices).astype(np.int64),
        )


def zero_recall(metrics: Metrics) -> list[str]:
    """Names of the classes that have examples, none of which is recognised."""
    missed = (metrics.support > 0) & (np.diagonal(metrics.confusion) == 0)
    return [name for name, is_missed in zip(metrics.class_names, missed, strict=True) if is_missed]


@dataclass(frozen=True, eq=False)
class ExampleCosts:
    """What each of N examples adds to the metrics that are means over examples.

    Attributes:
        loss: float64 ``[N]``, cross-entropy in nats, 0 or more.
        brier: float64 ``[N]``, squared distance of the probabilities to the true class, 0..2.
        top2: bool ``[N]``, whether the true class has one of the two largest logits; of equal ones the first counts.
        confidence: float64 ``[N]``, the largest probability, 0..1.
    """

    loss: np.ndarray
    brier: np.ndarray
    top2: np.ndarray
    confidence: np.ndarray


def example_costs(predictions: Predictions) -> ExampleCosts:
    """The costs of predictions with finite logits."""
    labels, rows = predictions.labels, np.arange(len(predictions.labels))
    z = predictions.logits.astype(np.float64)
    z = z - z.max(axis=1, keepdims=True)  # [N, K], 0 or less: exp cannot overflow
    total = np.exp(z).sum(axis=1)  # [N]
    probabilities = np.exp(z) / total[:, None]  # [N, K]
    order = np.argsort(-z, axis=1, kind="stable")[:, :2]  # [N, 2]
    own = probabilities[rows, labels]  # [N]
    return ExampleCosts(
        loss=np.log(total) - z[rows, labels],
        brier=(probabilities**2).sum(axis=1) - 2 * own + 1,
        top2=(order == labels[:, None]).any(axis=1),
        confidence=probabilities.max(axis=1),
    )


def _kappa(labels: np.ndarray, predicted: np.ndarray) -> float:
    from sklearn.metrics import cohen_kappa_score

    # scikit-learn divides 0 by 0 there.
    one_class = len(np.union1d(labels, predicted)) == 1
    return 0.0 if one_class else float(cohen_kappa_score(labels, predicted))
