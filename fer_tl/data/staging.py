"""Where a build works until it is complete: a hidden folder beside the place where the dataset will be."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from fer_tl.errors import UserError
from fer_tl.files import sync


@contextlib.contextmanager
def workplace(root: Path, name: str) -> Iterator[Path]:
    """A hidden folder for this build, gone at the end; those of builds that died are cleared away."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        for left in root.glob(".building-*"):
            if not _is_running(left.name.rsplit("-", 1)[-1]):
                shutil.rmtree(left, ignore_errors=True)
        place = root / f".building-{name}-{os.getpid()}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
    except OSError as error:
        raise UserError(f"{root} cannot be written to ({error.strerror}): choose another --data-dir.") from error
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def put_in_place(directory: Path, target: Path, place: Path) -> None:
    """Renames a complete dataset to its final place; an old one there is replaced only now."""
    for path in [*directory.rglob("*"), directory]:
        sync(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(place / "replaced")
    directory.rename(target)
    sync(target.parent)


def _is_running(process: str) -> bool:
    return process.isdecimal() and psutil.pid_exists(int(process))
