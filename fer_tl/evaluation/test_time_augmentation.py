"""Views of an image for test-time augmentation, as affine maps from output pixels to input pixels."""

from __future__ import annotations

import numpy as np

from fer_tl.core.errors import UserError, suggest

# What --tta takes, and how a title names it.
TTA = {"none": "", "flip": "mean of image and mirror", "ten-crop": "mean of ten crops"}

# Side of a crop over that of the image: 44 of FER-2013's 48 pixels.
CROP = 11 / 12


def check_tta(tta: str) -> None:
    """Refuse a test-time augmentation that is none.

    Raises:
        UserError: naming those there are.
    """
    if tta not in TTA:
        raise UserError(f"--tta {tta}: no such test-time augmentation{suggest(tta, TTA)}")


def make_views(tta: str, size: tuple[int, int]) -> list[np.ndarray | None]:
    """The views over which ``--tta`` averages.

    ``flip``: the image and its mirror. ``ten-crop``: the four corners and the centre, and the mirrors of these five, as
    A. Krizhevsky et al., ImageNet Classification with Deep CNNs (2012), section 4.1; each crop is stretched back to the
    size of the image, because a model takes images of one size.

    Args:
        tta: one of ``TTA``.
        size: height and width of the images in pixels, 2 or more.

    Returns:
        For each view a map float32 ``[6]`` as in ``augment.geometry``, or None for the image as it is stored. The
        corner pixels of a crop lie exactly on those of its view.
    """
    height, width = size
    if tta == "none":
        return [None]
    if tta == "flip":
        return [None, _mirrored(_crop(0, 0, size, size), width)]
    crop_height, crop_width = round(CROP * height), round(CROP * width)
    bottom, right = height - crop_height, width - crop_width
    places = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom / 2, right / 2)]
    crops = [_crop(top, left, (crop_height, crop_width), size) for top, left in places]
    return [*crops, *(_mirrored(crop, width) for crop in crops)]


def _crop(top: float, left: float, crop: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The map that stretches a crop, given by its first row and column and its size, over the whole image."""
    (crop_height, crop_width), (height, width) = crop, size
    a, e = (crop_width - 1) / (width - 1), (crop_height - 1) / (height - 1)
    return np.array([a, 0, left, 0, e, top], dtype=np.float32)


def _mirrored(transform: np.ndarray, width: int) -> np.ndarray:
    """The same view, left and right exchanged."""
    a, b, c, d, e, f = transform.tolist()
    return np.array([-a, b, a * (width - 1) + c, -d, e, d * (width - 1) + f], dtype=np.float32)
