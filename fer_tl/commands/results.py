"""What the verbs of fer-tl return besides the files that they write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_tl.core.errors import UserError

if TYPE_CHECKING:
    from fer_tl.evaluation.label_errors import LabelErrors
    from fer_tl.evaluation.summary import CvSummary
    from fer_tl.reports.run_report import Result
    from fer_tl.reports.sweep_table import SweepRow
    from fer_tl.runs.predictions import Predictions


@dataclass(frozen=True, eq=False)
class CvResult:
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
                f"{len(self.failed)} of {folds} folds failed, fold {fold} so: {why}; the same command tries again"
            )


@dataclass(frozen=True)
class PartResult:
    """What a process leaves that has no whole result to show: a cross validation of which other folds are missing, or
    a worker whose chief writes the run.

    Attributes:
        run_dir: folder of the run; None on a worker.
        done: names of the folds that are done.
        missing: names of those that are not.
        text: what that means, as the terminal shows it.
    """

    run_dir: Path | None
    done: tuple[str, ...]
    missing: tuple[str, ...]
    text: str


@dataclass(frozen=True, eq=False)
class FitResult:
    """A finished single fit: its folder, the metrics and predictions of the held-out images, and the tables as text."""

    run_dir: Path
    result: Result
    predictions: Predictions
    text: str


@dataclass(frozen=True)
class FoldsResult:
    """A fold table that is good: the fold of each training image by id, the file it was written to, and its counts."""

    fold_of: dict[str, int]
    path: Path | None
    text: str


@dataclass(frozen=True)
class InspectionResult:
    """What is in a dataset: the folder of page and pictures, and the tables as text."""

    out_dir: Path
    text: str


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """Predictions of a run's models on a split by model name, the ensemble first, their metrics, and the tables."""

    result: Result
    predictions: dict[str, Predictions]
    text: str


@dataclass(frozen=True, eq=False)
class EnsembleResult:
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


@dataclass(frozen=True, eq=False)
class AuditResult:
    """Labels that a run contradicts: the folder of list and page, the suspects with counts, and the tables as text."""

    out_dir: Path
    found: LabelErrors
    text: str


@dataclass(frozen=True, eq=False)
class SweepResult:
    """A finished sweep: its folder, one row a cell in the order of the grid, and the table as text."""

    run_dir: Path
    rows: tuple[SweepRow, ...]
    text: str
