"""NumPy arrays in a file that tells whether it is whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from fer_tl.core.files import write_atomically

_DIGEST = hashlib.sha256().digest_size


def write_sealed(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an ``.npz`` archive and, behind it, its SHA-256, atomically.

    The archive's own checksums leave its headers out, so a flipped bit could pass or raise anything.

    Raises:
        OSError: the disk is full, for instance; what was there stays.
    """

    def write(temporary: Path) -> None:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        with temporary.open("ab") as file:
            file.write(digest)

    write_atomically(path, write)


def read_sealed(path: Path) -> dict[str, np.ndarray]:
    """Read what ``write_sealed`` wrote.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not what was written.
    """
    with path.open("rb") as file:
        digest, left = hashlib.sha256(), path.stat().st_size - _DIGEST
        while left > 0:
            part = file.read(min(left, 1 << 20))
            digest.update(part)
            left -= len(part)
        if file.read() != digest.digest():
            raise ValueError("it is not what was written")
        file.seek(0)
        with np.load(file, allow_pickle=False) as data:
            return {key: data[key] for key in data.files}
