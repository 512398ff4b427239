"""How often digests tell copies again, and take other images for them.

usage: python benchmarks/digests.py NAME [--data-dir DATA] [--copies 2000]

NAME is a built dataset with a validation split, such as fer2013. Copies of its images are made and compared with the
originals; and the validation images, of which no copy is in the training split, with the training images.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from fer_tl.data.dataset import load_dataset
from fer_tl.data.digests import digest_images, find_known

Change = Callable[[Image.Image], Image.Image]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """As it comes back from a file."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def resized(image: Image.Image, side: int) -> Image.Image:
    """By cubic interpolation."""
    return image.resize((side, side), Image.Resampling.BICUBIC)


def cropped(image: Image.Image, pixels: int) -> Image.Image:
    """Without so many pixels on each side, at the size that it had."""
    width, height = image.size
    return image.crop((pixels, pixels, width - pixels, height - pixels)).resize(image.size, Image.Resampling.BICUBIC)


WAYS: dict[str, Change] = {
    "JPEG, quality 90": lambda image: jpeg(image, 90),
    "JPEG, quality 75": lambda image: jpeg(image, 75),
    "JPEG, quality 50": lambda image: jpeg(image, 50),
    "JPEG, quality 30": lambda image: jpeg(image, 30),
    "32 pixels": lambda image: resized(image, 32),
    "64 pixels": lambda image: resized(image, 64),
    "224 pixels, JPEG 90": lambda image: jpeg(resized(image, 224), 90),
    "to 100 pixels and back, JPEG 75 twice": lambda image: jpeg(resized(jpeg(resized(image, 100), 75), 48), 75),
    "in three channels, JPEG 75": lambda image: jpeg(image.convert("RGB"), 75),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "gamma 1.3": lambda image: image.point(lambda level: round(255 * (level / 255) ** 1.3)),
    "cut by 1 pixel on each side": lambda image: cropped(image, 1),
    "cut by 2 pixels on each side": lambda image: cropped(image, 2),
}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--copies", type=int, default=2000)
    given = parser.parse_args()
    dataset = load_dataset(given.name, given.data_dir, ("train", "validation"))
    images, begin = dataset.images[:], time.perf_counter()
    digests, digested = digest_images(images), time.perf_counter()
    validation = dataset.splits == "validation"
    known = find_known(digests[validation], digests[~validation])
    searched = time.perf_counter()
    print(f"{len(images):,} digests in {digested - begin:.1f} s; searched in {searched - digested:.1f} s")
    print(
        f"{known.sum():,} of {validation.sum():,} validation images look like one of {(~validation).sum():,} others\n"
    )
    rows = np.random.default_rng(0).choice(len(images), min(given.copies, len(images)), replace=False)
    print("| copies | found |\n|---|---:|")
    for way, change in WAYS.items():
        copies = [np.asarray(change(Image.fromarray(images[row].squeeze()))) for row in rows.tolist()]
        found = digest_images(np.stack([each if each.ndim == 3 else each[..., None] for each in copies]))
        print(f"| {way} | {100 * find_known(found, digests[rows]).mean():.1f} % |", flush=True)


if __name__ == "__main__":
    main()
