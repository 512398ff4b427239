"""A folder of images with everything that an inspection has to find, and names that would break a careless page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fer_tl.data.building.build import build

SIZE = 24
CLASSES = ("<i>odd & new", "glad", "low")  # not among the seven, so kept, and sorted
HOSTILE = '"><script>alert(1)<'
TRAIN_EACH, TEST_EACH, VALIDATION_EACH = 30, 4, 3
BLANK, NEARLY_BLANK = "low-flat", "low-faint"
EXACT = (HOSTILE, "glad-two")
CONFLICT = ("glad-both", "low-both")
NEAR = ("odd-here", "odd-mirrored")
DROPPED = "glad-leak"  # of the test image glad-exam-0


@dataclass(frozen=True)
class Planted:
    """A built dataset and what went into it.

    Attributes:
        data_dir: holds ``folder/planted``, and, where they were decoded, its arrays.
        pixels: uint8 ``[24, 24, 3]`` by split and id.
    """

    data_dir: Path
    pixels: dict[tuple[str, str], np.ndarray]

    @property
    def directory(self) -> Path:
        (manifest,) = self.data_dir.glob("folder/planted/*/manifest.json")
        return manifest.parent


def plant(root: Path) -> Planted:
    """Draw the images and build the dataset under ``root``."""
    rng = np.random.default_rng(0)
    pixels: dict[tuple[str, str], np.ndarray] = {}
    label: dict[str, str] = {}

    def put(split: str, name: str, identity: str, image: np.ndarray | None = None) -> np.ndarray:
        # Noise is like no other image, and one class is darker, so that brightness tells it.
        high = 130 if name == "low" else 256
        drawn = rng.integers(0, high, (SIZE, SIZE, 3), dtype=np.uint8) if image is None else image
        pixels[split, identity], label[identity] = drawn, name
        return drawn

    odd, glad, low = CLASSES
    for name, short in zip(CLASSES, ("odd", "glad", "low"), strict=True):
        for split, word, number in (
            ("train", "face", TRAIN_EACH),
            ("validation", "trial", VALIDATION_EACH),
            ("test", "exam", TEST_EACH),
        ):
            for index in range(number):
                put(split, name, f"{short}-{word}-{index}")
    put("train", glad, EXACT[1], put("train", glad, EXACT[0]))
    put("train", low, CONFLICT[1], put("train", glad, CONFLICT[0]))
    put("train", odd, NEAR[1], put("train", odd, NEAR[0])[:, ::-1])
    put("train", low, BLANK, np.full((SIZE, SIZE, 3), 77, np.uint8))
    put("train", low, NEARLY_BLANK, rng.integers(75, 80, (SIZE, SIZE, 3), dtype=np.uint8))
    put("train", glad, DROPPED, pixels["test", "glad-exam-0"])
    for (split, identity), image in pixels.items():
        folder = root / "source" / split / label[identity]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{identity}.png")
    build("folder/planted", root / "source", root / "data", shards=1, image_size=SIZE, say=lambda _: None)
    return Planted(root / "data", pixels)
