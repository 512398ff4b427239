"""Files written so that a kill or a power cut leaves the old one or the new one, never a part."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import lzma
import os
import re
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fer_tl.core.errors import Unreadable, UserError
from fer_tl.core.json_files import load_json
from fer_tl.core.machine import process_number, started

# What numpy.load raises for a file that is missing, empty, truncated, damaged, or something else.
BROKEN_ARRAYS = (
    OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    RuntimeError, MemoryError, OverflowError, SyntaxError,
)  # fmt: skip
# What a write ends in when the disk, the user's share of it or the largest file that is allowed is full.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_ABANDONED = 24 * 3600.0  # seconds
_TEMPORARY = re.compile(r"\.\d+\..")


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it into place.

    A kill or a power cut leaves either the old file or the new one, never a part of one.

    Raises:
        OSError: it cannot be written; on a full disk always one of ``FULL``, however the library said it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_of(path)
    remove_abandoned(path)
    try:
        write(temporary)
        sync(temporary)
        os.replace(temporary, path)
        with contextlib.suppress(OSError):  # some network file systems cannot do it to a folder
            sync(path.parent)
    except Exception as error:
        code = _why_full(error)
        if code is None:
            raise
        raise OSError(code, os.strerror(code), str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk: else a power cut may leave an empty file under
    the name that it was renamed to."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no such call for folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_of(path: Path) -> Path:
    """Where this process, of all on all machines, fills what is to become ``path``. The suffix stays last: libraries
    choose the format by it."""
    return path.with_name(f".{process_number()}.{path.name}")


def remove_abandoned(path: Path) -> None:
    """Delete what killed processes left where they filled what was to become ``path``: of this machine at once, of
    others on the same disk after a day."""
    for left in path.parent.glob(f".*.{glob.escape(path.name)}"):
        found = _TEMPORARY.match(left.name)
        if found is None or left.name[found.end() - 1 :] != path.name or _is_used(left, found.group()[1:-2]):
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)


def _is_used(left: Path, number: str) -> bool:
    """Whether a process may still be filling a temporary file or folder."""
    here = process_number()[len(str(os.getpid())) :]
    if number.endswith(here) and len(number) > len(here):
        return started(int(number[: -len(here)])) is not None
    with contextlib.suppress(OSError):
        return time.time() - left.stat().st_mtime < _ABANDONED
    return True


def is_temporary(path: Path) -> bool:
    """Whether a name is one under which ``write_atomically`` works."""
    return bool(_TEMPORARY.match(path.name))


def remove_temporaries(folder: Path) -> None:
    """Delete what a killed process left half written in a folder; call it where no other process can be writing."""
    for path in folder.glob(".*"):
        if is_temporary(path) and path.is_file():
            path.unlink(missing_ok=True)


def _why_full(error: BaseException | None) -> int | None:
    """Which of ``FULL`` an error came of, None if of none. HDF5 has the number in its text only, and an error while
    the file is closed hides the one of the write."""
    while error is not None:
        for code in FULL:
            if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
                return code
        error = error.__cause__ or error.__context__
    return None


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def unreadable(path: Path, error: OSError) -> Unreadable:
    """What to say of a file that the system does not let be read: nothing of it is thrown away."""
    return Unreadable(
        f"{path} cannot be read ({error.strerror or error}): make it readable (its permissions, the disk or network "
        "that it lies on), then give the same command again; nothing was changed"
    )


def read_json(path: Path) -> Any:
    """Read a JSON file; a missing or broken one is a ``UserError`` that names it, one that the system does not let be
    read an ``Unreadable``."""
    try:
        return load_json(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: not a fer-tl run, or an unfinished one") from None
    except OSError as error:
        raise unreadable(path, error) from None
    except ValueError as error:
        raise UserError(f"{path} cannot be read as JSON ({error})") from None
