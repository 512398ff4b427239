"""How long the search for duplicates takes and how much memory it needs, by the number of images.

usage: python benchmarks/near_duplicates.py [10000 100000 1000000] [--alike 0]
       python benchmarks/near_duplicates.py --source IMAGES.npy, uint8 [N, H, W] or [N, H, W, C]
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from fer_tl.data.building.duplicates import Duplicates, find_duplicates
from fer_tl.data.building.sketches import SKETCH, sketch

FREQUENCIES = 16
ALIKE = 0.58
"""Share of their variance that drawn sketches have in common: as many pairs are looked at closely as of FER-2013."""
EVERY = 10
"""One in so many drawn sketches is a mirrored, noisy copy of the one before."""
CHUNK = 10_000


def main() -> None:
    """Print one line for each number of drawn sketches, or the search for duplicates among the images of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--alike", type=float, default=ALIKE, help="0: no pair is looked at closely but the copies")
    parser.add_argument("--source", type=Path)
    arguments = parser.parse_args()
    if arguments.source:
        search_images(arguments.source)
        return
    print("| images | seconds | MB | bytes an image | copies found | others joined |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            sketches = draw_sketches(count, arguments.alike, Path(folder) / "sketches.npy")
            names = [hashlib.sha256(str(row).encode()).digest() for row in range(count)]
            found, seconds, memory = measure(names, sketches)
            del sketches  # a mapped file cannot be deleted on every system
        copies = np.arange(EVERY - 1, count, EVERY)
        expected = np.arange(count)
        expected[copies] -= 1
        share = (found.clusters[copies] == expected[copies]).mean()
        others = (found.clusters != expected).sum() - (found.clusters[copies] != expected[copies]).sum()
        print(f"| {count:,} | {seconds:.1f} | {memory / 1e6:,.0f} | {memory / count:,.0f} | {share:.1%} | {others:,} |")


def draw_sketches(count: int, alike: float, path: Path) -> np.ndarray:
    """Sketches of nothing, with the frequencies and likeness of faces', in a file: uint8 ``[count, 32, 32]``."""
    rng = np.random.default_rng(0)
    position = 2 * np.arange(SKETCH) + 1
    waves = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * position / (2 * SKETCH))  # [16, 32]
    common = rng.normal(size=(FREQUENCIES, FREQUENCIES))
    sketches = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, SKETCH, SKETCH))
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        spectrum = np.sqrt(alike) * common + np.sqrt(1 - alike) * rng.normal(size=(size, FREQUENCIES, FREQUENCIES))
        spectrum[:, 0, 0] = 0
        drawn = waves.T @ spectrum @ waves  # [B, 32, 32]
        drawn *= 25 / drawn.std(axis=(1, 2), keepdims=True)
        copies = drawn[EVERY - 2 :: EVERY, :, ::-1][: len(drawn[EVERY - 1 :: EVERY])]
        drawn[EVERY - 1 :: EVERY] = copies + rng.normal(scale=5, size=copies.shape)
        sketches[start : start + size] = np.clip(np.rint(drawn + 128), 1, 255)
    return sketches


def measure(pixels: list[bytes], sketches: np.ndarray) -> tuple[Duplicates, float, int]:
    """What is found, seconds, and bytes at the peak over those at the start; pages of a mapped file do not count."""
    tracemalloc.start()
    start = time.perf_counter()
    found = find_duplicates(pixels, sketches)
    seconds = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return found, seconds, peak


def search_images(path: Path) -> None:
    """Print how long the images of a file take, and what is found."""
    images = np.load(path)
    images = images if images.ndim == 4 else images[..., None]
    start = time.perf_counter()
    sketches = np.stack([sketch(image) for image in images])
    pixels = [hashlib.sha256(image.tobytes()).digest() for image in images]
    read = time.perf_counter() - start
    found, seconds, memory = measure(pixels, sketches)
    sizes = np.bincount(found.clusters, minlength=len(images))
    print(f"{len(images):,} images: {read:.1f} s for hashes and sketches, {seconds:.1f} s and {memory / 1e6:,.0f} MB")
    print(f"for the search; {found.exact.sum():,} exact copies, {(sizes[found.clusters] > 1).sum():,} images in")
    print(f"{(sizes > 1).sum():,} clusters, the largest of {sizes.max():,}")


if __name__ == "__main__":
    main()
