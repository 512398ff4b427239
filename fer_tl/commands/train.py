"""Train one model and score the validation split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._command import Command
from fer_tl.commands._part_result import PartResult, leave_to_chief
from fer_tl.core.config import Experiment
from fer_tl.core.say import Say, say_line

if TYPE_CHECKING:
    from fer_tl.commands._grid import SweepResult
    from fer_tl.reports.run_report import Result
    from fer_tl.runs.predictions import Predictions


@dataclass(frozen=True, eq=False)
class FitResult:
    """A finished single fit: its folder, the metrics and predictions of the held-out images, and the tables as text."""

    run_dir: Path
    result: Result
    predictions: Predictions
    text: str


def fit(experiment: Experiment | None = None, say: Say = say_line) -> FitResult | PartResult | SweepResult:
    """Train one model on the training split and score the validation split (the first fold where there is none).

    Args, errors and what workers other than the chief return as ``cross_validate``; a training that fails is an error.
    """
    if isinstance(experiment, Experiment) and experiment.seeds is not None:
        from fer_tl.commands._grid import train_seeds

        return train_seeds(experiment, "train", fit, say)
    # Not above: --help needs none of them, and NumPy alone takes a third of a second.
    from fer_tl.commands._report_folds import where_results_are
    from fer_tl.commands._track_outcome import tell_outcome
    from fer_tl.core.files import remove_temporaries
    from fer_tl.data.dataset import group_by_id, load_dataset
    from fer_tl.data.directory import dataset_directory
    from fer_tl.data.manifest import read_manifest
    from fer_tl.data.merging import take_classes
    from fer_tl.data.splits import FIT_SPLITS
    from fer_tl.runs.predictions import load_predictions
    from fer_tl.training.prepare_run import prepare

    with prepare(experiment, "train", say) as work:
        if work.worker and work.trained:
            return leave_to_chief(work, say)
        from fer_tl.training.cross_validation import train_one

        settings = work.experiment
        manifest = read_manifest(dataset_directory(Path(settings.data_dir), settings.data))
        splits = tuple(split for split in FIT_SPLITS if split in manifest.counts)
        dataset = load_dataset(settings.data, settings.data_dir, splits, settings.input, digests=True)
        dataset = take_classes(dataset, settings.classes, say)
        train_one(settings, dataset, work.run, say, work.tracking)
        if work.worker:
            return leave_to_chief(work, say)
        from fer_tl.reports.run_report import score_rows, train_report_text, write_train_report

        run = work.run
        predictions = load_predictions(run.part("model") / "predictions.npz")
        result = score_rows({"model": predictions}, group_by_id(dataset))
        text = train_report_text(run, result)
        if work.writes:
            remove_temporaries(run.path)
            write_train_report(run, result, say)
        say(f"\n{text}\n\n{where_results_are(run)}")
        tell_outcome(work, result.rows[0][1], result.intervals)
        return FitResult(run.path, result, predictions, text)


COMMAND = Command(fit, words=("--data",), takes_experiment=True, resumes=True)
