"""Several callers' faces in one call of the network."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from fer_tl.core.counting import counted, fitting
from fer_tl.inference.predictor import BATCH, Answers

# Faces that may wait, beside those in work: MobileNetV2 at 96 px answers for them in half a second on two cores.
MOST_WAITING = 4 * BATCH

_Entry = tuple[np.ndarray, "Future[Answers]"]


class Busy(Exception):
    """More waits than is worth waiting for, or nobody answers any more: ask again later."""


class Batcher:
    """Answers callers of several threads, of all that wait in one call.

    A batch is what has come while the last one was in work: nobody waits for others to come, so a single caller loses
    nothing, and the busier it is the larger the batches.

    Args:
        answer: ``ExpressionModel.answer``, called by one thread only.
        image_shape: of the images that it takes.
        most_waiting: faces that may wait.

    Attributes:
        calls: of the network, so far.
        faces: answered, so far.
    """

    def __init__(
        self,
        answer: Callable[[np.ndarray], Answers],
        image_shape: tuple[int, int, int],
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._answer, self._shape, self._most = answer, image_shape, most_waiting
        self._entries: deque[_Entry] = deque()
        self._waiting = 0  # faces in _entries
        self._changed = threading.Condition()
        self._closed = False
        self.calls = self.faces = 0
        self._thread = threading.Thread(target=self._work, name="network", daemon=True)
        self._thread.start()

    def answer(self, pixels: np.ndarray) -> Answers:
        """What the model says of faces, uint8 ``[F, H, W, C]``, F is 1 or more; waits for it.

        Raises:
            Busy: too many faces wait already, or ``close`` was called.
            Exception: whatever the network raised on the batch.
        """
        if pixels.shape[1:] != self._shape or not len(pixels):
            raise ValueError(f"faces are {list(pixels.shape)}, the model takes {list(self._shape)}")
        future: Future[Answers] = Future()
        with self._changed:
            if self._closed:
                raise Busy("the server is stopping")
            # A caller with more faces than may wait is served when nobody else waits.
            if self._entries and self._waiting + len(pixels) > self._most:
                raise Busy(f"{counted(self._waiting, 'face')} {fitting(self._waiting, 'is', 'are')} waiting")
            self._entries.append((pixels, future))
            self._waiting += len(pixels)
            self._changed.notify()
        return future.result()

    def close(self) -> None:
        """Finish the batch in work, refuse what waits, and end the thread."""
        with self._changed:
            self._closed = True
            left = list(self._entries)
            self._entries.clear()
            self._changed.notify()
        for _, future in left:
            future.set_exception(Busy("the server is stopping"))
        self._thread.join()

    def _work(self) -> None:
        while entries := self._take():
            pixels = np.concatenate([each for each, _ in entries])  # [B, H, W, C]
            try:
                answers = self._answer(pixels)
            except Exception as error:
                for _, future in entries:
                    future.set_exception(error)
                continue
            self.calls += 1
            self.faces += len(pixels)
            start = 0
            for each, future in entries:
                end = start + len(each)
                future.set_result(Answers(answers.labels[start:end], answers.probabilities[start:end]))
                start = end

    def _take(self) -> list[_Entry]:
        """The callers of the next batch, first come first served: as many as fit into it, but one at least; none when
        it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._closed)
            taken: list[_Entry] = []
            count = 0
            while self._entries and (not taken or count + len(self._entries[0][0]) <= BATCH):
                taken.append(self._entries.popleft())
                count += len(taken[-1][0])
            self._waiting -= count
            return taken
