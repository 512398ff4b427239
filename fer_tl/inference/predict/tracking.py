"""Which face of a film is which from moment to moment: boxes that overlap are of one person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fer_tl.faces.boxes import Box, match_boxes

# Intersection over union from which boxes of two moments are one face. Faces move by less than half their width
# between analysed frames of a usual video.
_SAME = 0.3
_FORGET = 3.0  # seconds after which a face that was not seen again is another one


class _Track(NamedTuple):
    number: int
    box: Box
    time: float


class Tracker:
    """Numbers the faces of a film from 1 in the order in which they appear; a number stays with its face.

    Boxes of two moments are matched by their overlap, the largest first, each once: Bochinski, Eiselein and Sikora,
    "High-speed tracking-by-detection without using image information", AVSS 2017. It knows no looks: who comes back
    after 3 s, or elsewhere, has a new number, and where two cross, they may change theirs.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = 0

    def update(self, time: float, boxes: Sequence[Box]) -> list[int]:
        """The numbers of the faces of one moment.

        Args:
            time: seconds, not before that of the last call.
            boxes: F of them.

        Returns:
            F numbers, all different.
        """
        known = [track for track in self._tracks if time - track.time <= _FORGET]
        same = match_boxes([track.box for track in known], boxes, _SAME)
        found = {j: known[i].number for i, j in same.items()}
        for j in range(len(boxes)):
            if j not in found:
                self._count += 1
                found[j] = self._count
        unseen = [track for i, track in enumerate(known) if i not in same]
        self._tracks = [*(_Track(found[j], box, time) for j, box in enumerate(boxes)), *unseen]
        return [found[j] for j in range(len(boxes))]
