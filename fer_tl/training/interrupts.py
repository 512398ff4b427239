"""Ctrl-C and SIGTERM held back until what is in work can be put down."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fer_tl.errors import Terminated

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred(tell: Callable[[str], None]) -> Iterator[Callable[[], type[BaseException] | None]]:
    """While inside, the first Ctrl-C or SIGTERM is only noted; the second one leaves at once.

    Signals are handled in the main thread only: elsewhere nothing is held back.

    Args:
        tell: prints a line, once the first one has come.

    Yields:
        A function that returns what to raise, ``KeyboardInterrupt`` or ``Terminated``; None if nothing has come.
    """
    noted: list[type[BaseException]] = []

    def note(number: int, frame: object) -> None:
        kind = KeyboardInterrupt if number == signal.SIGINT else Terminated
        if noted:
            raise kind
        noted.append(kind)
        tell("stopping after this step, with a checkpoint; once more to leave at once")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield lambda: noted[0] if noted else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
