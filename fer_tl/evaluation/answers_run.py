"""Runs that have answers and no model of their own: imported predictions, ensembles, exported models. What all of them
write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.files import write_json
from fer_tl.data.folds import write_folds
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.imports import OUT_OF_FOLD, Imported
from fer_tl.runs.part import OF_IMPORT, RESULT, describe_files
from fer_tl.runs.predictions import Predictions, save_predictions
from fer_tl.runs.run_file import IMPORTED


def describe_answers(
    dataset: str,
    fingerprint: str,
    class_names: Sequence[str],
    images: int,
    folds: np.ndarray | None,
    held_out: str,
    said: Imported,
    split_over_folds: int = 0,
) -> dict[str, Any]:
    """``run.json`` of such a run.

    Args:
        dataset: its name.
        fingerprint: of what runs of this kind train on or hold out.
        class_names: K.
        images: that are answered.
        folds: int64 ``[N]``, by whose model each was answered; None for a single one.
        held_out: what they are where ``folds`` is None, such as ``split test``.
        said: where the answers come from.
        split_over_folds: images with one of their group in another fold.
    """
    return {
        "kind": "train" if folds is None else "cv",
        "parts": ["model"] if folds is None else [f"fold-{fold}" for fold in range(int(folds.max()) + 1)],
        "dataset": dataset,
        "fingerprint": fingerprint,
        "class_names": list(class_names),
        "images": images,
        "held_out": held_out if folds is None else OUT_OF_FOLD,
        "split_over_folds": split_over_folds,
        IMPORTED: said.to_dict(),
    }


def write_place(
    folder: Path,
    dataset: str,
    data_dir: Path | str,
    classes: Sequence[str] | None = None,
    ids: np.ndarray | None = None,
    folds: np.ndarray | None = None,
) -> None:
    """Write where the data are, which is all the configuration that there is, and the folds.

    Args:
        folder: of the run.
        dataset: its name.
        data_dir: of the built datasets.
        classes: that the answers are of, as ``--classes``; None for those of the dataset.
        ids: text ``[N]``, where there are folds.
        folds: int64 ``[N]``; None where there are none.
    """
    config: dict[str, Any] = {"data": dataset, "data_dir": str(Path(data_dir).absolute())}
    write_json(folder / "config.yaml", config | ({"classes": list(classes)} if classes else {}))
    if ids is not None and folds is not None:
        write_folds(folder / "folds.csv", ids, folds)


def write_parts(run: RunFolder, parts: Sequence[str], folds: np.ndarray | None, predictions: Predictions) -> None:
    """Write the answers of each part of a run without a model, its result last.

    Args:
        run: whose parts.
        parts: their names, in order.
        folds: int64 ``[N]``, the part of each example; None for the only one.
        predictions: N of them.
    """
    for number, part in enumerate(parts):
        rows = np.arange(len(predictions.ids)) if folds is None else np.flatnonzero(folds == number)
        folder = run.part(part)
        save_predictions(folder / OF_IMPORT[0], predictions.take(rows))
        result = {"held_out": len(rows), "epochs": 0, "kept_epoch": 0, "files": describe_files(folder, OF_IMPORT)}
        write_json(folder / RESULT, result)
