"""Faces cut out of pictures, as a model takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from fer_tl.errors import UserError
from tfrecords_builder.face_crop import window_of
from tfrecords_builder.face_detection import Face
from tfrecords_builder.images import to_square


def cut_faces(
    image: np.ndarray, faces: Sequence[Face], image_shape: tuple[int, int, int], margin: float = 0.0
) -> np.ndarray:
    """The faces of a picture as images for ``ExpressionModel.answer``, uint8 ``[F, H, W, C]`` of ``image_shape``.

    Boxes are cut as the dataset builders do: clipped to the picture, then padded with black to a square.

    Args:
        image: uint8 ``[H, W, 3]``, red, green, blue, 0..255.
        faces: F of them, with boxes in pixels of ``image``.
        image_shape: height, width and channels that the model takes; a square.
        margin: see ``window_of``.

    Raises:
        UserError: a box that covers no pixel of the picture.
    """
    side, _, channels = image_shape
    height, width = image.shape[:2]
    cut = np.empty((len(faces), *image_shape), np.uint8)
    for i, face in enumerate(faces):
        window = window_of(face.box, height, width, margin)
        if window is None:
            shown = ", ".join(f"{name} {value:g}" for name, value in face.box._asdict().items())
            raise UserError(f"the box ({shown}) covers no pixel of the picture, {height} rows of {width} pixels")
        part = Image.fromarray(image[window.top : window.bottom, window.left : window.right])
        cut[i] = to_square(part.convert("L") if channels == 1 else part, side, "pad")
    return cut
