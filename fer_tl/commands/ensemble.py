"""Average the probabilities that several runs saved (soft voting)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Scored
from fer_tl.core.errors import UserError
from fer_tl.core.output_folder import choose_requested
from fer_tl.core.say import Say, say_line
from fer_tl.runs.folder import RunFolder, check_done
from fer_tl.runs.predictions import Predictions

if TYPE_CHECKING:
    from fer_tl.evaluation.metrics import Metrics
    from fer_tl.reports.run_report import Result


@dataclass(frozen=True, eq=False, repr=False)
class EnsembleResult(Scored):
    """A soft vote of runs.

    Attributes:
        out_dir: its folder.
        result: metrics of the ensemble and of each run.
        predictions: the same by name, ``ensemble`` first.
        weights: of the runs, float64 ``[M]``, or ``[F, M]`` where each fold has its own.
        text: the tables as the terminal shows them.
    """

    out_dir: Path
    result: Result
    predictions: dict[str, Predictions]
    weights: np.ndarray
    text: str

    def _headline(self) -> tuple[Metrics, dict[str, tuple[float, float]]]:
        return self.result.rows[0][1], self.result.intervals


def ensemble(
    run_dirs: Sequence[Path | str],
    split: str | None = None,
    weights: str = "equal",
    tta: str = "none",
    out: Path | str | None = None,
    say: Say = say_line,
) -> EnsembleResult:
    """Soft voting: average the probabilities that several runs saved. No model is run.

    Without a split, the out-of-fold predictions of ``cv`` runs or the held-out ones of ``train`` runs are averaged,
    with one the predictions that ``evaluate`` saved of it. Runs are matched by image id and class name.

    Args:
        run_dirs: two or more finished runs.
        split: ``test`` or ``validation``; each run must have been evaluated on it.
        weights: ``equal``; or ``validation`` for weights that maximize the likelihood of the runs' own held-out
            predictions: all of them where a split is scored, those of the other folds where out-of-fold predictions
            are.
        tta: ``--tta`` of the evaluations to average.
        out: folder of the result; default: ``runs/ensemble-<hash of runs, split, tta and weights>``.
        say: prints a line.

    Raises:
        UserError: one run, the same twice, unfinished ones, other classes, ids or labels, a split that was not
            evaluated, weights that would be fitted on what is scored, or other files in the folder.
    """
    if isinstance(run_dirs, str | Path):
        raise UserError(f"an ensemble takes a list of run folders, such as [{str(run_dirs)!r}, ...], not a single one")
    from fer_tl.evaluation.ensemble import FILE, make_ensemble
    from fer_tl.evaluation.ensemble_run import write_vote
    from fer_tl.reports.run_report import UNGROUPED, score_rows, write_ensemble

    if split is None or weights != "equal":
        for path in run_dirs:
            check_done(RunFolder(Path(path)), "predictions.npz")
    made = make_ensemble(run_dirs, split, tta, weights)
    folder = choose_requested(out, FILE, "ensemble", made.request)
    groups, note = made.groups, made.note
    if groups is None:
        groups = {example_id: example_id for example_id in made.predictions["ensemble"].ids.tolist()}
        note += UNGROUPED
    result = score_rows(made.predictions, groups)
    text = write_ensemble(folder, made, result, note)
    why = write_vote(folder, made)
    say(f"{text}\n\nresults: {folder}{f' ({why})' if why else ''}")
    return EnsembleResult(folder, result, made.predictions, made.weights, text)


COMMAND = Command(ensemble, positional=("run_dirs",))
