"""Arrays worked out from records, kept beside the datasets and used again only while they are whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from fer_tl.core.checksums import Checksum, checksum, find_damage
from fer_tl.core.json_files import load_json
from fer_tl.data.directory import data_dir_of
from fer_tl.data.manifest import CACHE, Manifest

INDEX = "examples.npz"
IMAGES = "images.npy"
DIGESTS = "digests-1.npy"
"""With a number: those of another way to make them have another one."""

_ABANDONED = 3600.0
"""Seconds after which a half-made array is taken for that of a process that was killed."""


def cache_folder(directory: Path, manifest: Manifest, split: str) -> Path:
    """Where the arrays of a split are kept: another place whenever its records are others.

    The fingerprint does not tell the order of the examples, which depends on the number of shards, nor JPEG from PNG;
    the files' checksums do, or their sizes and times where a dataset is so old that it has none.
    """
    files = []
    for name in manifest.shards_of(split):
        known = manifest.checksums.get(name)
        about = (directory / name).stat()
        files.append(known.sha256 if known else [about.st_size, about.st_mtime_ns])
    key = hashlib.sha256(json.dumps([manifest.fingerprints[split], files]).encode()).hexdigest()
    name = f"{manifest.dataset.replace('/', '-')}-{split}-{key[:16]}"
    return data_dir_of(directory, manifest) / CACHE / name


def find_kept(folder: Path, name: str) -> Path | None:
    """The file of an array that was kept, after a warning on stderr if it is there but damaged.

    Returns:
        None if it has to be made.
    """
    fault = fault_of(folder, name)
    if fault is None:
        return None
    if fault:
        print(f"fer-tl: {folder / name} {fault}; it is made again from the records", file=sys.stderr)
        return None
    return folder / name


def is_kept(folder: Path, name: str) -> bool:
    """Whether an array was kept, whole or not."""
    return _digest(folder, name).exists()


def fault_of(folder: Path, name: str, trust: bool = True) -> str | None:
    """What is wrong with an array that was kept: "" for nothing, None if it was not kept. See ``find_damage``."""
    try:
        wanted = Checksum(**load_json(_digest(folder, name)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError):
        return "has a damaged checksum"
    return find_damage(folder, {name: wanted}, folder / "stamps.json", trust).get(name, "")


def keep(folder: Path, name: str, write: Callable[[Path], None]) -> Path:
    """Let ``write`` fill a file and keep it with its checksum: whole, or not at all.

    Processes that do this at the same time do not disturb each other: both write the same bytes.

    Raises:
        OSError: there is no room, or the folder must not be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _clear_abandoned(folder)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as place:
        made = Path(place, name)
        write(made)
        digest = _digest(Path(place), name)
        digest.write_text(json.dumps(asdict(checksum(made))), encoding="utf-8")
        os.replace(made, folder / name)
        os.replace(digest, _digest(folder, name))  # last: without it the array does not count
    return folder / name


def _digest(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _clear_abandoned(folder: Path) -> None:
    for left in folder.glob(".*"):
        with contextlib.suppress(OSError):  # another process was faster
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left)
