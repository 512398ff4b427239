"""Locks on folders: a run is worked on by one process, and a process that dies lets go of it.

``filelock`` (4.3 was looked at) does not replace this: its locks are exclusive, or shared ones over an SQLite database;
it does not tell who holds them and leaves the file behind. All of that would still have to be written around it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.core.json_files import parse_json
from fer_tl.core.machine import started
from fer_tl.core.say import Say, say_line

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

LOCK_FILES = (".lock", ".turn.lock")
# A lock may be held for milliseconds by a process that is only probing, or has not written its name yet.
_PATIENCE = 1.0  # seconds
# What flock says on network file systems that have no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def hold(folder: Path, shared: bool = False, say: Say = say_line) -> Iterator[None]:
    """Keep other processes out of a folder, which is made if it is not there, and removed at the end if it is empty.

    The lock is ``flock``'s on a file ``.lock``: the system frees it when the process ends in whatever way.

    Args:
        folder: to be worked on.
        shared: let others in who hold it shared as well.
        say: told where the file system has no locks, so that nothing is held.

    Raises:
        UserError: another process holds it, with its number, host and since when; or the folder cannot be written.
    """
    with _place(folder):
        path = folder / LOCK_FILES[0]
        try:
            descriptor = _lock(path, shared, time.monotonic() + _PATIENCE)
        except BlockingIOError:
            raise UserError(
                f"{folder} is worked on by {_holder(path)}: wait until it is done, or stop it, then give the same "
                "command again"
            ) from None
        if descriptor is None:
            say(f"{folder}: its file system has no locks; let no other process work on it")
            yield
            return
        try:
            _sign(descriptor, shared)
            yield
        finally:
            _let_go(path, descriptor)


@contextlib.contextmanager
def take_turns(folder: Path) -> Iterator[None]:
    """Wait until no other process is between these lines for this folder; for what takes moments."""
    with _place(folder):
        path = folder / LOCK_FILES[1]
        descriptor = _lock(path, False, None)
        try:
            yield
        finally:
            if descriptor is not None:
                _let_go(path, descriptor)


@contextlib.contextmanager
def _place(folder: Path) -> Iterator[None]:
    """A folder that is there; those that were made for it are removed at the end if nothing is in them."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _refuse_full(error)
        raise UserError(
            f"{folder} cannot be written ({error.strerror}): copy it elsewhere, or give another folder"
        ) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


def _lock(path: Path, shared: bool, until: float | None) -> int | None:
    """Descriptor of the locked file, None where there are no locks.

    Args:
        path: of the file.
        shared: kind of the lock.
        until: when to give up, on the monotonic clock; None for never.

    Raises:
        BlockingIOError: it is held by another.
    """
    if fcntl is None:
        return None
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            # Its last holder deletes it: the lock may be on a file that nobody else will find.
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            if until is not None and time.monotonic() > until:
                os.close(descriptor)
                raise
            time.sleep(0.02)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return None
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except FileNotFoundError:  # the one who held it before has removed the folder
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        _refuse_full(error)
        raise UserError(
            f"{path.parent} cannot be written ({error.strerror}): copy it elsewhere, or give another folder"
        ) from None


def _refuse_full(error: OSError) -> None:
    """A full disk is no reason for another folder."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise error


def _sign(descriptor: int, shared: bool) -> None:
    """Write down who holds the lock, one line each; on a full disk it holds without."""
    entry = {"process": os.getpid(), "host": platform.node(), "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}
    with contextlib.suppress(OSError):
        if not shared:
            os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{json.dumps(entry)}\n".encode())


def _holder(path: Path) -> str:
    """Who signed the lock and is not known to be dead."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        entries: list[dict[str, Any]] = [parse_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for entry in entries:
            if entry["host"] != platform.node() or started(entry["process"]) is not None:
                return f"process {entry['process']} on {entry['host']} since {entry['since']}"
    return "another process"


def _let_go(path: Path, descriptor: int) -> None:
    """Free the lock; the file goes with its last holder."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    os.close(descriptor)
