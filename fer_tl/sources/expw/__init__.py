"""ExpW: photos and the list of their labelled faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.sources.format import BOX_MARGIN, IMAGE_SIZE, VOTES, Format, Option

if TYPE_CHECKING:
    from fer_tl.sources.records import Source


def _open(path: Path, **options: Any) -> Source:
    from fer_tl.sources.expw.source import open_expw

    return open_expw(path, **options)


FORMAT = Format(
    "expw",
    "ExpW as photos with label.lst, or its cleaned crops with label_expw.csv",
    _open,
    (IMAGE_SIZE, VOTES, BOX_MARGIN, Option("min_confidence", float, "leave out faces with a lower detector score")),
    splits=True,
)
