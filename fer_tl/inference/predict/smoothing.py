"""Probabilities of faces smoothed over the time of a video."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class _Past(NamedTuple):
    time: float
    probabilities: np.ndarray  # [K]


class Smoother:
    """Exponential smoothing in time, a face at a time: after ``seconds`` without change, 63 % of a jump is shown.

    The weight of a new answer is 1 - exp(-dt / seconds), so that neither the frame rate nor ``--every`` matters.

    Args:
        seconds: the time constant; 0 for none.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._past: dict[int, _Past] = {}

    def update(self, time: float, faces: Sequence[int], probabilities: np.ndarray) -> np.ndarray:
        """The smoothed probabilities of the faces of one moment.

        Args:
            time: seconds, not before that of the last call.
            faces: F numbers, see ``fer_tl.inference.predict.tracking``.
            probabilities: float32 ``[F, K]``.

        Returns:
            float32 ``[F, K]``; rows sum to 1. A face that was not there before has its own.
        """
        if not self._seconds:
            return probabilities
        smoothed = probabilities.copy()
        for row, face in enumerate(faces):
            if past := self._past.get(face):
                weight = -math.expm1(-(time - past.time) / self._seconds)
                smoothed[row] = past.probabilities + weight * (probabilities[row] - past.probabilities)
            self._past[face] = _Past(time, smoothed[row])
        return smoothed
