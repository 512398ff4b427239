"""The folds of a cross validation summed up, for the commands that end with its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.commands._shown import Scored
from fer_tl.core.errors import UserError
from fer_tl.core.files import remove_temporaries
from fer_tl.core.say import Say
from fer_tl.evaluation.metrics import Metrics
from fer_tl.evaluation.summary import CvSummary
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions, load_fold_predictions
from fer_tl.sources.format import is_drawn


@dataclass(frozen=True, eq=False, repr=False)
class CvResult(Scored):
    """A cross validation all of whose folds were trained.

    Attributes:
        run_dir: its folder.
        summary: metrics of every fold, their spread, and the pooled out-of-fold result with intervals.
        folds: out-of-fold predictions of each fold that is done.
        text: the tables as the terminal shows them.
    """

    run_dir: Path
    summary: CvSummary
    folds: tuple[Predictions, ...]
    text: str

    def _headline(self) -> tuple[Metrics, dict[str, tuple[float, float]]]:
        return self.summary.pooled, self.summary.intervals

    @property
    def failed(self) -> dict[int, str]:
        """Why the training of a fold failed, by its number; the summary is of the others."""
        return self.summary.failed

    def refuse_failed(self) -> None:
        """Make folds whose training failed an error, for those who need them all.

        Raises:
            UserError: naming the first.
        """
        if self.failed:
            fold, why = next(iter(self.failed.items()))
            folds = len(self.failed) + len(self.folds)
            raise UserError(
                f"{len(self.failed)} of {folds} folds failed, fold {fold}: {why}; rerun the same command to retry"
            )


def report_folds(
    run: RunFolder,
    ids: np.ndarray,
    groups_by_id: Mapping[str, str],
    say: Say,
    remark: str = "",
    writes: bool = True,
) -> CvResult:
    """Sum up the folds of a cross validation that are done, write the tables, and say them.

    Args:
        run: all of whose folds are done or failed; no other process may write to its folder.
        ids: text ``[N]``, of all images that were cross-validated.
        groups_by_id: the group of each.
        say: prints a line.
        remark: what a reader must know besides how the weights were chosen, with a blank before it; may be empty.
        writes: whether the tables are written, or said only.

    Raises:
        UserError: no fold is done, or predictions that the fold table does not fit.
    """
    from fer_tl.evaluation.summary import summarize
    from fer_tl.reports.run_report import cv_report_text, selection_note, write_cv_report

    failed = {run.parts.index(name): why for name, why in run.failures.items()}
    if len(failed) == len(run.parts):
        raise UserError(f"all {len(failed)} folds failed; fold 0: {failed[0]}")
    folds = load_fold_predictions(run, ids)
    summary = summarize(folds, groups_by_id, failed=failed, repeats=run.repeats)
    note = selection_note(run) + remark
    text = cv_report_text(run, summary, note)
    if writes:
        remove_temporaries(run.path)
        write_cv_report(run, summary, folds, note, groups_by_id, say)
    say(f"\n{text}\n\n{where_results_are(run)}")
    return CvResult(run.path, summary, folds, text)


def where_results_are(run: RunFolder) -> str:
    data = run.read_run()["dataset"]
    drawn = f" (on {data}, drawn faces: it says nothing about photographs)" if is_drawn(data) else ""
    return f"results: {run.path}{drawn}"
