"""Files from the network: whole and what they should be, or not there."""

from __future__ import annotations

import hashlib
import urllib.request
from pathlib import Path

from fer_tl.core.files import write_atomically


def fetch(url: str, path: Path, algorithm: str, digest: str | None) -> None:
    """Download a file.

    Args:
        url: of it.
        path: where it is kept.
        algorithm: of its checksum, such as ``md5``.
        digest: that checksum in hexadecimal digits; None if nobody states it.

    Raises:
        OSError, ValueError: it cannot be had, broke off, or is another file; what was there stays.
    """

    def download(temporary: Path) -> None:
        found = hashlib.new(algorithm, usedforsecurity=False)
        with urllib.request.urlopen(url, timeout=30) as response, temporary.open("wb") as out:
            while block := response.read(1 << 20):
                found.update(block)
                out.write(block)
            expected = response.headers.get("Content-Length")
            if expected and out.tell() != int(expected):
                raise OSError(f"the download broke off after {out.tell():,} of {int(expected):,} bytes")
        if digest and found.hexdigest() != digest:
            raise OSError(f"its {algorithm} is {found.hexdigest()}, not {digest}")

    write_atomically(path, download)
