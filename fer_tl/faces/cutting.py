"""Cuts faces out of pictures and brings them to the size that a model takes, by a recipe.

A face box is widened to a square about its middle and never stretched; what of the square lies outside of the picture
is black, as the bars are beside a picture that is padded.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from fer_tl.faces.boxes import Box, Face, Window, window_of
from fer_tl.faces.recipe import FaceRecipe

_SMALL = 96  # pixels of a side


class Cut(NamedTuple):
    """A face as a model takes it.

    Attributes:
        pixels: uint8 ``[S, S, C]``, 0..255.
        size: height and width in pixels of what was resized to it.
        crop: "whole", "cropped", or "clipped": cropped, and a part of it lies outside of the picture.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    crop: str


def cut_face(
    picture: Image.Image, face: Face | None, side: int, recipe: FaceRecipe, channels: int | None = None
) -> Cut | None:
    """A face of a picture, or the whole of it.

    Args:
        picture: mode "L" or "RGB".
        face: its box, and its eyes if they are known, in pixels of the picture; None for the whole picture.
        side: S, height and width to give, pixels.
        recipe: how.
        channels: C, 1 or 3; None for those of the picture.

    Returns:
        None if the box, without its margin, covers no pixel of the picture.
    """
    mode = {None: picture.mode, 1: "L", 3: "RGB"}[channels]
    if face is None:
        return Cut(to_square(_in_mode(picture, mode), side, recipe.fit), (picture.height, picture.width), "whole")
    window = face_window(face.box, picture.height, picture.width, recipe)
    if window is None:
        return None
    if recipe.align and face.tilt is not None:
        part, window = _cut_turned(picture, window, face.tilt)
    else:
        part = cut_window(picture, window)
    fit = "stretch" if recipe.box == "square" else recipe.fit  # a square needs no fitting
    return Cut(
        to_square(_in_mode(part, mode), side, fit),
        (part.height, part.width),
        "clipped" if window.clipped else "cropped",
    )


def cut_window(picture: Image.Image, window: Window) -> Image.Image:
    """A part of a picture in mode "L" or "RGB", black where it lies outside."""
    return picture.crop((window.left, window.top, window.right, window.bottom))


def _cut_turned(picture: Image.Image, window: Window, degrees: float) -> tuple[Image.Image, Window]:
    """A window turned about its middle, so that what falls to the right by so many degrees is level in it; the window
    says whether a corner of it lies outside of the picture, which is black there."""
    height, width = window.bottom - window.top, window.right - window.left
    turn = math.radians(degrees)
    cos, sin = math.cos(turn), math.sin(turn)
    middle_x, middle_y = (window.left + window.right) / 2, (window.top + window.bottom) / 2
    # Column x and row y of the result are of the picture's x * cos - y * sin + left and x * sin + y * cos + top.
    left = middle_x - width / 2 * cos + height / 2 * sin
    top = middle_y - width / 2 * sin - height / 2 * cos
    part = picture.transform(
        (width, height), Image.Transform.AFFINE, (cos, -sin, left, sin, cos, top), Image.Resampling.BICUBIC, fillcolor=0
    )
    across, down = (abs(cos) * width + abs(sin) * height) / 2, (abs(sin) * width + abs(cos) * height) / 2
    outside = middle_x < across or middle_x + across > picture.width or middle_y < down
    outside = outside or middle_y + down > picture.height
    return part, window._replace(clipped=outside)


def face_window(box: Box, height: int, width: int, recipe: FaceRecipe) -> Window | None:
    """Which pixels a face is cut from; the window of a square may lie partly outside of the picture, and is ``clipped``
    then.

    Args:
        box: the face.
        height: of the picture, pixels.
        width: of the picture, pixels.
        recipe: how.

    Returns:
        None if the box, without its margin, covers no pixel of the picture.
    """
    clipped = window_of(box, height, width, recipe.margin)
    if clipped is None or recipe.box == "clip":
        return clipped
    middle_y, middle_x = (box.top + box.bottom) / 2, (box.left + box.right) / 2
    side = max(1, _rounded(max(box.bottom - box.top, box.right - box.left) * (1 + 2 * recipe.margin)))
    # A hostile box would ask for a picture that fills the memory.
    side = min(side, 4 * max(height, width))
    top, left = _rounded(middle_y - side / 2), _rounded(middle_x - side / 2)
    outside = top < 0 or left < 0 or top + side > height or left + side > width
    return Window(top, left, top + side, left + side, clipped=outside)


def to_square(image: Image.Image, side: int, fit: str) -> np.ndarray:
    """The pixels of an image in mode "L" or "RGB" at a given size, uint8 ``[S, S, 1 or 3]``, 0..255.

    An image that has the size already comes out as it is; others are resized with Lanczos (antialiased).

    Args:
        image: of any height and width.
        side: S, pixels.
        fit: see ``FaceRecipe``.
    """
    if image.size != (side, side):
        if fit == "crop":
            image = ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
        elif fit == "pad":
            image = ImageOps.pad(image, (side, side), Image.Resampling.LANCZOS, color=0)
        else:
            image = image.resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8).reshape(side, side, -1)


def in_small(picture: Image.Image) -> np.ndarray:
    """A whole picture in mode "L" or "RGB", its shape not kept, to know it again: uint8 ``[96, 96, 1 or 3]``."""
    small = picture.resize((_SMALL, _SMALL), Image.Resampling.BOX, reducing_gap=1.0)
    return np.asarray(small, np.uint8).reshape(_SMALL, _SMALL, -1)


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    return picture if picture.mode == mode else picture.convert(mode)


def _rounded(value: float) -> int:
    # Not `round`: its halves go to even numbers, so that equal boxes at other places would differ in size.
    return math.floor(value + 0.5)
