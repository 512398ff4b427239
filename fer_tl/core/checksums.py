"""Checksums of files: what they should be, and which files are damaged; each is read once, then known by its stamp."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fer_tl.core.files import write_json
from fer_tl.core.json_files import load_json

_SETTLED_NS = 2_000_000_000
"""A later change shows in a file's times once this has passed: file systems count them in steps of milliseconds, FAT in
steps of 2 s."""

Stamp = list[str | int]
"""SHA-256, size, times of change of content and of inode (ns), inode."""


@dataclass(frozen=True)
class Checksum:
    """What a file should be.

    Attributes:
        size: bytes.
        sha256: 64 hexadecimal digits.
    """

    size: int
    sha256: str

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or not isinstance(self.sha256, str):  # of a damaged JSON file
            raise ValueError(f"no checksum: {self.size!r}, {self.sha256!r}")


def checksum(path: Path) -> Checksum:
    """Read a whole file, about 900 MB/s on one core with SHA instructions."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return Checksum(stream.tell(), digest.hexdigest())


def checksums(paths: Iterable[Path]) -> dict[str, Checksum]:
    """Checksums by file name, several files at a time."""
    paths = list(paths)
    with ThreadPoolExecutor() as pool:  # hashing lets other threads run
        return {path.name: found for path, found in zip(paths, pool.map(checksum, paths), strict=True)}


def find_damage(directory: Path, expected: Mapping[str, Checksum], stamps: Path, trust: bool = True) -> dict[str, str]:
    """Compare the files of a folder with their checksums.

    A file whose size, times of change and inode are those that it had when it was last read whole is not read again. A
    change that leaves no trace in them, such as a failing disk's, is found without ``trust`` only.

    Args:
        directory: of the files.
        expected: by file name.
        stamps: where it is written down which files were whole; if that cannot be, they are read again next time.
        trust: whether what is written there counts.

    Returns:
        {file name: what is wrong with it}: "is missing", "has 12 of 3,456 bytes", "fails its checksum".
    """
    known = _read_stamps(stamps)
    trusted = known if trust else {}
    with ThreadPoolExecutor() as pool:
        looks = pool.map(lambda name: _examine(directory / name, expected[name], trusted.get(name)), expected)
        found = dict(zip(expected, looks, strict=True))
    seen = {name: stamp for name, (_, stamp) in found.items()}
    if any(known.get(name) != stamp for name, stamp in seen.items()):
        with contextlib.suppress(OSError):  # a folder that must not be written to
            write_json(stamps, {name: stamp for name, stamp in (known | seen).items() if stamp})
    return {name: fault for name, (fault, _) in found.items() if fault}


def _examine(path: Path, wanted: Checksum, known: Stamp | None) -> tuple[str, Stamp | None]:
    """What is wrong with a file, "" for nothing, and the stamp under which it need not be read again."""
    try:
        about = path.stat()
        stamp: Stamp = [wanted.sha256, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]
        if about.st_size != wanted.size:
            return f"has {about.st_size:,} of {wanted.size:,} bytes", None
        if stamp == known:
            return "", known
        if checksum(path) != wanted:
            return "fails its checksum", None
    except FileNotFoundError:
        return "is missing", None
    except OSError as error:
        return f"cannot be read ({error.strerror or error})", None
    settled = time.time_ns() - max(about.st_mtime_ns, about.st_ctime_ns) > _SETTLED_NS
    return "", stamp if settled else None


def _read_stamps(path: Path) -> dict[str, Any]:
    try:
        found = load_json(path)
    except (OSError, ValueError):  # none yet, or damaged: the files are read
        return {}
    return found if isinstance(found, dict) else {}


def hash_stream(stream: BinaryIO) -> str:
    """SHA-256 of what is left in a binary stream, read in blocks, as 64 hexadecimal digits."""
    return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
