"""Groups: what must never be divided over folds or splits, from photos, copies and names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_tl.data.building.duplicates import find_duplicates
from fer_tl.data.building.joined_files import joined
from fer_tl.data.building.registration import SIDE, small_content
from fer_tl.data.building.sketches import SKETCH, sketch
from fer_tl.sources.records import Record

_FILES = ("photos", "photo sketches", "photo pictures")
_ABOUT = np.dtype([("row", "<i8"), ("pixels", "S32")])


def digest_pixels(image: np.ndarray) -> bytes:
    """SHA-256 of the pixels of an image, 32 bytes."""
    return hashlib.sha256(np.ascontiguousarray(image).data).digest()


def hash_pixels(image: np.ndarray) -> str:
    """The same as 64 hexadecimal digits."""
    return digest_pixels(image).hex()


class PhotoWriter:
    """Appends the photos that faces were cut from to files: of each a sketch, 1 kB, and a small picture, 12 kB.

    Args:
        place: an empty folder.
    """

    def __init__(self, place: Path) -> None:
        self._last = ""
        self._about, self._sketches, self._pictures = ((place / name).open("wb") for name in _FILES)

    def add(self, record: Record, row: int) -> None:
        """Keep the photo of a row; of rows of one photo one after the other it is kept once."""
        if record.photo is not None and record.group != self._last:
            self._last = record.group
            self._about.write(np.array((row, digest_pixels(record.photo)), _ABOUT).tobytes())
            self._sketches.write(sketch(record.photo).tobytes())
            small = small_content(record.photo)
            self._pictures.write(np.broadcast_to(small, (SIDE, SIDE, 3)).tobytes())

    def close(self) -> None:
        for file in (self._about, self._sketches, self._pictures):
            file.close()


def merge_photos(places: Sequence[Path], starts: Sequence[int], groups: np.ndarray, folder: Path) -> np.ndarray:
    """Groups of which those whose photos are copies become one, by the rule of `find_duplicates`: a detector may box
    other faces, or the same one otherwise, where a photo is there twice.

    Args:
        places: filled by ``PhotoWriter``.
        starts: the first row of each.
        groups: int ``[N]``, of each row, from 0.
        folder: for files meanwhile.

    Returns:
        int ``[N]``.
    """
    abouts = [np.fromfile(place / _FILES[0], _ABOUT) for place in places]
    rows = np.concatenate([about["row"] + start for about, start in zip(abouts, starts, strict=True)])
    if not len(rows):
        return groups
    _, first = np.unique(groups[rows], return_index=True)
    chosen = np.sort(first)  # of each group the first photo, in their order
    pixels = np.concatenate([about["pixels"] for about in abouts])[chosen]
    files = [(place / _FILES[1], place / _FILES[2]) for place in places]
    sketches = joined([one for one, _ in files], folder / _FILES[1], np.uint8, (SKETCH, SKETCH))
    pictures = joined([one for _, one in files], folder / _FILES[2], np.uint8, (SIDE, SIDE, 3))
    if len(chosen) < len(rows):
        sketches = sketches[chosen]
    clusters = find_duplicates(pixels, sketches, lambda row: np.array(pictures[chosen[row]])).clusters
    named = groups[rows[chosen]]
    merged = np.arange(groups.max() + 1)
    merged[named] = named[clusters]
    return merged[groups]


def merge_groups(groups: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Groups, text or numbers [N], of which those that share a cluster become one, the first of them by order."""
    from scipy.sparse import coo_array  # 0.3 s
    from scipy.sparse.csgraph import connected_components

    names, member_of = np.unique(groups, return_inverse=True)  # [G], [N]
    edges = (np.ones(len(groups), bool), (member_of, member_of[clusters]))
    _, merged = connected_components(coo_array(edges, shape=(len(names), len(names))), directed=False)  # [G]
    first = np.unique(merged, return_index=True)[1]
    return names[first[merged[member_of]]]


def join_named(groups: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Groups, text [N], of which those with an example of one name become one, called like the first of their names.

    Args:
        groups: text [N].
        names: text [N], such as persons; "" where an example has none.
    """
    clusters, named = np.arange(len(groups)), np.flatnonzero(names != "")  # [N], [M]
    _, first, member_of = np.unique(names[named], return_index=True, return_inverse=True)
    clusters[named] = named[first[member_of]]
    joined = merge_groups(groups, clusters)
    name_of: dict[str, str] = {}
    for group, name in zip(joined[named].tolist(), names[named].tolist(), strict=True):
        name_of[group] = min(name_of.get(group, name), name)
    # A person may be called as an image of nobody is, "12": these stay two groups.
    others, mark = {*joined.tolist()} - name_of.keys(), ""
    while any(mark + name in others for name in name_of.values()):
        mark += "group "
    return np.array([mark + name_of[group] if group in name_of else group for group in joined.tolist()])
