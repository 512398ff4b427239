"""Smoothing over time: by the clock, face by face."""

from __future__ import annotations

import numpy as np

from fer_tl.inference.predict.smoothing import Smoother

HAPPY, SAD = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)


def test_a_jump_is_followed_by_the_time_constant_whatever_the_frame_rate():
    shown = {}
    for steps in (1, 4, 25):
        smoother = Smoother(2.0)
        smoother.update(0.0, [1], HAPPY[None])
        for step in range(1, steps + 1):
            shown[steps] = smoother.update(2.0 * step / steps, [1], SAD[None])[0]
    for p in shown.values():
        np.testing.assert_allclose(p, [np.exp(-1), 1 - np.exp(-1)], rtol=1e-5)


def test_each_face_has_its_own_past_though_their_order_changes():
    smoother = Smoother(5.0)
    smoother.update(0.0, [1, 2], np.stack([HAPPY, SAD]))
    found = smoother.update(0.1, [2, 1], np.stack([HAPPY, SAD]))
    assert found[0].argmax() == 1 and found[1].argmax() == 0
    newcomer = smoother.update(0.2, [3], SAD[None])
    np.testing.assert_array_equal(newcomer[0], SAD)


def test_without_a_time_constant_nothing_changes():
    smoother = Smoother(0.0)
    smoother.update(0.0, [1], HAPPY[None])
    np.testing.assert_array_equal(smoother.update(0.1, [1], SAD[None]), SAD[None])
