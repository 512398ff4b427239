"""Numbers with their intervals, one under the other or against what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from fer_tl.core.safe_text import for_terminal
from fer_tl.evaluation.intervals import Interval
from fer_tl.reports.figures import HELD_OUT, QUIET, STYLE, TRAINING, lighten, new_figure

_LONGEST = 26  # letters of a name
_ROW = 0.2  # inches


def spell_spans(names: Sequence[str], values: Sequence[float], intervals: Sequence[Interval]) -> str:
    """What such a figure shows, in words: shares or differences of shares, times 100."""
    spans = map(_span, values, intervals)
    return "; ".join(f"{name} {span}" for name, span in zip(names, spans, strict=True))


def _span(value: float, interval: Interval) -> str:
    low, high = interval
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _shortened(name: str) -> str:
    shown = for_terminal(name)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


@matplotlib.rc_context(STYLE)
def interval_figure(
    names: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[Interval],
    label: str,
    line: float | None = None,
    marked: frozenset[int] = frozenset(),
    width: float = 3.4,
) -> Figure:
    """Draw shares, or differences of shares, with their intervals; in SVG each says its name to those who point at it.

    Args:
        names: of the rows, from the top.
        values: 0..1, or differences of such.
        intervals: of them.
        label: of the axis.
        line: where a dotted one stands, such as 0.
        marked: rows that are pointed out, by another colour and an open marker.
        width: inches.
    """
    figure = new_figure(width, 0.55 + _ROW * len(names))
    axes = figure.add_subplot()
    if line is not None:
        axes.axvline(line, color=QUIET, linestyle=":", linewidth=1)
    for row, (value, (low, high)) in enumerate(zip(values, intervals, strict=True)):
        style = HELD_OUT if row in marked else TRAINING
        said = f"said: {for_terminal(names[row])}: {_span(value, (low, high))}"
        axes.plot([low, high], [row, row], gid=said, color=style["color"], linewidth=1.3, solid_capstyle="butt")
        fill = "#ffffff" if row in marked else style["color"]
        axes.plot([value], [row], color=style["color"], marker=style["marker"], markersize=4, markerfacecolor=fill)
    axes.set_yticks(range(len(names)), [_shortened(name) for name in names], parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(label)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{100 * at:g}".replace("-", "−")))
    axes.tick_params(axis="y", length=0)
    lighten(axes)
    return figure


@matplotlib.rc_context(STYLE)
def scatter_figure(
    names: Sequence[str], at: Sequence[float], values: Sequence[float], intervals: Sequence[Interval], label: str
) -> Figure:
    """Draw shares with their intervals against what they cost, on a logarithmic axis; names stand beside the points.

    Args:
        names: of the points.
        at: what they cost, above 0.
        values: 0..1.
        intervals: of them.
        label: of the axis of costs.
    """
    figure = new_figure(3.4, 2.6)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    middle = float(np.sqrt(min(at) * max(at)))
    for name, x, value, (low, high) in zip(names, at, values, intervals, strict=True):
        said = f"said: {for_terminal(name)}: {_span(value, (low, high))} at {x:,.4g}"
        axes.plot([x, x], [low, high], gid=said, color=TRAINING["color"], linewidth=1.3)
        axes.plot([x], [value], color=TRAINING["color"], marker="o", markersize=4)
        shown = _shortened(name)
        # Towards the middle, where there is room.
        side: dict[str, Any] = {"xytext": (4, 3), "ha": "left"} if x <= middle else {"xytext": (-4, 3), "ha": "right"}
        axes.annotate(shown, (x, value), textcoords="offset points", size=7, parse_math=False, **side)
    axes.margins(x=0.12, y=0.15)
    axes.set_xlabel(label)
    axes.set_ylabel("accuracy, %")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(_spell_count))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
    lighten(axes)
    return figure


def _spell_count(number: float, _: int) -> str:
    """``2000000`` to ``2 M``."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:g} {unit}"
    return f"{number:g}"
