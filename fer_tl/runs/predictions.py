"""Predictions of a part of a run: what is saved of them, and read back without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.arrays import read_arrays
from fer_tl.core.errors import UserError
from fer_tl.core.files import BROKEN_ARRAYS, unreadable, write_atomically
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import train_again

# Kind and axes of what ``save_predictions`` writes.
_KINDS = {"ids": ("U", 1), "labels": ("i", 1), "logits": ("f", 2), "class_names": ("U", 1)}


@dataclass(frozen=True)
class Predictions:
    """Logits of a set of examples, with what is needed to score them later.

    Attributes:
        ids: text ``[N]``, unique.
        labels: int64 ``[N]``, indices into ``class_names``.
        logits: float32 ``[N, K]``, before softmax.
        class_names: the K class names, in the order of the logits' columns.
    """

    ids: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        n, k = len(self.ids), len(self.class_names)
        if self.labels.shape != (n,) or self.logits.shape != (n, k):
            shapes = f"{n} ids, labels {self.labels.shape}, logits {self.logits.shape}, {k} classes"
            raise ValueError(f"predictions do not fit together: {shapes}")

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits: float64 ``[N, K]``, rows sum to 1."""
        return softmax(self.logits)

    def take(self, rows: np.ndarray) -> Predictions:
        """Those of some rows, by their numbers or a mask, in that order."""
        return Predictions(self.ids[rows], self.labels[rows], self.logits[rows], self.class_names)

    def in_order_of(self, ids: np.ndarray) -> Predictions:
        """Those of ids, text ``[M]``, which must all be there, in their order."""
        by_id = np.argsort(self.ids)
        return self.take(by_id[np.searchsorted(self.ids, ids, sorter=by_id)])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits ``[..., K]``: float64 ``[..., K]``, rows sum to 1."""
    z = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return z / z.sum(axis=-1, keepdims=True)


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cost of each example from its logits ``[N, K]`` and label ``[N]``: float64 ``[N]``, in nats.

    Not from probabilities, which are 0 far below others: that would cap the cost of a confident mistake.
    """
    z = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)  # [N, K], 0 or less: exp cannot overflow
    costs: np.ndarray = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]
    return costs


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


def join_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of one or more parts, one after the other; all of the same classes."""
    ids, labels, logits = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "labels", "logits")
    )
    return Predictions(ids, labels, logits, parts[0].class_names)


def join_repetitions(parts: Sequence[Predictions], repeats: int) -> tuple[Predictions, ...]:
    """Predictions of all parts of a cross validation, joined repetition by repetition: of each, every image once."""
    folds = len(parts) // repeats
    return tuple(join_predictions(parts[folds * each : folds * (each + 1)]) for each in range(repeats))


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions as a compressed ``.npz`` without pickled objects, atomically."""

    def write(temporary: Path) -> None:
        np.savez_compressed(
            temporary,
            ids=predictions.ids.astype(str),
            labels=predictions.labels.astype(np.int64),
            logits=predictions.logits.astype(np.float32),
            class_names=np.asarray(predictions.class_names, dtype=str),
        )

    write_atomically(path, write)


def load_predictions(path: Path) -> Predictions:
    """Read what ``save_predictions`` wrote; anything else is a ``UserError``."""
    try:
        data = read_arrays(path, _KINDS)
        predictions = Predictions(
            ids=data["ids"],
            labels=data["labels"].astype(np.int64, copy=False),
            logits=data["logits"].astype(np.float32, copy=False),
            class_names=tuple(str(name) for name in data["class_names"]),
        )
        _refuse_impossible(predictions)
        return predictions
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the run is unfinished; run its command again to continue it") from None
    except OSError as error:
        if error.errno:  # of the system; NumPy raises it without a number for what is not an array
            raise unreadable(path, error) from None
        raise UserError(f"{path} is not a predictions file of fer-tl ({error}): {make_again(path)}") from None
    except BROKEN_ARRAYS as error:
        raise UserError(
            f"{path} is not a predictions file of fer-tl ({' '.join(str(error).split())[:200]}): {make_again(path)}"
        ) from None


def _refuse_impossible(predictions: Predictions) -> None:
    """Raise ``ValueError`` for what no training predicts."""
    ids, labels, names = predictions.ids, predictions.labels, predictions.class_names
    if len(np.unique(ids)) != len(ids):
        raise ValueError("its ids are not unique")
    if len(set(names)) != len(names) or not all(names):
        raise ValueError("its class names are not unique")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
        raise ValueError(f"a label is none of 0 to {len(names) - 1}")


def make_again(path: Path) -> str:
    """What to do about a damaged file."""
    return f"move {path.parent} away and rerun the command that made it"


def load_fold_predictions(
    run: RunFolder, ids: np.ndarray, names: Sequence[str] | None = None
) -> tuple[Predictions, ...]:
    """Out-of-fold predictions of every fold that is done, each checked against the fold table.

    Args:
        run: a cross validation.
        ids: text ``[N]``, of all images that were cross-validated.
        names: of these folds only.

    Raises:
        UserError: predictions of other images than the table gives to the fold.
    """
    folds = {
        name: load_predictions(run.part(name) / "predictions.npz") for name in (run.done if names is None else names)
    }
    assigned = run.read_fold_table(ids)
    for name, predictions in folds.items():
        in_fold = (assigned == run.parts.index(name)).any(axis=0)  # [N]: each number is of one repetition
        if not np.array_equal(np.sort(predictions.ids), np.sort(ids[in_fold])):
            raise UserError(
                f"{run.part(name) / 'predictions.npz'} does not hold the images that folds.csv gives to {name}: "
                f"one of them was changed; {train_again(run.part(name))}"
            )
    return tuple(folds.values())


def load_joined(run: RunFolder, names: Sequence[str]) -> Predictions:
    """What parts predicted of the images that they held out, part after part."""
    return join_predictions([load_predictions(run.part(name) / "predictions.npz") for name in names])
