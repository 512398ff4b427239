"""Annotated pictures have names of their own, however long or alike those of the originals are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_tl.inference.predict.outputs import PictureFolder


def tones(folder: Path) -> list[int]:
    return sorted(int(np.asarray(Image.open(path)).mean().round()) for path in folder.rglob("*.jpg"))


@pytest.mark.parametrize(
    "names",
    [
        [f"{folder}/{'x' * 251}.png" for folder in "ab"],
        ["x" * 255, "x" * 254 + "y"],
        ["\u00e9" * 127, "\u00e9" * 126 + "e"],
        ["../a.png", "a.png", "./a.png"],
        ["", "..", "picture"],
    ],
)
def test_no_picture_is_lost_by_its_name(tmp_path: Path, names: list[str]) -> None:
    out = PictureFolder(tmp_path / "pictures")
    for index, name in enumerate(names):
        out.write(name, np.full((16, 16, 3), 40 * (index + 1), np.uint8), [])
    assert tones(tmp_path / "pictures") == [40 * (index + 1) for index in range(len(names))]
    assert not (tmp_path / "a.png.jpg").exists()
