"""A self-contained HTML page: no script, nothing loaded from elsewhere, readable on a phone, in light and in dark.

Every function takes plain text and escapes it, since names of classes and files are what a user gave; only what is
called ``html`` or ``lead`` is taken as it is, which the other functions here make.
"""

from __future__ import annotations

import base64
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fer_tl.core.safe_text import for_html as escape
from fer_tl.core.safe_text import for_terminal
from fer_tl.reports.rendering import Table

# The policy makes a browser refuse whatever a mistake in here might let in: a script, a font, an address.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# All pairs of text and ground have a contrast of at least 5.5 (WCAG 2, level AA asks for 4.5).
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --quiet: #57606a; --ground: #ffffff; --panel: #f3f5f7;
  --rule: #d3d9df; --link: #0b5a94; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --quiet: #a3adb8; --ground: #14181c; --panel: #1f252b;
  --rule: #3b444d; --link: #7cbdf0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .6rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .3rem; }
p { max-width: 46rem; margin: .5rem 0; }
a { color: var(--link); }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .8rem 0; padding: 0; list-style: none; }
nav a { display: inline-block; padding: .2rem 0; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption, figcaption { color: var(--quiet); font-size: .85rem; text-align: left; }
caption { padding-bottom: .3rem; }
caption span { display: block; position: sticky; left: 0; width: fit-content; max-width: min(46rem, 100vw - 2rem); }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--rule); }
thead th { background: var(--panel); vertical-align: bottom; }
tbody th { font-weight: 600; }
td { white-space: nowrap; }
.words { text-align: left; }
td.long { white-space: normal; min-width: 14rem; max-width: 21rem; }
tbody + tbody tr:first-child > * { border-top: 2px solid var(--quiet); }
figure { margin: .8rem 0; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.picture img { display: block; width: 100%; max-width: 62rem; height: auto; background: #ffffff; border-radius: 4px; }
.gallery > figcaption { font-size: .95rem; margin-bottom: .3rem; }
.abreast { display: flex; flex-wrap: wrap; gap: 0 2rem; }
.abreast .gallery { max-width: 100%; }
.tiles { display: flex; flex-wrap: wrap; gap: .5rem; }
.tiles figure { margin: 0; width: var(--side); }
.tiles img { display: block; width: 100%; height: auto; border-radius: 2px; background: var(--panel); }
.tiles .sharp { image-rendering: pixelated; }
.tiles figcaption { white-space: pre-line; line-height: 1.3; font-size: .75rem; padding: .15rem 0 .3rem; }
@media print { nav { display: none; } .scroll { overflow-x: visible; } }
@media (max-width: 30rem) {
  th, td { padding: .25rem .4rem; }
  .picture { overflow-x: auto; }
  .picture img { min-width: 38rem; }
  .tiles figure { width: min(var(--side), calc(50vw - 1.25rem)); }
  .tiles .small { width: min(var(--side), calc(25vw - .9rem)); }
}
"""
_LONG = 40  # letters: what is longer is broken into lines in a table
_SMALL = 96  # CSS pixels: up to this width, a phone shows four pictures in a row, above it two
_GAP = 6  # pixels between the tiles of a montage
_FONT_SIZE = 11  # pixels


@dataclass(frozen=True)
class Section:
    """A part of a page: its heading as plain text, and HTML that the functions of this module made."""

    heading: str
    html: str


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


def page(title: str, sections: Sequence[Section], lead: str = "", style: str = "") -> str:
    """A whole HTML document.

    Args:
        title: its heading and the browser's title.
        sections: its parts, in order; a list of links to them stands above.
        lead: HTML before the first section.
        style: CSS of what only this page has.
    """
    anchors = [(f"part-{number}", section) for number, section in enumerate(sections, start=1)]
    links = "".join(f'<li><a href="#{anchor}">{escape(s.heading)}</a></li>' for anchor, s in anchors)
    body = "".join(
        f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{escape(section.heading)}</h2>\n{section.html}'
        "</section>\n"
        for anchor, section in anchors
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n<header>\n<h1>{escape(title)}</h1>\n"
        f'{lead}</header>\n<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main>\n{body}</main>\n</body>\n</html>\n'
    )


def paragraph(text: str) -> str:
    """Running text."""
    return f"<p>{escape(text)}</p>\n"


def subheading(text: str) -> str:
    """A heading inside a section."""
    return f"<h3>{escape(text)}</h3>\n"


def table(cells: Table, caption: str) -> str:
    """A table with a caption; the first column names the rows, marked cells are bold. A wide one scrolls by itself, not
    the page."""

    def cell(tag: str, column: int, value: str, scope: str = "", marked: bool = False) -> str:
        kinds = ["words"] if column in cells.left else []
        kinds += ["long"] if len(value) > _LONG else []
        of_kind = f' class="{" ".join(kinds)}"' if kinds else ""
        text = f"<strong>{escape(value)}</strong>" if marked else escape(value)
        return f"<{tag}{scope}{of_kind}>{text}</{tag}>"

    numbers = itertools.count()

    def row(values: Sequence[str]) -> str:
        number = next(numbers)
        marks = [(number, column) in cells.marks for column in range(len(values))]
        name = cell("th", 0, values[0], ' scope="row"', marks[0])
        rest = zip(range(1, len(values)), values[1:], marks[1:], strict=True)
        return f"<tr>{name}{''.join(cell('td', column, value, '', mark) for column, value, mark in rest)}</tr>\n"

    head = "".join(cell("th", column, value, ' scope="col"') for column, value in enumerate(cells.header))
    bodies = "".join(f"<tbody>\n{''.join(map(row, block))}</tbody>\n" for block in cells.blocks)
    return scrolled(f"<thead><tr>{head}</tr></thead>\n{bodies}", caption)


def scrolled(html: str, caption: str, kind: str = "") -> str:
    """The head and the bodies of a table, in a frame that scrolls where the screen is narrow.

    Args:
        html: the rows.
        caption: shown above them.
        kind: class of the table, for a page's own style.
    """
    of_kind = f' class="{kind}"' if kind else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">\n<table{of_kind}>\n'
        f"<caption><span>{escape(caption)}</span></caption>\n{html}</table>\n</div>\n"
    )


def figure(png: bytes, alt: str, caption: str = "") -> str:
    """A drawn figure on white, as wide as the page allows.

    Args:
        png: the file's bytes.
        alt: what it shows, for those who cannot see it.
        caption: shown below it.
    """
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="picture"><img alt="{escape(alt)}" src="{_data_uri(png)}">{text}</figure>\n'


def gallery(tiles: Sequence[Tile], caption: str = "", side: int = 96) -> str:
    """Pictures side by side, in as many rows as the screen needs, each with its caption.

    Args:
        tiles: the pictures; large ones are reduced, small ones shown enlarged by a whole number.
        caption: shown above them all.
        side: width in CSS pixels that no picture exceeds.
    """
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure class="gallery">{text}<div class="tiles">\n{"".join(_tile(t, side) for t in tiles)}</div></figure>\n'
    )


def abreast(galleries: Sequence[str]) -> str:
    """Galleries side by side where the screen has room, so that small ones do not take a line each."""
    return f'<div class="abreast">\n{"".join(galleries)}</div>\n'


def montage(rows: Sequence[Sequence[Tile]], side: int = 96) -> bytes:
    """The same as one picture, a PNG with captions drawn below the tiles, to be used without the page.

    Args:
        rows: tiles of each row, one picture at least.
        side: as of ``gallery``, in pixels.
    """
    font, line = _font(), round(1.25 * _FONT_SIZE)
    enlarged = [[(_enlarged(tile.image, side), tile.caption) for tile in row] for row in rows]
    blocks = [[(image, _wrapped(caption, image.width, font)) for image, caption in row] for row in enlarged]
    colour = any(image.mode == "RGB" for row in blocks for image, _ in row)
    heights = [max(image.height + line * len(text) for image, text in row) + _GAP for row in blocks]
    width = max(sum(image.width + _GAP for image, _ in row) for row in blocks) + _GAP
    canvas = Image.new("RGB" if colour else "L", (width, sum(heights) + _GAP), "white")
    pen = ImageDraw.Draw(canvas)
    top = _GAP
    for row, height in zip(blocks, heights, strict=True):
        left = _GAP
        for image, text in row:
            canvas.paste(image, (left, top))
            for number, words in enumerate(text):
                pen.text((left, top + image.height + number * line), words, fill="black", font=font)
            left += image.width + _GAP
        top += height
    return _png(canvas)


def _tile(tile: Tile, side: int) -> str:
    picture = _reduced(tile.image, side)
    times = max(1, side // picture.width)
    width = times * picture.width
    sharp = ' class="sharp"' if times > 1 else ""
    alt = escape(tile.alt or tile.caption)
    if tile.caption:
        # A long id breaks between its parts.
        words = re.sub(r"([_/.-])", r"\1<wbr>", escape(tile.caption))
        text, hint = f"<figcaption>{words}</figcaption>", ""
    else:
        text, hint = "", f' title="{alt}"'
    small = ' class="small"' if width <= _SMALL else ""
    return (
        f'<figure{small} style="--side: {width}px"><img{sharp} width="{width}" height="{times * picture.height}" '
        f'alt="{alt}"{hint} src="{_data_uri(_png(picture))}">{text}</figure>\n'
    )


def _reduced(image: np.ndarray, side: int) -> Image.Image:
    """An array as a picture at most ``side`` wide."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    if picture.width <= side:
        return picture
    return picture.resize((side, max(1, round(picture.height * side / picture.width))), Image.Resampling.LANCZOS)


def _enlarged(image: np.ndarray, side: int) -> Image.Image:
    picture = _reduced(image, side)
    times = max(1, side // picture.width)
    # Nearest neighbour: what a model sees are these pixels, not a smooth picture.
    return picture.resize((times * picture.width, times * picture.height), Image.Resampling.NEAREST)


def _wrapped(caption: str, width: int, font: ImageFont.FreeTypeFont) -> list[str]:
    """The lines of a caption, broken so that none exceeds a width in pixels: between the parts of an id or between
    words if they fit, else between letters."""
    lines = []
    # The layout engine raises for some control characters, which names of files may have.
    for words in for_terminal(caption, keep="\n").split("\n") if caption else []:
        line = ""
        for part in re.findall(r"[^ _/.#-]*[ _/.#-]|[^ _/.#-]+", words):
            for piece in [part] if font.getlength(part.rstrip()) <= width else part:
                if line and font.getlength((line + piece).rstrip()) > width:
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


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
