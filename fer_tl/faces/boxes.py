"""Face boxes and faces that were found: where a box lies in an image, what detectors have in common."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from fer_tl.core.errors import UserError

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from PIL import Image


class Box(NamedTuple):
    """The face in an image: rows ``top`` to ``bottom`` and columns ``left`` to ``right``, as in ``img[top:bottom,
    left:right]``.

    The unit is a pixel of the image before any resizing, turned as its EXIF tag says; ``bottom`` and ``right`` are the
    first row and column outside. Fractions and places outside the image are allowed.
    """

    top: float
    left: float
    bottom: float
    right: float

    @property
    def area(self) -> float:
        """In square pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in self._asdict().items())


class Window(NamedTuple):
    """A part of an image, ``img[top:bottom, left:right]``, not empty; ``clipped`` if the box reached beyond the
    image."""

    top: int
    left: int
    bottom: int
    right: int
    clipped: bool


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    width = min(one.right, other.right) - max(one.left, other.left)
    if height <= 0 or width <= 0:
        return 0.0
    shared = height * width
    return shared / (one.area + other.area - shared)


def match_boxes(ones: Sequence[Box], others: Sequence[Box], least: float) -> dict[int, int]:
    """Pairs of boxes that share most, the best pair first; each box is in one pair at most.

    Args:
        ones: N of them.
        others: M of them.
        least: intersection over union of a pair, 0..1.

    Returns:
        {index in ``ones``: index in ``others``}.
    """
    pairs = sorted(
        ((overlap(one, other), i, j) for i, one in enumerate(ones) for j, other in enumerate(others)), reverse=True
    )
    found: dict[int, int] = {}
    used: set[int] = set()
    for share, i, j in pairs:
        if share >= least and i not in found and j not in used:
            found[i] = j
            used.add(j)
    return found


def window_of(box: Box, height: int, width: int, margin: float = 0.0) -> Window | None:
    """The whole pixels of an image that a box covers.

    The box grows by the margin, then its edges are rounded, then it is clipped to the image.

    Args:
        box: the face.
        height: of the image, pixels.
        width: of the image, pixels.
        margin: what to add on each side, as a fraction of the box's height (above, below) and width (left, right).

    Returns:
        None if no pixel of the image is in the box without its margin: then the box is not one of this image.
    """
    bare = _clip(_rounded(box, 0.0), height, width)
    if bare.bottom <= bare.top or bare.right <= bare.left:
        return None
    return _clip(_rounded(box, margin), height, width)


def check_margin(margin: float | None) -> None:
    """Refuse a ``--margin`` that is no sensible part of a face.

    Raises:
        UserError: it is not between 0 and 2.
    """
    if margin is not None and not 0 <= margin <= 2:
        raise UserError(f"--margin {margin:g}: give 0 to 2, a fraction of the face on each side")


class Cropped(Protocol):
    """What is known of faces that were cut, by what was counted of them, see ``fer_tl.sources.findings.Findings``."""

    def warnings(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        """What to tell about the boxes."""
        ...

    def refuse_unfound(self, counts: Mapping[str, int]) -> None:
        """After all images: raise ``UserError`` if most have no face, or none what is asked of it."""
        ...


class Crop(Cropped, Protocol):
    """Knows or finds the face of each image.

    Attributes:
        margin: see ``fer_tl.faces.recipe.FaceRecipe``.
    """

    margin: float

    def find(self, image: Image.Image, identity: str, counts: Counter[str]) -> Face | None:
        """The face of one image of any size and mode, None for an image that stays whole; adds to ``counts``."""
        ...


class FaceCrop:
    """The boxes that are known for images.

    Args:
        boxes: {image id: (its box, where a message says that the box stands)}; other images stay whole.
        margin: see ``Crop``.
        warnings: what to tell about the boxes.

    Attributes:
        margin: as given.
    """

    def __init__(self, boxes: Mapping[str, tuple[Box, str]], margin: float, warnings: tuple[str, ...] = ()) -> None:
        self._boxes = boxes
        self.margin = margin
        self._warnings = warnings

    def find(self, image: Image.Image, identity: str, counts: Counter[str]) -> Face | None:
        """The face of one image, None if no box is known for it.

        Raises:
            UserError: the box lies outside the image.
        """
        if identity not in self._boxes:
            return None
        box, where = self._boxes[identity]
        if window_of(box, image.height, image.width) is None:
            raise UserError(
                f"{where}: the box ({box}) covers no pixel of image {identity!r}, which has {image.height:,} rows "
                f"and {image.width:,} columns: correct it, or leave its four cells blank to keep the image whole"
            )
        return Face(box, 1.0)

    def warnings(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        """As given."""
        return self._warnings

    def refuse_unfound(self, counts: Mapping[str, int]) -> None:
        """Nothing: images without a box are those that the table leaves whole."""


def describe_crops(counts: Mapping[str, Mapping[str, int]]) -> str:
    """One line about {split: {"cropped": n, "whole": n, "clipped": n}}, the clipped counted as cropped too."""
    parts = [
        f"{split} {number['cropped']:,} cropped ({number['clipped']:,} of them reach beyond the image), "
        f"{number['whole']:,} whole"
        for split, number in counts.items()
    ]
    total: Counter[str] = sum(map(Counter, counts.values()), Counter())
    return f"Face boxes: {'; '.join(parts)}." if total["cropped"] else "Face boxes: no image was cropped."


def _rounded(box: Box, margin: float) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of a box with its margin, whole pixels that may lie outside the image."""
    above, beside = margin * (box.bottom - box.top), margin * (box.right - box.left)
    edges = (box.top - above, box.left - beside, box.bottom + above, box.right + beside)
    # Not `round`: its halves go to even numbers, so a box from 0.5 to 1.5 would lose its pixel and 1.5 to 2.5 too.
    top, left, bottom, right = (math.floor(edge + 0.5) for edge in edges)
    return top, left, bottom, right


def _clip(edges: tuple[int, int, int, int], height: int, width: int) -> Window:
    top, left, bottom, right = edges
    inside = max(top, 0), max(left, 0), min(bottom, height), min(right, width)
    return Window(*inside, clipped=inside != edges)


class Eyes(NamedTuple):
    """Where the middles of both eyes are, in pixels: that on the left of an upright picture first."""

    left_y: float
    left_x: float
    right_y: float
    right_x: float


class Face(NamedTuple):
    """A face that a detector found.

    Attributes:
        box: in pixels of the image that was searched.
        score: larger is surer. Haar: how many windows agree; YuNet and MTCNN: 0..1; none: 1.
        eyes: likewise in pixels of the image; None if they are not known.
    """

    box: Box
    score: float
    eyes: Eyes | None = None

    @property
    def tilt(self) -> float | None:
        """By how many degrees the line between the eyes falls to the right, -90 to 90; None where no eyes are known,
        or where they are closer to each other than a tenth of the face, as in profile, so that it says nothing."""
        if self.eyes is None:
            return None
        (left_y, left_x), (right_y, right_x) = sorted((self.eyes[:2], self.eyes[2:]), key=lambda eye: eye[1])
        down, across = right_y - left_y, right_x - left_x
        longer = max(self.box.bottom - self.box.top, self.box.right - self.box.left)
        if math.hypot(down, across) < _CLOSE_EYES * longer:
            return None
        return math.degrees(math.atan2(down, across))

    def moved(self, room: float, scale: float) -> Face:
        """The face in pixels of an image of which the searched one was an enlargement with room around it.

        Args:
            room: on each side, pixels of the searched image.
            scale: pixels of the searched image for one of the other.
        """
        eyes = None if self.eyes is None else Eyes(*((place - room) / scale for place in self.eyes))
        return Face(Box(*((edge - room) / scale for edge in self.box)), self.score, eyes)


_CLOSE_EYES = 0.1


class Detector(Protocol):
    """Looks for faces.

    Attributes:
        name: see ``fer_tl.faces.detectors``, or none.
        margin: what to add to each side of its boxes, as a fraction of their height and width, so that the crops
            show as much of a head as those of FER-2013.
    """

    name: str
    margin: float

    def find(self, image: np.ndarray) -> list[Face]:
        """The faces of an image, uint8 ``[H, W, 3]``, red, green, blue, 0..255; the largest first. Several threads may
        call it at once."""
        ...


def reduced(cv2: ModuleType, image: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """The image with no side longer than that, and how many of its own pixels one of the result stands for."""
    height, width = image.shape[:2]
    down = max(height, width) / longest
    if down <= 1:
        return image, 1.0
    size = max(1, round(width / down)), max(1, round(height / down))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), down


def face_of(box: np.ndarray, score: float, down: float) -> Face:
    left, top, width, height = (float(value) * down for value in box)
    return Face(Box(top, left, top + height, left + width), float(score))


def largest_first(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: face.box.area, reverse=True)
