"""Result tables as terminal text, Markdown and CSV.

A result table takes rows of a name and its ``Metrics``, so the folds of a cross validation and the models of an
evaluation are shown by the same code. People read per cent, programs read fractions: text and Markdown round, CSV
has the numbers as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

from fer_tl.core.safe_text import for_markdown, for_terminal
from fer_tl.evaluation.measures import headline_measures
from fer_tl.evaluation.metrics import Metrics, zero_recall
from fer_tl.evaluation.summary import CvSummary
from fer_tl.reports.rendering import Table, as_csv, as_markdown, as_text
from fer_tl.reports.run_tables import spell_interval, spell_metric, spell_spread

ResultRow = tuple[str, Metrics]
Intervals = Mapping[str, tuple[float, float]]
Show = Callable[[Table], str]

_CONFUSION_NOTE = "Row: true class. Column: predicted class. Recall: share of the row that is on the diagonal."
_LONGEST_ROW_NAME = 20
_TEXT_WIDTH = 100


def fold_table_as(show: Show, summary: CvSummary) -> str:
    """A cross validation as ``as_text`` or ``as_markdown`` shows it: folds, mean ± sd, pooled with its interval, folds
    whose training failed, and classes of no recall."""
    return _with_notes(show, fold_table(summary), fold_notes(summary))


def fold_table_csv(summary: CvSummary) -> str:
    """One line a fold, numbered from 0; the columns of ``result_table_csv``, which are empty for a fold whose training
    failed, and then one that says why; and that of the repetition, from 0, if there are several."""
    lines = result_table_csv(_fold_rows(summary), first="fold")
    if not summary.failed and summary.repeats == 1:
        return lines
    header, *rows = csv.reader(io.StringIO(lines))
    if summary.failed:
        rows = [[*row, ""] for row in rows]
        rows += [[str(number), *[""] * (len(header) - 1), why] for number, why in summary.failed.items()]
        header.append("failure")
    rows.sort(key=lambda row: int(row[0]))
    if summary.repeats > 1:
        rows = [[*row, str(summary.repetition_of(int(row[0])))] for row in rows]
        header.append("repetition")
    return as_csv([header, *rows])


def result_table_as(show: Show, rows: Sequence[ResultRow], intervals: Intervals | None = None) -> str:
    """Named results as ``fer-tl evaluate`` prints them.

    Args:
        show: ``as_text`` or ``as_markdown``.
        rows: one or more names with their metrics.
        intervals: 95 % intervals of the first row's metrics by metric name, shown under it.
    """
    return _with_notes(show, _result_table(rows, intervals, "model"), zero_recall_text(rows))


def result_table_csv(rows: Sequence[ResultRow], first: str = "model") -> str:
    """One line a row: name, images, the metrics as fractions, and ``recall_<class>`` of each class.

    The recall of a class without examples is left empty.
    """
    class_names = rows[0][1].class_names
    keys = [measure.name for measure in headline_measures()]
    header = [first, "images", *keys, *(f"recall_{name}" for name in class_names)]
    lines = [
        [name, metrics.images, *(metrics.values[key] for key in keys)]
        + [float(r) if n else "" for r, n in zip(metrics.recall, metrics.support, strict=True)]
        for name, metrics in rows
    ]
    return as_csv([header, *lines])


def confusion_text(metrics: Metrics) -> str:
    """Terminal table of counts, row = true class, with each class's recall; seven classes fit in 100 columns."""
    table = _confusion_table(metrics)
    row_name_width = max(len(_shorten(name, _LONGEST_ROW_NAME)) for name in metrics.class_names)
    # What is left beside the row names and the recall, over the classes, less two blanks between columns.
    longest = max(6, (_TEXT_WIDTH - row_name_width - len("  100.0 %")) // len(metrics.class_names) - 2)
    header = [_shorten(name, longest) for name in table.header]
    blocks = [[[_shorten(row[0], _LONGEST_ROW_NAME), *row[1:]] for row in block] for block in table.blocks]
    return f"{_CONFUSION_NOTE}\n\n{as_text(Table(header, blocks))}"


def confusion_markdown(metrics: Metrics) -> str:
    """What ``confusion_text`` shows, as a Markdown table."""
    return f"{_CONFUSION_NOTE}\n\n{as_markdown(_confusion_table(metrics))}"


def confusion_csv(metrics: Metrics) -> str:
    """Counts, one line a true class, one column a predicted class; the first column is the true class's name."""
    lines = [[name, *counts] for name, counts in zip(metrics.class_names, metrics.confusion.tolist(), strict=True)]
    return as_csv([["true\\predicted", *metrics.class_names], *lines])


def model_header() -> list[str]:
    """Headings of the headline measures where each row is a model, some with a column for the interval."""
    return [
        heading
        for measure in headline_measures()
        for heading in (measure.heading, *(["95 % interval"] if measure.interval_beside else []))
    ]


def model_cells(values: Mapping[str, float], intervals: Intervals) -> list[str]:
    """The cells under ``model_header``; a dash for a measure that is not known."""
    cells = []
    for measure in headline_measures():
        known = measure.name in values
        cells.append(spell_metric(measure.name, values[measure.name]) if known else "–")
        if measure.interval_beside:
            cells.append(spell_interval(measure.name, intervals[measure.name]) if known else "–")
    return cells


def zero_recall_text(rows: Sequence[ResultRow]) -> str:
    """Sentences that call out classes with examples, none of which is recognised, and in which rows; else ``""``."""
    return _zero_recall_sentences([(name, zero_recall(metrics)) for name, metrics in rows])


def _fold_rows(summary: CvSummary) -> list[ResultRow]:
    return [(str(number), metrics) for number, metrics in zip(summary.numbers, summary.folds, strict=True)]


def fold_notes(summary: CvSummary) -> str:
    """The folds whose training failed, then the classes that no fold recognises, once, then those that only some folds
    miss."""
    missed: list[tuple[str, Sequence[str]]] = [("all folds", summary.zero_recall)]
    for number, names in zip(summary.numbers, summary.fold_zero_recall, strict=True):
        missed.append((f"fold {number}", [name for name in names if name not in summary.zero_recall]))
    lines = [f"Fold {number} failed: {why}." for number, why in summary.failed.items()]
    if lines:
        done = ", ".join(map(str, summary.numbers))
        lines.append(f"All other figures are of the folds that are done ({done}), without the images of the failed.")
    return "\n".join(filter(None, [*lines, _zero_recall_sentences(missed), *repetition_notes(summary)]))


def repetition_notes(summary: CvSummary) -> list[str]:
    """What counts and intervals of a repeated cross validation are of, a sentence or two; none where it is not."""
    if summary.repeats == 1:
        return []
    return [
        f"Every repetition scores the same {summary.images:,} images, by folds of its own. Pooled: the mean over all "
        f"answers, up to {summary.repeats} of an image, each by one model; its interval resamples groups of images, "
        "each with all its answers. Confusion matrix, classes and calibration count answers."
    ]


def _zero_recall_sentences(missed: Sequence[tuple[str, Sequence[str]]]) -> str:
    """One sentence for each set of missed classes, with every scope that misses just these."""
    scopes: dict[tuple[str, ...], list[str]] = {}
    for scope, names in missed:
        if names:
            scopes.setdefault(tuple(names), []).append(scope)
    return "\n".join(
        f"Zero recall: {', '.join(map(for_terminal, names))} ({', '.join(where)}): none of "
        f"{'its' if len(names) == 1 else 'their'} images is recognised."
        for names, where in scopes.items()
    )


def fold_table(summary: CvSummary) -> Table:
    """Cells of ``fold_table_as``."""
    table = _result_table(_fold_rows(summary), None, "fold")
    rows = [*table.blocks[0], *([str(number), "failed", *[""] * (len(table.header) - 2)] for number in summary.failed)]
    blocks = [sorted(rows, key=lambda row: int(row[0]))]
    if summary.sd:
        spreads = [spell_spread(name, summary.mean[name], sd) for name, sd in summary.sd.items()]
        blocks.append([["mean ± sd", "", *spreads]])
    pooled = _metrics_row("pooled", summary.pooled)
    if summary.repeats > 1:
        each_has = summary.parts // summary.repeats
        repeated = [
            _metrics_row(f"repetition {number} ({each_has * number}–{each_has * (number + 1) - 1})", each)
            for number, each in summary.repetitions.items()
        ]
        found = summary.repetition_spread.items()
        spread = [["mean ± sd", "", *(spell_spread(name, *values) for name, values in found)]] if found else []
        blocks.append([*repeated, *spread])
        pooled[1] = f"{summary.images:,}"
    blocks.append([pooled, _interval_row(summary.intervals)])
    return Table(table.header, blocks)


def _result_table(rows: Sequence[ResultRow], intervals: Intervals | None, first: str) -> Table:
    cells = [_metrics_row(name, metrics) for name, metrics in rows]
    if intervals:
        cells.insert(1, _interval_row(intervals))
    return Table([first, "images", *(measure.heading for measure in headline_measures())], [cells])


def _metrics_row(name: str, metrics: Metrics) -> list[str]:
    values = (spell_metric(measure.name, metrics.values[measure.name]) for measure in headline_measures())
    return [name, f"{metrics.images:,}", *values]


def _interval_row(intervals: Intervals) -> list[str]:
    return ["95 % interval", "", *(spell_interval(each.name, intervals[each.name]) for each in headline_measures())]


def _confusion_table(metrics: Metrics) -> Table:
    recall = [spell_metric("recall", r) if n else "–" for r, n in zip(metrics.recall, metrics.support, strict=True)]
    rows = [
        [name, *(str(count) for count in counts), share]
        for name, counts, share in zip(metrics.class_names, metrics.confusion.tolist(), recall, strict=True)
    ]
    return Table(["", *metrics.class_names, "recall"], [rows])


def _shorten(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _with_notes(show: Show, table: Table, notes: str) -> str:
    if show is as_markdown:
        notes = "\n".join(map(for_markdown, notes.split("\n")))
    return f"{show(table)}\n{notes}\n" if notes else show(table)
