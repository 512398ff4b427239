"""FER-2013 as a TFDS dataset."""

from __future__ import annotations

from typing import ClassVar

from tfrecords_builder.base import RecordBuilder


class Builder(RecordBuilder):
    """FER-2013: 48x48 grey faces with seven expressions, 28,709 + 3,589 + 3,589."""

    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First release.",
        "1.1.0": "Duplicates share a group; training copies of validation and test images are left out.",
        "1.2.0": "Boxes are widened to squares, not stretched; without boxes the same images.",
    }
