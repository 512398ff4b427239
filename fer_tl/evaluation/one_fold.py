"""Runs beside an exported model of one fold: of a cross validation, what the model of that fold held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.evaluation.compared_runs import ComparedRun
from fer_tl.evaluation.run_dataset import FOLD_OF


def narrow_to_fold(runs: Sequence[ComparedRun]) -> tuple[ComparedRun, ...]:
    """Runs in their order; where one of them is an exported model of a fold, cross validations of as many folds with
    the images of that fold alone, which are the only ones that it has not learnt.

    Args:
        runs: from ``fer_tl.evaluation.compared_runs.open_runs``, on held-out images.

    Raises:
        UserError: exported models of several folds, which share no image.
    """
    of_fold = {run.about["held_out"]: run for run in runs if str(run.about.get("held_out")).startswith(FOLD_OF)}
    if not of_fold:
        return tuple(runs)
    if len(of_fold) > 1:
        (one, first), (other, second) = list(of_fold.items())[:2]
        raise UserError(
            f"{first.path} answers for {one}, {second.path} for {other}, and they share no image: compare exports of "
            "the same fold, or all on --split validation"
        )
    (scored,) = of_fold
    return tuple(_narrow(run, scored) if run.about["kind"] == "cv" else run for run in runs)


def _narrow(run: ComparedRun, scored: str) -> ComparedRun:
    number, _, parts = scored.removeprefix(FOLD_OF).partition(" of ")
    if parts != str(len(run.about["parts"])):
        return run
    part, rows = f"fold-{number}", np.flatnonzero(run.folds == int(number))
    predictions = run.predictions.take(rows) if run.predictions and len(rows) else None
    return replace(
        run,
        about={**run.about, "kind": "train", "parts": [part], "held_out": scored},
        done=(part,) if part in run.done else (),
        failures={name: why for name, why in run.failures.items() if name == part},
        predictions=predictions,
        folds=np.zeros(len(rows), np.int64),
        keys=predictions.ids if predictions else np.zeros(0, str),
    )
