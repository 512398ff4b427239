"""The names of RAVDESS's recordings: modality, channel, emotion, intensity, statement, repetition, actor.

S. Livingstone and F. Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)", PLoS ONE 2018.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from pathlib import Path, PurePosixPath

from fer_tl.core.archives import Files
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.sources.format import DEFAULT_IMAGE_SIZE
from fer_tl.sources.image_source import ImageSource
from fer_tl.sources.portraits import Portrait, Portraits, open_portraits, read_names

CALM = "calm"
EMOTIONS = ("neutral", CALM, "happy", "sad", "angry", "fear", "disgust", "surprise")
"""Of the numbers 01 to 08."""

_CODE = re.compile(r"(?<!\d)0([12])(-0[12]-0([1-8])-0[12]-0[12]-0[12]-(0[1-9]|1\d|2[0-4]))(?!\d)", re.ASCII)
_FILMS = (".mp4", ".avi", ".mov", ".mkv", ".flv", ".webm")
_MUTE = "frames of recordings without sound that are there with sound"
_BETWEEN = "frames that --frames leaves out"
_MERGE = (
    "calm is a class of its own, as in the set: to join it to neutral, train with --classes '[angry, disgust, fear, "
    "happy, sad, surprise, neutral=neutral+calm]'."
)


def open_ravdess(
    path: Path,
    image_size: int = DEFAULT_IMAGE_SIZE,
    fit: str = "pad",
    channels: int | None = None,
    frames: int | None = None,
) -> ImageSource:
    """Open frames of RAVDESS: ``Actor_12/01-01-06-01-02-01-12/frame0001.png``, ``01-01-06-01-02-01-12_1.jpg``.

    A recording was published twice, with sound and without (its name begins with 02): where both are there, the first
    is read.

    Args:
        path: the folder or archive.
        image_size: see ``open_portraits``.
        fit: likewise.
        channels: likewise.
        frames: how many of a recording to take, the middles of as many equal parts of it; None for all.

    Raises:
        UserError: see ``open_portraits``, or there are films only.
    """
    return open_portraits(
        path,
        partial(_find, frames=frames),
        (*CLASS_NAMES, CALM),
        image_size=image_size,
        fit=fit,
        channels=channels,
        options={} if frames is None else {"frames": str(frames)},
    )


def _find(files: Files, frames: int | None) -> Portraits:
    films = [name for name in files.names if name.lower().endswith(_FILMS) and _code(name)]
    if films and not any(tell(name) for name in files.names if name not in films):
        raise UserError(
            f"{files.where(films[0])} is a film: extract frames into a folder of its name, as with "
            f"`mkdir {PurePosixPath(films[0]).stem} && ffmpeg -i {PurePosixPath(films[0]).name} -vf fps=2 "
            f"{PurePosixPath(films[0]).stem}/%04d.png`"
        )
    found = read_names(files, tell, "Actor_12/01-01-06-01-02-01-12/0001.png")
    recordings: dict[tuple[str, bool], list[Portrait]] = defaultdict(list)
    for portrait in found.images:
        match = _code(portrait.name)
        assert match is not None  # or it would be no portrait
        recordings[match[2], match[1] == "2"].append(portrait)
    images: list[Portrait] = []
    mute, between = [], []
    for (recording, silent), of in recordings.items():
        if silent and (recording, False) in recordings:
            mute += [portrait.name for portrait in of]
            continue
        taken = of if frames is None else spread(sorted(of, key=lambda portrait: _counted(portrait.name)), frames)
        images += taken
        between += sorted({portrait.name for portrait in of} - {portrait.name for portrait in taken})
    notes = [*found.notes, _MERGE] if {CALM, "neutral"} <= {portrait.shows for portrait in images} else found.notes
    return Portraits(images, {**found.passed_over, _MUTE: mute, _BETWEEN: between}, notes=notes)


def tell(name: str) -> Portrait | None:
    """What the path of a frame tells, None if nothing in it is the name of a recording with pictures."""
    match = _code(name)
    return Portrait(name, EMOTIONS[int(match[3]) - 1], f"Actor_{match[4]}") if match else None


def spread(images: list[Portrait], number: int) -> list[Portrait]:
    """The middles of ``number`` equal parts of a list, or all of it if it is no longer."""
    if len(images) <= number:
        return images
    return [images[(2 * part + 1) * len(images) // (2 * number)] for part in range(number)]


def _code(name: str) -> re.Match[str] | None:
    """The name of a recording in a path, the nearest to its end."""
    path = PurePosixPath(name)
    return next(filter(None, map(_CODE.search, (path.stem, *reversed(path.parts[:-1])))), None)


def _counted(name: str) -> tuple[list[str], list[int]]:
    """Orders frame10 behind frame9."""
    return re.split(r"\d+", name), [int(digits) for digits in re.findall(r"\d+", name)]
