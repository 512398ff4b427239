"""The names of RAVDESS's recordings: modality, channel, emotion, intensity, statement, repetition, actor.

S. Livingstone and F. Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)", PLoS ONE 2018.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from fer_tl.sources.portraits import Portrait

CALM = "calm"
EMOTIONS = ("neutral", CALM, "happy", "sad", "angry", "fear", "disgust", "surprise")
"""Of the numbers 01 to 08."""

FILMS = (".mp4", ".avi", ".mov", ".mkv", ".flv", ".webm")
"""How the names of films end, in small letters."""

_CODE = re.compile(r"(?<!\d)0([12])(-0[12]-0([1-8])-0[12]-0[12]-0[12]-(0[1-9]|1\d|2[0-4]))(?!\d)", re.ASCII)


def tell(name: str) -> Portrait | None:
    """What the path of a frame or film tells, None if nothing in it is the name of a recording with pictures."""
    match = _code(name)
    return Portrait(name, EMOTIONS[int(match[3]) - 1], f"Actor_{match[4]}") if match else None


def recordings(images: Sequence[Portrait]) -> tuple[list[list[Portrait]], list[str]]:
    """Images or films by the recording that they are of, and the names of those that are passed over: a recording was
    published twice, with sound and without (its name begins with 02), and counts once where both are there."""
    found: dict[tuple[str, bool], list[Portrait]] = defaultdict(list)
    for portrait in images:
        match = _code(portrait.name)
        assert match is not None  # or it would be no portrait
        found[match[2], match[1] == "2"].append(portrait)
    kept = [of for (recording, mute), of in found.items() if not mute or (recording, False) not in found]
    known = {portrait.name for of in kept for portrait in of}
    return kept, [portrait.name for portrait in images if portrait.name not in known]


def _code(name: str) -> re.Match[str] | None:
    """The name of a recording in a path, the nearest to its end."""
    path = PurePosixPath(name)
    return next(filter(None, map(_CODE.search, (path.stem, *reversed(path.parts[:-1])))), None)
