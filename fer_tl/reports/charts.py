"""Charts of a page: inline SVG that follows light and dark, with text that stays text and no script.

Each panel is drawn 360 wide, so that it fits a phone at its own size; wider screens show panels side by side. Lines are
told apart by colour, dashes and markers. What a chart says is said in words too, for those who cannot see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from fer_tl.core.safe_text import for_html as escape
from fer_tl.evaluation.calibration import BINS, Reliability

# Colours of M. Okabe and K. Ito, Color Universal Design (2008), told apart by every kind of colour vision: blue,
# vermilion and bluish green on white, sky blue, orange and the same green on black. Each has a contrast of at least 3
# to the ground (WCAG 2, 1.4.11).
STYLE = """
:root { --line-1: #0072b2; --line-2: #d55e00; --line-3: #008a65; --bar: #8a949e; }
@media (prefers-color-scheme: dark) { :root { --line-1: #56b4e9; --line-2: #e69f00; --line-3: #00b884;
  --bar: #7d8893; } }
.charts { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; }
.charts svg { display: block; flex: 1 1 20rem; width: 100%; min-width: 0; max-width: 30rem; height: auto; }
.charts text { font: 13px system-ui, sans-serif; fill: var(--ink); }
.charts .grid { stroke: var(--rule); stroke-width: 1; fill: none; }
.charts .axis { stroke: var(--quiet); stroke-width: 1; fill: none; }
.charts .bar { fill: var(--bar); }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
.line.thin { stroke-width: 1; opacity: .7; }
.line-1 { stroke: var(--line-1); } .line-2 { stroke: var(--line-2); stroke-dasharray: 7 4; }
.line-3 { stroke: var(--line-3); stroke-dasharray: 2 4; }
.even { stroke: var(--quiet); stroke-width: 1.5; stroke-dasharray: 2 3; fill: none; }
.mark { fill: var(--ground); stroke-width: 2; stroke-dasharray: none; }
.ring { stroke: var(--quiet); }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; margin: .3rem 0; padding: 0; list-style: none;
  font-size: .85rem; }
.legend svg { width: 2.4rem; height: .9rem; margin-right: .4rem; vertical-align: -.1rem; }
"""

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 360, 47, 22, 26, 40
_HEIGHT = 250


@dataclass(frozen=True)
class Curve:
    """A line of a chart.

    Attributes:
        kind: 1 to 3: its colour, dashes and marker.
        points: x and y of each.
        name: said when somebody points at it.
        is_thin: whether it stands behind another, which sums several up.
        kept: the point of it that was kept, if there was a choice.
    """

    kind: int
    points: tuple[tuple[float, float], ...]
    name: str
    is_thin: bool = False
    kept: tuple[float, float] | None = None


@dataclass(frozen=True)
class _Frame:
    """Where numbers are in a panel: x from ``left`` to ``right``, y from ``top`` down to ``bottom``."""

    xs: tuple[float, float]
    ys: tuple[float, float]
    top: float
    bottom: float

    def x(self, value: float) -> float:
        low, high = self.xs
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _RIGHT - _LEFT)

    def y(self, value: float) -> float:
        low, high = self.ys
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def grid(self, ticks: Sequence[float], spell: Callable[[float], str]) -> str:
        """Horizontal lines with their numbers."""
        left, right = _spelled(_LEFT), _spelled(_WIDTH - _RIGHT)
        return "".join(
            f'<path class="grid" d="M{left} {_spelled(self.y(tick))}H{right}"/>'
            f'<text x="{_LEFT - 6}" y="{_spelled(self.y(tick) + 4)}" text-anchor="end">{escape(spell(tick))}</text>\n'
            for tick in ticks
        )

    def scale(self, ticks: Sequence[float], spell: Callable[[float], str], name: str) -> str:
        """The numbers below, and what they count."""
        base = _spelled(self.bottom)
        line = f'<path class="axis" d="M{_LEFT} {base}H{_WIDTH - _RIGHT}"/>'
        numbers = "".join(
            f'<text x="{_spelled(self.x(tick))}" y="{_spelled(self.bottom + 16)}" text-anchor="middle">'
            f"{escape(spell(tick))}</text>\n"
            for tick in ticks
        )
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        below = _spelled(self.bottom + 34)
        return f'{line}{numbers}<text x="{middle:g}" y="{below}" text-anchor="middle">{escape(name)}</text>\n'

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        """The line through points, for ``d``."""
        return "M" + "L".join(f"{_spelled(self.x(x))} {_spelled(self.y(y))}" for x, y in points)


def curves_chart(name: str, heading: str, described: str, curves: Sequence[Curve], in_per_cent: bool) -> str:
    """A panel of lines over epochs.

    Args:
        name: unique on the page, letters, digits and ``-``.
        heading: what is drawn, such as ``loss``.
        described: what is to be seen, in words.
        curves: one or more; thick ones are drawn last.
        in_per_cent: whether the numbers are shares, 0..1.
    """
    spell = _per_cent if in_per_cent else "{:g}".format
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    # A narrower range would need numbers that are too long to stand beside the axis.
    least = max(0.01 if in_per_cent else 0.005 * max(ys), max(ys) - min(ys))
    ticks = _ticks(min(ys), min(ys) + least, nbins=6)
    frame = _Frame((min(xs) - 0.5, max(xs) + 0.5), (ticks[0], ticks[-1]), _TOP, _HEIGHT - _BOTTOM)
    epochs = _ticks(min(xs), max(xs), nbins=7, integer=True, min_n_ticks=1)
    shown = [x for x in epochs if min(xs) <= x <= max(xs) and x == int(x)] or [xs[0]]
    parts = [frame.grid(ticks, spell), frame.scale(shown, "{:.0f}".format, "epoch")]
    for curve in sorted(curves, key=lambda curve: not curve.is_thin):
        kinds = f"line line-{curve.kind}{' thin' if curve.is_thin else ''}"
        line = f'<path class="{kinds}" d="{frame.path(curve.points)}"/>'
        # A line through few points is hard to see or invisible.
        points = curve.points if len(curve.points) <= 3 else ()
        marks = "".join(_marker(curve.kind, frame.x(x), frame.y(y), 3) for x, y in points)
        parts.append(f"<g><title>{escape(curve.name)}</title>{line}{marks}</g>\n")
    parts += [
        f"<g><title>{escape(curve.name)}: epoch {curve.kept[0]:.0f} was kept</title>"
        f'<circle class="mark line-{curve.kind}" cx="{_spelled(frame.x(curve.kept[0]))}" '
        f'cy="{_spelled(frame.y(curve.kept[1]))}" r="5"/></g>\n'
        for curve in curves
        if curve.kept
    ]
    return _panel(name, heading, described, "".join(parts), _HEIGHT)


def reliability_chart(name: str, described: str, before: Reliability, after: Reliability | None) -> str:
    """A reliability diagram: accuracy by confidence, with the images of each bin below.

    Args:
        name: unique on the page, letters, digits and ``-``.
        described: what is to be seen, in words.
        before: of the probabilities as they are.
        after: of the same, scaled.
    """
    shares = [0, 0.2, 0.4, 0.6, 0.8, 1]
    frame = _Frame((0, 1), (0, 1), _TOP, 270)
    parts = [frame.grid(shares, _per_cent), f'<path class="even" d="{frame.path([(0, 0), (1, 1)])}"/>\n']
    for kind, drawn, what in ((1, before, "as trained"), (2, after, "scaled")):
        if drawn is None:
            continue
        filled = np.flatnonzero(drawn.count)
        points = [(float(drawn.confidence[b]), float(drawn.accuracy[b])) for b in filled]
        parts.append(f'<path class="line line-{kind}" d="{frame.path(points)}"/>\n')
        for b, (x, y) in zip(filled, points, strict=True):
            said = f"{what}: {drawn.count[b]:,} images, mean confidence {100 * x:.1f} %, {100 * y:.1f} % right"
            parts.append(f"<g><title>{said}</title>{_marker(kind, frame.x(x), frame.y(y), 4)}</g>\n")
    parts.append(_counts(before))
    return _panel(name, "images that are right", described, "".join(parts), 416)


def _counts(before: Reliability) -> str:
    """How many images are in each bin, below a reliability diagram."""
    ticks = _ticks(0, int(before.count.max()), nbins=3, integer=True)
    frame = _Frame((0, 1), (0, ticks[-1]), 306, 376)
    bars = "".join(
        f"<g><title>{count:,} images with a confidence of {100 * b / BINS:.0f} to {100 * (b + 1) / BINS:.0f} %</title>"
        f'<path class="bar" d="M{_spelled(frame.x(b / BINS) + 1)} {_spelled(frame.bottom)}V{_spelled(frame.y(count))}'
        f'H{_spelled(frame.x((b + 1) / BINS) - 1)}V{_spelled(frame.bottom)}z"/></g>\n'
        for b, count in enumerate(before.count.tolist())
    )
    heading = f'<text x="{_LEFT}" y="296">images, as trained</text>'
    scale = frame.scale([0, 0.2, 0.4, 0.6, 0.8, 1], _per_cent, "confidence: probability of the predicted class")
    return heading + frame.grid(ticks, _short) + bars + scale


def charts(panels: Sequence[str], legend: Mapping[str, str], caption: str) -> str:
    """Panels side by side where there is room, with one legend.

    Args:
        panels: from the functions above.
        legend: what is drawn how: ``line-1`` to ``line-3``, ``thin-1`` for a thin one, ``dots-1`` for one with markers,
            ``even`` for the diagonal, ``kept`` for the epoch that was kept.
        caption: below them.
    """
    keys = "".join(f"<li>{_key(kind)}{escape(text)}</li>\n" for kind, text in legend.items())
    return (
        f'<figure><ul class="legend">\n{keys}</ul>\n<div class="charts">\n{"".join(panels)}</div>\n'
        f"<figcaption>{escape(caption)}</figcaption></figure>\n"
    )


def _key(kind: str) -> str:
    """A bit of line, for the legend."""
    shape, _, number = kind.partition("-")
    if shape == "kept":
        drawn = '<circle class="mark ring" cx="19" cy="7" r="5"/>'
    elif shape == "even":
        drawn = '<path class="even" d="M1 7H37"/>'
    else:
        thin = " thin" if shape == "thin" else ""
        drawn = f'<path class="line line-{number}{thin}" d="M1 7H37"/>'
        drawn += _marker(int(number), 19, 7, 4) if shape == "dots" else ""
    return f'<svg viewBox="0 0 38 14" aria-hidden="true" focusable="false">{drawn}</svg>'


def _panel(name: str, heading: str, described: str, html: str, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{name}-title {name}-desc">\n'
        f'<title id="{name}-title">{escape(heading)}</title>\n<desc id="{name}-desc">{escape(described)}</desc>\n'
        f'<text x="{_LEFT}" y="14">{escape(heading)}</text>\n{html}</svg>\n'
    )


def _marker(kind: int, x: float, y: float, size: float) -> str:
    """A circle, a square or a triangle, by the kind of the line."""
    of_kind = f'class="mark line-{kind}"'
    if kind == 1:
        return f'<circle {of_kind} cx="{_spelled(x)}" cy="{_spelled(y)}" r="{size:g}"/>'
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)] if kind == 2 else [(0, -1.2), (1.1, 0.9), (-1.1, 0.9)]
    path = "L".join(f"{_spelled(x + size * dx)} {_spelled(y + size * dy)}" for dx, dy in corners)
    return f'<path {of_kind} d="M{path}z"/>'


def _ticks(low: float, high: float, **options: Any) -> list[float]:
    """Round numbers from below ``low`` to above ``high``."""
    return [float(tick) for tick in MaxNLocator(steps=[1, 2, 5, 10], **options).tick_values(low, high)]


def _spelled(value: float) -> str:
    """A length to a tenth: nothing finer is seen."""
    return f"{value:.1f}".removesuffix(".0")


def _per_cent(share: float) -> str:
    return f"{round(100 * share, 3):g} %"


def _short(count: float) -> str:
    """5000 as 5k, so that it fits beside the axis."""
    return f"{count / 1000:g}k" if count >= 1000 else f"{count:g}"
