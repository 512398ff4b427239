"""What a user of a trained run is told about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.files import read_json
from fer_tl.evaluation.metrics import score, zero_recall
from fer_tl.inference.predictor import ExpressionModel
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import load_joined
from fer_tl.runs.refits import OF_ARRAYS, read_refit
from fer_tl.runs.run_file import holds_none_out


@dataclass(frozen=True)
class RunFacts:
    """What stands beside the answers of a model.

    Attributes:
        name: of the run.
        model: what answers and what it was trained on, a sentence without its stop.
        accuracy: on images that were held out of the training, a sentence.
        limits: what it is for and what it is not, sentences.
    """

    name: str
    model: str
    accuracy: str
    limits: tuple[str, ...]


def describe_run(run_dir: Path, model: ExpressionModel) -> RunFacts:
    """The facts of a run whose model was loaded.

    Raises:
        UserError: a damaged file of the run.
    """
    run = RunFolder(run_dir)
    about, experiment = run.read_run(), run.read_experiment()
    refit = read_refit(about)
    if holds_none_out(about):
        accuracy, missed = refit.estimate if refit else OF_ARRAYS, list[str]()
    else:
        accuracy, missed = _held_out(run, model)
    many = len(model.parts)
    which = "" if len(run.parts) == 1 else f" (average of {many} folds)" if many > 1 else f" ({model.parts[0]})"
    height, width, channels = model.image_shape
    limits = [
        "It is for trying a model out, not for decisions about people. It says how people would label the look of a "
        f"face, as those who labelled {about['dataset']} did, not what somebody feels.",
        f"It was trained on faces of {height} x {width} {'grey' if channels == 1 else 'colour'} pixels of "
        f"{about['dataset']}. On other people, cameras and light it is right less often.",
    ]
    limits += [model.calibration] if model.calibration else []
    if missed:
        limits.append(f"It recognised none of the held-out images of {', '.join(missed)}.")
    return RunFacts(
        run.path.resolve().name, f"{experiment.backbone} trained on {about['dataset']}{which}", accuracy, tuple(limits)
    )


def _held_out(run: RunFolder, model: ExpressionModel) -> tuple[str, list[str]]:
    """The accuracy on images that were held out, a sentence, and the classes of which none was recognised."""
    held_out = load_joined(run, run.done)
    scored, images = score(held_out), len(np.unique(held_out.ids))
    interval = _accuracy_interval(run)
    within = f" (95 % interval {100 * interval[0]:.1f}–{100 * interval[1]:.1f} %)" if interval else ""
    accuracy = (
        f"Held-out accuracy of the run: {100 * scored.accuracy:.1f} %{within}, {len(model.class_names)} classes, "
        f"{images:,} images."
    )
    return accuracy, zero_recall(scored)


def _accuracy_interval(run: RunFolder) -> tuple[float, float] | None:
    """As the run's report has it, from the groups of its dataset; None for a run that is not finished."""
    path = run.path / "result.json"
    if not path.is_file():
        return None
    found = read_json(path)
    try:
        low, high = found.get("pooled_interval_95", found.get("interval_95", {}))["accuracy"]
        return float(low), float(high)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
