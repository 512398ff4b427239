"""Augmentation as one affine matrix an example, for one bilinear resampling.

The matrices are drawn on the host with NumPy, keyed on the example (see ``randomness``); ``resampling`` runs inside the
compiled training step. Five Keras layers in a row would resample, and so blur, five times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fer_tl.augment.policies import draw_operations
from fer_tl.core.randomness import uniform

if TYPE_CHECKING:
    from fer_tl.core.config import Augment

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

# Aspects and tries of torchvision's RandomResizedCrop, which is the crop of Szegedy et al., "Going deeper with
# convolutions", CVPR 2015.
CROP_ASPECT = (3 / 4, 4 / 3)
CROP_TRIES = 10


def draw_transforms(augment: Augment, keys: np.ndarray, size: tuple[int, int], *stream: object) -> np.ndarray:
    """Draw one affine map an example, from output pixels to input pixels.

    The image is cropped, then rotated, sheared, zoomed, shifted and mirrored, then moved by the operations of a policy.

    Args:
        augment: ranges, see ``fer_tl.core.config.Augment``.
        keys: uint64 ``[N]`` from ``example_keys``.
        size: height and width of the images in pixels.
        stream: what the draw is keyed on besides the example: (seed, fold, epoch).

    Returns:
        float32 ``[N, 6]``: rows ``(a, b, c, d, e, f)`` with ``x_in = a x + b y + c`` and ``y_in = d x + e y + f``.
    """
    transforms = _draw_moves(augment, keys, size, *stream)
    for amounts in draw_operations(augment, keys, *stream):
        angle = np.deg2rad(amounts["rotation"])  # of rotation and shears one at most is not 0
        linear = np.cos(angle), amounts["shear-x"] - np.sin(angle), amounts["shear-y"] + np.sin(angle), np.cos(angle)
        transforms = compose(transforms, _about_centre(linear, amounts["shift-x"], amounts["shift-y"], size))
    if augment.crops:
        transforms = compose(_draw_crops(augment.crop, keys, size, *stream), transforms)
    return transforms


def _draw_moves(augment: Augment, keys: np.ndarray, size: tuple[int, int], *stream: object) -> np.ndarray:
    """The map of rotation, shear, zoom, shift and mirroring: float32 ``[N, 6]``."""

    def symmetric(name: str, limit: float) -> np.ndarray:
        return (2 * uniform(keys, name, *stream) - 1) * limit  # [N]

    angle = np.deg2rad(symmetric("rotation", augment.rotation))
    shear = np.tan(np.deg2rad(symmetric("shear", augment.shear)))
    # The logarithm is drawn evenly, so that a zoom by z is as likely as one by 1 / z.
    zoom_x, zoom_y = (np.exp(symmetric(f"zoom-{axis}", np.log1p(augment.zoom))) for axis in "xy")
    shift_x, shift_y = (symmetric(f"shift-{axis}", augment.shift) for axis in "xy")
    flip = np.where(augment.flip & (uniform(keys, "flip", *stream) < 0.5), -1.0, 1.0)
    vertical_flip = np.where(augment.vertical_flip & (uniform(keys, "vertical-flip", *stream) < 0.5), -1.0, 1.0)

    cos, sin = np.cos(angle), np.sin(angle)
    a = flip * cos / zoom_x
    b = flip * (shear * cos - sin) / zoom_x
    d = vertical_flip * sin / zoom_y
    e = vertical_flip * (shear * sin + cos) / zoom_y
    return _about_centre((a, b, d, e), shift_x, shift_y, size)


def _about_centre(
    linear: tuple[np.ndarray, ...], shift_x: np.ndarray, shift_y: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """The map that turns everything about the centre of the image, then shifts it.

    Args:
        linear: a, b, d, e of the map, float64 ``[N]`` each.
        shift_x: float64 ``[N]``, share of the width; ``shift_y`` of the height.
        size: height and width in pixels.

    Returns:
        float32 ``[N, 6]``.
    """
    height, width = size
    a, b, d, e = linear
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    c = centre_x + shift_x * width - a * centre_x - b * centre_y
    f = centre_y + shift_y * height - d * centre_x - e * centre_y
    return np.stack([a, b, c, d, e, f], axis=1).astype(np.float32)


def _draw_crops(least: float, keys: np.ndarray, size: tuple[int, int], *stream: object) -> np.ndarray:
    """The map from the whole image to a random part of it: float64 ``[N, 6]``.

    As torchvision's ``RandomResizedCrop``, but for whole pixels: a resampling follows anyway. The share of the area is
    drawn evenly from ``least`` to 1 and the logarithm of the aspect evenly, until both fit into the image; where none
    of the tries does, it is the middle of the image, of the nearest aspect.
    """
    height, width = size
    low, high = np.log(CROP_ASPECT)
    nearest = np.clip(width / height, *CROP_ASPECT)
    across, down = np.full(len(keys), min(width, height * nearest)), np.full(len(keys), min(height, width / nearest))
    found = np.zeros(len(keys), bool)
    for trial in range(CROP_TRIES):
        area = (least + (1 - least) * uniform(keys, f"crop-area-{trial}", *stream)) * height * width
        aspect = np.exp(low + (high - low) * uniform(keys, f"crop-aspect-{trial}", *stream))
        wide, tall = np.sqrt(area * aspect), np.sqrt(area / aspect)
        fits = ~found & (wide <= width) & (tall <= height)
        across, down, found = np.where(fits, wide, across), np.where(fits, tall, down), found | fits
    left = np.where(found, uniform(keys, "crop-x", *stream), 0.5) * (width - across)
    top = np.where(found, uniform(keys, "crop-y", *stream), 0.5) * (height - down)
    x, y, none = across / width, down / height, np.zeros(len(keys))
    # Pixels are squares whose centres lie at whole numbers, see ``scaling``.
    return np.stack([x, none, left + (x - 1) / 2, none, y, top + (y - 1) / 2], axis=1)


def scaling(size: tuple[int, int], side: tuple[int, int]) -> np.ndarray:
    """The map that resizes an image: composed with another one, a single resampling does both.

    Pixels are squares whose centres lie at whole numbers, so output pixel x is over input pixel
    ``(x + 1/2) W / W_out - 1/2``, as in ``keras.layers.Resizing``.

    Args:
        size: height and width of the image.
        side: height and width of the result.

    Returns:
        float64 ``[6]``, from pixels of the result to pixels of the image.
    """
    y, x = size[0] / side[0], size[1] / side[1]
    return np.array([x, 0, (x - 1) / 2, 0, y, (y - 1) / 2])


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The map that applies ``inner`` to output pixels and then ``outer``: ``[..., 6]`` each, to float32 ``[..., 6]``.

    Either may be a single map ``[6]``.
    """
    a, b, c, d, e, f = np.moveaxis(np.asarray(outer, np.float64), -1, 0)
    g, h, i, j, k, m = np.moveaxis(np.asarray(inner, np.float64), -1, 0)
    rows = [a * g + b * j, a * h + b * k, a * i + b * m + c, d * g + e * j, d * h + e * k, d * i + e * m + f]
    return np.stack(rows, axis=-1).astype(np.float32)
