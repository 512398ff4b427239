"""Copies in a large set: candidates from its cells, compared as those of all pairs are.

What the cells hand out goes through the same two comparisons as all pairs of a small set do. So no pair is joined that
would not be there; of those that would, a few in 1,000 are missed, see ``benchmarks/results/scale.md``.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fer_tl.data.building.cells import Cells, Lookers
from fer_tl.data.building.clusters import Clusters, join_copies
from fer_tl.data.building.crowding import MOST
from fer_tl.data.building.descriptors import LENGTH, WAYS, Descriptions
from fer_tl.data.building.pairs import CHUNK, LEAST, SIGNATURE, Compared, Signatures, signatures
from fer_tl.data.building.sketches import SKETCH

FULL = 1024
"""Images at home in a cell from which those are taken out first that are copies of others in it."""
_SAMPLE = 4096
"""Images by which the others are described."""
_ROWS = 2**13
_BLOCK = 512
_WAITING = 2**15
"""Pairs of a cell that are kept before they are compared, but for those of one step."""
_IN_MEMORY = 2**28
"""Bytes of an array from which it lies in a file."""


def join_in_cells(sketches: Compared, rows: np.ndarray, clusters: Clusters) -> tuple[Signatures, int]:
    """Join pairs of copies; gives what they were looked up by, and how many images look like more than are compared.

    Args:
        sketches: of all images.
        rows: int64 ``[M]``, different images, in an order that theirs has no part in.
        clusters: of all rows.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        signed, described, even, ranks = _describe(sketches, rows, pool)
        if not len(ranks):
            return signed, 0
        cells = Cells(described, even, ranks)
        starts = range(0, len(ranks), _ROWS)
        lookers = Lookers(len(starts), len(cells), sketches.folder)

        def settle(chunk: int) -> None:
            lookers.add(chunk, *cells.settle(starts[chunk], min(starts[chunk] + _ROWS, len(ranks))))

        with contextlib.closing(lookers):
            for _ in pool.map(settle, range(len(starts))):
                pass
            lookers.finish()
            search = _Search(sketches, signed, clusters, cells, lookers)
            for _ in pool.map(search.look_into, *zip(*enumerate(cells.members()), strict=True)):
                pass
    return signed, search.limited if sketches.crowded else 0


def _describe(
    sketches: Compared, rows: np.ndarray, pool: ThreadPoolExecutor
) -> tuple[Signatures, np.ndarray, int, np.ndarray]:
    """The M rows with contrast with their signatures, as ``signatures_of`` gives them but in whole numbers; int8
    ``[M, 10, 64]`` descriptions, in files where they are many; how many entries of these are even, and the ranks of the
    rows in the order that they are given in, int64 ``[M]``."""
    descriptions = Descriptions(_sample(sketches, rows))
    ranks = np.argsort(rows)
    ordered = rows[ranks]  # as they lie on the disk

    def look(start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = sketches[ordered[start : start + _ROWS]]
        parts = [found[begin : begin + CHUNK] for begin in range(0, len(found), CHUNK)]
        signed = np.concatenate([signatures(part) for part in parts]).astype(np.int16)
        described = np.concatenate([descriptions.describe(part) for part in parts])
        return signed, described, (signed != 0).any(axis=1)

    signed = _array((len(rows), SIGNATURE), np.int16, sketches.folder)
    described = _array((len(rows), WAYS, LENGTH), np.int8, sketches.folder)
    clear, count = np.zeros(len(rows), bool), 0
    for start, (own, values, seen) in zip(
        range(0, len(rows), _ROWS), pool.map(look, range(0, len(rows), _ROWS)), strict=True
    ):
        clear[start : start + len(seen)] = seen
        end = count + int(seen.sum())
        signed[count:end], described[count:end], count = own[seen], values[seen], end
    even, odd = np.hsplit(signed[:count], 2)
    return (ordered[clear], even, odd), described[:count], descriptions.even, ranks[clear]


def _sample(sketches: Compared, rows: np.ndarray) -> np.ndarray:
    """Sketches of the first rows with contrast: uint8 ``[B, 32, 32]``."""
    found = np.zeros((0, SKETCH, SKETCH), np.uint8)
    for start in range(0, len(rows), _SAMPLE):
        some = sketches[rows[start : start + _SAMPLE]]
        found = np.concatenate([found, some[(some != some[:, :1, :1]).any(axis=(1, 2))]])
        if len(found) >= _SAMPLE:
            break
    return found[:_SAMPLE]


def _array(shape: tuple[int, ...], dtype: type[np.generic], folder: Path | None) -> np.ndarray:
    """Zeros, on the disk where they are many: the system drops such pages from memory where it needs it."""
    if np.prod(shape) * np.dtype(dtype).itemsize < _IN_MEMORY:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, dtype, "w+", shape=shape).view(np.ndarray)


class _Search:
    """Looks into cells, on any thread."""

    def __init__(
        self, sketches: Compared, signed: Signatures, clusters: Clusters, cells: Cells, lookers: Lookers
    ) -> None:
        self._sketches = sketches
        self._rows, self._even, self._odd = signed
        self._clusters = clusters
        self._cells = cells
        self._lookers = lookers
        self._limited = np.zeros(len(self._rows), bool)

    @property
    def limited(self) -> int:
        """Images that look like more than they are compared with."""
        return int(self._limited.sum())

    def look_into(self, cell: int, home: np.ndarray) -> None:
        """Join images at home in a cell, ``[H]``, with their copies among those that look there."""
        if len(home) > FULL:
            home = self._thin(home)
        waiting: list[np.ndarray] = []
        for pairs in self._cells.alike(home, self._lookers.into(cell), MOST):
            self._limited[pairs[0, pairs[2] > 0]] = True
            waiting.append(np.sort(pairs[:2], axis=0))
            if sum(pair.shape[1] for pair in waiting) > _WAITING:
                self._join(waiting)
                waiting = []
        self._join(waiting)

    def _join(self, waiting: list[np.ndarray]) -> None:
        """Join the copies among pairs, int64 ``[2, P]`` each."""
        if waiting:
            left, right = np.concatenate(waiting, axis=1)
            # The same two have met by several of their descriptions.
            left, right = np.divmod(np.unique(left * len(self._rows) + right), len(self._rows))
            alike, mirrored = self._look_alike(left, right)
            join_copies(
                self._sketches, np.stack([self._rows[left], self._rows[right], mirrored])[:, alike], self._clusters
            )

    def _look_alike(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which pairs look alike at first glance, as ``alike_pairs`` has it, and which mirrored: bool ``[P]`` each."""
        even, odd = (
            np.vecdot(values[left].astype(np.float32), values[right].astype(np.float32))
            for values in (self._even, self._odd)
        )
        return even + np.abs(odd) >= LEAST, odd < 0

    def _thin(self, home: np.ndarray) -> np.ndarray:
        """Join images, ``[H]``, with the one before that they are most like, if they are copies, and leave them out: a
        thousand copies of one picture would be half a million pairs."""
        kept, start = home[:1], 1
        while start < len(home):
            some = home[start : start + min(start, _BLOCK)]
            start += len(some)
            likest = self._cells.likest(some, kept)
            alike, mirrored = self._look_alike(some, likest)
            copies = alike.copy()
            copies[alike] = self._sketches.are_copies(
                self._rows[some[alike]], self._rows[likest[alike]], mirrored[alike]
            )
            self._clusters.join(self._rows[some[copies]], self._rows[likest[copies]])
            kept = np.concatenate([kept, some[~copies]])
        return kept
