"""Groups: what must never be divided over folds or splits, from photos, copies and names."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import numpy as np

from fer_tl.data.building.duplicates import find_duplicates
from fer_tl.data.building.registration import SIDE, small_content
from fer_tl.data.building.sketches import sketch
from fer_tl.sources.records import Record


def hash_pixels(image: np.ndarray) -> str:
    """SHA-256 of the pixels of an image, 64 hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()


class Photos:
    """The photos that faces were cut from: of each group one sketch in memory, 1 kB, and a small picture on the disk.

    Args:
        place: a folder for the pictures meanwhile.
    """

    def __init__(self, place: Path) -> None:
        self._seen: dict[str, tuple[str, np.ndarray]] = {}
        self._pictures = (place / "photos").open("w+b")
        self._place = threading.Lock()

    def add(self, record: Record) -> None:
        """Remembers the photo of a group, once."""
        if record.photo is not None and record.group not in self._seen:
            self._seen[record.group] = hash_pixels(record.photo), sketch(record.photo)
            small = small_content(record.photo)
            self._pictures.write(np.broadcast_to(small, (SIDE, SIDE, 3)).tobytes())

    def merge(self, groups: np.ndarray) -> np.ndarray:
        """Groups, text [N], of which those whose photos are copies become one, by the rule of `find_duplicates`: a
        detector may box other faces, or the same one otherwise, where a photo is there twice."""
        if not self._seen:
            return groups
        names = list(self._seen)
        pixels, sketches = zip(*self._seen.values(), strict=True)
        clusters = find_duplicates(pixels, np.stack(sketches), self._picture).clusters
        first = {name: names[row] for name, row in zip(names, clusters.tolist(), strict=True)}
        return np.array([first.get(group, group) for group in groups.tolist()])

    def close(self) -> None:
        self._pictures.close()

    def _picture(self, row: int) -> np.ndarray:
        size = SIDE * SIDE * 3
        with self._place:
            self._pictures.seek(row * size)
            found = self._pictures.read(size)
        return np.frombuffer(found, np.uint8).reshape(SIDE, SIDE, 3)


def merge_groups(groups: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Groups, text [N], of which those that share a cluster become one, named after the first by name."""
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
