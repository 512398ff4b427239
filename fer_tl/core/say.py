"""What functions say while they work: lines on the logger ``fer_tl``, which prints them.

``logging.getLogger("fer_tl").setLevel(...)`` chooses how much, as ``--quiet`` and ``--verbose`` do: ``RESULT``
and above are results and warnings, ``INFO`` is what happens meanwhile.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Say = Callable[[str], None]

LOGGER = logging.getLogger("fer_tl")
RESULT = logging.INFO + 5
_IS_QUIET = ContextVar("fer_tl_is_quiet", default=False)


class _Printing(logging.Handler):
    """Print to whatever ``sys.stdout`` is at the moment; with the seconds since the start where notes of debugging are
    wanted."""

    def emit(self, record: logging.LogRecord) -> None:
        started = f"[{time.monotonic() - _STARTED:7.1f} s] " if LOGGER.isEnabledFor(logging.DEBUG) else ""
        print(f"{started}{record.getMessage()}", flush=True)


_STARTED = time.monotonic()
LOGGER.setLevel(logging.INFO)
LOGGER.addHandler(_Printing())
LOGGER.propagate = False


def say_line(line: str) -> None:
    """Log a line, or a table: what has several lines, or begins with ``results:``, is a result."""
    if line.startswith("Warning: "):
        LOGGER.warning("%s", line)
    else:
        LOGGER.log(RESULT if "\n" in line.strip("\n") or line.startswith("results:") else logging.INFO, "%s", line)


def says_progress() -> bool:
    """Whether what happens meanwhile is shown."""
    return LOGGER.isEnabledFor(logging.INFO) and not _IS_QUIET.get()


@contextmanager
def quiet() -> Iterator[None]:
    """While inside, this thread shows no progress, whatever the logger says."""
    token = _IS_QUIET.set(True)
    try:
        yield
    finally:
        _IS_QUIET.reset(token)
