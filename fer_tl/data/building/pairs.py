"""Pairs of images that are copies of each other: exact, near, mirrored, moved or in another light."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

from fer_tl.data.building.likeness import Likeness, light_and_layout
from fer_tl.data.building.registration import are_one, picture
from fer_tl.data.building.sketches import SKETCH, cosines

SHIFT = 2
"""How far one sketch is moved over another, in pixels each way: copies are cropped differently."""
CORRELATION = 0.80
"""Pearson correlation of two images' 6x6 lowest frequencies from which their sketches are compared, 1 in 2,000 pairs of
faces; and of two sketches in their best position from which the images are copies. By eye, samples of FER-2013's pairs
were wrong once in 40 from 0.80 to 0.82, once in 5 from 0.76 to 0.77, and never from 0.82 on."""
LAYOUT = ((0.92, 0.90), (0.90, 0.85))
"""Correlation of two pictures with unweighted frequencies, and of their frequencies below 3.5, from which they are
copies where chance makes pairs of alike outlines: light and layout of copies agree as well; and from which they are
compared at full size, where the images are at hand. Not asked of photographs of different people: 195 of 6,437 pairs of
FER-2013's are below, nearly all of them copies with another ground."""
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
SIGNATURE = _COARSE**2
"""Numbers of a signature, half of them of even horizontal frequencies."""
_UNIT = 4000.0
"""Length of a signature. Its entries are whole numbers, so that float32 holds every sum of products, at most 1.6e7 <
2^24, exactly: the result depends neither on the order of the images nor on the processor."""
LEAST = CORRELATION * _UNIT**2
"""Product of two signatures from which their images look alike."""
BLOCK = 512
"""Rows and columns of a block of pairs: its two float32 matrices, 2 MB, stay in a core's cache."""
CHUNK = 256
"""Sketches that are worked on at once: 1 MB as float32."""
_REMEMBERED = 4096
"""Pictures that are kept in memory, up to 16 kB each."""
_COARSE_COSINES = cosines(_COARSE)
Signatures = tuple[np.ndarray, np.ndarray, np.ndarray]


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


class Compared:
    """Sketches as they are compared.

    Args:
        sketches: uint8 ``[N, 32, 32]``.
        likeness: what the set asks for.
        image: gives an image, uint8 ``[H, W, C]``, by its row; called by several threads at once.
    """

    def __init__(
        self, sketches: np.ndarray, likeness: Likeness, image: Callable[[int], np.ndarray] | None = None
    ) -> None:
        self._sketches = sketches
        self._likeness = likeness
        self._image = image
        self._pictures: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """uint8 ``[B, 32, 32]``."""
        return self._likeness.take_out(self._sketches[rows])

    def are_copies(self, left: np.ndarray, right: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
        """Whether pairs of rows, ``[P]`` each, show the same picture: bool ``[P]``.

        Args:
            left: of the first images.
            right: of the second ones.
            mirrored: bool ``[P]``, which of the second ones are compared the other way round.
        """
        first, second = self[left], self[right]  # [P, 32, 32]
        second[mirrored] = second[mirrored, :, ::-1]
        needed = ONE_SCENE if self.one_scene else CORRELATION
        same = aligned_correlation(first, second) >= needed
        if self._likeness.crowded and same.any():
            needed_of = LAYOUT[self._image is not None]
            pictures = zip(light_and_layout(first[same]), light_and_layout(second[same]), needed_of, strict=True)
            same[same] = np.all([aligned_correlation(one, other) >= least for one, other, least in pictures], axis=0)
            if self._image and same.any():
                same[same] = self._fit(left[same], right[same], mirrored[same])
        return same

    def _fit(self, left: np.ndarray, right: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
        # Which one is moved must not depend on the order of the images.
        pairs = [
            sorted((self._picture(one), self._picture(other)), key=lambda shown: shown[..., 0].tobytes())
            for one, other in zip(left.tolist(), right.tolist(), strict=True)
        ]
        deepest = max(shown.shape[2] for pair in pairs for shown in pair)
        same_depth = [[np.broadcast_to(shown, (*shown.shape[:2], deepest)) for shown in pair] for pair in pairs]
        first, second = np.array(same_depth).swapaxes(0, 1)  # [P, 64, 64, C]
        second[mirrored] = second[mirrored, :, ::-1]
        return are_one(first, second)

    def _picture(self, row: int) -> np.ndarray:
        """See ``picture``; those that were asked for last are remembered."""
        assert self._image
        with self._lock:
            found = self._pictures.pop(row, None)
        if found is None:
            found = picture(self._image(row))
        with self._lock:
            self._pictures[row] = found
            if len(self._pictures) > _REMEMBERED:
                del self._pictures[next(iter(self._pictures))]
        return found

    @property
    def folder(self) -> Path | None:
        """Where the sketches are a file, so that there is room for others; None in memory."""
        return Path(str(self._sketches.filename)).parent if isinstance(self._sketches, np.memmap) else None

    @property
    def crowded(self) -> bool:
        return self._likeness.crowded

    @property
    def one_scene(self) -> bool:
        return self._likeness.crowded and self._likeness.shared is not None

    @property
    def link(self) -> float:
        return LINK[self._likeness.crowded]


def like_middle(sketches: Compared, middle: int, rows: np.ndarray, linked: bool) -> np.ndarray:
    """Which of ``rows`` are like the picture in the middle, itself among them: bool ``[B]``.

    Args:
        sketches: of all images.
        middle: one of ``rows``.
        rows: the members of a cluster.
        linked: whether each is a copy of another one that is here, so that it need not be a copy of this one.
    """
    found = rows == middle
    for start in range(0, len(rows), CHUNK):
        chunk = slice(start, start + CHUNK)
        if not linked:
            center = np.full(len(rows[chunk]), middle)
            for mirrored in (False, True):
                found[chunk] |= sketches.are_copies(center, rows[chunk], np.full(len(center), mirrored))
            continue
        others = sketches[rows[chunk]]  # [B, 32, 32]
        center = np.repeat(sketches[np.array([middle])], len(others), axis=0)
        ways = (others, others[:, :, ::-1])
        for reach in (SHIFT, REACH):  # the long reach takes three times as long, and is seldom needed
            for second in ways:
                left = np.flatnonzero(~found[chunk])
                if len(left):
                    alike = aligned_correlation(center[left], second[left], reach) >= sketches.link
                    found[start + left[alike]] = True
    return found


def signatures_of(sketches: Compared, rows: np.ndarray) -> Signatures:
    """The rows whose image has contrast, ``[M]``, and their 6x6 lowest frequencies, scaled to length 4000: those of
    even and those of odd horizontal frequency, float32 ``[M, 18]`` each."""
    both = np.zeros((len(rows), SIGNATURE), np.float32)
    for start in range(0, len(rows), CHUNK):
        chunk = slice(start, start + CHUNK)
        both[chunk] = signatures(sketches[rows[chunk]])
    clear = both.any(axis=1)
    even, odd = np.hsplit(both[clear], 2)
    return rows[clear], np.ascontiguousarray(even), np.ascontiguousarray(odd)


def signatures(sketches: np.ndarray) -> np.ndarray:
    """The 6x6 lowest frequencies of sketches, uint8 ``[B, 32, 32]``, scaled to length 4000: whole numbers, float64
    ``[B, 36]``, first those of even horizontal frequency; all 0 where there is no contrast."""
    values = sketches.astype(np.float64) - 128
    lowest = _COARSE_COSINES @ values @ _COARSE_COSINES.T  # [B, 6, 6]
    lowest[:, 0, 0] = 0  # a mean is nothing but rounding
    norms = np.linalg.norm(lowest, axis=(1, 2), keepdims=True)
    whole = np.rint(_UNIT / np.maximum(norms, 1.0) * lowest)
    return np.concatenate([whole[:, :, way::2].reshape(len(values), -1) for way in (0, 1)], axis=1)


def alike_pairs(
    even: np.ndarray, odd: np.ndarray, rows: np.ndarray, start: int, needed: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Pairs of a block of rows and later ones whose signatures correlate: int64 ``[3, P]``: left row, right row, and
    whether one is mirrored; block by block.

    Mirroring changes the sign of the odd horizontal frequencies, so the products of the even ones plus or minus those
    of the odd ones are the correlations both ways round. ``needed``, ``[M]`` from ``most_alike``, leaves those that are
    among the most alike of one of the two.
    """
    own = slice(start, start + BLOCK)
    for begin in range(start, len(rows), BLOCK):
        other = slice(begin, begin + BLOCK)
        products = odd[own] @ odd[other].T  # [A, B]
        correlations = np.abs(products)
        correlations += even[own] @ even[other].T
        least = LEAST if needed is None else np.minimum(needed[own, None], needed[other])
        found = np.flatnonzero(correlations >= least)
        left, right = np.divmod(found, products.shape[1])
        pairs = np.stack([rows[own][left], rows[other][right], products.ravel()[found] < 0])
        yield pairs[:, pairs[0] < pairs[1]]


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
