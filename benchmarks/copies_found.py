"""How many copies of each kind the search finds, and what it joins among unlike faces, by what all images share.

usage: python benchmarks/copies_found.py [--source IMAGES.npy], uint8 [N, H, W] or [N, H, W, C]; drawn faces otherwise
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from fer_tl.data.building.duplicates import Duplicates, find_duplicates
from fer_tl.data.building.sketches import sketch

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.drawn_faces import PLAIN, SETTINGS, faces_in, laboratory

PLANTED = 100
"""Copies of each kind."""
UNLIKE = 420
SEEDS = (0, 1000)
CROWDED = ("green ground", "light from above", "cut to squares")
"""Sets whose sketches are so alike that copies in them are looked at on their own."""


def main() -> None:
    """Print a table of the planted copies that are found, and one of unlike faces that are joined."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path)
    source = parser.parse_args().source
    if source:
        images = list(np.load(source)[:3000])
        images = [image if image.ndim == 3 else image[..., None] for image in images]
    else:
        images = faces_in("different grounds", 1000)
    sets = [images] if source else [images, *(faces_in(setting, UNLIKE) for setting in CROWDED)]
    print("| copies, of 100 | found |" + "".join(f" {setting} |" for setting in CROWDED[: len(sets) - 1]))
    print("| --- |" + " ---: |" * len(sets))
    for kind, make in KINDS.items():
        print(f"| {kind} |" + "".join(f" {count_found(images, make)} |" for images in sets))
    print("\n| unlike faces | images | joined |\n| --- | ---: | ---: |")
    for setting in (*SETTINGS, PLAIN):
        joined = sum(count_joined(search(faces_in(setting, UNLIKE, first))) for first in SEEDS)
        print(f"| {setting} | {UNLIKE * len(SEEDS)} | {joined} |")
    images, names = laboratory(30, 4)
    clusters = search(images).clusters
    mixed = sum(
        len({names[other] for other in np.flatnonzero(clusters == clusters[row])}) > 1 for row in range(len(images))
    )
    print(f"| laboratory, to another expression or person | {len(images)} | {mixed} |")


def search(images: list[np.ndarray]) -> Duplicates:
    """What is found among images, uint8 [H, W, C] each."""
    return find_duplicates(
        [hashlib.sha256(image.tobytes()).hexdigest() for image in images],
        np.stack([sketch(image) for image in images]),
        images.__getitem__,
    )


def count_found(images: list[np.ndarray], make: Callable[[np.ndarray], np.ndarray]) -> int:
    """How many of the copies of evenly chosen images with contrast are in the cluster of theirs."""
    clear = [row for row, image in enumerate(images) if image.std() > 10]
    rows = [clear[place] for place in np.linspace(0, len(clear) - 1, PLANTED).astype(int)]
    clusters = search([*images, *(make(images[row]) for row in rows)]).clusters
    return int((clusters[rows] == clusters[len(images) :]).sum())


def count_joined(found: Duplicates) -> int:
    """Images that are in a cluster with others."""
    return int((np.bincount(found.clusters)[found.clusters] > 1).sum())


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)


def _cut(image: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The image without shares of its sides, at its own size."""
    height, width = image.shape[:2]
    box = (left * width, top * height, width - right * width, height - bottom * height)
    picture = Image.fromarray(image.squeeze()).resize((width, height), Image.Resampling.BICUBIC, box)
    return np.asarray(picture).reshape(image.shape)


def _small_and_back(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    small = Image.fromarray(image.squeeze()).resize((width * 5 // 8, height * 5 // 8), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).reshape(image.shape)


def _marked(image: np.ndarray) -> np.ndarray:
    image, side = image.copy(), len(image)
    for top in (0.47, 0.56):
        stripe = np.s_[int(top * side) : int((top + 0.05) * side), int(0.16 * side) : int(0.8 * side)]
        image[stripe] = image[stripe] // 2 + 127
    return image


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rescaled": _small_and_back,
    "JPEG, quality 40": lambda image: _jpeg(image, 40),
    "JPEG, quality 15": lambda image: _jpeg(image, 15),
    "darker": lambda image: (image * 0.5).astype(np.uint8),
    "paler": lambda image: (image * 0.3 + 170).astype(np.uint8),
    "gamma 2": lambda image: (255 * (image / 255) ** 2).astype(np.uint8),
    "marked": _marked,
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "moved by 4 %": lambda image: _cut(image, 0.047, 0.03, 0, 0.016),
    "cropped by 3 % a side": lambda image: _cut(image, 0.03, 0.03, 0.03, 0.03),
    "mirrored, cropped, JPEG 40": lambda image: _jpeg(_cut(image[:, ::-1], 0.03, 0.016, 0.016, 0.016), 40),
}

if __name__ == "__main__":
    main()
