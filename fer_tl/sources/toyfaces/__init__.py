"""Faces drawn by code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_tl.sources.format import Format

if TYPE_CHECKING:
    from fer_tl.sources.records import Source


def _open(_: None) -> Source:
    from fer_tl.sources.toyfaces.source import ToySource

    return ToySource()


FORMAT = Format("toyfaces", "drawn faces made by code (no photographs)", _open, drawn=True)
