"""Faces drawn by code."""

from fer_tl.sources.format import Format, Option

FORMAT = Format(
    "toyfaces",
    "drawn faces made by code (no photographs)",
    "fer_tl.sources.toyfaces.source:ToySource",
    (Option("count", int, "faces to draw, to try things at another scale (default: 4,200)", limits=(42, 10**9)),),
    drawn=True,
    terms="The images of toyfaces are drawn by code, and show nobody.",
)
