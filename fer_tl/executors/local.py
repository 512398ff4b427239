"""Units in processes of this machine, several at the same time, each with its share of cores and GPUs.

Not ``concurrent.futures`` nor joblib's loky: there a worker that the system kills fails the units of all others, and
none of them lets a unit put down a checkpoint when the user interrupts.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from queue import Empty, Queue
from typing import Any

from fer_tl.executors.shares import Share, share_machine
from fer_tl.executors.unit import Tell, Unit

Events = Queue[tuple[int, dict[str, Any] | None]]


def run_local(units: Sequence[Unit], jobs: int, tell: Tell) -> dict[str, str]:
    """Do units, so many at a time, in their order.

    Ctrl-C and SIGTERM let every process stop as one alone does, and are raised again when all have ended.

    Args:
        units: with different names.
        jobs: processes, at least one.
        tell: prints a line of a unit, and at once what went wrong with it.

    Returns:
        What went wrong, in one line, by the names of the units with which something did.
    """
    shares = share_machine(min(jobs, len(units)))
    waiting, events = deque(units), Events()
    processes: dict[int, _Process] = {}
    faults: dict[str, str] = {}
    try:
        while True:
            for place in range(len(shares)):
                if waiting and place not in processes:
                    processes[place] = _Process(shares[place], place, events)
                if waiting and processes[place].unit is None:
                    processes[place].do(waiting.popleft())
            if not any(process.unit for process in processes.values()):
                break
            place, said = events.get()
            unit = processes[place].unit
            if said and "line" in said and unit:
                tell(unit, said["line"])
                continue
            processes[place].unit = None
            fault = said["fault"] if said else processes.pop(place).end()
            if fault and unit:
                faults[unit.name] = fault
                tell(unit, f"{unit.name} failed: {fault}")
        for process in processes.values():
            process.end()
    except BaseException:
        _stop(processes, events, tell)
        raise
    return faults


class _Process:
    """A process for units, one after the other: a framework takes seconds to be imported.

    What it says goes into ``events`` with its place, and None when it has ended.
    """

    def __init__(self, share: Share, place: int, events: Events):
        self.unit: Unit | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, closed by ``end``
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fer_tl.executors.worker", json.dumps(share.cores)],
            stdin=subprocess.PIPE,  # open as long as this process lives, which tells the other one so
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **share.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C reaches the parent alone, which tells each process once
        )
        threading.Thread(target=_listen, args=(self.process.stdout, place, events), daemon=True).start()

    def do(self, unit: Unit) -> None:
        """Give it a unit, once it has none."""
        assert self.process.stdin
        self.unit = unit
        with contextlib.suppress(BrokenPipeError):  # of one that has ended meanwhile, as ``events`` will say
            self.process.stdin.write(json.dumps(asdict(unit)).encode() + b"\n")
            self.process.stdin.flush()

    def end(self) -> str:
        """Wait for its end, without giving it more; returns how it ended, in words."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        code = self.process.wait()
        self._log.seek(0)
        wrote = self._log.read().decode(errors="replace").strip().splitlines()
        self._log.close()
        if code < 0:
            name = signal.Signals(-code).name
            memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
            return f"its process was ended by {name}{memory}"
        return f"its process ended with code {code}{f': {wrote[-1].strip()}' if wrote else ''}"


def _listen(stream: Any, place: int, events: Events) -> None:
    with stream:
        for line in stream:
            with contextlib.suppress(ValueError):  # half a line of a process that was killed
                events.put((place, json.loads(line)))
    events.put((place, None))


def _stop(processes: dict[int, _Process], events: Events, tell: Tell) -> None:
    """Let each process put down its work, and wait for all; if another interrupt comes meanwhile, end them at once."""
    try:
        for one in processes.values():
            one.process.terminate()
        while any(one.process.poll() is None for one in processes.values()):
            with contextlib.suppress(Empty):
                place, said = events.get(timeout=0.2)
                unit = processes[place].unit if place in processes else None
                if said and "line" in said and unit:
                    tell(unit, said["line"])
    except BaseException:
        for one in processes.values():
            one.process.kill()
        raise
