"""Clusters of images that are connected by pairs of copies."""

from __future__ import annotations

import threading

import numpy as np

from fer_tl.data.building.pairs import CHUNK, Compared

EDGES = 2**18
"""Pairs that are kept, 16 bytes each, before they are merged into clusters; or as many as there are images."""


class Clusters:
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
            if self._waiting > max(len(self._first), EDGES):
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


def join_copies(sketches: Compared, pairs: np.ndarray, clusters: Clusters) -> None:
    """Join those of the pairs whose sketches correlate.

    Args:
        sketches: of all images.
        pairs: int64 ``[3, P]``: left row, right row, and whether one is mirrored.
        clusters: of the rows.
    """
    for start in range(0, pairs.shape[1], CHUNK):
        left, right, mirrored = pairs[:, start : start + CHUNK]
        new = ~clusters.known(left, right)
        left, right, mirrored = left[new], right[new], mirrored[new].astype(bool)
        same = sketches.are_copies(left, right, mirrored)
        if same.any():
            clusters.join(left[same], right[same])
