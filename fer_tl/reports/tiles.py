"""Pictures with captions: as the tiles of a page, and as one picture to be used without it."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fer_tl.core.files import write_atomically
from fer_tl.core.safe_text import for_terminal

_GAP = 6  # pixels between the tiles of a montage
_FONT_SIZE, _LINE = 11, 14  # pixels


@dataclass(frozen=True)
class Shown:
    """A picture as a page shows it.

    Attributes:
        source: of an ``img``, with its pixels in it.
        width: CSS pixels.
        height: CSS pixels.
        is_enlarged: whether a pixel of it is a square of several.
    """

    source: str
    width: int
    height: int
    is_enlarged: bool


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture with what is said of it.

    Attributes:
        image: uint8 ``[H, W, C]``, 0..255, C is 1 or 3.
        caption: shown below it; one or several lines, or none.
        alt: said in place of it; the caption if there is none.
    """

    image: np.ndarray
    caption: str = ""
    alt: str = ""

    def shown(self, side: int) -> Shown:
        """Return it no wider than ``side``: a large picture is reduced, a small one enlarged by a whole number."""
        picture = self.reduced(side)
        times = max(1, side // picture.width)
        return Shown(data_uri(_png(picture)), times * picture.width, times * picture.height, times > 1)

    def reduced(self, side: int) -> Image.Image:
        """Return the picture, at most ``side`` wide."""
        picture = Image.fromarray(self.image[..., 0] if self.image.shape[-1] == 1 else self.image)
        if picture.width <= side:
            return picture
        return picture.resize((side, max(1, round(picture.height * side / picture.width))), Image.Resampling.LANCZOS)

    def captioned(self, side: int) -> Image.Image:
        """Return the picture, as wide as ``shown`` has it, with its caption below."""
        picture = self.reduced(side)
        times = max(1, side // picture.width)
        lines = _wrapped(self.caption, times * picture.width)
        canvas = Image.new(picture.mode, (times * picture.width, times * picture.height + _LINE * len(lines)), "white")
        # Nearest neighbour: what a model sees are these pixels, not a smooth picture.
        canvas.paste(picture.resize((canvas.width, times * picture.height), Image.Resampling.NEAREST))
        pen = ImageDraw.Draw(canvas)
        for number, line in enumerate(lines):
            pen.text((0, times * picture.height + number * _LINE), line, fill="black", font=_font())
        return canvas


def data_uri(png: bytes) -> str:
    """Return a PNG as the address of an image, which needs no file."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def write_montage(path: Path, rows: Sequence[Sequence[Tile]], side: int = 96) -> None:
    """Write tiles as one picture, a PNG with captions drawn below them.

    Args:
        path: of the PNG.
        rows: tiles of each row, one picture at least.
        side: width that no picture exceeds, in pixels.
    """
    drawn = [[tile.captioned(side) for tile in row] for row in rows]
    heights = [max(picture.height for picture in row) + _GAP for row in drawn]
    width = max(sum(picture.width + _GAP for picture in row) for row in drawn) + _GAP
    is_grey = all(picture.mode == "L" for row in drawn for picture in row)
    canvas = Image.new("L" if is_grey else "RGB", (width, sum(heights) + _GAP), "white")
    top = _GAP
    for row, height in zip(drawn, heights, strict=True):
        left = _GAP
        for picture in row:
            canvas.paste(picture, (left, top))
            left += picture.width + _GAP
        top += height
    write_atomically(path, lambda temporary: temporary.write_bytes(_png(canvas)))


def _wrapped(caption: str, width: int) -> list[str]:
    """The lines of a caption, broken so that none exceeds a width in pixels: between the parts of an id or between
    words if they fit, else between letters."""
    length = _font().getlength
    lines = []
    # The layout engine raises for some control characters, which names of files may have.
    for words in for_terminal(caption, keep="\n").split("\n") if caption else []:
        line = ""
        for part in re.findall(r"[^ _/.#-]*[ _/.#-]|[^ _/.#-]+", words):
            for piece in [part] if length(part.rstrip()) <= width else part:
                if line and length((line + piece).rstrip()) > width:
                    lines.append(line.rstrip())
                    line = ""
                line += piece
        lines.append(line)
    return lines


@cache
def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: the same letters on every machine, of many scripts."""
    from matplotlib.font_manager import findfont  # 0.4 s

    return ImageFont.truetype(findfont("DejaVu Sans"), _FONT_SIZE)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
