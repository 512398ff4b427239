"""Boxes and labels drawn into pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fer_tl.core.safe_text import for_terminal
from fer_tl.faces.boxes import Box

# Near those of Okabe & Ito (2008), which colour-blind people tell apart: without black, and with a lighter blue, so
# that each is seen on dark and carries dark text. White is for what is unsure.
_COLOURS = ("#E69F00", "#56B4E9", "#00B884", "#F0E442", "#5C86FF", "#E8661A", "#CC79A7")
_UNSURE = "#FFFFFF"
_DARK = "#101418"
# Pixels of the longer and the shorter side below which a picture is enlarged: a readable label would hide it.
_LONGER, _SHORTER = 320, 120
_LONGEST = 4096  # no picture is enlarged beyond it

Place = tuple[int, int, int, int]  # left, top, right, bottom


class Mark(NamedTuple):
    """What is drawn for one face: its box, its text, and which colour (a class's number; None for unsure)."""

    box: Box
    text: str
    colour: int | None


def annotate(image: np.ndarray, marks: Sequence[Mark], enlarge: bool = True) -> Image.Image:
    """A picture with a frame around each face and its text on a plate beside it, inside the picture.

    Args:
        image: uint8 ``[H, W, 3]``, red, green, blue.
        marks: of its faces; an earlier one's text is not covered where there is other room.
        enlarge: show a small picture larger, so that the text fits.
    """
    picture = Image.fromarray(image)
    times = max(1, round(_LONGER / max(picture.size)), -(-_SHORTER // min(picture.size))) if enlarge else 1
    times = min(times, max(1, _LONGEST // max(picture.size)))
    if times > 1:
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    side = min(picture.size)
    line = max(2, round(side / 200))
    frames = [_frame_of(mark.box, times, line, picture.size) for mark in marks]
    for frame, mark in zip(frames, marks, strict=True):
        rim = (line + 1) // 2
        outer = (frame[0] - rim, frame[1] - rim, frame[2] + rim, frame[3] + rim)
        draw.rectangle(outer, outline=_DARK, width=line + 2 * rim)
        draw.rectangle(frame, outline=_colour(mark), width=line)
    plates: list[Place] = []
    for frame, mark in zip(frames, marks, strict=True):
        # Of a size for the picture, smaller beside a small face.
        size = max(13, round(side / 40), min(round(side / 24), round((frame[3] - frame[1]) / 4)))
        text = for_terminal(mark.text)
        font, width, height = _fit(text, size, picture.width)
        plate = _place(frame, width, height, picture.size, plates, frames)
        plates.append(plate)
        draw.rectangle(plate, fill=_colour(mark), outline=_DARK)
        draw.text(((plate[0] + plate[2]) / 2, (plate[1] + plate[3]) / 2), text, _DARK, font, anchor="mm")
    return picture


def _colour(mark: Mark) -> str:
    return _UNSURE if mark.colour is None else _COLOURS[mark.colour % len(_COLOURS)]


def _frame_of(box: Box, times: int, line: int, size: tuple[int, int]) -> Place:
    """Where the line of a box runs; an edge outside the picture is drawn at its rim."""
    edges = [round(edge * times) for edge in box]
    top, left = (min(max(edge, 1), last - 2 - line) for edge, last in zip(edges[:2], size[::-1], strict=True))
    bottom, right = (min(max(edge, 1 + line), last - 2) for edge, last in zip(edges[2:], size[::-1], strict=True))
    return left, top, max(right, left + line), max(bottom, top + line)


def _fit(text: str, size: int, widest: int) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, int, int]:
    """The font, and the plate's width and height; smaller where the picture is narrow."""
    while True:
        font = _font(size)
        left, _, right, _ = font.getbbox(text)
        width, height = round(right - left + 0.7 * size), round(1.45 * size)
        if width <= widest or size <= 8:
            return font, min(width, widest), height
        size -= 1


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _place(
    frame: Place, width: int, height: int, size: tuple[int, int], plates: Sequence[Place], frames: Sequence[Place]
) -> Place:
    """Where a plate goes: inside the picture, beside its own frame or else within, and where it hides least of other
    plates and, next, of faces."""
    left, top, right, bottom = frame
    last_x, last_y = max(0, size[0] - width - 1), max(0, size[1] - height - 1)
    columns = [min(max(0, x), last_x) for x in (left, right - width)]
    rows = [top - height - 2, bottom + 2, top, bottom - height]
    spots = [(x, y, x + width, y + height) for y in rows for x in columns if 0 <= y <= last_y]
    spots = spots or [(columns[0], min(max(0, top), last_y), columns[0] + width, min(max(0, top), last_y) + height)]
    return min(spots, key=lambda spot: (_hidden(spot, plates), _hidden(spot, frames)))  # the first of equals


def _hidden(spot: Place, others: Sequence[Place]) -> int:
    """How many pixels of other rectangles one covers."""
    wide = (min(spot[2], other[2]) - max(spot[0], other[0]) for other in others)
    high = (min(spot[3], other[3]) - max(spot[1], other[1]) for other in others)
    return sum(max(0, w) * max(0, h) for w, h in zip(wide, high, strict=True))
