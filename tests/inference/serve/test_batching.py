"""Requests answered together: each gets its own answer, nobody waits for nothing, and a failure ends nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from fer_tl.inference.predictor import BATCH, Answers
from fer_tl.inference.serve.batching import Batcher, Busy

SHAPE = (6, 6, 1)
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(0, 0.02, (36, 3)).astype(np.float32)


def answer(pixels: np.ndarray) -> Answers:
    """A network of one layer; float32, so that sums differ with the size of the batch."""
    z = np.exp(pixels.reshape(len(pixels), -1).astype(np.float32) @ WEIGHTS)
    probabilities = z / z.sum(axis=1, keepdims=True)
    return Answers(tuple("abc"[k] for k in probabilities.argmax(axis=1)), probabilities)


def draw(count: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, *SHAPE), dtype=np.uint8)


class Gate:
    """A network that stands still at its first call until it is opened."""

    def __init__(self, then: Callable[[np.ndarray], Answers] = answer) -> None:
        self.sizes: list[int] = []
        self.entered, self.opened = threading.Event(), threading.Event()
        self._then = then

    def __call__(self, pixels: np.ndarray) -> Answers:
        self.sizes.append(len(pixels))
        self.entered.set()
        assert self.opened.wait(20)
        return self._then(pixels)


@contextmanager
def standing(gate: Gate, most_waiting: int = 1000) -> Iterator[tuple[Batcher, ThreadPoolExecutor]]:
    """A batcher whose network has one face and stands still."""
    batcher = Batcher(gate, SHAPE, most_waiting)
    with ThreadPoolExecutor(64) as pool:
        try:
            first = pool.submit(batcher.answer, draw(1))
            assert gate.entered.wait(20)
            yield batcher, pool
            gate.opened.set()
            assert first.exception() is None or gate._then is not answer
        finally:
            gate.opened.set()
            batcher.close()


def wait_for(batcher: Batcher, faces: int) -> None:
    """Until so many wait."""
    end = time.monotonic() + 20
    while batcher._waiting != faces:
        assert time.monotonic() < end
        time.sleep(0.002)


def test_callers_at_once_get_their_own_answers_from_few_calls():
    asked = [draw(count) for count in RNG.integers(1, 6, 40)]
    gate = Gate()
    with standing(gate) as (batcher, pool):
        futures = [pool.submit(batcher.answer, pixels) for pixels in asked]
        wait_for(batcher, sum(map(len, asked)))
        gate.opened.set()
        found = [future.result(20) for future in futures]
    for pixels, answers in zip(asked, found, strict=True):
        alone = answer(pixels)
        assert answers.labels == alone.labels
        np.testing.assert_allclose(answers.probabilities, alone.probabilities, atol=1e-5)
    assert len(gate.sizes) <= 1 + -(-sum(map(len, asked)) // (BATCH - 4)) < len(asked) // 4
    assert max(gate.sizes) <= BATCH
    assert (batcher.calls, batcher.faces) == (len(gate.sizes), 1 + sum(map(len, asked)))


def test_a_single_caller_waits_for_nobody_and_a_crowd_is_one_call():
    batcher = Batcher(answer, SHAPE)
    crowd = draw(BATCH + 9)
    np.testing.assert_array_equal(batcher.answer(crowd).probabilities, answer(crowd).probabilities)
    assert (batcher.calls, batcher.faces) == (1, BATCH + 9)
    batcher.close()


def test_an_error_goes_to_those_whom_it_hit_and_the_next_are_answered():
    def fail_on_zero(pixels: np.ndarray) -> Answers:
        if not pixels.all():
            raise MemoryError("too large")
        return answer(pixels)

    bad, good = np.zeros((1, *SHAPE), np.uint8), np.ones((2, *SHAPE), np.uint8)
    gate = Gate(fail_on_zero)
    with standing(gate) as (batcher, pool):
        hit = [pool.submit(batcher.answer, pixels) for pixels in (bad, good)]
        wait_for(batcher, 3)
        gate.opened.set()
        assert [str(future.exception(20)) for future in hit] == ["too large"] * 2
        assert batcher.answer(good).labels == answer(good).labels


def test_more_than_may_wait_is_refused_and_a_crowd_is_not_when_nobody_waits():
    gate = Gate()
    with standing(gate, most_waiting=5) as (batcher, pool):
        crowd = pool.submit(batcher.answer, draw(8))
        wait_for(batcher, 8)
        with pytest.raises(Busy, match="8 faces are waiting"):
            batcher.answer(draw(1))
        gate.opened.set()
        assert len(crowd.result(20).labels) == 8
        assert len(batcher.answer(draw(1)).labels) == 1


def test_closing_refuses_who_waits_and_who_comes():
    gate = Gate()
    with standing(gate) as (batcher, pool):
        waiting = pool.submit(batcher.answer, draw(1))
        wait_for(batcher, 1)
        closing = pool.submit(batcher.close)
        assert isinstance(waiting.exception(20), Busy)
        assert not closing.done()  # the batch in work is finished first
        gate.opened.set()
        closing.result(20)
        with pytest.raises(Busy, match="stopping"):
            batcher.answer(draw(1))


@pytest.mark.parametrize("shape", [(0, *SHAPE), (1, 6, 6, 3), (1, 5, 6, 1)])
def test_faces_of_another_shape_are_refused_alone(shape: tuple[int, ...]):
    batcher = Batcher(answer, SHAPE)
    with pytest.raises(ValueError, match="the model takes"):
        batcher.answer(np.zeros(shape, np.uint8))
    batcher.close()
