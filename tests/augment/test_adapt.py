"""Images of one dataset brought to the shape of another's."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fer_tl.augment.adapt import adapt_images
from fer_tl.faces.cutting import to_square
from fer_tl.faces.opening import open_image
from fer_tl.sources.toyfaces.drawing import draw_faces

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (5, 12, 12, 3), dtype=np.uint8)


def smooth(images: np.ndarray) -> np.ndarray:
    """Pixels with a picture in them, so that a resize that is off by half a pixel shows: uint8 ``[N, 24, 24, 3]``."""
    return np.stack([np.asarray(Image.fromarray(image).resize((24, 24), Image.Resampling.BICUBIC)) for image in images])


@pytest.mark.parametrize("shape", [(12, 12, 1), (12, 12, 3), (16, 16, 1), (16, 16, 3), (48, 48, 1), (48, 48, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_adapted_image_is_what_a_build_of_that_size_stores(shape: tuple[int, int, int], channels: int):
    images = smooth(COLOUR)[..., :channels]
    adapted = adapt_images(images, shape)
    assert (adapted.shape, adapted.dtype) == ((5, *shape), np.uint8)
    for image, result in zip(images, adapted, strict=True):
        stream = io.BytesIO()
        Image.fromarray(image.squeeze()).save(stream, "png")
        built = to_square(open_image(stream.getvalue(), shape[2], "here").image, shape[0], "pad")
        np.testing.assert_array_equal(result, built)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_equal_shape_stay_bit_equal_and_are_not_copied(channels: int):
    images = COLOUR[..., :channels]
    assert adapt_images(images, (12, 12, channels)) is images


def test_grey_survives_three_channels_and_back():
    grey, _ = draw_faces(4, seed=0)
    colour = adapt_images(grey, (48, 48, 3))
    assert (colour == grey).all()
    np.testing.assert_array_equal(adapt_images(colour, grey.shape[1:]), grey)


def test_sides_are_height_and_width():
    """A bright column stays one when the image is made taller."""
    image = np.zeros((1, 4, 4, 1), np.uint8)
    image[:, :, 1] = 255
    tall = adapt_images(image, (8, 4, 1))[0, :, :, 0]
    np.testing.assert_array_equal(tall, np.tile([0, 255, 0, 0], (8, 1)))
