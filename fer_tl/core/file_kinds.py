"""What a file is by its first bytes, and one line for each way in which it cannot be read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from fer_tl.core.errors import UserError

# The last three are what the standard library says to sizes and places that cannot be.
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, struct.error,
    ValueError, OverflowError,
)  # fmt: skip
UNPACKERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # with members, and empty
_UNREADABLE = {
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
    b"\x89HDF": "HDF5",
    b"\x93NUMPY": "NumPy",
    b"PAR1": "Parquet",
}
TAR_MAGIC = slice(257, 262)  # "ustar" in the first header block of both POSIX and GNU tar


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Turn what the standard library raises for damaged or protected archives into one ``UserError`` line."""
    try:
        yield
    except _DAMAGED as error:
        raise UserError(f"{where} is damaged or truncated ({error}): download it again") from error
    except (RuntimeError, NotImplementedError) as error:  # zipfile's answer to a password or an unknown method
        raise UserError(f"{where} cannot be unpacked ({error}): unpack it yourself and give the folder") from error
    except OSError as error:
        raise UserError(f"{where} cannot be read: {error.strerror or error}") from error


def is_archive(head: bytes) -> bool:
    """Whether the first 512 bytes of a file are those of an archive or a compressed file that can be opened."""
    return head.startswith((*ZIP_MAGIC, *UNPACKERS)) or head[TAR_MAGIC] == b"ustar"


def refuse_names_that_are_no_text(names: Iterable[str]) -> None:
    """Raise ``UserError`` for the first name whose bytes on the disk or in a tar are not UTF-8."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(name).decode(errors="backslashreplace")
            raise UserError(f"{shown} is a name that is not valid UTF-8: rename it") from None


def refuse_non_data(head: bytes, label: str) -> None:
    """Raise ``UserError`` if the first 512 bytes of a file tell that it is empty, a web page or a git-LFS pointer."""
    if not head.strip(b"\0 \r\n\t"):
        raise UserError(f"{label} is empty: download it again")
    if head.startswith(b"version https://git-lfs"):
        raise UserError(f"{label} is a git-LFS pointer, not the data: run `git lfs pull` or download the file itself")
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        raise UserError(f"{label} is a web page, not the data: log in to the site and download it again")
    for magic, kind in _UNREADABLE.items():
        if head.startswith(magic):
            raise UserError(f"{label} is a {kind} file, which is not read here: give a CSV, image folders, zip or tar")
