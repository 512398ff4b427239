"""How far the reading of a dataset is, on stderr."""

from __future__ import annotations

import sys
import time


class Progress:
    """Tells a count and its rate: one line rewritten, or one each 10 s without a terminal.

    Args:
        total: what it counts to.
        what: what is counted: "examples read".
    """

    def __init__(self, total: int, what: str) -> None:
        self._total, self._what, self._done = total, what, 0
        self._terminal = sys.stderr.isatty()
        self._start = time.monotonic()
        self._next = self._start + (0.2 if self._terminal else 10.0)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._terminal and self._done:
            sys.stderr.write("\n")

    def step(self) -> None:
        """Counts one more."""
        self._done += 1
        now = time.monotonic()
        if now < self._next and self._done < self._total:
            return
        self._next = now + (0.2 if self._terminal else 10.0)
        rate = self._done / max(now - self._start, 1e-9)
        line = f"{self._done:,} of {self._total:,} {self._what}, {rate:,.0f}/s"
        sys.stderr.write(f"\r{line}  " if self._terminal else f"{line}\n")
        sys.stderr.flush()
