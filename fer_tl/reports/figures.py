"""Figures of a run for print and screen, drawn by matplotlib without a window, pyplot or state between figures.

Sizes are those of two columns (7 inches) or of one (3.4 inches) of a paper, with letters of 7 to 9 points: they are set
without being scaled.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from fer_tl.core.files import write_atomically
from fer_tl.core.safe_text import for_terminal
from fer_tl.evaluation.calibration import BINS, Reliability
from fer_tl.evaluation.metrics import Metrics

_WIDE, _NARROW = 7.0, 3.4  # inches
_LONGEST_NAME = 22  # letters of a class; the confusion matrix must leave room for its cells
_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "legend.fontsize": 8,
    "axes.linewidth": 0.6,
    # TrueType: letters stay letters, which can be searched and which printers and journals take.
    "pdf.fonttype": 42,
}

# Blue and vermilion of M. Okabe and K. Ito, Color Universal Design (2008): told apart by every kind of colour vision.
# The dashes tell them apart in grey print.
_TRAINING: dict[str, Any] = {"color": "#0072B2", "linestyle": "-"}
_HELD_OUT: dict[str, Any] = {"color": "#D55E00", "linestyle": "--"}


@matplotlib.rc_context(_STYLE)
def confusion_figure(metrics: Metrics, title: str) -> Figure:
    """Confusion matrix: shaded by the share of the true class, with count and per cent in every cell.

    Rows are true classes and add up to 100 %; the row of a class without examples has no per cent. Seven classes are as
    wide as two columns; with more classes the figure grows, up to 18 inches.
    """
    classes = len(metrics.class_names)
    cell = min(0.66, 16 / classes)  # inches
    size = 7.5 * cell / 0.66  # points
    side = max(classes * cell, 2.8)
    figure = _new_figure(side + 2.3, side + 1.0)
    axes = figure.add_subplot()
    shares = metrics.confusion / np.maximum(metrics.support, 1)[:, None]  # [K, K], 0..1
    # One hue from light to dark: ordered by lightness alone, so for every kind of colour vision and in grey.
    colours = matplotlib.colormaps["Blues"]
    image = axes.imshow(shares, cmap=colours, vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        per_cent = f"{100 * share:.1f} %" if metrics.support[row] else "–"
        text = f"{metrics.confusion[row, column]:,}\n{per_cent}"
        axes.text(column, row, text, ha="center", va="center", size=size, color=_readable_on(colours(share)))
    ticks = range(classes)
    safe = [for_terminal(name) for name in metrics.class_names]
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name in safe]
    # A letter of an 8.5 point font is 0.072 inch wide.
    crowded = max(map(len, shown)) * 0.072 * size / 7.5 > cell
    axes.set_xticks(
        ticks,
        shown,
        rotation=40 if crowded else 0,
        ha="right" if crowded else "center",
        size=size + 1,
        parse_math=False,
    )
    names = [f"{name}\nn = {count:,}" for name, count in zip(shown, metrics.support, strict=True)]
    axes.set_yticks(ticks, names, size=size + 1, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class", labelpad=8)
    axes.set_ylabel("true class", labelpad=8)
    axes.set_title(_filled(title, int(side * 13)), pad=10, parse_math=False)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, format=PercentFormatter(1.0, decimals=0, symbol=" %"))
    bar.set_label("share of the true class")
    bar.ax.tick_params(labelsize=8, width=0.6)
    bar.outline.set_visible(False)
    return figure


@matplotlib.rc_context(_STYLE)
def learning_curves_figure(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Loss and accuracy by epoch: each fold as a thin line, the folds' mean as a thick one.

    The mean ends where the shortest fold does: beyond, it would jump as folds drop out.

    Args:
        histories: by fold, one record an epoch, with ``epoch``, ``loss`` and ``accuracy`` of the training stream,
            and ``val_loss`` and ``val_accuracy`` of the held-out examples where there are some.

    Raises:
        ValueError: there is no epoch to draw.
    """
    epochs = [int(record["epoch"]) for history in histories.values() for record in history]
    if not epochs:
        raise ValueError("there is no epoch to draw")
    figure = _new_figure(_WIDE, 3.0)
    for axes, key in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _draw_series(axes, [_series(history, key) for history in histories.values()], "training", _TRAINING)
        _draw_series(axes, [_series(history, f"val_{key}") for history in histories.values()], "held out", _HELD_OUT)
        axes.set_xlabel("epoch")
        axes.set_ylabel(key)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
        _lighten(axes)
        if key == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    # One legend, above both panels, where it hides no point.
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


@matplotlib.rc_context(_STYLE)
def reliability_figure(drawn: Reliability, title: str) -> Figure:
    """Reliability diagram: accuracy by confidence, with the images of each bin below."""
    figure = _new_figure(_NARROW, 3.9)
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    axes.plot([0, 1], [0, 1], color="0.45", linestyle=":", linewidth=1, label="confidence = accuracy")
    filled = drawn.count > 0
    label = f"calibration error {100 * drawn.error:.1f} %"
    axes.plot(drawn.confidence[filled], drawn.accuracy[filled], marker="o", markersize=3.5, label=label, **_TRAINING)
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1)
    axes.legend(loc="upper left", frameon=False)
    axes.set_title(_filled(title, 44), pad=8, parse_math=False)
    counts.bar((np.arange(BINS) + 0.5) / BINS, drawn.count, width=0.9 / BINS, color="0.6")
    counts.set_xlim(0, 1)
    counts.set_ylabel("images")
    counts.set_xlabel("confidence")
    counts.yaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
    counts.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for panel in (axes, counts):
        panel.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        _lighten(panel)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG of 150 dots an inch and, beside it, as a PDF of lines and letters, atomically; the same
    figure gives the same bytes."""
    # Without the library's version, which it writes by default, the file depends on the picture alone.
    options: dict[str, Any] = {"format": "png", "dpi": 150, "metadata": {"Software": None}}
    with matplotlib.rc_context(_STYLE):
        write_atomically(path, lambda temporary: figure.savefig(temporary, **options))
        figure.set_layout_engine("none")  # it stands; to arrange it again takes as long as to draw it
        nobody = dict.fromkeys(("CreationDate", "Creator", "Producer"))
        vector: dict[str, Any] = {"format": "pdf", "metadata": nobody}
        write_atomically(path.with_suffix(".pdf"), lambda temporary: figure.savefig(temporary, **vector))


def _new_figure(width: float, height: float) -> Figure:
    """An empty white figure, in inches, whose parts arrange themselves."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _filled(title: str, width: int) -> str:
    """A title whose lines are broken where they have more letters than ``width``."""
    return "\n".join(textwrap.fill(line, width, break_on_hyphens=False) for line in title.split("\n"))


def _lighten(axes: Axes) -> None:
    """Thin rules behind the data, small numbers, and no frame."""
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, width=0.6)


def _readable_on(colour: Sequence[float] | np.ndarray) -> str:
    """Black or white, whichever reads better on an RGBA colour of channels 0..1."""
    channels = np.asarray(colour[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])  # relative luminance of WCAG 2, 0..1
    # Equal contrast is at 0.18, where white looks clearer on blue; at 0.2 either has a ratio of at least 4.2.
    return "black" if luminance > 0.2 else "white"


def _series(history: Sequence[Mapping[str, Any]], key: str) -> dict[int, float]:
    """A metric by epoch; epochs without it are left out."""
    return {int(record["epoch"]): float(record[key]) for record in history if record.get(key) is not None}


def _draw_series(axes: Axes, folds: Sequence[Mapping[int, float]], name: str, style: Mapping[str, Any]) -> None:
    """A thin line for each fold and a thick one for their mean; of a single fold, the thick one alone."""
    folds = [fold for fold in folds if fold]
    if not folds:
        return
    # A line through one point is invisible, so short ones get their points marked.
    marker = "o" if max(map(len, folds)) <= 3 else ""
    if len(folds) > 1:
        for fold in folds:
            axes.plot(list(fold), list(fold.values()), linewidth=0.6, alpha=0.5, marker=marker, markersize=2, **style)
    shared = sorted(set.intersection(*(set(fold) for fold in folds)))
    mean = [float(np.mean([fold[epoch] for fold in folds])) for epoch in shared]
    label = f"{name}, mean of {len(folds)} folds" if len(folds) > 1 else name
    axes.plot(shared, mean, linewidth=1.8, marker=marker, markersize=4, label=label, **style)
