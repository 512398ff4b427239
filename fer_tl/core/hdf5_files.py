"""Looks at an HDF5 file before its numbers are read: one that came from somebody else may name other files of this
machine in place of numbers, or numbers without end."""

from __future__ import annotations

import io
from pathlib import Path

from fer_tl.core.errors import UserError

MOST_BYTES = 1 << 32
"""Of all arrays of a file together: VGG16 with its dense layers has 0.55 GB."""
MOST_OBJECTS = 100_000


def check_hdf5(source: Path | io.BytesIO, where: str) -> int:
    """Make sure that all arrays of an HDF5 file lie in it, and are no more than a network has.

    Args:
        source: the file, or its bytes.
        where: how to name it in a message.

    Returns:
        How many numbers its arrays hold.

    Raises:
        UserError: it has links, arrays in other files, or too many numbers.
        OSError: it is no HDF5 file.
    """
    import h5py

    with h5py.File(source, "r") as file:
        waiting, seen, size, numbers = [file["/"]], 0, 0, 0
        while waiting:
            group = waiting.pop()
            for name in group:
                seen += 1
                link = group.get(name, getlink=True)
                place = f"{where}: '{group.name.rstrip('/')}/{name}'"
                if not isinstance(link, h5py.HardLink):
                    raise UserError(
                        f"{place} is a link to elsewhere: weights lie in their own file, do not use this one"
                    )
                found = group.get(name)
                if isinstance(found, h5py.Group):
                    waiting.append(found)
                elif isinstance(found, h5py.Dataset):
                    if found.external or found.is_virtual:
                        raise UserError(
                            f"{place} reads another file: weights lie in their own file, do not use this one"
                        )
                    size += found.nbytes
                    numbers += found.size
                if size > MOST_BYTES or seen > MOST_OBJECTS:
                    raise UserError(f"{where} says that it holds more numbers than a network has: do not use this file")
    return numbers
