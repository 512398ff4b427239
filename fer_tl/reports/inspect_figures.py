"""Figures of a dataset: how bright and how rich in contrast each class is, and how large its pictures were."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter, NullLocator, ScalarFormatter

from fer_tl.data.survey import Survey

# The colours of the figures of a run; a filled bar and an empty one are told apart in grey print.
_FILLED: dict[str, Any] = {"facecolor": "#0072B2", "edgecolor": "#0072B2"}
_EMPTY: dict[str, Any] = {"facecolor": "white", "edgecolor": "#D55E00", "linewidth": 1.4}
_PERCENTILES = (1, 25, 50, 75, 99)


def looks_figure(survey: Survey) -> Figure:
    """Brightness and contrast of each class and split: bar from quartile to quartile, median, line from the 1st to the
    99th percentile. It grows with the number of classes."""
    names, splits = survey.manifest.class_names, survey.open_splits
    styles = dict(zip(splits, (_FILLED, _EMPTY), strict=False))
    figure = Figure(figsize=(10, 1.6 + 0.5 * len(names)), layout="constrained", facecolor="white")
    panels = {"brightness (mean grey)": survey.looks.brightness, "contrast (s.d. of grey)": survey.looks.contrast}
    for axes, (title, values) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
        for number, split in enumerate(splits):
            for label in range(len(names)):
                chosen = values[(survey.labels == label) & (survey.splits == split)]
                if len(chosen):
                    _draw_spread(axes, label + 0.36 * (number - (len(splits) - 1) / 2), chosen, styles[split])
        axes.set_xlabel(title)
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_xlim(0, 255)
    figure.axes[0].set_yticks(range(len(names)), names, parse_math=False)
    figure.axes[0].set_ylim(len(names) - 0.5, -0.5)  # the first class on top, as in the tables
    figure.axes[1].set_xlim(left=0)
    handles = [Patch(label=split, **styles[split]) for split in splits]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(splits), frameon=False)
    return figure


def sizes_figure(shorter: np.ndarray, stored: int) -> Figure:
    """Histogram of the shorter sides of the pictures before resizing, in pixels, with a line at the stored size.

    Args:
        shorter: ``[M]``, at least two different lengths.
        stored: shorter side of the images in the records, pixels.
    """
    figure = Figure(figsize=(10, 3.4), layout="constrained", facecolor="white")
    axes = figure.subplots()
    low, high = int(shorter.min()), int(shorter.max())
    # Steps of equal ratio, since sizes range over several octaves; whole pixels, or narrow steps would stay empty.
    edges = np.unique(np.rint(np.geomspace(low, high + 1, 41))) - 0.5
    axes.hist(shorter, bins=edges.tolist(), color=_FILLED["facecolor"])
    axes.set_xscale("log", base=2)
    axes.axvline(stored, color=_EMPTY["edgecolor"], linestyle="--", label=f"stored size, {stored} pixels")
    ticks = [
        tick for octave in range(15) for tick in (2**octave, 3 * 2**octave // 2) if low / 1.4 <= tick <= high * 1.4
    ]
    axes.set_xticks(sorted({*ticks}) if len(ticks) < 14 else ticks[::2])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("shorter side before resizing, pixels")
    axes.set_ylabel("images")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", frameon=False)
    return figure


def _draw_spread(axes: Axes, height: float, values: np.ndarray, style: dict[str, Any]) -> None:
    lowest, lower, median, upper, highest = np.percentile(values, _PERCENTILES)
    axes.hlines(height, lowest, highest, color=style["edgecolor"], linewidth=1.2, zorder=2)
    axes.barh(height, upper - lower, left=lower, height=0.28, zorder=3, **style)
    ink = "white" if style is _FILLED else style["edgecolor"]
    axes.vlines(median, height - 0.14, height + 0.14, color=ink, linewidth=2, zorder=4)
