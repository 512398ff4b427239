"""Pictures with captions, as the tiles of a page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from fer_tl.sources.images import data_uri, encode_image


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
