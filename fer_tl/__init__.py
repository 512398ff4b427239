"""fer-tl: transfer learning for facial-expression recognition, with cross validation that can be trusted.

The same verbs as the command ``fer-tl``, returning values::

    import fer_tl

    fer_tl.build("fer2013", source="fer2013.csv", data_dir="data")
    experiment = fer_tl.load_experiment(data="fer2013", backbone="efficientnetb0", folds=4)
    result = fer_tl.cross_validate(experiment)
    print(result.summary.pooled.accuracy, result.summary.intervals["accuracy"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fer_tl.core.errors import UserError
from fer_tl.core.version import __version__

if TYPE_CHECKING:
    from fer_tl.commands.api import (
        audit,
        build,
        clean,
        collect,
        compare,
        cross_validate,
        doctor,
        draw_folds,
        ensemble,
        evaluate,
        explain,
        export,
        fit,
        inspect_dataset,
        list_models,
        load_dataset,
        predict,
        profile,
        report,
        serve,
        sweep,
        verify,
    )
    from fer_tl.core.config import Experiment
    from fer_tl.core.options import load_experiment
    from fer_tl.inference.predictor import load

__all__ = [
    "Experiment",
    "UserError",
    "__version__",
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
    "load",
    "load_dataset",
    "load_experiment",
    "predict",
    "profile",
    "report",
    "serve",
    "sweep",
    "verify",
]


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def __getattr__(name: str) -> Any:
    # Imported at first use: the command line must answer --help without NumPy.
    if name == "Experiment":
        from fer_tl.core.config import Experiment

        return Experiment
    if name == "load_experiment":
        from fer_tl.core.options import load_experiment

        return load_experiment
    if name == "load":
        from fer_tl.inference.predictor import load

        return load
    if name in __all__:
        from fer_tl.commands import api

        return getattr(api, name)
    raise AttributeError(f"module 'fer_tl' has no attribute '{name}'")
