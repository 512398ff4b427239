"""The report of a run as one page: what it found, how surely, where it errs, and how to do it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from fer_tl.evaluation.calibration import reliability_of
from fer_tl.evaluation.measures import MEASURES
from fer_tl.evaluation.run_contents import HeldOut, RunContents
from fer_tl.reports.charts import chart, shades
from fer_tl.reports.figures import learning_curves_figure, reliability_figure
from fer_tl.reports.page import render
from fer_tl.reports.rendering import Table
from fer_tl.reports.run_facts import data_facts, mistakes, recipes, records, unmeasured
from fer_tl.reports.run_report import selection_note
from fer_tl.reports.run_tables import class_table, measure_table, reliability_table, spell_interval, spell_metric
from fer_tl.reports.tables import fold_notes, fold_table
from fer_tl.runs.run_file import ARRAYS, spell_cv
from fer_tl.sources.format import is_drawn

TITLE = "Report of "
_SCALED = ("loss", "calibration_error", "brier", "accuracy")


def run_page(contents: RunContents, top: int) -> str:
    """Return the whole page.

    Args:
        contents: of the run, finished or not.
        top: how many mistakes are shown as images, at most; 1 or more.
    """
    values = {
        "contents": contents,
        "about": contents.about,
        "experiment": contents.experiment,
        "source": contents.source,
        "held_out": contents.held_out,
        "warnings": _warnings(contents),
        "unmeasured": unmeasured(contents),
        "shades": shades(),
        **_curves(contents),
        **data_facts(contents),
        **records(contents),
        **recipes(contents),
    }
    if contents.held_out:
        values |= _results(contents, contents.held_out) | mistakes(contents, contents.held_out, top)
    return render("report.html", f"{TITLE}{contents.run.path.resolve().name}: {title(contents)}", **values)


def title(contents: RunContents) -> str:
    """What was trained on what, and what it is scored on."""
    about = contents.about
    how = spell_cv(len(contents.parts), contents.repeats) if contents.is_cv else about["held_out"]
    how = "all images that were given" if about["dataset"] == ARRAYS else how
    how = f"refit of {contents.refit.run} on all training images" if contents.refit else how
    return f"{contents.backbone} on {about['dataset']}, {how}"


def headline(contents: RunContents, held_out: HeldOut) -> str:
    """The result in two sentences."""
    metrics = held_out.summary.pooled
    low_to_high = spell_interval("accuracy", held_out.summary.intervals["accuracy"])
    largest = int(metrics.support.argmax())
    seen = "unseen in training" if contents.is_cv else f"of {contents.about['held_out']}"
    seen = "out of fold" if contents.is_cv and contents.imported else seen
    mean = f"mean of {contents.repeats} repetitions, " if contents.repeats > 1 else ""
    classes, majority = len(metrics.class_names), metrics.support[largest] / metrics.images
    return (
        f"It recognises {spell_metric('accuracy', metrics.accuracy)} of {held_out.summary.images:,} images {seen} "
        f"({mean}95 % interval {low_to_high}). Always answering {metrics.class_names[largest]}, the most frequent "
        f"class, would be right for {100 * majority:.1f} %, guessing evenly among {classes} classes for "
        f"{100 / classes:.1f} %."
    )


def _warnings(contents: RunContents) -> list[str]:
    """What must be known before any figure is read."""
    found = []
    if not contents.is_finished:
        states = []
        for part in contents.parts:
            if part.failure:
                states.append(f"{part.name} failed: {part.failure}")
            elif not part.is_done:
                states.append(f"{part.name} is {f'at epoch {len(part.history)}' if part.history else 'not begun'}")
        done = ", ".join(part.name for part in contents.done) or "none"
        figures = " All figures are of these." if contents.done else " There is no result yet."
        found.append(f"Unfinished. Done: {done}.{figures} {'; '.join(states)}.")
    if is_drawn(contents.about["dataset"]):
        found.append(f"Drawn faces ({contents.about['dataset']}): these figures say nothing about photographs.")
    return found


def _results(contents: RunContents, held_out: HeldOut) -> dict[str, Any]:
    """What the page says of the images that were held out."""
    summary, pooled = held_out.summary, held_out.summary.pooled
    matrices = [("pooled" if contents.is_cv else contents.about["held_out"], pooled)]
    if len(summary.folds) > 1:
        matrices += [(f"fold {number}", fold) for number, fold in zip(summary.numbers, summary.folds, strict=True)]
    present = np.flatnonzero(pooled.support)
    before = reliability_of(held_out.predictions)
    after = reliability_of(held_out.calibration.scaled) if held_out.calibration else None
    return {
        "headline": headline(contents, held_out),
        "pooled": pooled,
        "weakest": int(present[pooled.recall[present].argmin()]),
        "selection": "" if contents.imported else selection_note(contents.run),
        "folds": fold_table(summary),
        "fold_notes": fold_notes(summary).splitlines(),
        "measures": measure_table(pooled, summary.intervals, summary.folds if contents.is_cv else ()),
        "matrices": matrices,
        "classes": class_table(pooled, held_out.class_intervals, contents.repeats),
        "calibration": _calibration_text(contents, held_out),
        "reliability": chart(
            reliability_figure(before, "", after),
            "reliability",
            "accuracy by confidence",
            f"Accuracy by confidence. As trained the calibration error is {100 * before.error:.1f} %"
            f"{f', scaled {100 * after.error:.1f} %' if after else ''}; the bins are in the table below.",
        ),
        "scaled": _scaled_table(held_out),
        "bins": reliability_table(before, after),
    }


def _scaled_table(held_out: HeldOut) -> Table | None:
    """What temperature scaling changes."""
    if held_out.scaled is None:
        return None
    scored = (held_out.summary.pooled, held_out.scaled)
    rows = [[MEASURES[name].title, *(spell_metric(name, each.values[name]) for each in scored)] for name in _SCALED]
    return Table(["measure", "as trained", "scaled"], [rows])


def _calibration_text(contents: RunContents, held_out: HeldOut) -> str:
    calibration, plain, scaled = held_out.calibration, held_out.summary.pooled, held_out.scaled
    names = [] if contents.imported else [part.name for part in contents.done]
    mean = f" The mean of all {len(names)}: {contents.scaling(names).note}" if len(names) > 1 else ""
    if calibration is None or scaled is None:
        return f"There are too few images to score a temperature on others than those it is fitted to.{mean}"
    fitted = ", ".join(
        f"{part.name} {temperature:.2f}"
        for part, temperature in zip(contents.done, calibration.part_temperatures, strict=True)
    )
    used = "" if contents.imported else " By these, predict, serve, explain and export scale answers of a single model."
    both = scaled.loss < plain.loss and scaled.calibration_error < plain.calibration_error
    gains = "" if both else " Here that does not lower both cross-entropy and calibration error."
    return (
        "Temperature scaling divides the logits by one number before softmax; no answer of a single model changes by "
        f"it. Fitted to what each model held out, above 1 where it is too sure of itself: {fitted}.{used} "
        "What is called scaled here uses temperatures "
        "that were fitted to other groups of images of the same part (each fifth by the other four): no image has a "
        f"say in how it is scaled.{gains}{mean}"
    )


def _curves(contents: RunContents) -> dict[str, Any]:
    """Loss and accuracy by epoch, as far as the parts came, and what is among them."""
    histories = {part.name: part.history for part in contents.parts if part.history}
    unfinished = [part.name for part in contents.parts if not part.is_done]
    chooses = bool(contents.experiment.early_stopping)
    kept = {part.name: part.result["kept_epoch"] for part in contents.done if chooses}
    charts = []
    for key in ("loss", "accuracy") if histories else ():
        figure = learning_curves_figure(histories, (key,), unfinished, kept)
        if lines := figure.axes[0].lines:
            course = _course([line for line in lines if not str(line.get_label()).startswith("_")], key)
            charts.append(chart(figure, f"curves-{key}", key, f"{key} by epoch. {course}."))
    is_watched = any(row.get("watched_loss") is not None for history in histories.values() for row in history)
    return {"curves": charts, "kept": kept, "begun": len(histories), "is_watched": is_watched}


def _course(lines: Sequence[Line2D], key: str) -> str:
    """Where lines that have a name begin and end."""
    said = []
    for line in lines:
        (first, low), (last, high) = np.asarray(line.get_xydata())[[0, -1]].tolist()
        ends = spell_metric(key, low), spell_metric(key, high)
        said.append(f"{line.get_label()}: {ends[0]} after epoch {first:.0f}, {ends[1]} after epoch {last:.0f}")
    return "; ".join(said)
