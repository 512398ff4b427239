"""Runs written by hand: folders with predictions, histories and checksums, but no model that anything could load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stored_dataset import Stored, store_dataset

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import identity
from fer_tl.core.files import write_json
from fer_tl.data.folds import write_folds
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.history import write_history
from fer_tl.runs.part import FAILED, RESULT, TIMING, describe_files
from fer_tl.runs.predictions import Predictions, save_predictions

DATA = "folder/mine"
FINGERPRINT = "f" * 64


@dataclass(frozen=True, eq=False)
class Faces:
    """N images of which every third shares its group with the one before; image i is grey of level i."""

    class_names: tuple[str, ...]
    ids: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    logits: np.ndarray
    folds: np.ndarray

    def of_fold(self, fold: int) -> Predictions:
        """What is predicted of a fold, in an order of its own."""
        rows = np.flatnonzero(self.folds == fold)[::-1]
        return Predictions(self.ids[rows], self.labels[rows], self.logits[rows], self.class_names)

    @property
    def pooled(self) -> Predictions:
        """Of all folds, one after the other."""
        rows = np.concatenate([np.flatnonzero(self.folds == fold)[::-1] for fold in range(self.folds.max() + 1)])
        return Predictions(self.ids[rows], self.labels[rows], self.logits[rows], self.class_names)


def make_faces(class_names: Sequence[str] = ("angry", "happy", "sad"), count: int = 120, folds: int = 3) -> Faces:
    """Images of all classes in all folds, most of them recognised, copies alike."""
    rows, k = np.arange(count), len(class_names)
    group = rows - (rows % 3 == 2)
    labels = group // 3 % k
    noise = np.random.default_rng(0).normal(size=(2, count, k))
    logits = 1.5 * np.eye(k)[labels] + noise[0][group] + 0.1 * noise[1]  # copies are taken for the same
    return Faces(
        tuple(class_names),
        np.array([f"face-{row:03d}" for row in rows]),
        labels,
        np.char.add("photo-", group.astype(str)),
        logits.astype(np.float32),
        group // 3 // k % folds,
    )


def make_history(epochs: int, fold: int = 0, watched: bool = False) -> list[dict[str, Any]]:
    """Losses that fall, a fold a tenth above the one before."""
    rows = []
    for epoch in range(1, epochs + 1):
        loss = 2 / epoch + fold / 10
        row = {"stage": "main", "epoch": epoch, "loss": loss, "accuracy": 1 - loss / 4, "learning_rate": 1e-3}
        row |= {"val_loss": loss + 0.1, "val_accuracy": 0.9 - loss / 4}
        rows.append(row | ({"watched_loss": loss + 0.05, "watched_accuracy": 0.9 - loss / 4} if watched else {}))
    return rows


def make_run(
    path: Path,
    faces: Faces,
    kind: str = "cv",
    done: Sequence[int] | None = None,
    failed: Sequence[int] = (),
    begun: Sequence[int] = (),
    dataset: str = DATA,
    **settings: Any,
) -> RunFolder:
    """A run on ``faces``: of ``cv`` its folds, of ``train`` all images held out at once.

    Args:
        path: its folder.
        faces: what it predicts.
        kind: ``cv`` or ``train``.
        done: numbers of the parts that are; all by default.
        failed: of those whose training failed in epoch 2.
        begun: of those that have two epochs behind them.
        dataset: its name.
        settings: of the experiment.
    """
    folds = int(faces.folds.max()) + 1 if kind == "cv" else 1
    run, parts = RunFolder(path), [f"fold-{fold}" for fold in range(folds)] if kind == "cv" else ["model"]
    values: dict[str, Any] = {"backbone": "shallow_cnn", "weights": "none", "folds": max(2, folds), "epochs": 5}
    experiment = Experiment(**{"data": dataset, "data_dir": "data", **values, **settings})
    about = {
        "kind": kind,
        "parts": parts,
        "dataset": dataset,
        "fingerprint": FINGERPRINT,
        "class_names": list(faces.class_names),
        "images": len(faces.ids),
        "held_out": "every fold in turn" if kind == "cv" else "split validation",
        "split_over_folds": 0,
        "settings": identity(experiment),
    }
    run.start(experiment, about)
    if kind == "cv":
        write_folds(path / "folds.csv", faces.ids, faces.folds)
    for fold, name in enumerate(parts):
        folder = path / name
        if fold in (range(folds) if done is None else done):
            _finish(folder, faces.of_fold(fold) if kind == "cv" else faces.pooled, fold, experiment)
        elif fold in failed or fold in begun:
            folder.mkdir()
            write_history(folder / "history.csv", make_history(2, fold))
            if fold in failed:
                message = {"message": "the loss is nan in epoch 3, step 7", "epoch": 3, "step": 7}
                write_json(folder / FAILED, message)
    versions = {"python": "3.11.7", "keras": "3.15.1"}
    write_json(path / "environment.json", [{"date": "2026-08-01T10:00:00+00:00", "versions": versions, "cores": 2}])
    return run


def _finish(folder: Path, predictions: Predictions, fold: int, experiment: Experiment) -> None:
    stops = bool(experiment.early_stopping)
    folder.mkdir()
    save_predictions(folder / "predictions.npz", predictions)
    write_history(folder / "history.csv", make_history(experiment.epochs, fold, stops))
    (folder / "model.keras").write_bytes(b"no model")
    write_json(folder / TIMING, {"seconds": 12.5, "epoch_seconds": [2.5] * experiment.epochs})
    counts = {"trained_on": 80, "held_out": len(predictions.ids), "watched": 0, "epochs": experiment.epochs}
    kept = {"kept_epoch": 3 if stops else experiment.epochs, "files": describe_files(folder)}
    write_json(folder / RESULT, counts | kept)


def build(data_dir: Path, faces: Faces, split: str = "train", fingerprint: str = FINGERPRINT) -> None:
    """The dataset that the runs were trained on, in an order of its own."""
    order = np.random.default_rng(3).permutation(len(faces.ids))
    levels = (np.arange(len(faces.ids)) % 256).astype(np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (len(levels), 8, 8, 1))
    stored = Stored(images[order], faces.labels[order], faces.ids[order], faces.groups[order])
    found = {"policy": "group", "exact": 40, "near": 0, "clusters": 40, "conflicting": 0, "dropped": {}}
    splits = {"train": stored} if split == "train" else {"validation": stored}
    store_dataset(data_dir, DATA, faces.class_names, splits, fingerprints={split: fingerprint}, duplicates=found)
