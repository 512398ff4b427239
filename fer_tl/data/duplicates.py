"""Finds images that are in a dataset more than once: exact copies, and copies that were rescaled, mirrored or re-saved.

Two images are near copies if their 32x32 grey sketches, or one's sketch and the other's mirrored one, correlate.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

SKETCH = 32
"""Height and width of a sketch in pixels: below every dataset's image size, and far above what tells faces apart."""

CORRELATION = 0.90
"""Pearson correlation of two sketches from which their images are copies."""

CONTRAST = 3.0
"""Standard deviation of a sketch, in grey levels, below which it says nothing about what the image shows."""

_FREQUENCIES = 8
_SLACK = 1e-5
"""For the rounding of float32 in the bound, about 4e-6 for 64 products of entries of unit vectors."""
_BLOCK = 512
"""Rows and columns of a block of pairs: its two float32 matrices, 2 MB, stay in a core's cache."""
_CHUNK = 2048
"""Sketches that are converted to float32 at once: 8 MB."""


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
    """The image in small and grey, what near copies are recognized by. About 30 µs an image.

    Args:
        image: uint8 ``[H, W, C]``, C 1 or 3.

    Returns:
        uint8 ``[32, 32]``; each pixel is the mean of the area it covers.
    """
    picture = Image.fromarray(image[:, :, 0]) if image.shape[2] == 1 else Image.fromarray(image).convert("L")
    return np.asarray(picture.resize((SKETCH, SKETCH), Image.Resampling.BOX))


def find_duplicates(pixels: Sequence[bytes | str], sketches: np.ndarray) -> Duplicates:
    """Find all images that are copies of each other. Compares all pairs, on all cores; memory grows with N alone.

    The result does not depend on the order of the images, except for which of a cluster is its first.

    Args:
        pixels: a hash of each image's shape and pixels, ``N``.
        sketches: uint8 ``[N, 32, 32]`` from ``sketch``, in memory or mapped from a file; read in pieces.

    Returns:
        Clusters are what is connected by exact or near copies.
    """
    rows = np.arange(len(pixels))
    first_row: dict[bytes | str, int] = {}
    originals = np.array([first_row.setdefault(value, row) for row, value in enumerate(pixels)], np.int64)  # [N]
    clusters = _Clusters(originals)
    # Exact copies are compared once: a thousand copies of one image would make half a million pairs.
    _join_near_copies(sketches, np.flatnonzero(originals == rows), clusters)
    exact = np.bincount(originals, minlength=len(rows))[originals] > 1
    return Duplicates(clusters.first_rows(), exact)


class _Clusters:
    """Connected components of a graph that is given edge by edge, in memory that grows with its nodes alone.

    Args:
        first: int64 ``[N]``, a row that each row is connected to, at most its own.
    """

    def __init__(self, first: np.ndarray) -> None:
        self._first = first
        self._edges: list[np.ndarray] = []
        self._lock = threading.Lock()

    def known(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Whether pairs of rows are known to be connected: bool ``[P]``. Edges of late may not count yet."""
        first = self._first
        return first[left] == first[right]

    def join(self, left: np.ndarray, right: np.ndarray) -> None:
        """Connect pairs of rows, ``[P]`` each."""
        with self._lock:
            self._edges.append(np.stack([left, right]))  # [2, P]
            if sum(edges.shape[1] for edges in self._edges) > max(len(self._first), 2**20):
                self._merge()

    def first_rows(self) -> np.ndarray:
        """The smallest row of each row's component: int64 ``[N]``."""
        with self._lock:
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
        self._edges = []


def _join_near_copies(sketches: np.ndarray, rows: np.ndarray, clusters: _Clusters) -> None:
    """Join all pairs of ``rows`` whose sketches correlate.

    A pair is looked at closely if an upper bound of its correlation is high enough. Let ``a`` be a sketch less its mean
    and divided by its norm. Its orthonormal cosine transform has the same products, so the correlation of two is that
    of their lowest 8x8 coefficients plus that of the others, which is at most the product of the others' norms
    (Cauchy-Schwarz): a product of two vectors of 64, with the norm of the others in the place of the lowest, which is
    0. No pair is missed, and of two different faces one pair in 10,000 is looked at in vain. Mirroring changes the
    sign of the odd horizontal frequencies, so the products of the even ones plus or minus those of the odd ones bound
    both ways round at once.
    """
    from threadpoolctl import threadpool_limits

    rows, even, odd = _bounds(sketches, rows)

    def join_strip(start: int) -> None:
        """Compare a block of rows with itself and all later ones."""
        own_even, own_odd = even[start : start + _BLOCK], odd[start : start + _BLOCK]
        for other in range(start, len(rows), _BLOCK):
            bound = np.abs(own_odd @ odd[other : other + _BLOCK].T)  # [A, B]
            bound += own_even @ even[other : other + _BLOCK].T
            left, right = np.divmod(np.flatnonzero(bound >= CORRELATION - _SLACK), bound.shape[1])
            left, right = rows[start + left], rows[other + right]
            open_pairs = (left < right) & ~clusters.known(left, right)
            _join_correlated(sketches, left[open_pairs], right[open_pairs], clusters)

    # NumPy's own threads wait for each other in products this small: 1e9 pairs a second on two cores against 4e8.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(join_strip, range(0, len(rows), _BLOCK)):
            pass


def _bounds(sketches: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows with enough contrast ``[M]`` and their vectors: even and odd horizontal frequencies, float32 ``[M, 32]``
    each."""
    frequency, position = np.arange(_FREQUENCIES)[:, None], np.arange(SKETCH)
    # DCT-II, orthonormal: Ahmed, Natarajan & Rao, "Discrete Cosine Transform", IEEE Trans. Computers 1974.
    cosines = np.cos(np.pi * frequency * (2 * position + 1) / (2 * SKETCH)) * np.sqrt(2 / SKETCH)  # [8, 32]
    cosines[0] /= np.sqrt(2)
    cosines = cosines.astype(np.float32)
    kept, vectors = [], []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        centred = sketches[chunk].astype(np.float32)  # [B, 32, 32]
        centred -= centred.mean(axis=(1, 2), keepdims=True)
        norms = np.linalg.norm(centred, axis=(1, 2))
        clear = norms >= CONTRAST * SKETCH  # the norm of 32 x 32 values is 32 standard deviations
        low = cosines @ centred[clear] @ cosines.T / norms[clear, None, None]  # [M, 8, 8]
        low[:, 0, 0] = np.sqrt(np.maximum(0, 1 - np.einsum("nij,nij->n", low, low)))
        kept.append(chunk[clear])
        vectors.append(low)
    if not kept:
        return rows, np.empty((0, 32), np.float32), np.empty((0, 32), np.float32)
    low = np.concatenate(vectors)
    even, odd = (low[:, :, parity::2].reshape(len(low), -1) for parity in (0, 1))
    return np.concatenate(kept), even, odd


def _join_correlated(sketches: np.ndarray, left: np.ndarray, right: np.ndarray, clusters: _Clusters) -> None:
    """Join the pairs of rows, ``[P]`` each, whose sketches do correlate, either way round."""
    for start in range(0, len(left), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        first, second = sketches[left[chunk]], sketches[right[chunk]]  # [B, 32, 32]
        correlation = np.maximum(_correlation(first, second), _correlation(first, second[:, :, ::-1]))
        near = correlation >= CORRELATION
        if near.any():
            clusters.join(left[chunk][near], right[chunk][near])


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation of pairs of sketches with contrast, uint8 ``[B, 32, 32]`` each: float64 ``[B]``.

    The sums are whole numbers of at most 32 x 32 x 128 x 128 = 2^24, which float32 holds exactly in any order, so the
    result is the same on every machine.
    """
    a, b = (sketches.reshape(-1, SKETCH * SKETCH).astype(np.float32) - 128 for sketches in (first, second))

    def covariance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        products = np.einsum("nd,nd->n", x, y).astype(np.float64)
        return products - x.sum(axis=1).astype(np.float64) * y.sum(axis=1) / SKETCH**2

    return covariance(a, b) / np.sqrt(covariance(a, a) * covariance(b, b))
