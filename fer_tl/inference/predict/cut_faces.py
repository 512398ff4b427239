"""Faces cut out of pictures, as a model takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.faces.cutting import cut_face
from fer_tl.faces.face import Face
from fer_tl.faces.recipe import FaceRecipe


def cut_faces(
    image: np.ndarray, faces: Sequence[Face], image_shape: tuple[int, int, int], recipe: FaceRecipe
) -> np.ndarray:
    """The faces of a picture as images for ``ExpressionModel.answer``, uint8 ``[F, H, W, C]`` of ``image_shape``, cut
    as the dataset builders do.

    Args:
        image: uint8 ``[H, W, 3]``, red, green, blue, 0..255.
        faces: F of them, with boxes in pixels of ``image``.
        image_shape: height, width and channels that the model takes; a square.
        recipe: how.

    Raises:
        UserError: a box that covers no pixel of the picture.
    """
    side, _, channels = image_shape
    picture = Image.fromarray(image)
    cuts = np.empty((len(faces), *image_shape), np.uint8)
    for i, face in enumerate(faces):
        cut = cut_face(picture, face.box, side, recipe, channels)
        if cut is None:
            raise UserError(
                f"the box ({face.box}) covers no pixel of the picture, {picture.height} rows of {picture.width} pixels"
            )
        cuts[i] = cut.pixels
    return cuts


def cut_whole(picture: Image.Image, image_shape: tuple[int, int, int], recipe: FaceRecipe) -> np.ndarray:
    """A picture in mode "L" or "RGB" that is a face itself: uint8 ``[1, H, W, C]``; else as ``cut_faces``."""
    side, _, channels = image_shape
    cut = cut_face(picture, None, side, recipe, channels)
    assert cut is not None  # a whole picture has pixels
    return cut.pixels[None]
