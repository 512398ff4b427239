"""FER-2013: its CSV files, FER+'s votes, and its images in class folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.sources.format import LABELS, VOTES, Format, Option

if TYPE_CHECKING:
    from fer_tl.sources.records import Source


def _open(path: Path, **options: Any) -> Source:
    from fer_tl.sources.fer2013.open_source import open_source

    return open_source(path, **options)


FORMAT = Format(
    "fer2013",
    "FER-2013 as a CSV, image folders, or an archive of one",
    _open,
    (
        LABELS,
        Option("ferplus", Path, "FER+'s fer2013new.csv, whose votes replace the labels of a CSV"),
        VOTES,
    ),
    crops=True,
    most_lost=1 / 3,  # its disgust loses 25 % and its surprise 20 %, by eye to copies
)
