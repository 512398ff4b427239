"""Small copies of RAF-DB in the layouts that circulate, for the tests of its source."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from fer_files import png

CLASSES = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
"""By number, from 1."""

LIST = "EmoLabel/list_patition_label.txt"


def picture(name: str, side: int = 20) -> np.ndarray:
    """Noise that belongs to a name: uint8 [side, side, 3]."""
    return np.random.default_rng([*name.encode()]).integers(0, 256, (side, side, 3), dtype=np.uint8)


def lines(train: int = 14, test: int = 7, classes: int = 7) -> list[str]:
    """Lines of the list; the classes in turn."""
    of = (("train", train), ("test", test))
    return [f"{split}_{i + 1:05d}.jpg {i % classes + 1}" for split, count in of for i in range(count)]


def listed_files(
    rows: Iterable[str], kinds: Iterable[str] = ("aligned",), listed: str = LIST, folder: str = "Image/{kind}/"
) -> dict[str, bytes]:
    """Files by name: the list and an image of each kind for each line, PNG inside so that the pixels are known."""
    rows = list(rows)
    files = {listed: "".join(f"{row}\n" for row in rows).encode()}
    for kind in kinds:
        for row in rows:
            stem = row.split()[0].removesuffix(".jpg") + ("_aligned" if kind == "aligned" else "")
            files[f"{folder.format(kind=kind)}{stem}.jpg"] = png(picture(stem))
    return files


def folder_files(rows: Iterable[str], path: str = "DATASET/{split}/{number}/{stem}_aligned.jpg") -> dict[str, bytes]:
    """Files by name, in class folders."""
    files = {}
    for row in rows:
        name, number = row.split()
        stem, split = name.removesuffix(".jpg"), name.partition("_")[0]
        told = {"split": split, "number": number, "stem": stem, "name": CLASSES[(int(number) - 1) % 7]}
        files[path.format(**told)] = png(picture(f"{stem}_aligned"))
    return files
