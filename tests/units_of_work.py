"""Work for executors to do in other processes, and the units of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fer_tl.core.errors import Terminated, UserError
from fer_tl.executors.unit import Unit


def unit(work: str, name: str, **settings: Any) -> Unit:
    """Of the functions below."""
    return Unit(name, f"{__name__}:{work}", settings)


def leave_note(settings: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Says a line, and writes what it found; without ``folder`` into the folder where it works."""
    say(f"{settings['text']}, said")
    print("printed")
    os.write(1, b"a library's chatter\n")
    Path(settings.get("folder", "."), settings["text"]).write_text(
        "\n".join([os.environ.get("TF_NUM_INTRAOP_THREADS", ""), str(len(os.sched_getaffinity(0)))])
    )


def refuse(settings: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Fails as bad input does."""
    raise UserError("no such weights: give others")


def break_down(settings: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Fails as nobody foresaw."""
    raise ZeroDivisionError("of a contributor")


def die(settings: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Is killed, as by a system that has no memory left; the second time, where there is a ``note``, it is not."""
    note = Path(settings["note"]) if "note" in settings else None
    if note and note.exists():
        return
    if note:
        note.touch()
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_end(settings: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Works until it is told to stop, and then puts down what it has."""
    try:
        say("waiting")
        time.sleep(60)
    except (KeyboardInterrupt, Terminated):
        Path(settings["put_down"]).write_text("all of it")
        raise
