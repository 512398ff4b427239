"""Pillow's warnings of broken metadata, which does not touch the pixels, held back in all threads at once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_kept: warnings.catch_warnings[None] | None = None


@contextmanager
def no_warnings() -> Iterator[None]:
    """Holds warnings back until the last thread that is inside has left.

    `warnings.catch_warnings` alone restores what a thread found when it entered, which another one had changed: after
    two threads that overlap, a process keeps silent for good.
    """
    global _inside, _kept
    with _lock:
        if not _inside:
            _kept = warnings.catch_warnings()
            _kept.__enter__()
            warnings.simplefilter("ignore")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _kept is not None:
                _kept.__exit__(None, None, None)
