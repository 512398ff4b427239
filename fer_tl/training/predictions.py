"""Predictions of a part of a run: what is saved of them, and read back without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.errors import UserError
from fer_tl.files import BROKEN_ARRAYS, unreadable, write_atomically


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


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits ``[..., K]``: float64 ``[..., K]``, rows sum to 1."""
    z = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return z / z.sum(axis=-1, keepdims=True)


def join_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of one or more parts, one after the other; all of the same classes."""
    ids, labels, logits = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "labels", "logits")
    )
    return Predictions(ids, labels, logits, parts[0].class_names)


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
        # Opened here: NumPy leaves a file that is no archive open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            return Predictions(
                ids=data["ids"],
                labels=data["labels"],
                logits=data["logits"],
                class_names=tuple(str(name) for name in data["class_names"]),
            )
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the run is unfinished; run its command again to continue it") from None
    except OSError as error:
        if error.errno:  # of the system; NumPy raises it without a number for what is no array
            raise unreadable(path, error) from None
        raise UserError(f"{path} is not a predictions file of fer-tl ({error}): {make_again(path)}") from None
    except BROKEN_ARRAYS as error:
        raise UserError(f"{path} is not a predictions file of fer-tl ({error}): {make_again(path)}") from None


def make_again(path: Path) -> str:
    """What to do about a damaged file."""
    return f"delete {path.parent} and give the command that made it again"
