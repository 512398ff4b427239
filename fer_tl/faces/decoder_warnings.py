"""Pillow's warnings of broken metadata, which does not touch the pixels, held back in all threads at once."""

from __future__ import annotations

import threading
import warnings

_lock = threading.Lock()
_inside = 0
_kept = warnings.catch_warnings()


class no_warnings:
    """Holds warnings back until the last thread that is inside has left.

    ``warnings.catch_warnings`` alone restores what a thread found when it entered, which another one had changed: after
    two threads that overlap, a process keeps silent for good.
    """

    def __enter__(self) -> None:
        global _inside, _kept
        with _lock:
            if not _inside:
                _kept = warnings.catch_warnings()
                _kept.__enter__()
                warnings.simplefilter("ignore")
            _inside += 1

    def __exit__(self, *error: object) -> None:
        global _inside
        with _lock:
            _inside -= 1
            if not _inside:
                _kept.__exit__(None, None, None)
