"""Numbers in files of the disk as one array, which takes no memory that the system cannot take back."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike


def joined(files: Sequence[Path], whole: Path, kind: DTypeLike, shape: tuple[int, ...] = ()) -> np.ndarray:
    """What files hold, one after the other, ``[N, ...]``.

    Args:
        files: of things of one shape.
        whole: file to put together; not if it is the only one of them.
        kind: of each number.
        shape: of each thing.
    """
    if list(files) != [whole]:
        with whole.open("wb") as out:
            for path in files:
                with path.open("rb") as one:
                    shutil.copyfileobj(one, out, 1 << 20)
    return mapped(whole, kind, shape)


def mapped(path: Path, kind: DTypeLike, shape: tuple[int, ...] = ()) -> np.ndarray:
    """What a file holds, ``[N, ...]``; see ``joined``."""
    kind = np.dtype(kind)
    count = path.stat().st_size // (kind.itemsize * int(np.prod(shape)))
    if not count:  # no system maps an empty file
        return np.zeros((0, *shape), kind)
    return np.memmap(path, dtype=kind, mode="r", shape=(count, *shape))
