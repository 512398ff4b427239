"""Where a build works until it is complete: a hidden folder beside the place where the dataset will be."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from fer_tl.core.errors import UserError
from fer_tl.core.files import sync
from fer_tl.core.json_files import load_json
from fer_tl.core.lock import take_turns
from fer_tl.core.machine import machine, process_number, started

OWNER = "owner.json"
"""Who works in a folder; written anew as a sign of life."""

_BEAT = 60.0
"""Seconds between two signs of life."""

_ABANDONED = 3600.0
"""Seconds without one after which a folder of another machine is taken for that of a build that died: a machine may
sleep, or the disk not answer for a while."""

_REPLACED = ".replaced-"
_TRIES = 5
_COUNT = itertools.count()
"""Of the builds of this process, which may be several at once."""


@contextlib.contextmanager
def workplace(root: Path, name: str) -> Iterator[Path]:
    """A hidden folder for this build, removed on exit. Leftovers of crashed builds are deleted: those of this machine
    at once, those of others on the same disk after an hour without a sign of life."""
    place = root / f".building-{name}-{process_number()}-{next(_COUNT)}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        _sign(place)
        # Clocks differ between machines; the disk's is one.
        now = (place / OWNER).stat().st_mtime
        for left in root.glob(".building-*"):
            if left != place and not _is_alive(left, now):
                shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise UserError(f"{root} cannot be written to ({error.strerror}): choose another --data-dir") from error
    done = threading.Event()
    threading.Thread(target=_beat, args=(place, done), daemon=True).start()
    try:
        yield place
    finally:
        done.set()
        shutil.rmtree(place, ignore_errors=True)


def put_in_place(directory: Path, target: Path, place: Path, check: Callable[[], object] = lambda: None) -> None:
    """Rename a complete dataset to its final place; an old one there is replaced only now.

    Between the two renames the old one lies beside its place under a hidden name, where ``recover`` finds it. Whoever
    else would put something there waits, where the file system has locks.

    Args:
        directory: complete.
        target: its final place.
        place: on the same disk, for what is replaced; the caller removes it.
        check: raises if what is there now may not be replaced: another process may have put it there meanwhile.
    """
    for path in [*directory.rglob("*"), directory]:
        sync(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(_REPLACED + target.name)
    with take_turns(target.parent):
        _put_back(target, aside)
        check()
        for attempt in range(_TRIES):
            try:
                if target.exists():
                    target.rename(aside)
                directory.rename(target)
                break
            except OSError:
                # Without locks others are as fast: what they put here or aside is looked at again. Or the disk refuses.
                _put_back(target, aside)
                if attempt == _TRIES - 1 or not target.exists():
                    raise
        sync(target.parent)
        with contextlib.suppress(FileNotFoundError):
            aside.rename(place / "replaced")


def recover(target: Path) -> None:
    """Put back what a build that was killed between its two renames had moved aside to replace it."""
    aside = target.with_name(_REPLACED + target.name)
    if aside.exists():
        with contextlib.suppress(OSError, UserError), take_turns(target.parent):  # nothing may be written here
            _put_back(target, aside)


def _put_back(target: Path, aside: Path) -> None:
    with contextlib.suppress(OSError):  # another process was faster
        if aside.exists():
            if target.exists():
                shutil.rmtree(aside)
            else:
                aside.rename(target)


def recover_all(folder: Path) -> None:
    """``recover`` for whatever is in a folder."""
    for aside in folder.glob(f"{_REPLACED}*"):
        target = aside.with_name(aside.name.removeprefix(_REPLACED))
        if not target.exists():
            recover(target)


def _sign(place: Path) -> None:
    entry = {"machine": machine(), "process": os.getpid(), "started": started(os.getpid())}
    (place / OWNER).write_text(json.dumps(entry), encoding="utf-8")


def _beat(place: Path, done: threading.Event) -> None:
    while not done.wait(_BEAT):
        with contextlib.suppress(OSError):
            os.utime(place / OWNER)  # `None` for the time: the disk's clock sets it


def _is_alive(place: Path, now: float) -> bool:
    """Whether somebody may be working in a folder; ``now`` is a time of the disk's clock."""
    try:
        owner = load_json(place / OWNER)
        if owner["machine"] == machine():
            return started(owner["process"]) == owner["started"]
        latest = (place / OWNER).stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        # Just made, or by an earlier fer-tl, whose process number says nothing where its machine is not known.
        try:
            latest = place.stat().st_mtime
        except OSError:
            return True  # another process has cleared it away
    return now - latest < _ABANDONED
