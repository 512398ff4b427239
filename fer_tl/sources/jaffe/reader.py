"""The names of JAFFE's files: person, expression with the number of its picture, number of the file.

M. Lyons, M. Kamachi and J. Gyoba, "The Japanese Female Facial Expression (JAFFE) Dataset", 1998: 213 images of ten
persons.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path, PurePosixPath

from fer_tl.core.classes import CLASS_NAMES, canonical_class
from fer_tl.sources.format import DEFAULT_IMAGE_SIZE
from fer_tl.sources.image_source import ImageSource
from fer_tl.sources.portraits import Portrait, open_portraits, read_names

_NAME = re.compile(r"([A-Z]{2})[._-]+(AN|DI|FE|HA|NE|SA|SU)(\d+)[._-]+(\d+)", re.IGNORECASE | re.ASCII)


def open_jaffe(
    path: Path, image_size: int = DEFAULT_IMAGE_SIZE, fit: str = "pad", channels: int | None = None
) -> ImageSource:
    """Open JAFFE, whatever folders its files lie in; all images are for training.

    For the arguments and errors see ``open_portraits``.
    """
    return open_portraits(
        path,
        partial(read_names, tell=tell, example="KA.AN1.39.tiff"),
        CLASS_NAMES,
        image_size=image_size,
        fit=fit,
        channels=channels,
        options={},
        split="train",
    )


def tell(name: str) -> Portrait | None:
    """What the name of a file tells, None if it is no name of JAFFE."""
    match = _NAME.fullmatch(PurePosixPath(name).stem)
    if match is None:
        return None
    person, expression = match[1].upper(), canonical_class(match[2])
    assert expression is not None  # every code above is known there
    return Portrait(name, expression, person)
