"""Progress on the terminal: one line that is rewritten, or lines every so often where output goes to a file.

``tqdm`` does not replace this: into a file it writes bars behind carriage returns, and it cannot leave the first, slow
step of a run out of the time that it says is left.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TextIO

from fer_tl.core.say import says_progress

# Between lines where nothing can be rewritten: pipes, files.
SECONDS_PER_LINE = 10.0
# Of a line that is rewritten: each time is a message to the browser where it is a notebook's.
SECONDS_PER_REWRITE = 0.2


def duration(seconds: float) -> str:
    """``75`` to ``1 min 15 s``."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def can_rewrite(out: TextIO) -> bool:
    """Whether a carriage return goes back to the start of the line: in a terminal, and in the output of a notebook's
    cell, whose kernel gives a stream that is no terminal (``ipykernel.iostream.OutStream``)."""
    return out.isatty() or type(out).__module__.partition(".")[0] == "ipykernel"


class Progress:
    """Counts training images over a whole run and says how fast they go and how long the rest takes.

    Args:
        total: training images of the whole run, over folds and epochs.
        out: where to print.
    """

    def __init__(self, total: int, out: TextIO | None = None):
        self._total = total
        self._out = out or sys.stdout
        self._live = can_rewrite(self._out) and says_progress()
        self._done = 0
        self._timed = 0
        self._begun = False
        self._seconds = 0.0
        self._quiet = Clock()
        self._rewritten = Clock()

    def skip(self, images: int) -> None:
        """Count images that need no training: an epoch done before, or one left out by early stopping."""
        self._done += images

    def step(self, images: int, seconds: float, where: str) -> None:
        """Count images just trained, and show where it is: in the live line, or where there is none, in a line after
        each 10 s without one."""
        self._done += images
        # The first call of a run traces the model: counting it would promise far too long a run.
        if self._begun:
            self._timed += images
            self._seconds += seconds
        self._begun = True
        if self._live:
            if self._rewritten.look() < SECONDS_PER_REWRITE:
                return
            self._rewritten.lap()
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{f'{where}  {self.rate()}'[:width]:<{width}}", end="", file=self._out, flush=True)
        elif self._quiet.look() >= SECONDS_PER_LINE:
            self.line(f"{where}  {self.rate()}")

    def rate(self) -> str:
        """``512 images/s, 3 min 20 s left``, as far as known."""
        if not self._timed:
            return "starting"
        speed = self._timed / max(self._seconds, 1e-9)
        return f"{speed:,.0f} images/s, {duration(max(self._total - self._done, 0) / speed)} left"

    def line(self, text: str) -> None:
        """Print a line that stays."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{'':<{width}}\r", end="", file=self._out)
        if says_progress():
            print(text, file=self._out, flush=True)
            self._quiet.lap()


class CountProgress:
    """Shows a count and its rate on stderr: one line that is rewritten, or a line every 10 s without a terminal.

    Args:
        total: what it counts to.
        what: what is counted: "examples read".
    """

    def __init__(self, total: int, what: str) -> None:
        self._total, self._what, self._done = total, what, 0
        self._terminal = can_rewrite(sys.stderr)
        self._shown = says_progress()
        self._start = time.perf_counter()
        self._next = self._start + (SECONDS_PER_REWRITE if self._terminal else SECONDS_PER_LINE)

    def __enter__(self) -> CountProgress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._terminal and self._done and self._shown:
            sys.stderr.write("\n")

    def step(self) -> None:
        """Count one more."""
        self._done += 1
        now = time.perf_counter()
        if not self._shown or (now < self._next and self._done < self._total):
            return
        self._next = now + (SECONDS_PER_REWRITE if self._terminal else SECONDS_PER_LINE)
        rate = self._done / max(now - self._start, 1e-9)
        line = f"{self._done:,} of {self._total:,} {self._what}, {rate:,.0f}/s"
        sys.stderr.write(f"\r{line}  " if self._terminal else f"{line}\n")
        sys.stderr.flush()


class Clock:
    """Seconds since the last look."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap or the start."""
        passed = self.look()
        self._last += passed
        return passed

    def look(self) -> float:
        """The same, without starting anew."""
        return time.perf_counter() - self._last


def seconds_by_turns(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Seconds of each call, the median over rounds in which every one has its turn, so that a machine which slows down
    meanwhile slows all of them."""
    clock = Clock()
    taken = []
    for _ in range(rounds):
        seconds = []
        for call in calls:
            clock.lap()
            call()
            seconds.append(clock.lap())
        taken.append(seconds)
    return [median(of_one) for of_one in zip(*taken, strict=True)]
