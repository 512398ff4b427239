"""Pages from templates: no script, nothing loaded from elsewhere, readable on a phone, in light and in dark.

Text is escaped wherever a template puts it, since names of classes and files are what a user gave; ``Markup`` alone is
taken as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined
from markupsafe import Markup
from PIL import Image

from fer_tl.core.safe_text import for_html
from fer_tl.reports.rendering import per_cent
from fer_tl.sources.images import data_uri, encode_image


def render(template: str, title: str, **values: Any) -> str:
    """Return a whole HTML document.

    Args:
        template: its name, such as ``report.html``.
        title: its heading and the browser's title.
        values: what the template shows.
    """
    # Sections add their headings as they are rendered; the list of contents above them shows these.
    return environment().get_template(template).render(title=title, headings=[], **values)


class _Templates(Environment):
    """Names that a template misspells are errors; keys that a file of an older version lacks are None."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        found = super().getattr(obj, attribute)
        return None if isinstance(found, Undefined) and isinstance(obj, dict) else found


@cache
def environment() -> Environment:
    """Return the templates, with the filters ``count``, ``percent`` and ``breakable``."""
    found = _Templates(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["count"] = "{:,}".format
    found.filters["percent"] = per_cent
    # A long id breaks between its parts.
    found.filters["breakable"] = lambda text: Markup(re.sub(r"([_/.-])", r"\1<wbr>", for_html(text)))
    return found


def _escaped(value: Any) -> Any:
    """Text without what a terminal or a browser would obey, see ``fer_tl.core.safe_text``; a number and its % stay on
    one line."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return Markup(re.sub(r"(?<=\d) %", "&nbsp;%", for_html(value)))


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
        image = self.image
        height, width = image.shape[:2]
        if width > side:
            height, width = max(1, round(height * side / width)), side
            picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
            image = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS)).reshape(height, width, -1)
        times = max(1, side // width)
        return Shown(data_uri(encode_image(image, "png")), times * width, times * height, times > 1)
