"""RAVDESS as a source of examples: its films, or frames of them that somebody extracted."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from fer_tl.core.archives import Files, open_files
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.sources.format import DEFAULT_IMAGE_SIZE
from fer_tl.sources.images import NO_IMAGES, find_images
from fer_tl.sources.origin import FileSource
from fer_tl.sources.portraits import STRANGE, Portrait, Portraits, open_portraits, read_names
from fer_tl.sources.ravdess.choosing import EVERY, Choice
from fer_tl.sources.ravdess.films import open_films
from fer_tl.sources.ravdess.names import CALM, FILMS, recordings, tell

_MUTE = "{} of recordings without sound that are there with sound"
_BETWEEN = "frames that --frames leaves out"
_SKIPPED = "frames that --every leaves out"
_MERGE = (
    "calm is a class of its own, as in the set: to join it to neutral, train with --classes '[angry, disgust, fear, "
    "happy, sad, surprise, neutral=neutral+calm]'."
)
_CLASSES = (*CLASS_NAMES, CALM)


def open_ravdess(
    path: Path,
    image_size: int = DEFAULT_IMAGE_SIZE,
    fit: str = "pad",
    channels: int | None = None,
    frames: int | None = None,
    every: int | None = None,
) -> FileSource:
    """Open films of RAVDESS, ``Actor_12/01-01-06-01-02-01-12.mp4``, or frames of them:
    ``Actor_12/01-01-06-01-02-01-12/frame0001.png``, ``01-01-06-01-02-01-12_1.jpg``.

    A recording was published twice, with sound and without (its name begins with 02): where both are there, the first
    is read. Where frames are there, films beside them are not read.

    Args:
        path: the folder or archive.
        image_size: see ``open_portraits``.
        fit: likewise.
        channels: likewise; of films None is 3.
        frames: how many of a recording to take, the middles of as many equal parts of it; None for those of ``every``.
        every: how many frames of a recording there is one of; None for all frames of image files, of films
            ``choosing.EVERY``.

    Raises:
        UserError: see ``open_portraits``, or both ``frames`` and ``every``.
    """
    if frames is not None and every is not None:
        raise UserError("--frames says how many of a recording to take and --every how far apart: use one of them")
    files = open_files(path)
    try:
        films = [film for name in files.names if name.lower().endswith(FILMS) and (film := tell(name))]
        images, passed = find_images(files)
        if films and not any(map(tell, images)):
            of_films, mute = recordings(films)
            found = Portraits(
                [film for films in of_films for film in films],
                {
                    **passed,
                    NO_IMAGES: [name for name in passed.get(NO_IMAGES, []) if not name.lower().endswith(FILMS)],
                    "films whose names do not tell expression and person": [
                        name for name in files.names if name.lower().endswith(FILMS) and not tell(name)
                    ],
                    STRANGE: images,
                    _MUTE.format("films"): mute,
                },
            )
            return open_films(
                path, files, _merged(found), _CLASSES, Choice(frames, every or EVERY),
                image_size=image_size, fit=fit, channels=channels,
            )  # fmt: skip
    except BaseException:
        files.close()
        raise
    files.close()
    choice = Choice(frames, every or 1)
    return open_portraits(
        path,
        partial(_find, choice=choice),
        _CLASSES,
        image_size=image_size,
        fit=fit,
        channels=channels,
        options={key: str(value) for key, value in (("frames", frames), ("every", every)) if value is not None},
    )


def _find(files: Files, choice: Choice) -> Portraits:
    """Frames that are image files."""
    found = read_names(files, tell, "Actor_12/01-01-06-01-02-01-12/0001.png")
    kept, mute = recordings(found.images)
    images: list[Portrait] = []
    between = []
    for of in kept:
        ordered = sorted(of, key=lambda portrait: _counted(portrait.name))
        taken = {ordered[place].name for place in choice.of(len(of))}
        images += [portrait for portrait in (of if len(taken) == len(of) else ordered) if portrait.name in taken]
        between += sorted({portrait.name for portrait in of} - taken)
    left = _SKIPPED if choice.frames is None else _BETWEEN
    passed = {**found.passed_over, _MUTE.format("frames"): mute, left: between}
    return _merged(Portraits(images, passed, notes=found.notes))


def _merged(found: Portraits) -> Portraits:
    """With a line on how calm becomes neutral, where both are there."""
    if {CALM, "neutral"} <= {portrait.shows for portrait in found.images}:
        found.notes.append(_MERGE)
    return found


def _counted(name: str) -> tuple[list[str], list[int]]:
    """Orders frame10 behind frame9."""
    return re.split(r"\d+", name), [int(digits) for digits in re.findall(r"\d+", name)]
