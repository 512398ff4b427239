"""CK+ as published: sequences of frames from a neutral face to the height of an expression, and the labels of some.

P. Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR Workshops 2010: 593 sequences of 123 persons, 327 with a
label. That the last three frames have it, and the first is neutral, is how most papers use it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath

from fer_tl.core.archives import Files
from fer_tl.core.classes import CONTEMPT, canonical_class
from fer_tl.core.errors import UserError
from fer_tl.sources.findings import Skipped
from fer_tl.sources.images import NO_IMAGES, find_images, image_paths
from fer_tl.sources.portraits import STRANGE, Portrait, Portraits, nothing_found

FRAMES = 3
EMOTIONS = ("neutral", "angry", CONTEMPT, "disgust", "fear", "happy", "sad", "surprise")
"""Of the numbers 0 to 7 in the files of emotions."""

_FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})", re.IGNORECASE | re.ASCII)
_LABEL = re.compile(rf"{_FRAME.pattern}_emotion\.txt", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"([0-7])(?:\.0*)?(?:e\+0+)?", re.IGNORECASE | re.ASCII)
_UNLABELLED = "frames of sequences without a label"
_OTHERS = "frames between neutral and the height of an expression"
_OUTSIDE = "frames that lie in no class folder"


def has_labels(files: Files) -> bool:
    """Whether there are files of emotions."""
    return any(_LABEL.fullmatch(PurePosixPath(name).name) for name in files.names)


def read_sequences(files: Files, frames: int = FRAMES, neutral: bool = False) -> Portraits:
    """Frames of labelled sequences.

    Args:
        files: the folder or archive that holds frames (``S005_001_00000011.png``) and files of emotions
            (``S005_001_00000011_emotion.txt``), in whatever folders.
        frames: how many at the end of a sequence have its label.
        neutral: whether the first one is neutral; it is left out of a sequence without another frame before the last.

    Raises:
        UserError: there are no frames.
    """
    names, passed = find_images(files)
    # A copy of a sequence in another folder is a sequence.
    sequences: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in names:
        path = PurePosixPath(name)
        match = _FRAME.fullmatch(path.stem)
        if match:
            sequences[str(path.parent), _sequence(match)].append(name)
        else:
            passed.setdefault(STRANGE, []).append(name)
    labels, beside, unusable = _read_labels(files, {sequence for _, sequence in sequences})
    found = Portraits([], passed, beside, unusable)
    passed[NO_IMAGES] = [name for name in passed.get(NO_IMAGES, []) if name not in set(beside)]
    if not sequences:
        raise nothing_found(files, found, "emotions but no frames called like S005_001_00000011.png beside them")
    passed[_UNLABELLED], passed[_OTHERS] = [], []
    for (_, sequence), members in sequences.items():
        if sequence not in labels:
            passed[_UNLABELLED] += members
            continue
        members.sort(key=lambda name: PurePosixPath(name).stem.lower())
        last, before = members[-frames:], members[:-frames]
        person = sequence.partition("_")[0]
        if neutral and before:
            found.images.append(Portrait(before.pop(0), "neutral", person))
        found.images.extend(Portrait(name, labels[sequence], person) for name in last)
        passed[_OTHERS] += before
    return found


def read_class_folders(files: Files) -> Portraits:
    """Frames in class folders, as in CK+48, whose names keep the person: ``anger/S010_004_00000017.png``.

    Raises:
        UserError: there are none.
    """
    names, passed = find_images(files)
    images, strange, outside = [], [], []
    for path in image_paths(names):
        match, expression = _FRAME.match(PurePosixPath(path.name).stem), canonical_class(path.folder)
        if match is None:
            strange.append(path.name)
        elif expression is None:
            outside.append(path.name)
        else:
            images.append(Portrait(path.name, expression, match[1].upper()))
    found = Portraits(images, {**passed, STRANGE: strange, _OUTSIDE: outside})
    if not images and outside:
        raise UserError(
            f"{files.label} holds frames of CK+ without their labels: give one folder or archive that holds both the "
            "frames (cohn-kanade-images) and Emotion, with S005_001_00000011_emotion.txt and the others"
        )
    if not images:
        raise nothing_found(
            files, found, "no image called like S005_001_00000011.png, with Emotion or in class folders"
        )
    return found


def _sequence(match: re.Match[str]) -> str:
    return f"{match[1].upper()}_{match[2]}"


def _read_labels(files: Files, sequences: set[str]) -> tuple[dict[str, str], list[str], list[Skipped]]:
    """The class of each labelled sequence, the files that say it, and those that are no use."""
    labels: dict[str, str] = {}
    names, unusable = [], []
    for name in files.names:
        match = _LABEL.fullmatch(PurePosixPath(name).name)
        if match is None:
            continue
        names.append(name)
        sequence, text = _sequence(match), files.read(name).decode("utf-8", "replace").strip()
        number = _NUMBER.fullmatch(text)
        if number is None:
            unusable.append(Skipped(name, sequence, f"it says {text[:20]!r}, not the number of an emotion, 0 to 7"))
        elif sequence not in sequences:
            unusable.append(Skipped(name, sequence, "there are no frames of this sequence"))
        elif labels.setdefault(sequence, EMOTIONS[int(number[1])]) != EMOTIONS[int(number[1])]:
            unusable.append(Skipped(name, sequence, f"another file says that the sequence is {labels[sequence]}"))
    return labels, names, unusable
