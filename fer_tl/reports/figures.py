"""Figures of a run for print and screen, drawn by matplotlib without a window, pyplot or state between figures.

Sizes are those of two columns (7 inches) or of one (3.4 inches) of a paper, with letters of 7 to 9 points: they are set
without being scaled.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

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
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "legend.fontsize": 8,
    "axes.linewidth": 0.6,
    # TrueType: letters stay letters, which can be searched and which printers and journals take.
    "pdf.fonttype": 42,
}

# Blue, vermilion and bluish green of M. Okabe and K. Ito, Color Universal Design (2008): told apart by every kind of
# colour vision, each with a contrast of at least 3 to white. The dashes tell them apart in grey print.
TRAINING: dict[str, Any] = {"color": "#0072b2", "linestyle": "-", "marker": "o"}
HELD_OUT: dict[str, Any] = {"color": "#d55e00", "linestyle": "--", "marker": "s"}
WATCHED: dict[str, Any] = {"color": "#008a65", "linestyle": ":", "marker": "^"}
BAR, QUIET, GRID = "#999999", "#737373", "#e6e6e6"
_SERIES = {"": ("training", TRAINING), "val_": ("held out", HELD_OUT), "watched_": ("watched", WATCHED)}
_KEPT = "epoch kept"


@matplotlib.rc_context(STYLE)
def confusion_figure(metrics: Metrics, title: str) -> Figure:
    """Confusion matrix: shaded by the share of the true class, with count and per cent in every cell.

    Rows are true classes and add up to 100 %; the row of a class without examples has no per cent. Seven classes are as
    wide as two columns; with more classes the figure grows, up to 18 inches.
    """
    classes = len(metrics.class_names)
    cell = min(0.66, 16 / classes)  # inches
    size = 7.5 * cell / 0.66  # points
    side = max(classes * cell, 2.8)
    figure = new_figure(side + 2.3, side + 1.0)
    axes = figure.add_subplot()
    shares = metrics.confusion / np.maximum(metrics.support, 1)[:, None]  # [K, K], 0..1
    # One hue from light to dark: ordered by lightness alone, so for every kind of colour vision and in grey.
    colours = matplotlib.colormaps["Blues"]
    image = axes.imshow(shares, cmap=colours, vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        per_cent = f"{100 * share:.1f} %" if metrics.support[row] else "–"
        text = f"{metrics.confusion[row, column]:,}\n{per_cent}"
        axes.text(column, row, text, ha="center", va="center", size=size, color=readable_on(colours(share)))
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


@matplotlib.rc_context(STYLE)
def learning_curves_figure(
    histories: Mapping[str, Sequence[Mapping[str, Any]]],
    keys: Sequence[str] = ("loss", "accuracy"),
    unfinished: Collection[str] = (),
    kept: Mapping[str, int] | None = None,
    title: str = "",
) -> Figure:
    """Draw metrics by epoch: each fold as a thin line, the mean of those that are finished as a thick one.

    The mean ends where the shortest fold does: beyond, it would jump as folds drop out. In SVG each line says its name
    to those who point at it.

    Args:
        histories: by fold, one record an epoch, with ``epoch``, ``loss`` and ``accuracy`` of the training stream,
            those of the held-out examples with ``val_`` before their names and those of the watched ones with
            ``watched_``, where there are some.
        keys: what is drawn, a panel each; a single one is as wide as one column.
        unfinished: folds that are not in the mean, as long as there are others.
        kept: by fold, the epoch whose weights early stopping kept; marked on what was not trained on.
        title: above it.

    Raises:
        ValueError: there is no epoch to draw.
    """
    epochs = [int(record["epoch"]) for history in histories.values() for record in history]
    if not epochs:
        raise ValueError("there is no epoch to draw")
    figure = new_figure(_WIDE if len(keys) > 1 else _NARROW, 3.0)
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys, strict=True):
        for prefix, (name, style) in _SERIES.items():
            folds = {fold: _series(history, f"{prefix}{key}") for fold, history in histories.items()}
            _draw_series(axes, {fold: series for fold, series in folds.items() if series}, name, style, unfinished)
            for fold, epoch in kept.items() if kept and prefix else ():
                if epoch in folds.get(fold, {}):
                    told: dict[str, Any] = {"label": _KEPT, "gid": f"said: {fold}, {name}: epoch {epoch} was kept"}
                    axes.scatter(epoch, folds[fold][epoch], 18, "white", edgecolors=style["color"], zorder=3, **told)
        axes.set_xlabel("epoch")
        axes.set_ylabel(key)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
        lighten(axes)
        if key == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    if title:
        figure.suptitle(title, fontsize="medium")
    # One legend, outside of the panels, where it hides no point.
    handles, labels = figure.axes[0].get_legend_handles_labels()
    once = dict(sorted(zip(labels, handles, strict=True), key=lambda pair: pair[0] == _KEPT))
    place: Literal["outside lower center", "outside upper center"]
    place = "outside lower center" if title else "outside upper center"
    figure.legend(once.values(), once, loc=place, ncols=len(keys), frameon=False)
    return figure


@matplotlib.rc_context(STYLE)
def reliability_figure(drawn: Reliability, title: str, scaled: Reliability | None = None) -> Figure:
    """Draw a reliability diagram: accuracy by confidence, with the images of each bin below.

    Args:
        drawn: of the probabilities as they are.
        title: above it; without one the legend stands there.
        scaled: of the same, scaled.
    """
    figure = new_figure(_NARROW, 3.9)
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle=":", linewidth=1, label="confidence = accuracy")
    for each, what, style in ((drawn, "as trained, ", TRAINING), (scaled, "scaled, ", HELD_OUT)):
        if each:
            filled = each.count > 0
            label = f"{what if scaled else ''}calibration error {100 * each.error:.1f} %"
            axes.plot(
                each.confidence[filled], each.accuracy[filled], markersize=3.5, clip_on=False, label=label, **style
            )
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1)
    if title:
        axes.legend(loc="upper left", frameon=False)
        axes.set_title(_filled(title, 44), pad=8, parse_math=False)
    else:
        figure.legend(loc="outside upper center", frameon=False)
    counts.bar((np.arange(BINS) + 0.5) / BINS, drawn.count, width=0.9 / BINS, color=BAR)
    counts.set_xlim(0, 1)
    counts.set_ylabel("images")
    counts.set_xlabel("confidence")
    counts.yaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
    counts.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for panel in (axes, counts):
        panel.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        lighten(panel)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG of 150 dots an inch and, beside it, as a PDF of lines and letters, atomically; the same
    figure gives the same bytes."""
    # Without the library's version, which it writes by default, the file depends on the picture alone.
    options: dict[str, Any] = {"format": "png", "dpi": 150, "metadata": {"Software": None}}
    with matplotlib.rc_context(STYLE):
        write_atomically(path, lambda temporary: figure.savefig(temporary, **options))
        figure.set_layout_engine("none")  # it stands; to arrange it again takes as long as to draw it
        nobody = dict.fromkeys(("CreationDate", "Creator", "Producer"))
        vector: dict[str, Any] = {"format": "pdf", "metadata": nobody}
        write_atomically(path.with_suffix(".pdf"), lambda temporary: figure.savefig(temporary, **vector))


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure, in inches, whose parts arrange themselves."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _filled(title: str, width: int) -> str:
    """A title whose lines are broken where they have more letters than ``width``."""
    return "\n".join(textwrap.fill(line, width, break_on_hyphens=False) for line in title.split("\n"))


def lighten(axes: Axes) -> None:
    """Thin rules behind the data, small numbers, and no frame."""
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, width=0.6)


def readable_on(colour: Sequence[float] | np.ndarray) -> str:
    """Return black or white, whichever reads better on an RGBA colour of channels 0..1."""
    channels = np.asarray(colour[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])  # relative luminance of WCAG 2, 0..1
    # Equal contrast is at 0.18, where white looks clearer on blue; at 0.2 either has a ratio of at least 4.2.
    return "black" if luminance > 0.2 else "white"


def _series(history: Sequence[Mapping[str, Any]], key: str) -> dict[int, float]:
    """A metric by epoch; epochs without it are left out."""
    return {int(record["epoch"]): float(record[key]) for record in history if record.get(key) is not None}


def _draw_series(
    axes: Axes,
    folds: Mapping[str, Mapping[int, float]],
    name: str,
    style: Mapping[str, Any],
    unfinished: Collection[str],
) -> None:
    """A thin line for each fold and a thick one for their mean; of a single fold, the thick one alone."""
    if not folds:
        return
    # A line through one point is invisible, so short ones get their points marked.
    line = {**style, "marker": style["marker"] if max(map(len, folds.values())) <= 3 else ""}
    if len(folds) > 1:
        thin: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.5, "markersize": 2, **line}
        for fold, series in folds.items():
            axes.plot(list(series), list(series.values()), gid=f"said: {fold}, {name}", **thin)
    meant = [series for fold, series in folds.items() if fold not in unfinished] or list(folds.values())
    shared = sorted(set.intersection(*map(set, meant)))
    mean = [float(np.mean([series[epoch] for series in meant])) for epoch in shared]
    many = f", mean of {len(meant)} folds" if len(meant) > 1 else ", 1 fold" if len(folds) > 1 else ""
    axes.plot(shared, mean, linewidth=1.8, markersize=4, label=f"{name}{many}", gid=f"said: {name}{many}", **line)
