"""The seven expression classes, their order, and every name people write for them."""

from __future__ import annotations

import re

CLASS_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Official order: the numbers 0..6 of fer2013.csv."""

CONTEMPT = "contempt"
"""An eighth class of FER+ and AffectNet that FER-2013 does not have."""

# Spellings seen in FER-2013 copies, CD-FER, RAF-DB, FER+, KDEF, JAFFE and EmoDB style file names.
_ALIASES = {
    "angry": ("angry", "anger", "ang", "an"),
    "disgust": ("disgust", "disgusted", "disg", "dis", "di"),
    "fear": ("fear", "fearful", "feared", "scared", "afraid", "fea", "fe", "af"),
    "happy": ("happy", "happiness", "joy", "joyful", "hap", "ha"),
    "sad": ("sad", "sadness", "sa"),
    "surprise": ("surprise", "surprised", "suprise", "suprised", "sur", "su"),
    "neutral": ("neutral", "neutrality", "normal", "neu", "ne"),
    CONTEMPT: ("contempt", "contemptuous", "contemptous"),
}
_CANONICAL = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


def canonical_class(name: str) -> str | None:
    """Give the class that a name stands for.

    Case, a number in front and punctuation do not count: ``Anger``, ``1surprised``, ``0_ANGRY`` and ``sad.`` are all
    known.

    Args:
        name: a folder name or a label.

    Returns:
        One of ``CLASS_NAMES``, or ``CONTEMPT``, or None for anything else (a bare number too: its meaning is not
        known).
    """
    letters = re.sub(r"[\W_]+", "", name.lower()).lstrip("0123456789")
    return _CANONICAL.get(letters)
