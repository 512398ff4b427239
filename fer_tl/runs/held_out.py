"""Predictions that the parts of a run made of images they were not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import (
    train_again,
)
from fer_tl.runs.predictions import Predictions, join_predictions, load_predictions


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
        if not np.array_equal(np.sort(predictions.ids), np.sort(ids[assigned == run.parts.index(name)])):
            raise UserError(
                f"{run.part(name) / 'predictions.npz'} does not hold the images that folds.csv gives to {name}: "
                f"one of them was changed; {train_again(run.part(name))}"
            )
    return tuple(folds.values())


def load_joined(run: RunFolder, names: Sequence[str]) -> Predictions:
    """What parts predicted of the images that they held out, part after part."""
    return join_predictions([load_predictions(run.part(name) / "predictions.npz") for name in names])
