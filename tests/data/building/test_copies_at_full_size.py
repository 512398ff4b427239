"""Pairs of pictures that fit: what was one picture differs in its light alone, or under a mark, and no drawing does."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fer_tl.data.building.registration import are_one, picture
from tests.drawn_faces import PLAIN, faces_in


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)


def marked(image: np.ndarray) -> np.ndarray:
    image = image.copy()
    image[34:38, 10:60] = image[34:38, 10:60] // 2 + 127
    return image


def in_grey(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image.squeeze()).convert("L"))[..., None]


def fit(first: np.ndarray, second: np.ndarray) -> bool:
    pictures = [picture(image) for image in (first, second)]
    depth = min(shown.shape[2] for shown in pictures)
    return bool(are_one(*(shown[None, ..., :depth] for shown in pictures))[0])


def drawn(skin: tuple[int, ...], ground: tuple[int, ...], brow: int = 0) -> np.ndarray:
    """One face in other colours: uint8 [72, 72, 3]."""
    image = Image.new("RGB", (72, 72), ground)
    draw = ImageDraw.Draw(image)
    draw.ellipse([14, 6, 57, 64], fill=skin)
    for left in (22, 42):
        draw.ellipse([left, 26, left + 7, 33], fill=(20, 20, 30))
        draw.line([left - 2, 20 - brow, left + 9, 20 - brow], fill=(30, 20, 20), width=3)
    draw.line([26, 50, 46, 50], fill=(90, 20, 30), width=3)
    return np.asarray(image)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "darker": lambda image: (image * 0.5).astype(np.uint8),
    "paler": lambda image: (image * 0.3 + 170).astype(np.uint8),
    "gamma": lambda image: (255 * (image / 255) ** 2).astype(np.uint8),
    "compressed": lambda image: as_jpeg(image, 30),
    "marked": marked,
    "grey": in_grey,
    "another tint": lambda image: (image * np.linspace(0.6, 1, image.shape[2])).astype(np.uint8),
}


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("kind", COPIES)
def test_a_picture_in_another_light_or_under_a_mark_is_the_same(kind: str, grey: bool) -> None:
    faces = faces_in(PLAIN, 6)
    for face in [in_grey(face) for face in faces] if grey else faces:
        copy = COPIES[kind](face)
        assert fit(face, copy) and fit(copy, face)


@pytest.mark.parametrize("grey", [False, True])
def test_one_outline_in_other_tones_is_another_picture(grey: bool) -> None:
    """Outlines agree in all of them; brightness and contrast do not make one of the other."""
    face = drawn((210, 170, 150), (90, 120, 160))
    others = [
        drawn((180, 150, 120), (90, 120, 160)),  # skin
        drawn((210, 170, 150), (30, 40, 60)),  # ground
        drawn((235, 225, 130), (20, 160, 40)),  # both
    ]
    for other in others:
        first, second = (in_grey(image) for image in (face, other)) if grey else (face, other)
        assert not fit(first, second) and not fit(second, first)
    assert fit(face, drawn((210, 170, 150), (90, 120, 160)))


def test_colours_tell_pictures_apart_that_are_equal_in_grey() -> None:
    face, other = drawn((210, 150, 120), (60, 120, 160)), drawn((120, 190, 152), (149, 90, 91))
    assert np.abs(in_grey(face).astype(int) - in_grey(other)).max() <= 2
    assert fit(in_grey(face), in_grey(other)) and not fit(face, other)
