"""Work done ahead in threads, in order, with a bound on how much of it waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item], threads: int, most: int) -> Generator[Result]:
    """``map`` in threads: results in the items' order, at most ``most`` of them begun and not yet taken.

    The items too are drawn in the threads, one at a time. Leaving the iterator ends the threads.

    Raises:
        Exception: what the function or the items raised, when its turn comes.
    """
    source, lock, position = iter(items), threading.Lock(), 0

    def step() -> tuple[int, Result] | None:
        nonlocal position
        with lock:
            try:
                item = next(source)
            except StopIteration:
                return None
            mine, position = position, position + 1
        return mine, function(item)

    pool = ThreadPoolExecutor(threads, "ahead")
    waiting: deque[Future[tuple[int, Result] | None]] = deque(pool.submit(step) for _ in range(most))
    early: dict[int, Result] = {}  # a thread may draw its item before one that was started earlier
    wanted = 0
    try:
        while waiting:
            found = waiting.popleft().result()
            if found is None:
                continue
            early[found[0]] = found[1]
            while wanted in early:
                yield early.pop(wanted)
                wanted += 1
                waiting.append(pool.submit(step))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
