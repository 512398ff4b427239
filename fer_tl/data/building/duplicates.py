"""Finds images that are in a dataset more than once: exact copies, and copies that were cropped anew, rescaled,
mirrored, marked or compressed again.

Every pair of images, or in large sets every pair that shares a cell, is compared in two steps by sketches in which each
frequency is weighted by itself; how alike two have to be depends on how alike the images of the set are to begin with,
see `Likeness`. Amplitudes of photographs fall as 1 / f (Field, "Relations between the statistics of natural images and
the response properties of cortical cells", JOSA A 1987), so unweighted pictures tell little but light and layout apart.
Joined at a correlation of 0.9, they made one cluster of 111 images of FER-2013, most of them of different women; those
whose perceptual hashes differ in at most 12 of 64 bits besides had a fifth fewer copies and pairs that are none.

ImageHash makes such hashes in 130 µs each and has no search; imagededup needs PyTorch. faiss-cpu, 19 MB more to
install, searches hashes in 0.5 s of one core, but takes 3.1 s for the first step, here 0.8 s, since it knows no
mirrored images, and hands out all pairs at once, 4 GB for a million images.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fer_tl.data.building.clusters import Clusters, join_copies
from fer_tl.data.building.crowding import MOST, most_alike
from fer_tl.data.building.large_sets import join_in_cells
from fer_tl.data.building.likeness import ENOUGH, SAMPLE, Likeness, look_at
from fer_tl.data.building.pairs import (
    BLOCK,
    CHUNK,
    LEAST,
    Compared,
    Signatures,
    alike_pairs,
    like_middle,
    signatures_of,
)

EXHAUSTIVE = 2**16
"""Images of which all pairs are compared, 18 s of a core. Of more, those of a cell are: that takes a third as long
here, a fifth at 100,000, and a few copies in 1,000 are missed."""


@dataclass(frozen=True)
class Duplicates:
    """Which images show the same picture.

    Attributes:
        clusters: int64 ``[N]``, the first row of the cluster that an image is in; its own row where it is alone.
        exact: bool ``[N]``, whether the pixels equal another image's.
        one_scene: whether the images share so much that only copies of nearly equal pixels could be told.
        limited: images that look like so many others that they were compared with the most alike only, see `MOST`.
    """

    clusters: np.ndarray
    exact: np.ndarray
    one_scene: bool = False
    limited: int = 0


def find_duplicates(
    pixels: Sequence[bytes | str] | np.ndarray, sketches: np.ndarray, image: Callable[[int], np.ndarray] | None = None
) -> Duplicates:
    """Find all images that are copies of each other, on all cores.

    Of up to `EXHAUSTIVE` images all pairs are looked at, a billion a second. Of more, those that share a cell are, so
    that time grows as their number to the power of 1.4, and files are written beside that of the sketches, 1.3 kB an
    image. Which images are together does not depend on their order.

    Args:
        pixels: a hash of each image's pixels, ``N`` of one length: a list, or an array of bytes.
        sketches: uint8 ``[N, 32, 32]`` from ``sketch``, in memory or mapped from a file: read in pieces.
        image: gives an image, uint8 ``[H, W, C]``, by its row, on any thread: where the images of a set look alike,
            pairs whose sketches do are compared at full size too. None: their sketches decide.

    Returns:
        Clusters are what exact and near copies connect, as far as each is like the picture in the middle.
    """
    # In an order of their own. Exact copies are compared once: a thousand of one image would make half a million pairs.
    _, rows, same = np.unique(np.array(pixels, "S"), return_index=True, return_inverse=True)  # [M], [M], [N]
    originals = rows[same]  # [N]
    exact = np.bincount(originals, minlength=len(pixels))[originals] > 1
    likeness = look_at(sketches[rows[:SAMPLE]]) if len(rows) >= ENOUGH else Likeness()
    compared = Compared(sketches, likeness, image)
    clusters = Clusters(originals)
    if len(rows) > EXHAUSTIVE:
        signed, limited = join_in_cells(compared, rows, clusters)
    else:
        signed = signatures_of(compared, np.sort(rows))
        limited = _join_all_pairs(compared, signed, clusters)
    found = _split_chains(compared, rows, signed, clusters.first_rows())[originals]  # [N]
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    return Duplicates(first[inverse].astype(np.int64), exact, compared.one_scene, limited)


def _join_all_pairs(sketches: Compared, signed: Signatures, clusters: Clusters) -> int:
    """Join all pairs whose sketches show the same; gives how many images look like more than are compared."""
    from threadpoolctl import threadpool_limits

    rows, even, odd = signed
    starts = range(0, len(rows), BLOCK)
    needed = None

    def look_up(start: int) -> tuple[np.ndarray, np.ndarray]:
        return most_alike(even, odd, slice(start, start + BLOCK), LEAST)

    def join_strip(start: int) -> None:
        """Compare a block of rows with itself and all later ones."""
        waiting, count = [], 0
        for pairs in alike_pairs(even, odd, rows, start, needed):
            waiting.append(pairs)
            count += pairs.shape[1]
            if count >= CHUNK:  # a block has a hundred, and a call costs as much as twenty
                join_copies(sketches, np.concatenate(waiting, axis=1), clusters)
                waiting, count = [], 0
        if count:
            join_copies(sketches, np.concatenate(waiting, axis=1), clusters)

    limited = 0
    # NumPy's own threads wait for each other in products this small: 1e9 pairs a second on two cores against 4e8.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        if sketches.crowded and len(rows) > MOST:
            scores, numbers = zip(*pool.map(look_up, starts), strict=True)
            needed = np.concatenate(scores)
            limited = int((np.concatenate(numbers) > MOST).sum())
        for _ in pool.map(join_strip, starts):
            pass
    return limited


def _split_chains(sketches: Compared, rows: np.ndarray, signed: Signatures, first: np.ndarray) -> np.ndarray:
    """Leaves in each cluster what is like the picture in its middle; else one image after the other would be joined to
    the one before until what is first and last have nothing in common.

    Args:
        sketches: of all images.
        rows: of the images that are no exact copies of earlier ones, in an order that theirs has no part in.
        signed: what they were looked up by.
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
            here = like_middle(sketches, middle, rest, whole)
            found[rest[here]] = middle
            rest, whole = rest[~here], False
        if not whole:
            found[rest] = rest
    return found


def _middle(rows: np.ndarray, signed: Signatures) -> int:
    """Which of ``rows`` has the most likeness with all of them."""
    known, even, odd = signed
    places = np.searchsorted(known, rows)
    even, odd = even[places].astype(np.float64), odd[places].astype(np.float64)
    if len(rows) > SAMPLE:
        even, odd = even[:SAMPLE], odd[:SAMPLE]
    likeness = even @ even.T + np.abs(odd @ odd.T)  # whole numbers: their sums do not depend on the order
    return int(rows[likeness.sum(axis=1).argmax()])
