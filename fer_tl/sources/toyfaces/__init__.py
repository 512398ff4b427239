"""Faces drawn by code."""

from fer_tl.sources.format import Format

FORMAT = Format(
    "toyfaces",
    "drawn faces made by code (no photographs)",
    "fer_tl.sources.toyfaces.source:ToySource",
    drawn=True,
    terms="The images of toyfaces are drawn by code, and show nobody.",
)
