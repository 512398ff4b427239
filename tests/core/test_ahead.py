"""Work ahead in threads: in order, side by side, bounded, and ended when it is left."""

from __future__ import annotations

import threading
import time

import pytest

from fer_tl.core.ahead import map_ahead


def test_results_come_in_order_and_from_several_threads_with_a_bound_on_what_waits():
    drawn, most_waiting = 0, 0
    meeting = threading.Barrier(2, timeout=5)  # passed only by two at once

    def items():
        nonlocal drawn
        for number in range(40):
            drawn += 1
            yield number

    def work(number: int) -> int:
        if number < 2:
            meeting.wait()
        time.sleep(0.001 * (number % 3))
        return number * number

    results = []
    for result in map_ahead(work, items(), threads=2, most=5):
        most_waiting = max(most_waiting, drawn - len(results))
        results.append(result)
    assert results == [number * number for number in range(40)] and most_waiting <= 6


def test_an_error_comes_in_its_turn_and_leaving_ends_the_threads():
    before = threading.active_count()

    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    results = map_ahead(work, range(100), threads=2, most=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    left = map_ahead(work, iter(range(4, 10**9)), threads=2, most=4)
    assert next(left) == 4
    left.close()
    assert threading.active_count() == before
