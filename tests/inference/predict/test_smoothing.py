"""Smoothing over time: by the clock, face by face, forgotten when a face is gone."""

from __future__ import annotations

import numpy as np
import pytest

from fer_tl.faces.boxes import Box
from fer_tl.inference.predict.smoothing import Smoother, overlap

LEFT, RIGHT = Box(0, 0, 10, 10), Box(0, 50, 10, 60)
HAPPY, SAD = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)


def moved(box: Box, by: float) -> Box:
    return Box(box.top, box.left + by, box.bottom, box.right + by)


def test_a_jump_is_followed_by_the_time_constant_whatever_the_frame_rate():
    shown = {}
    for steps in (1, 4, 25):
        smoother = Smoother(2.0)
        smoother.update(0.0, [LEFT], HAPPY[None])
        for step in range(1, steps + 1):
            shown[steps] = smoother.update(2.0 * step / steps, [LEFT], SAD[None])[0]
    for p in shown.values():
        np.testing.assert_allclose(p, [np.exp(-1), 1 - np.exp(-1)], rtol=1e-5)


def test_each_face_has_its_own_past_though_their_order_changes():
    smoother = Smoother(5.0)
    smoother.update(0.0, [LEFT, RIGHT], np.stack([HAPPY, SAD]))
    found = smoother.update(0.1, [moved(RIGHT, 3), moved(LEFT, 3)], np.stack([HAPPY, SAD]))
    assert found[0].argmax() == 1 and found[1].argmax() == 0
    newcomer = smoother.update(0.2, [moved(LEFT, 25)], SAD[None])
    np.testing.assert_array_equal(newcomer[0], SAD)


def test_a_face_comes_back_after_a_gap_but_not_after_a_long_one():
    for gap, remembered in ((2.0, True), (4.0, False)):
        smoother = Smoother(1.0)
        smoother.update(0.0, [LEFT], HAPPY[None])
        smoother.update(gap - 0.5, [], np.empty((0, 2), np.float32))
        found = smoother.update(gap, [LEFT], SAD[None])[0]
        assert (found[0] > 0) == remembered and found.sum() == pytest.approx(1)


def test_without_a_time_constant_nothing_changes():
    smoother = Smoother(0.0)
    smoother.update(0.0, [LEFT], HAPPY[None])
    np.testing.assert_array_equal(smoother.update(0.1, [LEFT], SAD[None]), SAD[None])


def test_overlap_is_intersection_over_union():
    assert overlap(LEFT, LEFT) == 1 and overlap(LEFT, RIGHT) == 0
    assert overlap(LEFT, moved(LEFT, 5)) == pytest.approx(50 / 150)
