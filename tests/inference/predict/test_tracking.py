"""Numbers of faces in a film: they stay with a face that moves, and are never given twice."""

from __future__ import annotations

import pytest

from fer_tl.faces.boxes import Box, overlap
from fer_tl.inference.predict.tracking import Tracker

LEFT, RIGHT = Box(0, 0, 10, 10), Box(0, 50, 10, 60)


def moved(box: Box, by: float) -> Box:
    return Box(box.top, box.left + by, box.bottom, box.right + by)


def test_a_number_stays_with_a_face_that_moves_though_the_order_changes() -> None:
    tracker = Tracker()
    assert tracker.update(0.0, [LEFT, RIGHT]) == [1, 2]
    for step in range(1, 10):
        assert tracker.update(0.1 * step, [moved(RIGHT, -2 * step), moved(LEFT, 2 * step)]) == [2, 1]


def test_a_newcomer_has_a_number_of_its_own() -> None:
    tracker = Tracker()
    tracker.update(0.0, [LEFT])
    assert tracker.update(0.1, [moved(LEFT, 25), LEFT]) == [2, 1]
    assert tracker.update(0.2, [moved(LEFT, 1), moved(LEFT, 0.5)]) == [3, 1]  # each box once, the nearest first


def test_a_face_comes_back_after_a_gap_but_not_after_a_long_one() -> None:
    for gap, number in ((2.0, 1), (4.0, 2)):
        tracker = Tracker()
        tracker.update(0.0, [LEFT])
        assert tracker.update(gap - 0.5, []) == []
        assert tracker.update(gap, [LEFT]) == [number]


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(LEFT, LEFT) == 1 and overlap(LEFT, RIGHT) == 0
    assert overlap(LEFT, moved(LEFT, 5)) == pytest.approx(50 / 150)
