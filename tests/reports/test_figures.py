"""Figures: the right text, none of it overlapping, and files that do not differ from run to run."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from fer_tl.evaluation.calibration import BINS, reliability
from fer_tl.evaluation.metrics import Metrics, score
from fer_tl.reports.figures import confusion_figure, learning_curves_figure, reliability_figure, save_figure
from fer_tl.runs.predictions import Predictions

NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def make_metrics(support: tuple[int, ...] = (3995, 436, 4097, 7215, 4830, 3171, 4965), names=NAMES) -> Metrics:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(names)), support)
    logits = (rng.normal(size=(len(labels), len(names))) + 2 * np.eye(len(names))[labels]).astype(np.float32)
    return score(Predictions(np.arange(len(labels)).astype(str), labels, logits, names))


def make_history(epochs: int, fold: int = 0) -> list[dict[str, Any]]:
    return [
        {"epoch": e, "loss": 2 / e + fold / 10, "accuracy": 1 - 0.8 / e, "val_loss": 2.1 / e, "val_accuracy": 0.5}
        | {"learning_rate": 1e-3}
        for e in range(1, epochs + 1)
    ]


def shown_texts(figure: Figure) -> list[Text]:
    """The texts of the figure once it is drawn, without the labels of ticks beyond the axes' limits."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    beyond = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            beyond |= {id(tick.label1) for tick in ticks}
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    return [text for text in texts if text.get_text() and text.get_visible() and id(text) not in beyond]


def assert_nothing_overlaps(figure: Figure) -> None:
    texts = list({id(text): text for text in shown_texts(figure)}.values())
    boxes = np.array([text.get_window_extent().extents for text in texts])  # [N, 4]: x0, y0, x1, y1
    starts, ends = boxes[:, :2], boxes[:, 2:]
    overlaps = ((starts[:, None] < ends[None]) & (starts[None] < ends[:, None])).all(axis=2)  # [N, N]
    for i, j in np.argwhere(np.triu(overlaps, 1)):
        one, other = texts[i], texts[j]
        # The boxes of parallel slanted lines overlap: there the distance between the lines counts.
        slope = one.get_rotation() if one.get_rotation() == other.get_rotation() else 0.0
        apart = abs(ends[i, 0] - ends[j, 0]) * np.sin(np.radians(slope))
        height = float(one.get_fontsize()) * figure.dpi / 72
        assert 0 < slope < 90 and apart > height, f"{one.get_text()!r} overlaps {other.get_text()!r}"
    outside = (starts < -1).any(axis=1) | (ends > np.array([figure.bbox.x1, figure.bbox.y1]) + 1).any(axis=1)
    assert not [texts[i].get_text() for i in np.flatnonzero(outside)]


def test_confusion_has_names_counts_and_per_cent():
    metrics = make_metrics()
    figure = confusion_figure(metrics, "MobileNetV2 on fer2013")
    texts = [text.get_text() for text in shown_texts(figure)]
    assert {"MobileNetV2 on fer2013", "true class", "predicted class"} <= set(texts)
    for k, name in enumerate(NAMES):
        assert name in texts
        assert f"{name}\nn = {metrics.support[k]:,}" in texts
        assert f"{metrics.confusion[k, k]:,}\n{100 * metrics.recall[k]:.1f} %" in texts
    assert_nothing_overlaps(figure)


def test_confusion_shades_rows_so_that_each_adds_up_to_one():
    metrics = make_metrics()
    shades = np.asarray(confusion_figure(metrics, "title").axes[0].images[0].get_array())
    np.testing.assert_allclose(shades.sum(axis=1), 1)
    np.testing.assert_allclose(np.diagonal(shades), metrics.recall)


def test_confusion_text_stands_out_from_its_cell():
    figure = confusion_figure(make_metrics((400, 0, 400, 400, 400, 400, 400)), "title")
    (image,) = figure.axes[0].images
    shades = np.asarray(image.get_array())
    for text in figure.axes[0].texts:
        column, row = (int(p) for p in text.get_position())
        white = text.get_color() == "white"
        assert white or shades[row, column] < 0.75
        assert not white or shades[row, column] > 0.6


def test_confusion_of_a_class_without_examples_claims_no_per_cent():
    figure = confusion_figure(make_metrics((40, 0, 40, 40, 40, 40, 40)), "title")
    texts = [text.get_text() for text in shown_texts(figure)]
    assert texts.count("0\n–") == 7
    assert "disgust\nn = 0" in texts


@pytest.mark.parametrize(
    "names",
    [
        ("no", "yes"),
        tuple(f"{name}ly surprised" for name in NAMES),
        tuple(f"c{k}" for k in range(36)),
        ("a class whose name is far longer than any that a figure of a page's width has room for", "no", "yes"),
    ],
    ids=["two", "long", "many", "endless"],
)
def test_confusion_of_other_classes_does_not_overlap(names: tuple[str, ...]):
    title = "A title that is too long for one line, so that it has to be broken into several of them"
    assert_nothing_overlaps(confusion_figure(make_metrics((9,) * len(names), names), title))


@pytest.mark.parametrize("lengths", [(1,), (1, 1, 1, 1), (20, 20, 20, 17), (3,)])
def test_learning_curves_of_any_length(lengths: tuple[int, ...]):
    figure = learning_curves_figure({f"fold {k}": make_history(n, k) for k, n in enumerate(lengths)})
    assert_nothing_overlaps(figure)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    texts = [text.get_text() for text in shown_texts(figure)]
    many = len(lengths) > 1
    assert ("training, mean of 4 folds" if many else "training") in texts
    assert ("held out, mean of 4 folds" if many else "held out") in texts
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks and all(float(tick).is_integer() for tick in ticks)
        assert len(axes.lines) == (2 * (len(lengths) + 1) if many else 2)


def test_the_thick_line_is_the_mean_as_far_as_all_folds_go():
    figure = learning_curves_figure({"fold 0": make_history(5), "fold 1": make_history(3, fold=1)})
    first, second, mean = figure.axes[0].lines[:3]
    assert [len(line.get_xdata()) for line in (first, second, mean)] == [5, 3, 3]
    np.testing.assert_allclose(mean.get_ydata(), [2 / e + 0.05 for e in (1, 2, 3)])
    assert mean.get_linewidth() > 2 * first.get_linewidth()


def test_learning_curves_without_held_out_examples_show_training_alone():
    history = [{"epoch": e, "loss": 1 / e, "accuracy": 0.5} for e in (1, 2)]
    figure = learning_curves_figure({"fit": history})
    assert [len(axes.lines) for axes in figure.axes] == [1, 1]
    with pytest.raises(ValueError, match="no epoch"):
        learning_curves_figure({"fit": []})


def make_reliability(count: int = 500):
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1, count)
    return reliability(confidence, rng.uniform(size=count) < confidence)


@pytest.mark.parametrize("count", [1, 500, 50_000])
def test_a_reliability_diagram_has_a_point_and_a_bar_for_each_bin(count: int):
    drawn = make_reliability(count)
    figure = reliability_figure(drawn, "A title that is too long for one line of one column of a paper\nsecond line")
    assert_nothing_overlaps(figure)
    (_, line), bars = figure.axes[0].lines, figure.axes[1].patches
    filled = drawn.count > 0
    np.testing.assert_allclose(np.asarray(line.get_xydata()), np.stack([drawn.confidence, drawn.accuracy], 1)[filled])
    assert [bar.get_height() for bar in bars] == drawn.count.tolist()
    assert len(bars) == BINS
    assert f"calibration error {100 * drawn.error:.1f} %" in [text.get_text() for text in shown_texts(figure)]


def test_figures_have_the_widths_of_columns():
    assert confusion_figure(make_metrics(), "title").get_figwidth() <= 7
    assert learning_curves_figure({"fit": make_history(5)}).get_figwidth() == 7
    assert reliability_figure(make_reliability(), "title").get_figwidth() == 3.4


def test_what_users_wrote_is_no_formula(tmp_path: Path):
    figures = [
        confusion_figure(make_metrics((9, 9), ("$\\oops$", "a_b")), "of $\\frac$"),
        reliability_figure(make_reliability(), "of $\\frac$"),
    ]
    for figure in figures:
        assert "of $\\frac$" in [text.get_text() for text in shown_texts(figure)]
        save_figure(figure, tmp_path / "a.png")  # where a broken formula is an error


def test_a_pdf_stands_beside_with_letters_as_letters(tmp_path: Path):
    save_figure(learning_curves_figure({"fit": make_history(4)}), tmp_path / "curves.png")
    pdf = (tmp_path / "curves.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF")
    assert b"/CIDFontType2" in pdf and b"/Type3" not in pdf  # TrueType
    assert not re.search(rb"matplotlib|CreationDate", pdf)
    assert b"/Subtype /Image" not in pdf  # lines, no picture of them
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    assert any(b" Tj" in zlib.decompress(each) or b" TJ" in zlib.decompress(each) for each in streams)


def test_saved_file_is_a_png_with_the_same_bytes_every_time(tmp_path: Path):
    for name in ("a.png", "deeper/b.png"):
        save_figure(confusion_figure(make_metrics(), "title"), tmp_path / name)
    first = (tmp_path / "a.png").read_bytes()
    assert first == (tmp_path / "deeper" / "b.png").read_bytes()
    assert b"matplotlib" not in first.lower()
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        assert not image.text  # type: ignore[attr-defined]
        assert round(image.info["dpi"][0]) == 150
        assert 900 < image.width < 1500
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "deeper" / "b.pdf").read_bytes()
    files = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["a.pdf", "a.png", "b.pdf", "b.png"]
