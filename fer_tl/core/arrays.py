"""NumPy archives (``.npz``) from files that may come from anybody: headers are checked before anything is allocated."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

LARGEST = 1 << 30
"""Bytes of all arrays: predictions of some five million images."""
_LONGEST_HEADER = 4096
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_arrays(path: Path, kinds: Mapping[str, tuple[str, int]], largest: int = LARGEST) -> dict[str, np.ndarray]:
    """The arrays of an archive.

    Args:
        path: of the archive.
        kinds: by the name of each array that must be there, NumPy's letter of its kind ("f": floats, "i": integers,
            "U": text) and its number of axes.
        largest: bytes of all of them.

    Raises:
        OSError: it cannot be read.
        ValueError, zipfile.BadZipFile, and what else ``fer_tl.core.files.BROKEN_ARRAYS`` names:
            it is not such an archive.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        expected = [f"{name}.npy" for name in kinds]
        if sorted(names) != sorted(expected):
            raise ValueError(f"it should hold {', '.join(expected)}")
        total = sum(item.file_size for item in archive.infolist())
        if total > largest:
            raise ValueError(f"its arrays have {total:,} bytes, more than {largest:,}")
        found = {}
        for name, (kind, axes) in kinds.items():
            info = archive.getinfo(f"{name}.npy")
            with archive.open(info) as member:
                found[name] = _read_array(member, info.file_size, name, kind, axes)
        return found


def _read_array(member: IO[bytes], size: int, name: str, kind: str, axes: int) -> np.ndarray:
    version = np.lib.format.read_magic(member)
    if version not in _READERS:
        raise ValueError(f"'{name}' is not an array of NumPy that is read here")
    shape, is_fortran, dtype = _READERS[version](member, max_header_size=_LONGEST_HEADER)
    if dtype.kind != kind or len(shape) != axes:
        raise ValueError(f"'{name}' is an array of {dtype} with {len(shape)} axes")
    count = math.prod(shape)  # Python's integers do not overflow
    if min(shape) < 0 or count * dtype.itemsize != size - member.tell():
        raise ValueError(f"'{name}' has another size than its header says")
    data = member.read()  # to its end: there the checksum is compared
    array = np.frombuffer(data, dtype, count) if data else np.zeros(count, dtype)
    if kind == "U":
        _refuse_no_text(array, name)
    return array.reshape(shape, order="F" if is_fortran else "C")


def _refuse_no_text(array: np.ndarray, name: str) -> None:
    """Four bytes a letter, of which most values are no letter."""
    letters = np.frombuffer(array.tobytes(), array.dtype.byteorder.replace("=", "<").replace("|", "<") + "u4")
    if np.any((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters <= 0xDFFF))):
        raise ValueError(f"'{name}' holds what is not text")
