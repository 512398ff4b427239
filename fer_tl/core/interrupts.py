"""Signals that ask a process to stop: raised in order, or held back until what is in work can be put down."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from fer_tl.core.errors import Terminated


@contextmanager
def handled(numbers: Sequence[int], handler: Callable[[int, object], None]) -> Iterator[None]:
    """While inside, these signals call a function; in the main thread only, elsewhere they are left as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, signal.SIG_DFL if earlier is None else earlier)


def terminate(number: int, frame: object) -> None:
    """Handle SIGTERM by an exception, so that running work shuts down cleanly."""
    raise Terminated


@contextmanager
def deferred(tell: Callable[[str], None]) -> Iterator[Callable[[], type[BaseException] | None]]:
    """While inside, the first Ctrl-C or SIGTERM is only noted; the second one leaves at once.

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

    with handled((signal.SIGINT, signal.SIGTERM), note):
        yield lambda: noted[0] if noted else None
