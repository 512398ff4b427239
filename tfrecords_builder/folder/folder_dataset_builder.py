"""Anyone's own class folders as a TFDS dataset, one configuration for each."""

from __future__ import annotations

from typing import ClassVar

from tfrecords_builder.base import RecordBuilder


class Builder(RecordBuilder):
    """Images in class folders, brought to one size; grey if all of them are grey."""

    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First release.",
        "1.1.0": "Duplicates share a group; images that are not square are padded, not stretched.",
        "1.2.0": "Boxes are widened to squares; transparency lies on mid grey; 16 bits are not guessed.",
    }
