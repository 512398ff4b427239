"""Steps are read once each, in their order, ahead of what is asked for."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest

from fer_tl.engines import feed
from fer_tl.engines.feed import Feed

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 3, 3, 1)).astype(np.uint8)
BATCH = 4


class Counted:
    """Images that note which rows were read, and by which thread."""

    def __init__(self) -> None:
        self.shape = IMAGES.shape
        self.rows: list[int] = []
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.rows += rows.tolist()
        self.threads.add(threading.current_thread().name)
        return IMAGES[rows]


def plan(seed: int, steps: int = 37) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 50, (steps, BATCH)), rng.integers(0, 50, (steps, BATCH))]


@pytest.mark.parametrize("cuts", [[0, 37], [0, 1, 9, 21, 32, 37], [0, 1, 2, 13, 14, 30, 37], [5, 6, 20, 37]], ids=str)
def test_pixels_are_those_of_the_rows_wherever_calls_are_cut_and_none_is_read_twice(cuts: list[int]):
    images, rows = Counted(), plan(1)
    feeding = Feed(images, BATCH)
    for start, stop in pairwise(cuts):
        for pixels, each in zip(feeding.read(rows, start, stop), rows, strict=True):
            np.testing.assert_array_equal(pixels, IMAGES[each[start:stop]])
    first = cuts[0] // feed.STEPS_IN_ONE_GO * feed.STEPS_IN_ONE_GO
    assert sorted(images.rows) == sorted(np.concatenate([each[first:].ravel() for each in rows]).tolist())
    assert threading.current_thread().name not in images.threads


def test_other_steps_may_come_before_these_are_through():
    images, one, other = Counted(), plan(1), plan(2)
    feeding = Feed(images, BATCH)
    for rows, start, stop in ((one, 0, 5), (other, 3, 4), (other[:1], 0, 2), (one, 5, 9), (one, 36, 37)):
        for pixels, each in zip(feeding.read(rows, start, stop), rows, strict=True):
            np.testing.assert_array_equal(pixels, IMAGES[each[start:stop]])


def test_no_more_is_read_ahead_than_was_asked_for():
    images, rows = Counted(), plan(1, steps=100)
    feeding = Feed(images, BATCH)
    feeding.read(rows, 0, 20)
    feeding._thread.shutdown()
    assert 2 * 40 * BATCH <= len(images.rows) <= 2 * (40 + feed.STEPS_IN_ONE_GO) * BATCH


def test_what_is_at_once_in_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "BYTES_AT_ONCE", 5 * BATCH * 9)
    assert Feed(Counted(), BATCH).steps_at_once == 5


def test_an_error_while_reading_reaches_who_asks():
    class Broken(Counted):
        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        Feed(Broken(), BATCH).read(plan(1), 0, 1)
