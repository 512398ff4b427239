"""The faces that ExpW's list names, by the boxes that a detector finds where the list has its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

import numpy as np
from PIL import Image

from fer_tl.core.counting import fitting
from fer_tl.core.errors import UserError
from fer_tl.faces.boxes import Box, Face, match_boxes
from fer_tl.faces.detection import DetectedCrop, find_faces

# What is counted, see ``fer_tl.sources.findings.Findings``.
_LISTED, _KEPT, _UPRIGHT = "listed", "cut by the list", "without eyes"

SAME = 0.5
"""Intersection over union from which a found box is that of a listed face, as PASCAL VOC counts detections (Everingham
et al. 2010, section 4.2.2)."""


class DetectedBoxes:
    """Boxes of a detector in place of those of a list; see ``boxes.Cropped``.

    Args:
        crop: the detector.
    """

    def __init__(self, crop: DetectedCrop) -> None:
        self._crop = crop
        self._counting = threading.Lock()

    def find_listed(self, photo: Image.Image, listed: Mapping[str, Box], counts: Counter[str]) -> list[Face]:
        """Each listed face as it is found, or else by the box of the list; a found face stands for one of them at most.
        Several threads may call it.

        Args:
            photo: mode "RGB", as its boxes count its pixels.
            listed: {id: box}.
            counts: is added to.
        """
        found = find_faces(self._crop.detector, np.asarray(photo))
        ids, boxes = list(listed), list(listed.values())
        same = match_boxes(boxes, [face.box for face in found], SAME)
        mine = {ids[i]: j for i, j in same.items()}
        with self._counting:
            counts[_LISTED] += len(listed)
            counts[_KEPT] += len(listed) - len(mine)
            counts[_UPRIGHT] += sum(found[i].tilt is None for i in mine.values())
        return [found[mine[identity]] if identity in mine else Face(box, 1.0) for identity, box in listed.items()]

    def warnings(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        kept, number = counts.get(_KEPT, 0), counts.get(_LISTED, 0)
        told = []
        if kept:
            told.append(
                f"{kept:,} of {number:,} faces {fitting(kept, 'is', 'are')} cut by the list's box: {self._crop.name} "
                "finds none that overlaps it by half."
            )
        if self._crop.align and (upright := kept + counts.get(_UPRIGHT, 0)):
            are = fitting(upright, "is", "are")
            told.append(f"{upright:,} of {number:,} faces {are} not aligned: no eyes were found.")
        return tuple(told)

    def refuse_unfound(self, counts: Mapping[str, int]) -> None:
        kept, number = counts.get(_KEPT, 0), counts.get(_LISTED, 0)
        if kept > number / 2:
            raise UserError(
                f"{self._crop.name} does not find {kept:,} of {number:,} listed faces ({100 * kept / number:.0f} %), "
                "which would be cut by the boxes of the list beside those that are found: give another --detector, or "
                "leave it out, and all are cut by the list"
            )
