"""FER-2013 as a TFDS dataset."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from fer_tl.data.classes import CLASS_NAMES
from tfrecords_builder.base import RecordBuilder
from tfrecords_builder.fer2013.csv_reader import SIZE
from tfrecords_builder.fer2013.sources import open_source
from tfrecords_builder.records import Source


class Builder(RecordBuilder):
    """FER-2013: 48x48 grey faces with seven expressions, 28,709 + 3,589 + 3,589."""

    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put fer2013.csv, icml_face_data.csv, or an archive or image folder made from them, into the manual folder."
    )

    def layout(self) -> tuple[tuple[int, int, int], tuple[str, ...]]:
        return (SIZE, SIZE, 1), CLASS_NAMES

    def default_source(self, manual_dir: str) -> Source:
        return open_source(Path(manual_dir))
