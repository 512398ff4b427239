"""Finds images that are in a dataset more than once: exact copies, and copies that were cropped anew, rescaled,
mirrored, marked or compressed again.

Every pair of images is compared, in two steps, by sketches in which each frequency is weighted by itself. Amplitudes of
photographs fall as 1 / f (Field, "Relations between the statistics of natural images and the response properties of
cortical cells", JOSA A 1987), so unweighted pictures tell little but light and layout apart. Joined at a correlation of
0.9, they made one cluster of 111 images of FER-2013, most of them of different women; those whose perceptual hashes
differ in at most 12 of 64 bits besides had a fifth fewer copies and pairs that are none.

ImageHash makes such hashes in 130 µs each and has no search; imagededup needs PyTorch. faiss-cpu, 19 MB more to
install, searches hashes in 0.5 s of one core, but takes 3.1 s for the first step, here 0.8 s, since it knows no
mirrored images, and hands out all pairs at once, 4 GB for a million images.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

SKETCH = 32
"""Height and width of a sketch in pixels."""

SHIFT = 2
"""How far one sketch is moved over another, in pixels each way: copies are cropped differently."""

CORRELATION = 0.80
"""Pearson correlation of two images' 6x6 lowest frequencies from which their sketches are compared, 1 in 2,000 pairs of
faces; and of two sketches in their best position from which the images are copies. By eye, samples of FER-2013's pairs
were wrong once in 40 from 0.80 to 0.82, once in 5 from 0.76 to 0.77, and never from 0.82 on."""

CONTRAST = 3.0
"""Standard deviation of a picture in grey levels below which it can only be an exact copy. Blank images compressed as
JPEG have few patterns to choose from: with noise, at quality 30, 367 of 400 were copies at 0, none from 1 on."""

_COARSE, _FINE = 6, 16
_UNIT = 4000.0
"""Length of a signature. Its entries are whole numbers, so that float32 holds every sum of products, at most 1.6e7 <
2^24, exactly: the result depends neither on the order of the images nor on the processor."""
_BLOCK = 512
"""Rows and columns of a block of pairs: its two float32 matrices, 2 MB, stay in a core's cache."""
_CHUNK = 256
"""Sketches that are worked on at once: 1 MB as float32."""
_EDGES = 2**18
"""Pairs that are kept, 16 bytes each, before they are merged into clusters; or as many as there are images."""


def _cosines(count: int) -> np.ndarray:
    """The lowest frequencies of the orthonormal cosine transform of 32 values: float64 ``[count, 32]``.

    DCT-II: Ahmed, Natarajan & Rao, "Discrete Cosine Transform", IEEE Trans. Computers 1974.
    """
    cosines = np.cos(np.pi * np.arange(count)[:, None] * (2 * np.arange(SKETCH) + 1) / (2 * SKETCH))
    cosines *= np.sqrt(2 / SKETCH)
    cosines[0] /= np.sqrt(2)
    return cosines


def _overlaps() -> np.ndarray:
    """Which pixels of a sketch another one covers, moved down and across: float32 ``[32 * 34, 25]`` of 0 and 1.

    The opposite move, in the same place from the end, is what the other one has covered.
    """
    y, x = np.mgrid[:SKETCH, : SKETCH + SHIFT]
    covered = [
        (y >= down) & (y < SKETCH + down) & (x >= across) & (x < min(SKETCH, SKETCH + across))
        for down, across in _MOVES
    ]
    return np.stack(covered, axis=-1).reshape(-1, len(_MOVES)).astype(np.float32)


_FINE_COSINES, _COARSE_COSINES = _cosines(_FINE), _cosines(_COARSE)
_WEIGHTS = np.hypot(np.arange(_FINE)[:, None], np.arange(_FINE))
_MOVES = [(down, across) for down in range(-SHIFT, SHIFT + 1) for across in range(-SHIFT, SHIFT + 1)]
_OVERLAPS = _overlaps()


@dataclass(frozen=True)
class Duplicates:
    """Which images show the same picture.

    Attributes:
        clusters: int64 ``[N]``, the first row of the cluster that an image is in; its own row where it is alone.
        exact: bool ``[N]``, whether the pixels equal another image's.
    """

    clusters: np.ndarray
    exact: np.ndarray


def sketch(image: np.ndarray) -> np.ndarray:
    """What near copies are recognized by: the image in small and grey, its 16x16 lowest frequencies weighted.

    About 50 µs an image.

    Args:
        image: uint8 ``[H, W, C]``, C 1 or 3.

    Returns:
        uint8 ``[32, 32]``, 1..255 about a mean of 128; all 128 for an image without contrast.
    """
    picture = Image.fromarray(image[:, :, 0]) if image.shape[2] == 1 else Image.fromarray(image).convert("L")
    grey = np.asarray(picture.resize((SKETCH, SKETCH), Image.Resampling.BOX), np.float64)
    spectrum = _FINE_COSINES @ grey @ _FINE_COSINES.T  # [16, 16]
    spectrum[0, 0] = 0
    # The transform is orthonormal: its norm is that of the 32 x 32 pixels, 32 standard deviations.
    if np.linalg.norm(spectrum) < CONTRAST * SKETCH:
        return np.full((SKETCH, SKETCH), 128, np.uint8)
    weighted = _FINE_COSINES.T @ (spectrum * _WEIGHTS) @ _FINE_COSINES  # [32, 32]
    return np.rint(weighted * (127 / np.abs(weighted).max()) + 128).astype(np.uint8)


def find_duplicates(pixels: Sequence[bytes | str], sketches: np.ndarray) -> Duplicates:
    """Find all images that are copies of each other, on all cores. Time grows with N squared, memory with N.

    Which images are together does not depend on their order.

    Args:
        pixels: a hash of each image's pixels, ``N``.
        sketches: uint8 ``[N, 32, 32]`` from ``sketch``, in memory or mapped from a file: read in pieces.

    Returns:
        Clusters are what exact and near copies connect.
    """
    first_row: dict[bytes | str, int] = {}
    originals = np.array([first_row.setdefault(value, row) for row, value in enumerate(pixels)], np.int64)  # [N]
    clusters = _Clusters(originals)
    # Exact copies are compared once: a thousand copies of one image would make half a million pairs.
    _join_near_copies(sketches, np.unique(originals), clusters)
    exact = np.bincount(originals, minlength=len(pixels))[originals] > 1
    return Duplicates(clusters.first_rows(), exact)


class _Clusters:
    """Connected components of a graph that is given edge by edge, in memory that grows with its rows alone.

    Args:
        first: int64 ``[N]``, a row that each row is connected to.
    """

    def __init__(self, first: np.ndarray) -> None:
        self._first = first
        self._edges: list[np.ndarray] = []
        self._waiting = 0
        self._lock = threading.Lock()

    def known(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Whether pairs of rows, ``[P]`` each, are known to be connected: bool ``[P]``. The latest may not be yet."""
        first = self._first
        return first[left] == first[right]

    def join(self, left: np.ndarray, right: np.ndarray) -> None:
        """Connect pairs of rows, ``[P]`` each."""
        with self._lock:
            self._edges.append(np.stack([left, right]))  # [2, P]
            self._waiting += len(left)
            if self._waiting > max(len(self._first), _EDGES):
                self._merge()

    def first_rows(self) -> np.ndarray:
        """The smallest row of each row's component: int64 ``[N]``."""
        self._merge()
        return self._first

    def _merge(self) -> None:
        # A fifth of a second of import that plain runs do without.
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        count = len(self._first)
        left, right = np.concatenate([np.stack([np.arange(count), self._first]), *self._edges], axis=1)
        graph = coo_array((np.ones(len(left), bool), (left, right)), shape=(count, count))
        _, component = connected_components(graph, directed=False)  # [N]
        _, first = np.unique(component, return_index=True)
        self._first = first[component].astype(np.int64)
        self._edges, self._waiting = [], 0


def _join_near_copies(sketches: np.ndarray, rows: np.ndarray, clusters: _Clusters) -> None:
    """Join all pairs of ``rows`` whose sketches show the same."""
    from threadpoolctl import threadpool_limits

    rows, even, odd = _signatures(sketches, rows)

    def join_strip(start: int) -> None:
        """Compare a block of rows with itself and all later ones."""
        waiting, count = [], 0
        for pairs in _alike(even, odd, rows, start):
            waiting.append(pairs)
            count += pairs.shape[1]
            if count >= _CHUNK:  # a block has a hundred, and a call costs as much as twenty
                _join_copies(sketches, np.concatenate(waiting, axis=1), clusters)
                waiting, count = [], 0
        if count:
            _join_copies(sketches, np.concatenate(waiting, axis=1), clusters)

    # NumPy's own threads wait for each other in products this small: 1e9 pairs a second on two cores against 4e8.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(join_strip, range(0, len(rows), _BLOCK)):
            pass


def _signatures(sketches: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows whose image has contrast, ``[M]``, and their 6x6 lowest frequencies, scaled to length 4000: those of
    even and those of odd horizontal frequency, float32 ``[M, 18]`` each."""
    even, odd = (np.zeros((len(rows), _COARSE**2 // 2), np.float32) for _ in range(2))
    for start in range(0, len(rows), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        values = sketches[rows[chunk]].astype(np.float64) - 128  # [B, 32, 32]
        lowest = _COARSE_COSINES @ values @ _COARSE_COSINES.T  # [B, 6, 6]
        lowest[:, 0, 0] = 0  # a mean is nothing but rounding
        norms = np.linalg.norm(lowest, axis=(1, 2), keepdims=True)
        signatures = np.rint(_UNIT / np.maximum(norms, 1.0) * lowest)
        even[chunk] = signatures[:, :, ::2].reshape(len(values), -1)
        odd[chunk] = signatures[:, :, 1::2].reshape(len(values), -1)
    clear = even.any(axis=1) | odd.any(axis=1)
    return rows[clear], even[clear], odd[clear]


def _alike(even: np.ndarray, odd: np.ndarray, rows: np.ndarray, start: int) -> Iterator[np.ndarray]:
    """Pairs of a block of rows and later ones whose signatures correlate: int64 ``[3, P]``: left row, right row, and
    whether one is mirrored; block by block.

    Mirroring changes the sign of the odd horizontal frequencies, so the products of the even ones plus or minus those
    of the odd ones are the correlations both ways round.
    """
    own = slice(start, start + _BLOCK)
    for begin in range(start, len(rows), _BLOCK):
        other = slice(begin, begin + _BLOCK)
        products = odd[own] @ odd[other].T  # [A, B]
        correlations = np.abs(products)
        correlations += even[own] @ even[other].T
        found = np.flatnonzero(correlations >= CORRELATION * _UNIT**2)
        left, right = np.divmod(found, products.shape[1])
        pairs = np.stack([rows[own][left], rows[other][right], products.ravel()[found] < 0])
        yield pairs[:, pairs[0] < pairs[1]]


def _join_copies(sketches: np.ndarray, pairs: np.ndarray, clusters: _Clusters) -> None:
    """Join those of the pairs, ``[3, P]`` from ``_alike``, whose sketches correlate."""
    for start in range(0, pairs.shape[1], _CHUNK):
        left, right, mirrored = pairs[:, start : start + _CHUNK]
        new = ~clusters.known(left, right)
        left, right, mirrored = left[new], right[new], mirrored[new].astype(bool)
        first, second = sketches[left], sketches[right]  # [P, 32, 32]
        second[mirrored] = second[mirrored, :, ::-1]
        same = aligned_correlation(first, second) >= CORRELATION
        if same.any():
            clusters.join(left[same], right[same])


def aligned_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation of pairs of sketches where they overlap, at the best of 25 ways to put one on the other.

    All sums are whole numbers of at most 32 x 32 x 128 x 128 = 2^24, which float32 holds exactly.

    Args:
        first: uint8 ``[P, 32, 32]``, not constant.
        second: likewise.

    Returns:
        float64 ``[P]``; the same if the two change places.
    """
    # Two zeros at the end of each row are the margin of the next one as well, so a move is a slice of the flat array.
    width = SKETCH + SHIFT
    flat = []
    for sketches in (first, second):
        padded = np.zeros((len(sketches), SKETCH, width), np.float32)
        padded[:, :, :SKETCH] = sketches
        padded[:, :, :SKETCH] -= 128
        flat.append(padded.reshape(len(sketches), SKETCH * width))  # [P, 32 * 34]
    a, b = flat
    products = np.empty((len(_MOVES), len(a)))
    for index, (down, across) in enumerate(_MOVES):
        offset = down * width + across
        size = a.shape[1] - abs(offset)
        here, there = max(0, offset), max(0, -offset)
        products[index] = np.vecdot(a[:, here : here + size], b[:, there : there + size])

    a_sums, b_sums = (values.astype(np.float64) for values in (a @ _OVERLAPS, b @ _OVERLAPS[:, ::-1]))  # [P, 25]
    a_squares, b_squares = (values.astype(np.float64) for values in (a**2 @ _OVERLAPS, b**2 @ _OVERLAPS[:, ::-1]))
    pixels = _OVERLAPS.sum(axis=0, dtype=np.float64)
    variances = (a_squares - a_sums**2 / pixels) * (b_squares - b_sums**2 / pixels)
    return ((products.T - a_sums * b_sums / pixels) / np.sqrt(variances)).max(axis=1)
