"""Train one model and score the validation split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.commands._command import Command
from fer_tl.commands._part_result import PartResult, leave_to_chief
from fer_tl.commands._settings import settle
from fer_tl.commands._shown import Scored
from fer_tl.core.config import Experiment
from fer_tl.core.say import Say, say_line

if TYPE_CHECKING:
    from fer_tl.commands._grid import SweepResult
    from fer_tl.evaluation.metrics import Metrics
    from fer_tl.reports.run_report import Result
    from fer_tl.runs.predictions import Predictions


@dataclass(frozen=True, eq=False, repr=False)
class FitResult(Scored):
    """A finished single fit: its folder, the metrics and predictions of the held-out images, and the tables as text."""

    run_dir: Path
    result: Result
    predictions: Predictions
    text: str

    def _headline(self) -> tuple[Metrics, dict[str, tuple[float, float]]]:
        return self.result.rows[0][1], self.result.intervals


def fit(
    experiment: Experiment | None = None, say: Say = say_line, **settings: Any
) -> FitResult | PartResult | SweepResult:
    """Train one model on the training split and score the validation split (the first fold where there is none).

    Args:
        experiment: from ``fer_tl.load_experiment``; none for the defaults.
        say: prints a line.
        settings: in place of those of the experiment, or of the defaults: ``data="fer2013", backbone="facevgg"``, as
            ``fer_tl.load_experiment`` takes them.

    Returns:
        The result; a ``PartResult`` on every worker but the chief; of an experiment with ``seeds`` what a sweep over
        them gives.

    Raises:
        UserError: as ``cross_validate``.
        TrainingFailed: the loss became NaN or infinite.
    """
    experiment = settle(experiment, settings, say)
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

        given = work.experiment
        manifest = read_manifest(dataset_directory(Path(given.data_dir), given.data))
        splits = tuple(split for split in FIT_SPLITS if split in manifest.counts)
        dataset = load_dataset(given.data, given.data_dir, splits, given.input, digests=True)
        dataset = take_classes(dataset, given.classes, say)
        train_one(given, dataset, work.run, say, work.tracking)
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
