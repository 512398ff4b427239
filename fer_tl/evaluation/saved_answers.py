"""What an evaluation saved, taken in place of predicting again where nothing has changed since."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import Any

import numpy as np

from fer_tl.core.checksums import checksum
from fer_tl.core.environment import code_commit
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.core.framework import choose_backend, version_of
from fer_tl.core.version import __version__
from fer_tl.evaluation.learnt_images import read_left_out
from fer_tl.evaluation.open_split import Opening, ensemble_name
from fer_tl.runs.predictions import Predictions, load_predictions

RECORD = "answers.json"
"""In the folder of an evaluation: what it was made of, and checksums of what was saved. Written last."""


def write_answers(opening: Opening, names: list[str]) -> None:
    """Write down what the predictions of an opening, saved under these names, are made of."""
    files = {f"{name}.npz": asdict(checksum(opening.folder / f"{name}.npz")) for name in names}
    write_json(opening.folder / RECORD, _made_of(opening) | {"files": files})


def forget_answers(opening: Opening) -> None:
    """Before others are written: an interruption then leaves none that would be taken."""
    (opening.folder / RECORD).unlink(missing_ok=True)


def read_answers(opening: Opening) -> dict[str, Predictions] | None:
    """The predictions that were saved of the same images by the same models, program and options; None where there are
    none, or where anything is another.

    Args:
        opening: from ``prepare_opening``, without what the models have learnt.
    """
    folder, parts = opening.folder, opening.run.parts
    if not (folder / RECORD).is_file():
        return None
    names = [ensemble_name(parts), *parts] if len(parts) > 1 else parts
    with contextlib.suppress(UserError, OSError, KeyError, TypeError, AttributeError):
        record = read_json(folder / RECORD)
        files = record.pop("files")
        if record != _made_of(opening) or read_left_out(folder) != set(opening.left_out):
            return None
        if any(asdict(checksum(folder / f"{name}.npz")) != files[f"{name}.npz"] for name in names):
            return None
        found = {name: load_predictions(folder / f"{name}.npz") for name in names}
        return found if all(_is_of(each, opening) for each in found.values()) else None
    return None


def _made_of(opening: Opening) -> dict[str, Any]:
    run = opening.run
    models = {part: checksum(run.part(part) / "model.keras").sha256 for part in run.parts}
    return {
        "models": models,
        "dataset": opening.dataset.name,
        "fingerprint": opening.fingerprint,
        "split": opening.split,
        "tta": opening.tta,
        "classes": opening.asked and list(opening.asked),
        "program": [
            __version__,
            code_commit(),
            *(f"{name} {version_of(name)}" for name in ("keras", choose_backend())),
        ],
    }


def _is_of(found: Predictions, opening: Opening) -> bool:
    dataset = opening.dataset
    same = found.class_names == dataset.class_names and np.array_equal(found.ids, dataset.ids)
    return same and np.array_equal(found.labels, dataset.labels)
