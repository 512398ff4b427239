"""A process that does units: ``python -m fer_tl.executors.worker CORES``, started by ``local.py``.

It reads units as lines of JSON, and writes lines of JSON: ``line``, what a unit says, and at its end ``fault``, what
went wrong. If the input ends while it works, who started it is gone: it stops as at a SIGTERM.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from queue import Queue
from typing import Any

from fer_tl.core import quiet
from fer_tl.core.say import say_line
from fer_tl.executors.unit import INTERRUPTED, Unit, perform


class Lines(io.TextIOBase):
    """Text that calls a function with each whole line."""

    def __init__(self, take: Callable[[str], None]):
        self._take, self._rest = take, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._take(line)
        return len(text)


def main() -> None:
    """Do the units that come on the input, one after the other, until it ends."""
    # What libraries write to the output goes where errors go.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(**said: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # of one that is gone, and stops this process
            print(json.dumps(said), file=channel, flush=True)

    if cores := json.loads(sys.argv[1]):
        os.sched_setaffinity(0, cores)
    quiet.leave_out_unused()
    units, works = Queue[Unit | None](), threading.Event()
    threading.Thread(target=_listen, args=(units, works), daemon=True).start()
    while unit := units.get():
        with contextlib.redirect_stdout(Lines(lambda line: tell(line=line))):
            fault = perform(unit, say_line)
        gc.collect()  # models are garbage that holds itself
        works.clear()
        tell(fault=fault)
        if fault == INTERRUPTED:
            break


def _listen(units: Queue[Unit | None], works: threading.Event) -> None:
    for line in sys.stdin.buffer:
        works.set()
        units.put(Unit(**json.loads(line)))
    units.put(None)
    if works.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
