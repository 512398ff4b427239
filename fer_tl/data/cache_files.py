"""What is kept beside the datasets because it can be made again: decoded images, features of frozen backbones."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

_FEATURES = re.compile(r"features-[0-9a-f]{32}")
_IMAGES = re.compile(r"(.+)-(train|validation|test)-[0-9a-f]{16}")


@dataclass(frozen=True)
class Kept:
    """A folder of what is kept.

    Attributes:
        path: of the folder.
        what: in words.
        size: bytes of its files.
        used: when it was last read or written, seconds since 1970.
        has_features: whether it holds features of a backbone.
    """

    path: Path
    what: str
    size: int
    used: float
    has_features: bool


def list_kept(cache: Path) -> list[Kept]:
    """What is kept in the folder ``CACHE`` of a data folder, that which was used longest ago first.

    Nothing else that lies there is listed, nor what a link leads to.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(_found(cache), key=lambda each: (each.used, each.path.name)) if cache.is_dir() else []


def touch(folder: Path) -> None:
    """Note that what is in a folder was used now."""
    with contextlib.suppress(OSError):  # of somebody else: then it is as old as its files
        os.utime(folder)


def remove(kept: Kept) -> None:
    """Delete a folder; another process that reads it computes or decodes again what it lacks.

    Raises:
        OSError: it cannot be deleted.
    """
    with contextlib.suppress(FileNotFoundError):  # another process was faster
        shutil.rmtree(kept.path)


def drop_least_used(cache: Path, most: float, spare: Collection[Path] = ()) -> list[Kept]:
    """Delete the features that were used longest ago, until those that are left take no more than ``most`` bytes.

    Args:
        cache: as of ``list_kept``.
        most: bytes.
        spare: folders that are left, such as those in use.

    Returns:
        What was deleted. What cannot be deleted stays.
    """
    found = [each for each in list_kept(cache) if each.has_features]
    size, dropped = sum(each.size for each in found), []
    for each in found:
        if size <= most:
            break
        if each.path in spare:
            continue
        try:
            remove(each)
        except OSError:
            continue
        dropped.append(each)
        size -= each.size
    return dropped


def _found(cache: Path) -> Iterator[Kept]:
    for path in cache.iterdir():
        if path.is_symlink() or not path.is_dir():
            continue
        images = _IMAGES.fullmatch(path.name)
        if _FEATURES.fullmatch(path.name):
            what = "features of a frozen backbone"
        elif images:
            what = f"decoded images of {images[1]}, split {images[2]}"
        else:
            continue
        size = 0
        with contextlib.suppress(OSError):  # files come and go
            used = path.stat().st_mtime
            for file in path.rglob("*"):
                if file.is_file() and not file.is_symlink():
                    about = file.stat()
                    size, used = size + about.st_size, max(used, about.st_mtime)
            yield Kept(path, what, size, used, images is None)
