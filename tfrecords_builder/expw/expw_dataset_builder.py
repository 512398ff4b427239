"""ExpW as a TFDS dataset."""

from __future__ import annotations

from typing import ClassVar

from tfrecords_builder.base import RecordBuilder


class Builder(RecordBuilder):
    """ExpW: faces from web photos with seven expressions, 91,793 of them, at the size asked for."""

    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.1.0": "First release.",
        "1.2.0": "Boxes are widened to squares, black outside of the photo, not clipped and stretched.",
    }
