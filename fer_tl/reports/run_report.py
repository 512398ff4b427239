"""The files and the text of a run's result, all recomputed from its saved predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.counting import counted
from fer_tl.core.files import read_json, remove_temporaries, write_json, write_text
from fer_tl.core.safe_text import for_markdown
from fer_tl.core.say import Say, say_line
from fer_tl.evaluation.calibration import Reliability, reliability_of
from fer_tl.evaluation.ensemble import FILE as ENSEMBLE_FILE
from fer_tl.evaluation.ensemble import Ensemble
from fer_tl.evaluation.intervals import bootstrap_intervals, class_intervals
from fer_tl.evaluation.metrics import Metrics, score
from fer_tl.evaluation.summary import CvSummary
from fer_tl.reports.figures import confusion_figure, learning_curves_figure, reliability_figure, save_figure
from fer_tl.reports.rendering import as_markdown, as_text
from fer_tl.reports.run_tables import class_table, measure_table
from fer_tl.reports.tables import (
    confusion_csv,
    confusion_markdown,
    confusion_text,
    fold_table_as,
    fold_table_csv,
    result_table_as,
    result_table_csv,
)
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.history import known_history
from fer_tl.runs.part import LEARNT_BEFORE, read_result
from fer_tl.runs.predictions import Predictions, join_predictions, save_predictions
from fer_tl.runs.run_file import spell_cv

_CLASSES_NOTE = "Intervals: 95 %, bootstrap over groups of images."

UNGROUPED = " The intervals resample images, not groups: the dataset is not where the runs found it."


@dataclass(frozen=True, eq=False)
class Result:
    """Metrics of named predictions on the same images; the first row has 95 % intervals.

    Attributes:
        rows: name and metrics.
        intervals: of the first row, by metric name.
        class_intervals: of the first row's ``precision``, ``recall`` and ``f1``, float64 ``[K, 2]`` each.
        reliability: of the first row.
    """

    rows: tuple[tuple[str, Metrics], ...]
    intervals: dict[str, tuple[float, float]]
    class_intervals: dict[str, np.ndarray]
    reliability: Reliability


def score_rows(named: Mapping[str, Predictions], groups_by_id: Mapping[str, str]) -> Result:
    """Score predictions, with bootstrap intervals over groups for the first."""
    first = next(iter(named.values()))
    groups = np.array([groups_by_id[str(i)] for i in first.ids])
    rows = tuple((name, score(predictions)) for name, predictions in named.items())
    return Result(rows, bootstrap_intervals(first, groups), class_intervals(first, groups), reliability_of(first))


def selection_note(run: RunFolder) -> str:
    """How the weights that were scored were chosen, whether the folds leak, who taught them, and what was learnt before
    that is scored here."""
    split = run.read_run().get("split_over_folds", 0)
    where = "another fold" if run.repeats == 1 else "another fold of the same repetition (the most of any)"
    images = counted(split, "image has", "images have")
    leak = f" The folds leak: {images} a duplicate or a face of the same photo in {where}."
    return _selection(run) + (leak if split else "") + _teachers_note(run) + _learnt_note(run)


def _learnt_note(run: RunFolder) -> str:
    """With a blank before it; empty where nothing was learnt before that is scored or watched."""
    found = [read_result(run.part(name)).get(LEARNT_BEFORE, {}) for name in run.parts if run.is_scored(name)]
    held_out, watched = (sum(each.get(key, 0) for each in found) for key in ("held_out", "watched"))
    unknown = sorted({str(name) for each in found for name in each.get("unknown", ())})
    note = ""
    if held_out:
        note += f" {held_out:,} of the images held out in training look like ones that its start or teacher had learnt."
    if watched:
        note += f" {watched:,} of those that were watched had been learnt before: what was seen there is memory."
    if unknown:
        note += f" It is not known what {' and '.join(unknown)}, from which it comes, had learnt."
    return note


def _selection(run: RunFolder) -> str:
    if soup := run.read_run().get("soup"):
        out = f" Left out: {', '.join(soup['left_out'])}." if soup["left_out"] else ""
        return (
            f"The weights, and the statistics of BatchNorm, are the mean of those of {', '.join(soup['ingredients'])} "
            f"of {soup['run']}, taken one by one as long as the accuracy on the validation split did not fall: what is "
            f"scored on that split is chosen by it.{out}"
        )
    experiment = run.read_experiment()
    results = [read_json(run.part(name) / "result.json") for name in run.parts if run.is_scored(name)]
    if experiment.early_stopping:
        kept = ", ".join(f"{result['kept_epoch']} of {result['epochs']}" for result in results)
        return (
            f"The epoch was chosen on images set aside from the training part (epoch {kept}), not on those scored here."
        )
    return "The weights are those of the last epoch; no choice was made on the images scored here."


def _teachers_note(run: RunFolder) -> str:
    """With a blank before it; empty for a run without teachers."""
    teachers = [f"{each['run']} ({each['backbone']})" for each in run.read_run().get("teachers", [])]
    if not teachers:
        return ""
    distill = run.read_experiment().distill
    softened = f" at temperature {distill.temperature:g}" if distill.temperature != 1 else ""
    return (
        f" {100 * distill.share:g} % of each target is what {', '.join(teachers)} answered out of fold{softened}, the "
        "rest the label."
    )


def cv_report_text(run: RunFolder, summary: CvSummary, note: str) -> str:
    """What the terminal shows of a cross validation."""
    return f"{_cv_title(run, summary)}\n\n{fold_table_as(as_text, summary)}\n{note}\n\n{confusion_text(summary.pooled)}"


def write_cv_report(
    run: RunFolder,
    summary: CvSummary,
    folds: Sequence[Predictions],
    note: str,
    groups_by_id: Mapping[str, str],
    say: Say = say_line,
) -> None:
    """Write tables, confusion matrix, reliability diagram and learning curves of a cross validation.

    Args:
        run: whose folds are done or failed.
        summary: of them.
        folds: predictions of those that are done.
        note: what a reader must know.
        groups_by_id: the group of each image, which the classes' intervals resample.
        say: told of a history that cannot be drawn.
    """
    title = _cv_title(run, summary)
    pooled = join_predictions(folds)
    groups = np.array([groups_by_id[i] for i in pooled.ids.tolist()])
    measures = as_markdown(measure_table(summary.pooled, summary.intervals, summary.folds))
    classes = as_markdown(class_table(summary.pooled, class_intervals(pooled, groups), summary.repeats))
    write_text(run.path / "table.csv", fold_table_csv(summary))
    write_text(
        run.path / "table.md",
        f"# {title}\n\n{fold_table_as(as_markdown, summary)}\n\n{for_markdown(note)}\n\n{_more(measures, classes)}"
        f"## Out-of-fold confusion matrix\n\n{confusion_markdown(summary.pooled)}\n",
    )
    write_text(run.path / "confusion.csv", confusion_csv(summary.pooled))
    write_json(run.path / "result.json", {"selection": note, **summary.to_dict()})
    save_figure(confusion_figure(summary.pooled, f"{title}\nout-of-fold"), run.path / "confusion.png")
    save_figure(reliability_figure(reliability_of(pooled), f"{title}\nout-of-fold"), run.path / "reliability.png")
    _write_curves(run, say)


def _more(measures: str, classes: str) -> str:
    return f"## More measures\n\n{measures}\n## Classes\n\n{_CLASSES_NOTE}\n\n{classes}\n"


def _cv_title(run: RunFolder, summary: CvSummary) -> str:
    experiment = run.read_experiment()
    failed = f", {len(summary.failed)} of them failed" if summary.failed else ""
    folds = spell_cv(summary.parts, summary.repeats)
    return f"{experiment.backbone} on {experiment.data}, {folds}{failed}"


def write_result(folder: Path, title: str, result: Result, note: str) -> str:
    """Write tables, figures and JSON of scored predictions; returns what the terminal shows."""
    first = result.rows[0][1]
    measures = as_markdown(measure_table(first, result.intervals))
    classes = as_markdown(class_table(first, result.class_intervals))
    write_text(folder / "table.csv", result_table_csv(result.rows))
    table = result_table_as(as_markdown, result.rows, result.intervals)
    write_text(
        folder / "table.md",
        f"# {title}\n\n{table}\n\n{for_markdown(note)}\n\n{_more(measures, classes)}"
        f"## Confusion matrix, {result.rows[0][0]}\n\n{confusion_markdown(first)}\n",
    )
    write_text(folder / "confusion.csv", confusion_csv(first))
    write_json(
        folder / "result.json",
        {
            "selection": note,
            "interval_95": {name: list(interval) for name, interval in result.intervals.items()},
            "models": {name: metrics.to_dict() for name, metrics in result.rows},
        },
    )
    heading = f"{title}\n{result.rows[0][0]}"
    save_figure(confusion_figure(first, heading), folder / "confusion.png")
    save_figure(reliability_figure(result.reliability, heading), folder / "reliability.png")
    return _result_text(title, result, note)


def _result_text(title: str, result: Result, note: str) -> str:
    tables = f"{result_table_as(as_text, result.rows, result.intervals)}\n{note}\n\n{confusion_text(result.rows[0][1])}"
    return f"{title}\n\n{tables}"


def write_ensemble(folder: Path, ensemble: Ensemble, result: Result, note: str) -> str:
    """As ``write_result``, for an ensemble of runs: its predictions too, and who voted with what weight."""
    # First: a folder left by an interruption is then known as this ensemble's.
    write_json(folder / ENSEMBLE_FILE, ensemble.describe())
    save_predictions(folder / "predictions.npz", ensemble.predictions["ensemble"])
    return write_result(folder, ensemble.title, result, note)


def train_report_text(run: RunFolder, result: Result) -> str:
    """What the terminal shows of a single fit."""
    return _result_text(_train_title(run), result, selection_note(run))


def write_train_report(run: RunFolder, result: Result, say: Say = say_line) -> None:
    """As ``write_result``, for a single fit and the images held out of it, with its learning curve."""
    _write_curves(run, say)
    write_result(run.path, _train_title(run), result, selection_note(run))


def write_refit_report(run: RunFolder, say: Say = say_line) -> None:
    """The learning curve of a model that holds no image out."""
    remove_temporaries(run.path)
    _write_curves(run, say)


def _train_title(run: RunFolder) -> str:
    experiment, about = run.read_experiment(), run.read_run()
    mixed = f"soup of {len(about['soup']['ingredients'])} folds' " if "soup" in about else ""
    return f"{mixed}{experiment.backbone} on {experiment.data}, {about['held_out']}"


def _write_curves(run: RunFolder, say: Say) -> None:
    found = {name: known_history(run.part(name), say) for name in run.done}
    kept = {name: read_json(run.part(name) / "result.json").get("kept_epoch") for name in run.done}
    shown = kept if run.read_experiment().early_stopping else {}
    if histories := {name: history for name, history in found.items() if history}:
        experiment = run.read_experiment()
        title = f"{experiment.backbone} on {experiment.data}: loss and accuracy by epoch"
        save_figure(learning_curves_figure(histories, kept=shown, title=title), run.path / "learning_curves.png")
