"""Files named as JAFFE, KDEF, CK+ and RAVDESS name theirs, with drawn pictures in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from fer_files import png

CODES = ("AN", "DI", "AF", "HA", "SA", "SU", "NE")
"""KDEF's, in the order of ``CLASS_NAMES``; JAFFE's fear is FE."""


def picture(*seed: int) -> bytes:
    """A blocky texture as PNG, 24 x 24 grey: no two are alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    return png(coarse.repeat(4, axis=0).repeat(4, axis=1))


def jaffe_files(persons: Iterable[str] = ("KA", "KL", "KM")) -> dict[str, bytes]:
    """One picture of each person and expression."""
    found = {}
    for at, person in enumerate(persons):
        for label, code in enumerate(CODES):
            number = len(found) + 1
            found[f"jaffe/{person}.{code.replace('AF', 'FE')}1.{number}.tiff"] = picture(1, at, label)
    return found


def kdef_files(persons: int = 3, angles: Iterable[str] = ("FL", "HL", "S", "HR", "FR")) -> dict[str, bytes]:
    """Both sessions of so many women and men."""
    return {
        f"KDEF/{session}{sex}{person:02d}/{session}{sex}{person:02d}{code}{angle}.JPG": picture(2, *at, person, label)
        for at in np.ndindex(2, 2)
        for session, sex in [("AB"[at[0]], "FM"[at[1]])]
        for person in range(1, persons + 1)
        for label, code in enumerate(CODES)
        for angle in angles
    }


def ckplus_files(emotions: Mapping[str, int | None], frames: int = 6) -> dict[str, bytes]:
    """Sequences such as "S005_001" with their emotion, None for one without a label."""
    found = {}
    for at, (sequence, emotion) in enumerate(emotions.items()):
        person, number = sequence.split("_")
        for frame in range(1, frames + 1):
            found[f"cohn-kanade-images/{person}/{number}/{sequence}_{frame:08d}.png"] = picture(3, at, frame)
        if emotion is not None:
            label = f"Emotion/{person}/{number}/{sequence}_{frames:08d}_emotion.txt"
            found[label] = f"   {emotion:.7e}\n".encode()
    return found


def ravdess_files(actors: Iterable[int] = (1, 2, 24), frames: int = 4, modality: int = 1) -> dict[str, bytes]:
    """One spoken recording of each actor and emotion, as frames in a folder of its name."""
    return {
        f"Actor_{actor:02d}/0{modality}-01-0{emotion}-01-02-01-{actor:02d}/frame{frame}.png": picture(
            4, actor, emotion, frame
        )
        for actor in actors
        for emotion in range(1, 9)
        for frame in range(1, frames + 1)
    }
