"""Numbers with their intervals, one under the other."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from fer_tl.core.safe_text import for_terminal
from fer_tl.evaluation.intervals import Interval
from fer_tl.reports.figures import HELD_OUT, QUIET, STYLE, TRAINING, lighten, new_figure

_LONGEST = 26  # letters of a name
_ROW = 0.2  # inches


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
        axes.plot([low, high], [row, row], color=style["color"], linewidth=1.3, solid_capstyle="butt")
        fill = "#ffffff" if row in marked else style["color"]
        axes.plot([value], [row], color=style["color"], marker=style["marker"], markersize=4, markerfacecolor=fill)
    shown = [for_terminal(name) for name in names]
    shown = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in shown]
    axes.set_yticks(range(len(names)), shown, parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(label)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{100 * at:g}".replace("-", "−")))
    axes.tick_params(axis="y", length=0)
    lighten(axes)
    return figure
