"""Figures and shades as a page shows them: in colours that follow light and dark, with text that stays text."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure

from fer_tl.reports.figures import BAR, GRID, HELD_OUT, QUIET, STYLE, TRAINING, WATCHED, readable_on

_WIDTH = 3.0  # inches: on a phone, letters of 8 points are then 12 pixels high
# The page gives each a value in light and in dark.
_VARIABLES = {
    TRAINING["color"]: "line-1",
    HELD_OUT["color"]: "line-2",
    WATCHED["color"]: "line-3",
    BAR: "bar",
    QUIET: "quiet",
    GRID: "rule",
    "#ffffff": "ground",
    "#000000": "ink",
}
_SHADES = 20
# From no image of a class to all of it: one hue, ordered by lightness, so for every kind of colour vision and in grey.
_ENDS = {"light": ("#ffffff", "#08306b"), "dark": ("#14181c", "#a8d4f7")}
# Of differences: blue for more, orange for less, which all kinds of colour vision tell apart.
_MORE = {"light": ("#ffffff", "#0b5a94"), "dark": ("#14181c", "#7cbdf0")}
_LESS = {"light": ("#ffffff", "#a34400"), "dark": ("#14181c", "#f0a35e")}


@dataclass(frozen=True)
class Chart:
    """A figure inside a page.

    Attributes:
        name: unique on the page, letters, digits and ``-``.
        heading: what is drawn, such as ``loss``.
        described: what is to be seen, in words, for those who cannot see it.
        box: ``viewBox`` of its SVG.
        html: what is inside its SVG.
    """

    name: str
    heading: str
    described: str
    box: str
    html: Markup


def chart(figure: Figure, name: str, heading: str, described: str) -> Chart:
    """Draw a figure for a page; the same figure gives the same bytes. Arguments as the attributes of ``Chart``."""
    figure.set_size_inches(_WIDTH, figure.get_figheight() * _WIDTH / figure.get_figwidth())
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_visible(False)
    drawn = io.StringIO()
    nobody = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({**STYLE, "svg.fonttype": "none", "svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(drawn, metadata=nobody)  # savefig would draw it twice
    svg = re.sub(r"\s+", " ", drawn.getvalue())
    (box,) = re.findall(r'viewBox="([^"]*)"', svg)
    svg = svg.partition("</style> </defs>")[2].removesuffix("</svg> ")  # the page has its own style
    svg = re.sub(r'<g id="said: ([^"]*)">', r"<g><title>\1</title>", svg).replace("xlink:href", "href")
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(f": {colour}", f": var(--{variable})")
    # Names that nothing refers to would be there twice, in another chart too.
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if f"#{found[1]}" in svg else "", svg)
    return Chart(name, heading, described, box, Markup(svg.strip()))


def shades() -> dict[str, list[tuple[str, str]]]:
    """Return ground and ink of the cells of a confusion matrix, for light and dark pages: from no image of a class to
    all of it, in 21 steps."""
    return {scheme: _grades(ends, _SHADES) for scheme, ends in _ENDS.items()}


def difference_shades(steps: int) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Return ground and ink of cells with a difference, for light and dark pages: ``more`` and ``less``, from none to
    the largest in so many steps."""
    return {scheme: {"more": _grades(_MORE[scheme], steps), "less": _grades(_LESS[scheme], steps)} for scheme in _ENDS}


def _grades(ends: tuple[str, str], steps: int) -> list[tuple[str, str]]:
    found = LinearSegmentedColormap.from_list("", ends)(np.linspace(0, 1, steps + 1))
    return [(to_hex(each), readable_on(each)) for each in found]
