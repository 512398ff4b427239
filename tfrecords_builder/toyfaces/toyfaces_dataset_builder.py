"""Toyfaces as a TFDS dataset."""

from __future__ import annotations

from typing import ClassVar

from tfrecords_builder.base import RecordBuilder


class Builder(RecordBuilder):
    """48x48 grey drawings of faces with seven expressions, 2,800 + 700 + 700, made by code."""

    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First release.",
        "1.1.0": "The same faces.",
        "1.2.0": "The same faces.",
    }
