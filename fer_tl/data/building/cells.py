"""Cells: a set of images, divided by which of some of them each is most like, so that only pairs within a cell are
compared.

An image is at home in the cell of the image that it is most like, and looks for copies there and in those of all that
it is nearly as like, both ways round and as if it had been cropped, see `Descriptions`. Inverted lists searched so were
proposed by Jegou, Douze & Schmid, "Product quantization for nearest neighbor search", TPAMI 2011. Signs of frequencies
in bands, as multi-index hashing has them, were tried: of copies that are moved by up to 4 % nine bands of 14 signs hold
83 %, and 16 bands of 8 signs all but 2 in 1,000 and every twelfth of all other pairs as well.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fer_tl.data.building.descriptors import ALIKE, UNIT, VAGUE, WAYS

SIZE = 512
"""Images of a cell, on average."""
MOST_CELLS = 2**13
"""Finding one's cells takes longer, the more they are: from here on they grow."""
MARGIN = 0.08
"""Correlation with the middle of a cell, less than with the most alike one, to which a description looks there. Of the
watermarked copies in a million images 0.07 finds 97.9 %, 0.08 98.7 % and 0.09 99.1 %, in 177, 218 and 258 s of CPU."""
LOOKED = 40
"""Numbers of a description by which it finds its cells."""
_EACH = 3
"""Descriptions of an image that look into the same cell: those most like its middle."""
_HIGHEST = 2**17
"""More than the product of any two descriptions."""
_MOST = 32
"""Cells that one description looks into at most, but for ties."""
_APART = 0.75
"""Correlation from which a middle is dropped for an earlier one: a thousand copies of one image make one cell."""
_SCORES = 2**19
"""Scores that are worked on at once: 2 MB."""
_SQUARE = UNIT * UNIT


class Lookers:
    """Which descriptions look into which cell: on the disk, 4 bytes each, in runs of the chunks that they came in.

    Args:
        chunks: how many will be added.
        cells: how many there are.
        folder: of the file meanwhile; None: the system's.
    """

    def __init__(self, chunks: int, cells: int, folder: Path | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, closed by close
        self._first = np.zeros(chunks, np.int64)
        self._bounds = np.zeros((chunks, cells + 1), np.int32)
        self._end = 0
        self._lock = threading.Lock()

    def add(self, chunk: int, cells: np.ndarray, numbers: np.ndarray) -> None:
        """Where they look, uint16 ``[L]``, and their numbers, uint32 ``[L]``; on any thread, each chunk once."""
        order = np.argsort(cells, kind="stable")
        self._bounds[chunk, 1:] = np.cumsum(np.bincount(cells, minlength=self._bounds.shape[1] - 1))
        data = numbers[order]
        with self._lock:
            self._first[chunk] = self._end
            self._end += len(data)
            self._file.write(data.data)

    def finish(self) -> None:
        """Nothing is added any more."""
        self._file.flush()
        self._all = np.zeros(0, np.uint32)
        if self._end:
            self._all = np.memmap(self._file, np.uint32, "r", shape=(self._end,)).view(np.ndarray)

    def into(self, cell: int) -> np.ndarray:
        """Numbers of the descriptions that look into a cell, uint32 ``[L]``, in the order of the chunks."""
        begins = (self._first + self._bounds[:, cell]).tolist()
        ends = (self._first + self._bounds[:, cell + 1]).tolist()
        return np.concatenate([self._all[begin:end] for begin, end in zip(begins, ends, strict=True)])

    def close(self) -> None:
        del self._all
        self._file.close()


class Cells:
    """Cells around some of the images.

    A description has a number: that of its image times 20, and twice its place among those of the image, and 1 more
    where it is mirrored.

    Args:
        described: int8 ``[M, 10, 64]`` from `Descriptions`.
        even: see there.
        ranks: int64 ``[M]``, of each image in an order in which theirs has no part: the first are the middles.
    """

    def __init__(self, described: np.ndarray, even: int, ranks: np.ndarray) -> None:
        if 2 * WAYS * len(ranks) >= 2**32:
            raise ValueError(f"{len(ranks):,} images are more than can be numbered: at most 214 million")
        self._described = described
        self._flat = described.reshape(-1, described.shape[2])
        self._even = even
        self._ranks = ranks
        number = min(max(1, len(ranks) // SIZE), MOST_CELLS)
        middles = np.argsort(ranks, kind="stable")[:number]
        self._middles = _apart(described[middles, 0].astype(np.float32))  # [K, 64]
        # The first of either kind are those in which images differ most for what crops change.
        self._looked = np.r_[: min(even, LOOKED // 2), even : min(even + LOOKED // 2, described.shape[2])]
        self._columns = np.ascontiguousarray(self._middles[:, self._looked].T)  # [40, K]
        self._home = np.zeros(len(ranks), np.int32)

    def __len__(self) -> int:
        return len(self._middles)

    def settle(self, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the home of images from ``start`` to ``end``, and where they look: cells, uint16 ``[L]``, and numbers of
        the descriptions that do so, uint32 ``[L]``. Images that may be turned either way look both ways round."""
        cells, numbers = [], []
        step = max(1, _SCORES // len(self._middles))
        for begin in range(start, end, step):
            rows = np.arange(begin, min(end, begin + step))
            vague = rows[np.abs(self._described[rows, 0, self._even :][:, :1]).ravel() < VAGUE]
            first = 2 * WAYS * np.concatenate([rows, vague])
            first[len(rows) :] += 1
            found = []
            for way in range(WAYS):
                scores = self.values(first + 2 * way)[:, self._looked] @ self._columns  # [B, K]
                if not way:
                    self._home[rows] = scores[: len(rows)].argmax(axis=1)
                near = _near(scores)
                # Of one image and cell, the description with the highest score, or the first of these, comes first.
                lower = _HIGHEST - scores.ravel()[near].astype(np.int64)
                found.append((near * _HIGHEST * 2 + lower) * WAYS + way)
            order = np.sort(np.concatenate(found))
            near, ways = order // (2 * _HIGHEST * WAYS), order % WAYS
            likest = np.flatnonzero(near != np.concatenate([np.full(_EACH, -1), near[:-_EACH]])[: len(near)])
            place, cell = np.divmod(near[likest], len(self._middles))
            cells.append(cell.astype(np.uint16))
            numbers.append((first[place] + 2 * ways[likest]).astype(np.uint32))
        return np.concatenate(cells), np.concatenate(numbers)

    def members(self) -> list[np.ndarray]:
        """Of each cell the images that are at home in it, by rank: int64 ``[H]`` each."""
        order = np.lexsort((self._ranks, self._home))
        return np.split(order, np.cumsum(np.bincount(self._home, minlength=len(self)))[:-1])

    def values(self, numbers: np.ndarray) -> np.ndarray:
        """Descriptions by their numbers, ``[B]``: float32 ``[B, 64]``."""
        found: np.ndarray = self._flat[numbers >> 1].astype(np.float32)
        found[(numbers & 1) > 0, self._even :] *= -1
        return found

    def likest(self, images: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Which of ``others``, int64 ``[H]``, each of ``images``, ``[B]``, is most like, either way round."""
        first, second = self.values(2 * WAYS * images), self.values(2 * WAYS * others)
        even = first[:, : self._even] @ second[:, : self._even].T
        odd = first[:, self._even :] @ second[:, self._even :].T
        return others[(even + np.abs(odd)).argmax(axis=1)]

    def alike(self, home: np.ndarray, lookers: np.ndarray, most: int) -> Iterator[np.ndarray]:
        """Pairs of images at home in a cell and those that look there whose descriptions correlate.

        Args:
            home: int64 ``[H]``, by rank.
            lookers: uint32 ``[L]`` numbers of descriptions.
            most: of each looker, but for ties.

        Yields:
            int64 ``[3, P]``: looker and image at home, and whether more were like the looker than are given.
        """
        others = self.values(2 * WAYS * home).T  # [64, H]
        step = max(1, _SCORES // max(1, len(home)))
        for start in range(0, len(lookers), step):
            some = lookers[start : start + step]
            scores = self.values(some) @ others  # [B, H]
            found = np.flatnonzero(scores >= ALIKE * _SQUARE)
            if not len(found):
                continue
            looker, other = np.divmod(found, len(home))
            limited = np.bincount(looker, minlength=len(some)) > most
            if limited.any():
                least = np.full(len(some), ALIKE * _SQUARE, np.float32)
                least[limited] = np.partition(scores[limited], -most, axis=1)[:, -most]
                kept = scores.ravel()[found] >= least[looker]
                looker, other = looker[kept], other[kept]
            image = some[looker].astype(np.int64) // (2 * WAYS)
            pairs = np.stack([image, home[other], limited[looker]])
            yield pairs[:, pairs[0] != pairs[1]]


def _near(scores: np.ndarray) -> np.ndarray:
    """Which scores, ``[B, K]``, are highest in their row or nearly so: int64 ``[L]`` places of the flat array."""
    least = scores.max(axis=1) - np.float32(MARGIN * _SQUARE)
    near = scores >= least[:, None]
    found = np.flatnonzero(near)
    # Not count_nonzero along an axis, which takes longer than all else here.
    many = np.bincount(found // scores.shape[1], minlength=len(scores)) > _MOST
    if many.any():
        near[many] = scores[many] >= np.partition(scores[many], -_MOST, axis=1)[:, -_MOST, None]
        found = np.flatnonzero(near)
    return found


def _apart(values: np.ndarray) -> np.ndarray:
    """Descriptions, float32 ``[K, 64]``, without those that are like an earlier one."""
    kept = np.ones(len(values), bool)
    step = max(1, _SCORES // len(values))
    for start in range(0, len(values), step):
        scores = values[start : start + step] @ values.T
        earlier = np.arange(len(values)) < np.arange(start, start + len(scores))[:, None]
        kept[start : start + step] = ~(earlier & (scores >= _APART * _SQUARE)).any(axis=1)
    return values[kept]
