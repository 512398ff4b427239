"""fer-tl: transfer learning for facial-expression recognition, with cross validation that can be trusted.

The same verbs as the command ``fer-tl``, returning values::

    import fer_tl

    fer_tl.build("fer2013", source="fer2013.csv", data_dir="data")
    result = fer_tl.cross_validate(data="fer2013", backbone="efficientnetb0", folds=4)
    print(result.summary.pooled.accuracy, result.summary.intervals["accuracy"])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fer_tl.core.errors import UserError
from fer_tl.core.version import __version__

if TYPE_CHECKING:  # what __getattr__ finds, for type checkers and editors
    from fer_tl.commands._evaluation_result import EvaluationResult
    from fer_tl.commands._grid import SweepResult
    from fer_tl.commands._part_result import PartResult
    from fer_tl.commands._report_folds import CvResult
    from fer_tl.commands.audit import audit
    from fer_tl.commands.build import build
    from fer_tl.commands.clean import clean
    from fer_tl.commands.collect import collect
    from fer_tl.commands.compare import compare
    from fer_tl.commands.completion import completion
    from fer_tl.commands.cv import cross_validate
    from fer_tl.commands.distill import distill
    from fer_tl.commands.doctor import doctor
    from fer_tl.commands.ensemble import ensemble
    from fer_tl.commands.evaluate import evaluate
    from fer_tl.commands.explain import explain
    from fer_tl.commands.export import export
    from fer_tl.commands.folds import draw_folds
    from fer_tl.commands.import_predictions import import_predictions
    from fer_tl.commands.inspect import inspect_dataset
    from fer_tl.commands.models import list_models
    from fer_tl.commands.predict import predict
    from fer_tl.commands.profile import profile
    from fer_tl.commands.push import push
    from fer_tl.commands.recipes import list_recipes
    from fer_tl.commands.refit import refit
    from fer_tl.commands.report import report
    from fer_tl.commands.reproduce import reproduce
    from fer_tl.commands.serve import serve
    from fer_tl.commands.soup import soup
    from fer_tl.commands.stress import stress
    from fer_tl.commands.subgroups import subgroups
    from fer_tl.commands.sweep import sweep
    from fer_tl.commands.train import FitResult, fit
    from fer_tl.commands.verify import verify
    from fer_tl.core.config import Experiment
    from fer_tl.core.errors import TrainingFailed
    from fer_tl.core.options import load_experiment
    from fer_tl.data.dataset import Dataset, load_dataset
    from fer_tl.estimator.classifier import Classifier
    from fer_tl.inference.predictor import Answers, ExpressionModel, load

__all__ = [
    "Answers", "Classifier", "CvResult", "Dataset", "EvaluationResult", "Experiment", "ExpressionModel",
    "FitResult", "PartResult", "SweepResult", "TrainingFailed", "UserError", "__version__", "audit", "build",
    "clean", "collect", "compare", "completion", "cross_validate", "distill", "doctor", "draw_folds", "ensemble",
    "evaluate", "explain", "export", "fit", "import_predictions", "inspect_dataset", "list_models", "list_recipes",
    "load", "load_dataset", "load_experiment", "predict", "profile", "push", "refit", "report", "reproduce",
    "serve", "soup", "stress", "subgroups", "sweep", "verify",
]  # fmt: skip
_BESIDES_COMMANDS = {
    "Answers": "inference.predictor",
    "Classifier": "estimator.classifier",
    "CvResult": "commands._report_folds",
    "Dataset": "data.dataset",
    "EvaluationResult": "commands._evaluation_result",
    "Experiment": "core.config",
    "ExpressionModel": "inference.predictor",
    "FitResult": "commands.train",
    "PartResult": "commands._part_result",
    "SweepResult": "commands._grid",
    "TrainingFailed": "core.errors",
    "load": "inference.predictor",
    "load_dataset": "data.dataset",
    "load_experiment": "core.options",
}


def __dir__() -> list[str]:
    return sorted(__all__)


def _find(name: str) -> Any:
    if name in _BESIDES_COMMANDS:
        return getattr(importlib.import_module(f"fer_tl.{_BESIDES_COMMANDS[name]}"), name)
    if not name.startswith("_"):
        from fer_tl.commands import find_verb

        if verb := find_verb(name):
            return verb
    raise AttributeError(f"module 'fer_tl' has no attribute '{name}'")


if not TYPE_CHECKING:  # for a type checker, a misspelled name would be one that there is
    # Imported at first use: the command line must answer --help without NumPy.
    __getattr__ = _find
