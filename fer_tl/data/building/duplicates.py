"""Finds images that are in a dataset more than once: exact copies, and copies that were cropped anew, rescaled,
mirrored, marked or compressed again.

Every pair of images is compared, in two steps, by sketches in which each frequency is weighted by itself; how alike
two have to be depends on how alike the images of the set are to begin with, see `Likeness`. Amplitudes of
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
from functools import cache

import numpy as np

from fer_tl.data.building.likeness import ENOUGH, SAMPLE, Likeness, light_and_layout, look_at
from fer_tl.data.building.sketches import SKETCH, cosines

SHIFT = 2
"""How far one sketch is moved over another, in pixels each way: copies are cropped differently."""

CORRELATION = 0.80
"""Pearson correlation of two images' 6x6 lowest frequencies from which their sketches are compared, 1 in 2,000 pairs of
faces; and of two sketches in their best position from which the images are copies. By eye, samples of FER-2013's pairs
were wrong once in 40 from 0.80 to 0.82, once in 5 from 0.76 to 0.77, and never from 0.82 on."""

LAYOUT = (0.92, 0.90)
"""Correlation of two pictures with unweighted frequencies, and of their frequencies below 3.5, from which they are
copies where chance makes pairs of alike outlines: light and layout of copies agree as well. Not asked of photographs of
different people: 195 of 6,437 pairs of FER-2013's are below, nearly all of them copies with another ground."""

ONE_SCENE = 0.97
"""`CORRELATION` of what is left of two sketches from which they are copies where all images share one scene: takes of
one person with different expressions stay below it, mirrored images have 0.973 and more."""

LINK = (0.45, 0.70)
"""Correlation with the picture in the middle of a cluster, at a `REACH` each way, from which an image stays in it, for
photographs and for crowded sets: of FER-2013's copies of copies, the least alike has 0.50, and one pair in a thousand
of other faces 0.45."""

REACH = 4
"""How far copies of copies are moved over the picture in the middle of their cluster, in pixels of a sketch."""

_COARSE = 6
_UNIT = 4000.0
"""Length of a signature. Its entries are whole numbers, so that float32 holds every sum of products, at most 1.6e7 <
2^24, exactly: the result depends neither on the order of the images nor on the processor."""
_BLOCK = 512
"""Rows and columns of a block of pairs: its two float32 matrices, 2 MB, stay in a core's cache."""
_CHUNK = 256
"""Sketches that are worked on at once: 1 MB as float32."""
_EDGES = 2**18
"""Pairs that are kept, 16 bytes each, before they are merged into clusters; or as many as there are images."""


@cache
def _moves(shift: int) -> list[tuple[int, int]]:
    """Every move of one sketch over another, down and across."""
    steps = range(-shift, shift + 1)
    return [(down, across) for down in steps for across in steps]


@cache
def _overlaps(shift: int) -> np.ndarray:
    """Which pixels of a sketch another one covers at each of the M moves: float32 ``[32 * (32 + shift), M]``, 0 and 1.

    The opposite move, in the same place from the end, is what the other one has covered.
    """
    y, x = np.mgrid[:SKETCH, : SKETCH + shift]
    covered = [
        (y >= down) & (y < SKETCH + down) & (x >= across) & (x < min(SKETCH, SKETCH + across))
        for down, across in _moves(shift)
    ]
    return np.stack(covered, axis=-1).reshape(-1, len(covered)).astype(np.float32)


_COARSE_COSINES = cosines(_COARSE)


@dataclass(frozen=True)
class Duplicates:
    """Which images show the same picture.

    Attributes:
        clusters: int64 ``[N]``, the first row of the cluster that an image is in; its own row where it is alone.
        exact: bool ``[N]``, whether the pixels equal another image's.
        one_scene: whether the images share so much that only copies of nearly equal pixels could be told.
    """

    clusters: np.ndarray
    exact: np.ndarray
    one_scene: bool = False


def find_duplicates(pixels: Sequence[bytes | str], sketches: np.ndarray) -> Duplicates:
    """Find all images that are copies of each other, on all cores. Time grows with N squared, memory with N.

    Which images are together does not depend on their order.

    Args:
        pixels: a hash of each image's pixels, ``N``.
        sketches: uint8 ``[N, 32, 32]`` from ``sketch``, in memory or mapped from a file: read in pieces.

    Returns:
        Clusters are what exact and near copies connect, as far as each is like the picture in the middle.
    """
    first_row: dict[bytes | str, int] = {}
    originals = np.array([first_row.setdefault(value, row) for row, value in enumerate(pixels)], np.int64)  # [N]
    exact = np.bincount(originals, minlength=len(pixels))[originals] > 1
    # Exact copies are compared once: a thousand copies of one image would make half a million pairs.
    rows = np.array(sorted(first_row.values(), key=lambda row: pixels[row]), np.int64)  # [M], in an order of their own
    likeness = look_at(sketches[rows[:SAMPLE]]) if len(rows) >= ENOUGH else Likeness()
    compared = _Compared(sketches, likeness)
    clusters = _Clusters(originals)
    signed = _join_near_copies(compared, np.sort(rows), clusters)
    found = _split_chains(compared, rows, signed, clusters.first_rows())[originals]  # [N]
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    return Duplicates(first[inverse].astype(np.int64), exact, compared.one_scene)


class _Compared:
    """Sketches as they are compared.

    Args:
        sketches: uint8 ``[N, 32, 32]``.
        likeness: what the set asks for.
    """

    def __init__(self, sketches: np.ndarray, likeness: Likeness) -> None:
        self._sketches = sketches
        self._likeness = likeness

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """uint8 ``[B, 32, 32]``."""
        return self._likeness.take_out(self._sketches[rows])

    def are_copies(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether pairs of sketches, uint8 ``[P, 32, 32]`` each, show the same picture the same way round: bool
        ``[P]``."""
        needed = ONE_SCENE if self.one_scene else CORRELATION
        same = aligned_correlation(first, second) >= needed
        if self._likeness.crowded and same.any():
            pictures = zip(light_and_layout(first[same]), light_and_layout(second[same]), LAYOUT, strict=True)
            same[same] = np.all([aligned_correlation(one, other) >= least for one, other, least in pictures], axis=0)
        return same

    @property
    def one_scene(self) -> bool:
        return self._likeness.crowded and self._likeness.shared is not None

    @property
    def link(self) -> float:
        return LINK[self._likeness.crowded]


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


def _join_near_copies(sketches: _Compared, rows: np.ndarray, clusters: _Clusters) -> _Signatures:
    """Join all pairs of ``rows`` whose sketches show the same; gives what they were looked up by."""
    from threadpoolctl import threadpool_limits

    signed = _signatures(sketches, rows)
    rows, even, odd = signed

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
    return signed


def _split_chains(sketches: _Compared, rows: np.ndarray, signed: _Signatures, first: np.ndarray) -> np.ndarray:
    """Leaves in each cluster what is like the picture in its middle; else one image after the other would be joined to
    the one before until what is first and last have nothing in common.

    Args:
        sketches: of all images.
        rows: of the images that are no exact copies of earlier ones, in an order that theirs has no part in.
        signed: what ``_join_near_copies`` gave.
        first: int64 ``[N]``, the first row of each row's cluster.

    Returns:
        int64 ``[N]``: a row of the cluster that each of ``rows`` is in.
    """
    found = first.copy()
    rows = rows[np.isin(rows, signed[0])]  # images without contrast are in no cluster but with their exact copies
    rows = rows[np.bincount(first[rows], minlength=len(first))[first[rows]] > 2]  # two were compared with each other
    order = rows[np.argsort(first[rows], kind="stable")]
    for members in np.split(order, np.flatnonzero(np.diff(first[order])) + 1):
        rest, whole = members, True
        while len(rest) > 1:
            middle = _middle(rest, signed)
            here = _like(sketches, middle, rest, whole)
            found[rest[here]] = middle
            rest, whole = rest[~here], False
        if not whole:
            found[rest] = rest
    return found


def _middle(rows: np.ndarray, signed: _Signatures) -> int:
    """Which of ``rows`` has the most likeness with all of them."""
    known, even, odd = signed
    places = np.searchsorted(known, rows)
    even, odd = even[places].astype(np.float64), odd[places].astype(np.float64)
    if len(rows) > SAMPLE:
        even, odd = even[:SAMPLE], odd[:SAMPLE]
    likeness = even @ even.T + np.abs(odd @ odd.T)  # whole numbers: their sums do not depend on the order
    return int(rows[likeness.sum(axis=1).argmax()])


def _like(sketches: _Compared, middle: int, rows: np.ndarray, linked: bool) -> np.ndarray:
    """Which of ``rows`` are like the picture in the middle, itself among them: bool ``[B]``.

    Args:
        sketches: of all images.
        middle: one of ``rows``.
        rows: the members of a cluster.
        linked: whether each is a copy of another one that is here, so that it need not be a copy of this one.
    """
    found = rows == middle
    for start in range(0, len(rows), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        others = sketches[rows[chunk]]  # [B, 32, 32]
        center = np.repeat(sketches[np.array([middle])], len(others), axis=0)
        ways = (others, others[:, :, ::-1])
        if not linked:
            found[chunk] |= np.any([sketches.are_copies(center, second) for second in ways], axis=0)
            continue
        for reach in (SHIFT, REACH):  # the long reach takes three times as long, and is seldom needed
            for second in ways:
                left = np.flatnonzero(~found[chunk])
                if len(left):
                    alike = aligned_correlation(center[left], second[left], reach) >= sketches.link
                    found[start + left[alike]] = True
    return found


_Signatures = tuple[np.ndarray, np.ndarray, np.ndarray]


def _signatures(sketches: _Compared, rows: np.ndarray) -> _Signatures:
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


def _join_copies(sketches: _Compared, pairs: np.ndarray, clusters: _Clusters) -> None:
    """Join those of the pairs, ``[3, P]`` from ``_alike``, whose sketches correlate."""
    for start in range(0, pairs.shape[1], _CHUNK):
        left, right, mirrored = pairs[:, start : start + _CHUNK]
        new = ~clusters.known(left, right)
        left, right, mirrored = left[new], right[new], mirrored[new].astype(bool)
        first, second = sketches[left], sketches[right]  # [P, 32, 32]
        second[mirrored] = second[mirrored, :, ::-1]
        same = sketches.are_copies(first, second)
        if same.any():
            clusters.join(left[same], right[same])


def aligned_correlation(first: np.ndarray, second: np.ndarray, shift: int = SHIFT) -> np.ndarray:
    """Pearson correlation of pairs of sketches where they overlap, at the best way to put one on the other.

    All sums are whole numbers of at most 32 x 32 x 128 x 128 = 2^24, which float32 holds exactly.

    Args:
        first: uint8 ``[P, 32, 32]``, not constant.
        second: likewise.
        shift: how far one is moved over the other, in pixels each way: 2 makes 25 ways.

    Returns:
        float64 ``[P]``; the same if the two change places.
    """
    # Zeros at the end of each row are the margin of the next one as well, so a move is a slice of the flat array.
    width, moves, overlaps = SKETCH + shift, _moves(shift), _overlaps(shift)
    flat = []
    for sketches in (first, second):
        padded = np.zeros((len(sketches), SKETCH, width), np.float32)
        padded[:, :, :SKETCH] = sketches
        padded[:, :, :SKETCH] -= 128
        flat.append(padded.reshape(len(sketches), SKETCH * width))  # [P, 32 * width]
    a, b = flat
    products = np.empty((len(moves), len(a)))
    for index, (down, across) in enumerate(moves):
        offset = down * width + across
        size = a.shape[1] - abs(offset)
        here, there = max(0, offset), max(0, -offset)
        products[index] = np.vecdot(a[:, here : here + size], b[:, there : there + size])

    a_sums, b_sums = (values.astype(np.float64) for values in (a @ overlaps, b @ overlaps[:, ::-1]))  # [P, M]
    a_squares, b_squares = (values.astype(np.float64) for values in (a**2 @ overlaps, b**2 @ overlaps[:, ::-1]))
    pixels = overlaps.sum(axis=0, dtype=np.float64)
    variances = (a_squares - a_sums**2 / pixels) * (b_squares - b_sums**2 / pixels)
    return ((products.T - a_sums * b_sums / pixels) / np.sqrt(variances)).max(axis=1)
