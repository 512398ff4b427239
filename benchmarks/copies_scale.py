"""Time and memory of the search for copies by the number of images, and the share of planted copies that it finds.

usage: python benchmarks/copies_scale.py [100000 1000000] [--source IMAGES.npy], uint8 [N, H, W] or [N, H, W, C]

Sketches are drawn with the frequencies, in mean and covariance, of the images of a file, or of drawn faces. One in ten
is a copy of the one before, of the kinds of `KINDS` by turns. Found are those that are in one cluster with theirs, of
those that comparing all pairs would join. The script prints a table and goes on to the next number.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fer_tl.data.building.duplicates import Duplicates, find_duplicates
from fer_tl.data.building.likeness import ENOUGH, SAMPLE, Likeness, look_at, spectra
from fer_tl.data.building.pairs import CHUNK, LEAST, SIGNATURE, Compared, signatures
from fer_tl.data.building.sketches import COSINES, FREQUENCIES, SKETCH, WEIGHTS, sketch

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.drawn_faces import faces_in

EVERY = 10
BLOCK = 12_000
_NAME = 16


def main() -> None:
    """Print one line for each number of drawn sketches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=[100_000])
    parser.add_argument("--source", type=Path)
    parser.add_argument("--folder", type=Path, help="for sketches and the search's own files")
    arguments = parser.parse_args()
    images = np.load(arguments.source) if arguments.source else np.stack(faces_in("different grounds", 1000))
    images = images if images.ndim == 4 else images[..., None]
    likeness = _Likeness(np.stack([sketch(image) for image in images]))
    print("| images | seconds | CPU seconds | MB in memory | planted copies, of those of all pairs | others joined |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for count in arguments.counts:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            sketches = draw_sketches(count, likeness, Path(folder) / "sketches")
            names = np.random.default_rng(1).bytes(_NAME * count)  # as hashes are
            watch = _Memory()
            start, cpu = time.perf_counter(), time.process_time()
            with watch:
                found = find_duplicates(np.frombuffer(names, f"S{_NAME}"), sketches)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            shares, others = compare(found, sketches)
            del sketches
        share = sum(hit for hit, _ in shares.values()) / sum(number for _, number in shares.values())
        print(f"| {count:,} | {seconds:.1f} | {cpu:.1f} | {watch.peak / 1e6:,.0f} | {share:.2%} | {others:,} |")
        kinds = ", ".join(
            f"{kind} {hit:,} of {number:,} ({hit / number:.2%})" for kind, (hit, number) in shares.items()
        )
        print(f"\n{kinds}\n", flush=True)


class _Likeness:
    """Draws spectra with the mean and covariance of those of sketches, uint8 ``[N, 32, 32]``."""

    def __init__(self, sketches: np.ndarray) -> None:
        found = spectra(sketches[(sketches != 128).any(axis=(1, 2))])
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        self._mean = found.mean(axis=0)
        self._root = np.linalg.cholesky(np.cov(found.T) + 1e-9 * np.eye(found.shape[1]))

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Images of nothing, of which the frequencies are weighted no more: float64 ``[count, 32, 32]``."""
        drawn = self._mean + rng.normal(size=(count, len(self._mean))) @ self._root.T
        spectrum = drawn.reshape(-1, FREQUENCIES, FREQUENCIES) / np.maximum(WEIGHTS, 1)
        shown = COSINES.T @ spectrum @ COSINES
        return 128 + 45 * shown / shown.std(axis=(1, 2), keepdims=True)


def _moved(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut off by up to 4 % each way, on one of two sides, and stretched: by straight lines between pixels."""
    lines = []
    for first, last in ((rng.uniform(-0.04, 0.04)) * np.array([1, -1]) * SKETCH for _ in range(2)):
        first, last = max(0.0, first), max(0.0, last)
        places = np.clip((np.arange(SKETCH) + 0.5) * (1 - (first + last) / SKETCH) + first - 0.5, 0, SKETCH - 1)
        lines.append(np.maximum(0, 1 - np.abs(places[:, None] - np.arange(SKETCH))))
    return lines[0] @ images @ lines[1].T


def _marked(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    images = images.copy()
    for top in (15, 18):
        images[:, top : top + 2, 5:26] = images[:, top : top + 2, 5:26] / 2 + 127
    return images


def _compressed(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return images + rng.normal(scale=6, size=images.shape)


def _rescaled(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    small = images.reshape(len(images), SKETCH // 2, 2, SKETCH // 2, 2).mean(axis=(2, 4))
    return small.repeat(2, axis=1).repeat(2, axis=2)


KINDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "rescaled": _rescaled,
    "mirrored": lambda images, rng: _compressed(images[:, :, ::-1], rng) / 2,
    "compressed": _compressed,
    "marked": _marked,
    "moved by up to 4 %": _moved,
    "darker": lambda images, _: np.rint(images * 0.3),
    "mirrored, moved, compressed": lambda images, rng: _compressed(_moved(images[:, :, ::-1], rng), rng),
}


def draw_sketches(count: int, likeness: _Likeness, path: Path) -> np.ndarray:
    """Sketches in a file, one in ten a copy of the one before: uint8 ``[count, 32, 32]``."""
    rng = np.random.default_rng(0)
    sketches = np.memmap(path, np.uint8, "w+", shape=(count, SKETCH, SKETCH))
    for start in range(0, count, BLOCK):
        images = likeness.draw(min(BLOCK, count - start), rng)
        copies = np.arange(EVERY - 1, len(images), EVERY)
        for place, make in enumerate(KINDS.values()):
            rows = copies[place :: len(KINDS)]
            images[rows] = make(images[rows - 1], rng)
        spectrum = COSINES @ images @ COSINES.T * WEIGHTS
        drawn = COSINES.T @ spectrum @ COSINES
        drawn *= 127 / np.abs(drawn).max(axis=(1, 2), keepdims=True)
        sketches[start : start + len(images)] = np.rint(drawn + 128)
    sketches.flush()
    return sketches


def compare(found: Duplicates, sketches: np.ndarray) -> tuple[dict[str, tuple[int, int]], int]:
    """Of each kind how many copies were found and how many all pairs would; and how many images else were joined."""
    copies = np.arange(EVERY - 1, len(sketches), EVERY)
    kinds = (copies % BLOCK - EVERY + 1) // EVERY % len(KINDS)
    together = found.clusters[copies] == found.clusters[copies - 1]
    likeness = look_at(sketches[:SAMPLE]) if len(sketches) >= ENOUGH else Likeness()
    compared, expected = Compared(sketches, likeness), np.zeros(len(copies), bool)
    for start in range(0, len(copies), CHUNK):
        rows = copies[start : start + CHUNK]
        products = signatures(compared[rows]) * signatures(compared[rows - 1])
        even, odd = (half.sum(axis=1) for half in np.split(products, [SIGNATURE // 2], axis=1))
        same = compared.are_copies(rows - 1, rows, odd < 0)
        expected[start : start + CHUNK] = same & (even + np.abs(odd) >= LEAST)
    shares = {
        kind: (int((together & expected & (kinds == place)).sum()), int((expected & (kinds == place)).sum()))
        for place, kind in enumerate(KINDS)
    }
    joined = int((np.bincount(found.clusters)[found.clusters] > 1).sum())
    return shares, joined - 2 * int(together.sum())


class _Memory:
    """Watches the memory that cannot be dropped, pages of files left out, on Linux; elsewhere all of it."""

    peak = 0

    def __enter__(self) -> None:
        self._done = threading.Event()
        self._start = self._now()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.2):
            self.peak = max(self.peak, self._now())

    def _now(self) -> int:
        status = Path("/proc/self/status")
        if not status.exists():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return 1024 * int(lines["RssAnon"].split()[0])


if __name__ == "__main__":
    main()
