"""NumPy archives (``.npz``) from files that may come from anybody: headers are checked before anything is allocated."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

LARGEST = 1 << 30
"""Bytes of all arrays: predictions of some five million images."""
_LONGEST_HEADER = 4096
# As numpy.lib.format writes it for plain types, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html:
# no other form is evaluated.
_HEADER = re.compile(
    rb"\{'descr': '([<>|=][a-zA-Z]\d{0,9})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n?"
)


def read_arrays(path: Path, kinds: Mapping[str, tuple[str, int]], largest: int = LARGEST) -> dict[str, np.ndarray]:
    """The arrays of an archive.

    Args:
        path: of the archive.
        kinds: by the name of each array that must be there, NumPy's letter of its kind ("f": floats, "i": integers,
            "U": text) and its number of axes.
        largest: bytes of all of them.

    Raises:
        OSError: it cannot be read.
        ValueError, zipfile.BadZipFile, and what else ``fer_tl.core.files.BROKEN_ARRAYS`` names: it is no such archive.
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
    magic = member.read(8)
    if magic[:6] != b"\x93NUMPY" or magic[6:8] not in (b"\x01\x00", b"\x02\x00"):
        raise ValueError(f"'{name}' is no array of NumPy")
    form = "<H" if magic[6] == 1 else "<I"
    (length,) = struct.unpack(form, member.read(struct.calcsize(form)))
    header = _HEADER.fullmatch(member.read(min(length, _LONGEST_HEADER)))
    if not header:
        raise ValueError(f"'{name}' has no header of a plain array")
    dtype = np.dtype(header[1].decode())
    shape = tuple(int(side) for side in header[3].replace(b" ", b"").split(b",") if side)
    if dtype.kind != kind or len(shape) != axes:
        raise ValueError(f"'{name}' is an array of {dtype} with {len(shape)} axes")
    count = 1
    for side in shape:
        count *= side  # Python's integers do not overflow
    if count * dtype.itemsize != size - 8 - struct.calcsize(form) - length:
        raise ValueError(f"'{name}' has another size than its header says")
    data = member.read()  # to its end: there the checksum is compared
    array = np.frombuffer(data, dtype, count) if data else np.zeros(count, dtype)
    if kind == "U":
        _refuse_no_text(array, name)
    return array.reshape(shape, order="F" if header[2] == b"True" else "C")


def _refuse_no_text(array: np.ndarray, name: str) -> None:
    """Four bytes a letter, of which most values are no letter."""
    letters = np.frombuffer(array.tobytes(), array.dtype.byteorder.replace("=", "<").replace("|", "<") + "u4")
    if np.any((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters <= 0xDFFF))):
        raise ValueError(f"'{name}' holds what is no text")
