"""The verbs of fer-tl. They return values and leave files behind; each is a command too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fer_tl.commands.clean import CleanResult, clean
from fer_tl.commands.collect import collect
from fer_tl.commands.compare import CompareResult, compare
from fer_tl.commands.datasets import draw_folds, inspect_dataset, verify
from fer_tl.commands.doctor import Diagnosis, doctor
from fer_tl.commands.evaluate import audit, ensemble, evaluate
from fer_tl.commands.explain import ExplainResult, explain
from fer_tl.commands.export import ExportResult, export
from fer_tl.commands.predict import PredictResult, predict
from fer_tl.commands.profile import ProfileResult, profile
from fer_tl.commands.report import ReportResult, report
from fer_tl.commands.results import (
    AuditResult,
    CvResult,
    EnsembleResult,
    EvaluationResult,
    FitResult,
    FoldsResult,
    InspectionResult,
    PartResult,
    SweepResult,
)
from fer_tl.commands.serve import ServeResult, serve
from fer_tl.commands.train import cross_validate, fit, sweep
from fer_tl.data.building.build import build
from fer_tl.data.dataset import load_dataset
from fer_tl.models.backbones import BACKBONES

if TYPE_CHECKING:
    from fer_tl.reports.models_table import ModelRow

__all__ = [
    "AuditResult",
    "CleanResult",
    "CompareResult",
    "CvResult",
    "Diagnosis",
    "EnsembleResult",
    "EvaluationResult",
    "ExplainResult",
    "ExportResult",
    "FitResult",
    "FoldsResult",
    "InspectionResult",
    "PartResult",
    "PredictResult",
    "ProfileResult",
    "ReportResult",
    "ServeResult",
    "SweepResult",
    "audit",
    "build",
    "clean",
    "collect",
    "compare",
    "cross_validate",
    "doctor",
    "draw_folds",
    "ensemble",
    "evaluate",
    "explain",
    "export",
    "fit",
    "inspect_dataset",
    "list_models",
    "load_dataset",
    "predict",
    "profile",
    "report",
    "serve",
    "sweep",
    "verify",
]


def list_models(say: Callable[[str], None] = print) -> tuple[ModelRow, ...]:
    """Every backbone with its record, and which of its published weights are in the Keras cache.

    Args:
        say: prints the table.
    """
    from fer_tl.reports.models_table import model_row, models_table_text

    rows = tuple(model_row(backbone) for backbone in BACKBONES.values())
    say(models_table_text(rows))
    return rows
