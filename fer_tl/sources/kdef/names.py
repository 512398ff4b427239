"""The names of KDEF's files: session, sex and number of the person, expression, angle.

D. Lundqvist, A. Flykt and A. Öhman, "The Karolinska Directed Emotional Faces", 1998: 70 persons, photographed twice
each (sessions A and B) with seven expressions from five angles, 4,900 images.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from fer_tl.core.classes import canonical_class
from fer_tl.sources.portraits import Portrait

ANGLES = {"all": ("FL", "HL", "S", "HR", "FR"), "half": ("HL", "S", "HR"), "frontal": ("S",)}
"""Choices of ``--angles``: full and half left, straight, half and full right."""

OTHER_ANGLES = "images from other angles"

_NAME = re.compile(r"[AB]([FM]\d\d)(AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)", re.IGNORECASE | re.ASCII)


def tell(name: str, angles: str) -> Portrait | str | None:
    """What the name of a file tells: a portrait; why it is passed over; or None if it is no name of KDEF.

    Args:
        name: the path of the file.
        angles: a key of ``ANGLES``.
    """
    match = _NAME.fullmatch(PurePosixPath(name).stem)
    if match is None:
        return None
    if match[3].upper() not in ANGLES[angles]:
        return OTHER_ANGLES
    expression = canonical_class(match[2])
    assert expression is not None  # every code above is known there
    return Portrait(name, expression, match[1].upper())
