"""What ``fer-tl evaluate`` found, of a run's models or of an exported one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fer_tl.commands._shown import Scored
from fer_tl.runs.predictions import Predictions

if TYPE_CHECKING:
    from fer_tl.evaluation.metrics import Metrics
    from fer_tl.reports.run_report import Result


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationResult(Scored):
    """Predictions of a run's models on a split by model name, the ensemble first, their metrics, and the tables."""

    result: Result
    predictions: dict[str, Predictions]
    text: str

    def _headline(self) -> tuple[Metrics, dict[str, tuple[float, float]]]:
        return self.result.rows[0][1], self.result.intervals
