"""The folder of an export: known by a record of its files, complete or not there, and never with those of others."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fer_tl.core.checksums import checksum
from fer_tl.core.errors import UserError
from fer_tl.core.files import FULL, read_json, remove_abandoned, temporary_of, write_json
from fer_tl.core.staging import put_in_place
from fer_tl.runs.exports import RECORD


def refuse_foreign(folder: Path) -> None:
    """Make sure that a folder is missing, empty, or an export and nothing else.

    Raises:
        UserError: naming a file that no export wrote.
    """
    if folder.is_file():
        raise UserError(f"{folder} is a file: give another --out")
    found = files_of(folder)
    own = {RECORD, *_recorded(folder / RECORD)} if RECORD in found else set()
    foreign = sorted(set(found) - own)
    if foreign:
        raise UserError(f"{folder} holds files that are of no export, such as {foreign[0]}: give another --out")


def _recorded(path: Path) -> list[str]:
    record = read_json(path)
    files = record.get("files") if isinstance(record, dict) else None
    if not isinstance(files, dict):
        raise UserError(f"{path} is not a record of an export: give another --out")
    return list(files)


def files_of(folder: Path) -> dict[str, Path]:
    """All files in a folder and its folders, by their path in it with slashes; none where there is no folder."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if not path.is_dir()}


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(each.stat().st_size for each in files_of(path).values())


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """A hidden folder beside that of an export, to fill and then to ``publish``; gone at the end, and so are the
    folders that were made for it and stayed empty.

    Raises:
        UserError: it cannot be written.
    """
    folder = folder.resolve()
    place = temporary_of(folder)
    made = [parent for parent in place.parents if not parent.exists()]
    try:
        shutil.rmtree(place, ignore_errors=True)
        remove_abandoned(folder)
        (place / "new").mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): give another --out") from None
    try:
        yield place / "new"
    except OSError as error:
        if error.errno in FULL:
            raise
        raise UserError(f"{folder} cannot be written ({error.strerror or error}): give another --out") from None
    finally:
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(OSError):
            for parent in made:
                parent.rmdir()


def publish(new: Path, folder: Path, record: dict[str, Any]) -> None:
    """Write the record of a complete export, and put it where it belongs; an earlier one there is replaced.

    Args:
        new: from ``workplace``.
        folder: of the export.
        record: JSON-ready; the files and their checksums are added to it.
    """
    files = {name: asdict(checksum(path)) for name, path in files_of(new).items()}
    write_json(new / RECORD, {**record, "files": files})
    refuse_foreign(folder)  # again: making it takes a while
    put_in_place(new, folder.resolve(), new.parent)
