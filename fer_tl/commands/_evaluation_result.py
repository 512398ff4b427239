"""What ``fer-tl evaluate`` found, of a run's models or of an exported one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fer_tl.runs.predictions import Predictions

if TYPE_CHECKING:
    from fer_tl.reports.run_report import Result


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """Predictions of a run's models on a split by model name, the ensemble first, their metrics, and the tables."""

    result: Result
    predictions: dict[str, Predictions]
    text: str
