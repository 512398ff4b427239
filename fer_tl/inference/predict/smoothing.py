"""Probabilities of faces smoothed over the time of a video."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fer_tl.faces.boxes import Box

# Intersection over union from which boxes of two moments are one face. Faces move by less than half their width
# between analysed frames of a usual video.
_SAME = 0.3
# Time constants after which a face that was not seen again is forgotten.
_FORGET = 3.0


@dataclass(eq=False)
class _Track:
    box: Box
    probabilities: np.ndarray  # [K]
    time: float


class Smoother:
    """Exponential smoothing in time, a face at a time: after ``seconds`` without change, 63 % of a jump is shown.

    The weight of a new answer is 1 - exp(-dt / seconds), so that neither the frame rate nor ``--every`` matters.

    Args:
        seconds: the time constant; 0 for none.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._tracks: list[_Track] = []

    def update(self, time: float, boxes: Sequence[Box], probabilities: np.ndarray) -> np.ndarray:
        """The smoothed probabilities of the faces of one moment.

        Args:
            time: seconds, not before that of the last call.
            boxes: F of them.
            probabilities: float32 ``[F, K]``.

        Returns:
            float32 ``[F, K]``; rows sum to 1. A face that was not there before has its own.
        """
        if not self._seconds:
            return probabilities
        smoothed = probabilities.copy()
        # A face that cannot be told from a newcomer's is matched to the box that it overlaps most, each box once.
        pairs = sorted(
            ((overlap(track.box, box), i, j) for i, track in enumerate(self._tracks) for j, box in enumerate(boxes)),
            reverse=True,
        )
        tracked: dict[int, _Track] = {}
        used: set[int] = set()
        for share, i, j in pairs:
            if share < _SAME or i in used or j in tracked:
                continue
            used.add(i)
            track = self._tracks[i]
            weight = -math.expm1(-(time - track.time) / self._seconds)
            smoothed[j] = track.probabilities + weight * (probabilities[j] - track.probabilities)
            tracked[j] = track
        unseen = [track for i, track in enumerate(self._tracks) if i not in used]
        self._tracks = [_Track(box, smoothed[j], time) for j, box in enumerate(boxes)]
        self._tracks += [track for track in unseen if time - track.time <= _FORGET * self._seconds]
        return smoothed


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    width = min(one.right, other.right) - max(one.left, other.left)
    if height <= 0 or width <= 0:
        return 0.0
    shared = height * width
    return shared / (one.area + other.area - shared)
