"""What the tones of images tell while a dataset is built."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.tones import Tones

RANDOM = np.random.default_rng(0)


def noise(low: int, high: int, channels: int = 1) -> np.ndarray:
    return RANDOM.integers(low, high, (48, 48, channels), dtype=np.uint8)


def told(*images: np.ndarray, choosable: bool = True) -> list[str]:
    tones = Tones()
    for image in images:
        tones.add(image)
    return tones.warnings(choosable)


def test_images_in_which_nothing_can_be_seen_are_counted_by_kind():
    images = [noise(0, 16), noise(0, 9, 3), noise(240, 255), noise(120, 130), noise(0, 256), noise(0, 60)]
    assert told(*images) == [
        "Of 6 images, 2 are nearly black, 1 is nearly one tone, 1 is nearly white: next to nothing can be seen in them."
    ]


def test_flat_images_are_told_elsewhere_and_good_ones_not_at_all():
    flat = [np.full((48, 48, 1), level, np.uint8) for level in (0, 77, 200, 255)]
    half = np.zeros((48, 48, 1), np.uint8)
    half[:, 24:] = 40
    small = np.full((48, 48, 1), 100, np.uint8)
    small[17:30, 18:30] = 200  # between the pixels that are looked at first as well as on them
    assert told(*flat, noise(0, 256), half, small) == []


def grey(image: np.ndarray) -> np.ndarray:
    return np.repeat(image, 3, axis=2)


def test_grey_that_is_stored_as_colour_is_said_where_most_images_are():
    (line,) = told(grey(noise(0, 256)), grey(noise(0, 256)), noise(0, 256, 3))
    assert line.startswith("2 of 3 images are grey, stored as colour.") and "--channels 1" in line
    (line,) = told(grey(noise(0, 256)), choosable=False)
    assert "1 of 1 images is grey" in line and "seen none" in line and "--channels" not in line
    barely = grey(noise(0, 250))
    barely[..., 2] += 2  # as a JPEG file of it has
    assert len(told(barely)) == 1
    one_pixel = grey(noise(0, 256))
    one_pixel[5, 6] = (250, 3, 3)
    assert told(one_pixel) == [] and told(noise(0, 256)) == []
    assert told(grey(noise(0, 256)), noise(0, 256, 3), noise(0, 256, 3)) == []


def test_a_build_says_it_and_its_manifest_keeps_it(tmp_path: Path):
    for name in "ab":
        for i in range(4):
            path = tmp_path / "faces" / ("train", "test")[i % 2] / name / f"{name}{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(grey(noise(0, 12) if i == 3 else noise(0, 256))).save(path)
    lines: list[str] = []
    manifest = build("folder/x", tmp_path / "faces", tmp_path / "d", image_size=48, duplicates="keep", say=lines.append)
    assert any("2 are nearly black" in line for line in manifest.warnings)
    assert any("8 of 8 images are grey, stored as colour" in line for line in manifest.warnings)
    assert all(f"Warning: {line}" in lines for line in manifest.warnings)
    narrow = build("folder/y", tmp_path / "faces", tmp_path / "d", image_size=48, channels=1, duplicates="keep")
    assert narrow.image_shape == (48, 48, 1) and len(narrow.warnings) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 2}, "--channels 2: no such choice"),
        ({"bits": 7}, "--bits is 7, not 8 to 16"),
        ({"name": "toyfaces", "source": None, "bits": 12}, "--bits is for folder, not for toyfaces"),
        ({"name": "fer2013", "channels": 1}, r"--channels is for .*folder.*, not for fer2013"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: dict, message: str):
    with pytest.raises(UserError, match=message):
        build(**{"name": "folder/x", "source": tmp_path, **options})
