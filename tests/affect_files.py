"""Small copies of AffectNet in both layouts, for the tests of its source."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from fer_files import png

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
NAMES = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
"""By number, from 0."""
SIDE = 16
PHOTOS = "Manually_Annotated_Images/"


class Said(NamedTuple):
    """A row of a list; the face is 16 pixels wide and high."""

    path: str
    expression: str
    x: int = 5
    y: int = 2
    valence: str = "0.25"
    arousal: str = "-0.5"

    @property
    def line(self) -> str:
        landmarks = ";".join(["12.5"] * 136)
        cells = self.path, self.x, self.y, SIDE, SIDE, landmarks, self.expression, self.valence, self.arousal
        return ",".join(map(str, cells))


def photo(path: str) -> np.ndarray:
    """Noise that belongs to a path: uint8 [30, 50, 3]."""
    return np.random.default_rng([*path.encode()]).integers(0, 256, (30, 50, 3), dtype=np.uint8)


def said(split: str, count: int, expressions: int = 11) -> list[Said]:
    """Rows of a list, the expressions in turn, each box in another place."""
    return [
        Said(f"{i % 3}/{split}{i:03d}.jpg", str(i % expressions), 1 + i % 30, i % 13, f"{i % 7 / 10}")
        for i in range(count)
    ]


def list_files(training: Iterable[Said], validation: Iterable[Said], images: bool = True) -> dict[str, bytes]:
    """Files by name: the lists, and their photos as PNG inside, so that the pixels are known."""
    files = {}
    for name, rows in (("training", [*training]), ("validation", [*validation])):
        files[f"lists/{name}.csv"] = "\n".join([HEADER, *(row.line for row in rows), ""]).encode()
        files |= {f"{PHOTOS}{row.path}": png(photo(row.path)) for row in rows if images}
    return files


def npy(value: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(value))
    return stream.getvalue()


def annotation_files(counts: dict[str, int], expressions: int = 8, as_text: bool = True) -> dict[str, bytes]:
    """Files by name, as the newer layout has them: {set: images}."""
    files = {}
    for folder, count in counts.items():
        for i in range(count):
            number, valence = i % expressions, i % 7 / 10
            files[f"{folder}/images/{i}.jpg"] = png(photo(f"{folder}/{i}")[:, :30])
            values = {"exp": number, "val": valence, "aro": -0.5}
            for ending, value in values.items():
                files[f"{folder}/annotations/{i}_{ending}.npy"] = npy(str(value) if as_text else value)
            files[f"{folder}/annotations/{i}_lnd.npy"] = npy(np.zeros(136))
    return files
