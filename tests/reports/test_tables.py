"""Tables say the numbers they were given, in every format."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from fer_tl.evaluation.measures import MEASURES
from fer_tl.evaluation.metrics import Metrics, score
from fer_tl.evaluation.summary import CvSummary, summarize
from fer_tl.reports import tables
from fer_tl.reports.rendering import as_markdown, as_text
from fer_tl.runs.predictions import Predictions

NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def make_fold(k: int, per_class: int, never: tuple[int, ...] = (), names: tuple[str, ...] = NAMES) -> Predictions:
    rng = np.random.default_rng(k)
    labels = np.repeat(np.arange(len(names)), per_class)
    logits = (rng.normal(size=(len(labels), len(names))) + 2 * np.eye(len(names))[labels]).astype(np.float32)
    logits[:, list(never)] = -20
    return Predictions(np.array([f"{k}/{i}" for i in range(len(labels))]), labels, logits, names)


@pytest.fixture(scope="module")
def summary() -> CvSummary:
    folds = [make_fold(0, 200, never=(1, 2)), make_fold(1, 190, never=(1,)), make_fold(2, 180, never=(1,))]
    return summarize(folds, {str(i): str(i) for fold in folds for i in fold.ids})


def rows_of(markdown: str) -> list[list[str]]:
    """Cells of a Markdown table, header first."""
    lines = [line for line in markdown.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def cells_of(text: str, first: str) -> list[str]:
    """Cells of the text row that starts with ``first``."""
    line = next(line for line in text.splitlines() if line.startswith(f"{first}  "))
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_fold_table_has_folds_then_mean_and_pooled_with_interval(summary: CvSummary):
    header, *rows = rows_of(tables.fold_table_as(as_markdown, summary))
    assert header == ["fold", "images", "accuracy", "balanced acc.", "macro-F1", "loss"]
    assert [row[0] for row in rows] == ["0", "1", "2", "mean ± sd", "pooled", "95 % interval"]
    one = summary.folds[1]
    shares = [f"{100 * value:.1f} %" for value in (one.accuracy, one.balanced_accuracy, one.macro_f1)]
    assert rows[1] == ["1", "1,330", *shares, f"{one.loss:.3f}"]
    assert rows[3][2] == f"{100 * summary.mean['accuracy']:.1f} ± {100 * summary.sd['accuracy']:.1f} %"
    assert rows[3][5] == f"{summary.mean['loss']:.3f} ± {summary.sd['loss']:.3f}"
    assert rows[4][:3] == ["pooled", "3,990", f"{100 * summary.pooled.accuracy:.1f} %"]
    low, high = summary.intervals["macro_f1"]
    assert rows[5][4] == f"{100 * low:.1f}–{100 * high:.1f} %"


def test_text_and_markdown_have_the_same_cells(summary: CvSummary):
    text = tables.fold_table_as(as_text, summary)
    for row in rows_of(tables.fold_table_as(as_markdown, summary)):
        assert cells_of(text, row[0]) == [cell for cell in row if cell]


def test_text_columns_are_aligned_to_the_right(summary: CvSummary):
    lines = tables.fold_table_as(as_text, summary).split("\n\n")[0].splitlines()
    assert max(map(len, lines)) <= 80
    loss_ends = [len(line) for line in lines if line[0] not in "─9"]
    assert len(set(loss_ends)) == 1


def test_zero_recall_is_called_out_with_its_scope(summary: CvSummary):
    for table in (tables.fold_table_as(as_text, summary), tables.fold_table_as(as_markdown, summary)):
        assert "Zero recall: disgust (all folds): none of its images is recognised." in table
        assert "Zero recall: fear (fold 0)" in table
        assert table.count("Zero recall") == 2
    good = score(make_fold(5, 50))
    assert tables.zero_recall_text([("ensemble", good)]) == ""
    both = [("ensemble", summary.folds[1]), ("fold 0", summary.folds[0]), ("fold 1", summary.folds[1])]
    assert tables.zero_recall_text(both).splitlines() == [
        "Zero recall: disgust (ensemble, fold 1): none of its images is recognised.",
        "Zero recall: disgust, fear (fold 0): none of their images is recognised.",
    ]


def test_csv_parses_back_to_the_same_numbers(summary: CvSummary):
    rows = list(csv.DictReader(io.StringIO(tables.fold_table_csv(summary))))
    assert [row["fold"] for row in rows] == ["0", "1", "2"]
    for row, fold in zip(rows, summary.folds, strict=True):
        assert int(row["images"]) == fold.images
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "loss"):
            assert float(row[name]) == getattr(fold, name)
        assert [float(row[f"recall_{name}"]) for name in NAMES] == fold.recall.tolist()


def test_a_failed_fold_is_a_row_with_its_reason_and_the_rest_says_so():
    folds = [make_fold(0, 20), make_fold(2, 20)]
    why = "the loss is nan in epoch 3, step 17; lower --optimizer.rate"
    summary = summarize(folds, {str(i): str(i) for fold in folds for i in fold.ids}, failed={1: why})
    _, *rows = rows_of(tables.fold_table_as(as_markdown, summary))
    assert [row[0] for row in rows] == ["0", "1", "2", "mean ± sd", "pooled", "95 % interval"]
    assert rows[1][1:] == ["failed", "", "", "", ""]
    for text in (tables.fold_table_as(as_text, summary), tables.fold_table_as(as_markdown, summary)):
        assert f"\nFold 1 failed: {why}.\nAll other figures are of the folds that are done (0, 2)" in text
    found = list(csv.DictReader(io.StringIO(tables.fold_table_csv(summary))))
    assert [row["failure"] for row in found] == ["", why, ""]
    assert (found[1]["accuracy"], float(found[2]["accuracy"])) == ("", summary.folds[1].accuracy)
    alone = summarize(folds[:1], {str(i): str(i) for i in folds[0].ids}, failed={1: why})
    shown = rows_of(tables.fold_table_as(as_markdown, alone))[1:]
    assert [row[0] for row in shown] == [
        "0",
        "1",
        "pooled",
        "95 % interval",
    ]


def test_confusion_csv_parses_back_to_the_same_counts(summary: CvSummary):
    header, *rows = csv.reader(io.StringIO(tables.confusion_csv(summary.pooled)))
    assert tuple(header[1:]) == tuple(row[0] for row in rows) == NAMES
    np.testing.assert_array_equal(np.array([row[1:] for row in rows], int), summary.pooled.confusion)


def test_confusion_text_says_which_side_is_true_and_fits_the_terminal(summary: CvSummary):
    text = tables.confusion_text(summary.pooled)
    assert "Row: true class. Column: predicted class." in text
    assert max(map(len, text.splitlines())) <= 100
    for k, name in enumerate(NAMES):
        counts = [str(count) for count in summary.pooled.confusion[k]]
        assert cells_of(text, name) == [name, *counts, f"{100 * summary.pooled.recall[k]:.1f} %"]


def test_long_class_names_still_fit_the_terminal_and_stay_whole_elsewhere():
    names = tuple(f"{name}ly astonished beyond words" for name in NAMES)
    metrics = score(make_fold(0, 3000, names=names))
    assert max(map(len, tables.confusion_text(metrics).splitlines())) <= 100
    assert rows_of(tables.confusion_markdown(metrics))[0][1:-1] == list(names)


def test_confusion_markdown_has_the_counts_and_escapes_names():
    names = ("a|b", *NAMES[1:])
    metrics = score(make_fold(0, 20, names=names))
    markdown = tables.confusion_markdown(metrics)
    assert "| a\\|b |" in markdown
    assert rows_of(markdown)[2][1:-1] == [str(count) for count in metrics.confusion[1]]


def test_a_class_without_examples_has_no_recall():
    fold = make_fold(0, 20)
    kept = fold.labels != 3
    metrics = score(Predictions(fold.ids[kept], fold.labels[kept], fold.logits[kept], NAMES))
    assert cells_of(tables.confusion_text(metrics), "happy")[-1] == "–"
    (row,) = csv.DictReader(io.StringIO(tables.result_table_csv([("ensemble", metrics)])))
    assert row["recall_happy"] == ""
    assert float(row["recall_sad"]) == metrics.recall[4]


def test_result_table_serves_an_ensemble_and_its_folds(summary: CvSummary):
    rows: list[tuple[str, Metrics]] = [("ensemble", summary.pooled), ("fold 0", summary.folds[0])]
    header, *cells = rows_of(tables.result_table_as(as_markdown, rows, dict.fromkeys(MEASURES, (0.5, 0.75))))
    assert header[0] == "model"
    assert [row[0] for row in cells] == ["ensemble", "95 % interval", "fold 0"]
    assert cells[1][1:] == ["", *["50.0–75.0 %"] * 3, "0.500–0.750"]
    text = tables.result_table_as(as_text, rows)
    assert cells_of(text, "ensemble") == cells[0]
    assert "interval" not in text
