"""Runs written by hand, to be compared: cross validations and single fits, done or half done, on the same images."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from stored_dataset import Stored, store_dataset

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import identity
from fer_tl.core.files import write_json
from fer_tl.data.dataset import load_dataset
from fer_tl.data.folds import write_folds
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import CLASSES_MEMBER, FAILED, TIMING, describe_files
from fer_tl.runs.predictions import Predictions, save_predictions

CLASSES = ("angry", "happy", "sad")
COUNT = 120
IDS = np.array([f"face-{row:03d}" for row in range(COUNT)])
LABELS = np.arange(COUNT) % 3
GROUPS = np.char.add("photo-", (np.arange(COUNT) // 2).astype(str))  # of two images each
FOLDS = np.arange(COUNT) // 6 % 4
# A network of one dense layer on 8 by 8 pixels: 3 (64 + 1) parameters, 3 x 64 multiplications.


def logits_of(seed: int, skill: float = 1.5) -> np.ndarray:
    """float32 ``[120, 3]``, the better the higher the skill."""
    return (np.random.default_rng(seed).normal(size=(COUNT, 3)) + skill * np.eye(3)[LABELS]).astype(np.float32)


def make_run(
    path: Path,
    logits: np.ndarray,
    kind: str = "cv",
    done: Sequence[int] | None = None,
    failed: Sequence[int] = (),
    ids: np.ndarray = IDS,
    folds: np.ndarray = FOLDS,
    labels: np.ndarray = LABELS,
    classes: Sequence[str] = CLASSES,
    order: int = 0,
    counted: bool = True,
    dataset: str = "folder/mine",
    fingerprint: str = "f" * 64,
    **settings: object,
) -> Path:
    """A run whose parts are done, or those in ``done`` alone; ``labels`` and columns of ``logits`` are as ``CLASSES``,
    saved as ``classes``, the examples of a part in an order drawn from ``order``."""
    parts = [f"fold-{k}" for k in range(folds.max() + 1)] if kind == "cv" else ["model"]
    experiment = Experiment(
        data=dataset,
        data_dir="data",
        backbone="shallow_cnn",
        weights="none",
        **settings,  # type: ignore[arg-type]
    )
    about = {"kind": kind, "parts": parts, "dataset": dataset, "fingerprint": fingerprint}
    about |= {"class_names": list(classes), "settings": identity(experiment)}
    run = RunFolder(path)
    run.start(experiment, about | {"held_out": "every fold in turn" if kind == "cv" else "split validation"})
    write_folds(path / "folds.csv", ids, folds)
    columns = [CLASSES.index(name) for name in classes]
    for number, part in enumerate(parts):
        if number in failed:
            write_json(path / part / FAILED, {"message": "the loss is not finite; lower the rate"})
        elif done is None or number in done:
            rows = np.flatnonzero(folds == number) if kind == "cv" else np.arange(len(ids))
            rows = np.random.default_rng(order).permutation(rows)
            predictions = Predictions(
                ids[rows], np.argsort(columns)[labels[rows]], logits[rows][:, columns], tuple(classes)
            )
            _write_part(path / part, predictions, counted)
    return path


def _write_part(folder: Path, predictions: Predictions, counted: bool) -> None:
    save_predictions(folder / "predictions.npz", predictions)
    (folder / "history.csv").write_text("stage,epoch,loss\nmain,1,1.0\nmain,2,0.5\n")
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr(CLASSES_MEMBER, json.dumps({"costs": {"parameters": 195, "macs": 192}} if counted else {}))
    write_json(folder / TIMING, {"seconds": 45, "epoch_seconds": [0.5, 1.0]})
    result = {"trained_on": 90, "epochs": 2, "kept_epoch": 2, "files": describe_files(folder)}
    write_json(folder / "result.json", result)


def build_data(data_dir: Path = Path("data")) -> None:
    """The dataset of the runs, loaded once, so that their groups are known."""
    stored = {"train": Stored(np.zeros((COUNT, 4, 4, 1), np.uint8), LABELS, IDS, GROUPS)}
    store_dataset(data_dir, "folder/mine", CLASSES, stored, fingerprints={"train": "f" * 64})
    load_dataset("folder/mine", data_dir)
