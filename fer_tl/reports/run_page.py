"""The report of a run as one page: what it found, how surely, where it errs, and how to do it again."""

from __future__ import annotations

import numpy as np

from fer_tl.evaluation.calibration import reliability_of
from fer_tl.evaluation.measures import MEASURES
from fer_tl.evaluation.metrics import Metrics
from fer_tl.evaluation.run_contents import HeldOut, PartContents, RunContents
from fer_tl.reports import charts, confusion_html, controls
from fer_tl.reports.charts import Curve, curves_chart, reliability_chart
from fer_tl.reports.confusion_html import confusion_matrices
from fer_tl.reports.controls import folded, notice
from fer_tl.reports.page import Section, page, paragraph, table
from fer_tl.reports.rendering import Table
from fer_tl.reports.run_facts import data_section, mistakes_section, record_section, reproduce_section
from fer_tl.reports.run_report import selection_note
from fer_tl.reports.run_tables import class_table, measure_table, reliability_table, spell_interval, spell_metric
from fer_tl.reports.tables import fold_notes, fold_table
from fer_tl.sources.format import is_drawn

TITLE = "Report of "
_KINDS = {"": "training", "val_": "held out", "watched_": "watched"}
_CURVES_CAPTION = (
    "Training: loss as it was minimized and accuracy, both on augmented images. Held out: plain cross-entropy and "
    "accuracy on images that the model does not learn from."
)


def run_page(contents: RunContents, top: int) -> str:
    """The whole page.

    Args:
        contents: of the run, finished or not.
        top: how many mistakes are shown as images, at most; 1 or more.
    """
    held_out = contents.held_out
    sections = []
    if held_out:
        sections = [
            _summary_section(contents, held_out),
            _confusion_section(contents, held_out),
            _classes_section(held_out),
            _calibration_section(contents, held_out),
        ]
    sections += [_curves_section(contents)] if any(part.history for part in contents.parts) else []
    sections += [mistakes_section(contents, held_out, top)] if held_out else []
    sections += [data_section(contents), record_section(contents), reproduce_section(contents)]
    lead = "".join(map(notice, _warnings(contents)))
    style = controls.STYLE + charts.STYLE + confusion_html.STYLE
    return page(f"{TITLE}{contents.run.path.resolve().name}: {title(contents)}", sections, lead, style)


def title(contents: RunContents) -> str:
    """What was trained on what, and what it is scored on."""
    about, experiment = contents.about, contents.experiment
    how = f"{len(contents.parts)}-fold cross validation" if contents.is_cv else about["held_out"]
    return f"{experiment.backbone} on {about['dataset']}, {how}"


def headline(contents: RunContents, held_out: HeldOut) -> str:
    """The result in two sentences."""
    metrics = held_out.summary.pooled
    low_to_high = spell_interval("accuracy", held_out.summary.intervals["accuracy"])
    largest = int(metrics.support.argmax())
    seen = "that the model of each had not seen" if contents.is_cv else f"of {contents.about['held_out']}"
    classes, majority = len(metrics.class_names), metrics.support[largest] / metrics.images
    return (
        f"It recognises {spell_metric('accuracy', metrics.accuracy)} of {metrics.images:,} images {seen} "
        f"(95 % interval {low_to_high}). Always answering {metrics.class_names[largest]}, the most frequent class, "
        f"would be right for {100 * majority:.1f} %, guessing evenly among {classes} classes for {100 / classes:.1f} %."
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


def _summary_section(contents: RunContents, held_out: HeldOut) -> Section:
    summary, experiment = held_out.summary, contents.experiment
    start = "random weights" if experiment.weights == "none" else f"{experiment.weights} weights"
    learns = {"all": "all of it learns", "none": "only its head learns"}.get(
        str(experiment.unfreeze), f"its head and its last {experiment.unfreeze} layers learn"
    )
    html = paragraph(
        f"{experiment.backbone} ({start}, {learns}) was trained on {contents.about['dataset']}. "
        f"{headline(contents, held_out)}"
    )
    html += paragraph(f"{_weakest(summary.pooled)} {selection_note(contents.run)}{_leak(contents)}")
    if contents.source is None:
        html += paragraph("The intervals resample images, not groups: the dataset is not at hand.")
    if contents.is_cv:
        html += table(fold_table(summary), "Folds, their mean with standard deviation, and all their images pooled.")
        html += "".join(map(paragraph, fold_notes(summary).splitlines()))
    folds = summary.folds if contents.is_cv else ()
    units = "groups of images" if contents.source else "images"
    caption = f"Every measure over all images. Intervals: bootstrap over {units}."
    return Section("Summary", html + table(measure_table(summary.pooled, summary.intervals, folds), caption))


def _weakest(metrics: Metrics) -> str:
    present = np.flatnonzero(metrics.support)
    k = int(present[metrics.recall[present].argmin()])
    return (
        f"The weakest class is {metrics.class_names[k]}: {100 * metrics.recall[k]:.1f} % of its "
        f"{metrics.support[k]:,} images are recognised."
    )


def _leak(contents: RunContents) -> str:
    """What is known of copies in several folds, beside what ``selection_note`` says."""
    if contents.source and contents.source.manifest.duplicates.get("policy") == "keep":
        return " Copies were not looked for when the dataset was built: whether folds share some is not known."
    if contents.is_cv and contents.about.get("split_over_folds") == 0:
        return " No known copy of an image, nor a face of the same photo, is in another fold."
    return ""


def _confusion_section(contents: RunContents, held_out: HeldOut) -> Section:
    summary = held_out.summary
    named = [("pooled" if contents.is_cv else contents.about["held_out"], summary.pooled)]
    if len(summary.folds) > 1:
        named += [(f"fold {number}", fold) for number, fold in zip(summary.numbers, summary.folds, strict=True)]
    return Section("Confusion matrices", confusion_matrices(named))


def _classes_section(held_out: HeldOut) -> Section:
    cells = class_table(held_out.summary.pooled, held_out.class_intervals)
    caption = (
        "Precision: share of the images taken for a class that are of it. Recall: share of its images that are "
        "recognised. F1: their harmonic mean."
    )
    return Section("Classes", table(cells, caption))


def _calibration_section(contents: RunContents, held_out: HeldOut) -> Section:
    before = reliability_of(held_out.predictions)
    calibration, scaled = held_out.calibration, held_out.scaled
    after = reliability_of(calibration.scaled) if calibration else None
    html = paragraph(_calibration_text(contents, held_out))
    legend = {"dots-1": "as trained", **({"dots-2": "scaled"} if after else {}), "even": "confidence = accuracy"}
    described = (
        f"Accuracy by confidence. As trained the calibration error is {100 * before.error:.1f} %"
        f"{f', scaled {100 * after.error:.1f} %' if after else ''}; the bins are in the table below."
    )
    caption = "Above the diagonal the model is too modest, below it too sure. Bars: images in each bin."
    html += charts.charts([reliability_chart("reliability", described, before, after)], legend, caption)
    if scaled:
        scored = (held_out.summary.pooled, scaled)
        rows = [
            [MEASURES[name].title, *(spell_metric(name, each.values[name]) for each in scored)]
            for name in ("loss", "calibration_error", "brier", "accuracy")
        ]
        html += table(Table(["measure", "as trained", "scaled"], [rows]), "Before and after temperature scaling.")
    bins = table(reliability_table(before, after), "Images by the probability of their predicted class.")
    return Section("Calibration", html + folded("The bins of the diagram", bins))


def _calibration_text(contents: RunContents, held_out: HeldOut) -> str:
    calibration, plain, scaled = held_out.calibration, held_out.summary.pooled, held_out.scaled
    names = [part.name for part in contents.done]
    mean = f" The mean of all {len(names)}: {contents.scaling(names).note}" if len(names) > 1 else ""
    if calibration is None or scaled is None:
        return f"There are too few images to score a temperature on others than those it is fitted to.{mean}"
    fitted = ", ".join(
        f"{name} {temperature:.2f}" for name, temperature in zip(names, calibration.part_temperatures, strict=True)
    )
    both = scaled.loss < plain.loss and scaled.calibration_error < plain.calibration_error
    gains = "" if both else " Here that does not lower both cross-entropy and calibration error."
    return (
        "Temperature scaling divides the logits by one number before softmax; no answer of a single model changes by "
        f"it. Fitted to what each model held out, above 1 where it is too sure of itself: {fitted}. By these, predict, "
        "serve, explain and export scale the answers of a single model. What is called scaled here uses temperatures "
        "that were fitted to other groups of images of the same part (each fifth by the other four): no image has a "
        f"say in how it is scaled.{gains}{mean}"
    )


def _curves_section(contents: RunContents) -> Section:
    shown = [part for part in contents.parts if part.history]
    panels, legend = [], {}
    for key in ("loss", "accuracy"):
        curves = []
        for kind, (prefix, what) in enumerate(_KINDS.items(), start=1):
            found = _curves(shown, f"{prefix}{key}", kind, what, bool(contents.experiment.early_stopping))
            curves += found
            if found:
                legend[f"line-{kind}"] = found[-1].name if len(shown) > 1 else what
        if not curves:
            continue
        described = "; ".join(f"{curve.name}: {_course(curve, key)}" for curve in curves if not curve.is_thin)
        panels.append(curves_chart(f"curves-{key}", key, f"{key} by epoch. {described}.", curves, key == "accuracy"))
        if any(curve.kept for curve in curves):
            legend["kept"] = "epoch whose weights early stopping kept"
    caption = _CURVES_CAPTION
    if "line-3" in legend:
        caption += " Watched: images set aside from the training part, by which training is stopped or slowed."
    if len(shown) > 1:
        legend["thin-1"] = "a single fold"
        caption += " The mean is of the folds that are done, and ends where the shortest of them does."
    return Section("Learning curves", charts.charts(panels, legend, caption))


def _curves(parts: list[PartContents], key: str, kind: int, what: str, chooses: bool) -> list[Curve]:
    """A thin curve of each part, and last a thick one, the mean of those that are done, or of all if none is; of a
    single part, the thick one alone."""
    found, means = [], []
    in_mean = [part for part in parts if part.is_done] or parts
    for part in parts:
        points = tuple((float(e["epoch"]), float(e[key])) for e in part.history if e.get(key) is not None)
        if not points:
            continue
        kept = part.result.get("kept_epoch") if chooses and key.startswith(("val_", "watched_")) else None
        point = next((each for each in points if each[0] == kept), None)
        found.append(Curve(kind, points, f"{part.name}, {what}", len(parts) > 1, point))
        if part in in_mean:
            means.append(points)
    if len(parts) == 1 or not means:
        return found
    shared = min(map(len, means))
    values = np.array([[y for _, y in points[:shared]] for points in means]).mean(axis=0)  # [E]
    mean = tuple((x, y) for (x, _), y in zip(means[0], values.tolist(), strict=False))
    return [*found, Curve(kind, mean, f"{what}, mean of {len(means)} folds" if len(means) > 1 else f"{what}, 1 fold")]


def _course(curve: Curve, key: str) -> str:
    first, last = (spell_metric(key, y) for _, y in (curve.points[0], curve.points[-1]))
    return f"{first} after epoch {curve.points[0][0]:.0f}, {last} after epoch {curve.points[-1][0]:.0f}"
