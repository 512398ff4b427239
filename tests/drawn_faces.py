"""Drawn faces that are all different, and what is done to pictures of a set alike: grounds, masks, bars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageOps

SIDE = 72
EXPRESSIONS = 7


def drawn_face(seed: int, wide: float = 1.0) -> Image.Image:
    """A face of ellipses and lines before clouds, RGB, 72 pixels high."""
    rng = np.random.default_rng(seed)
    width = round(SIDE * wide)
    clouds = Image.fromarray(rng.integers(30, 225, (5, 5, 3), dtype=np.uint8))
    image = clouds.resize((width, SIDE), Image.Resampling.BICUBIC)
    skin = tuple(rng.integers(120, 240, 3).tolist())
    _draw_head(image, skin, rng.uniform(0.42, 0.58, 2), rng.uniform(0.3, 0.42, 2), rng.integers(-6, 7, 2))
    return image


def _draw_head(image: Image.Image, skin: tuple[int, ...], at: np.ndarray, size: np.ndarray, moods: np.ndarray) -> None:
    draw = ImageDraw.Draw(image)
    (x, y), (half, tall) = at * image.size, size * image.size
    draw.ellipse([x - half, y - tall, x + half, y + tall], fill=skin)
    brow, mouth = moods.tolist()
    for side in (-1, 1):
        eye, top = x + side * half * 0.45, y - tall * 0.2
        draw.ellipse([eye - 3, top - 3, eye + 3, top + 3], fill=(20, 20, 30))
        draw.line([eye - side * 6, top - 8 + brow, eye + side * 6, top - 8 - brow], fill=(30, 20, 20), width=3)
    lips = [(x + half * 0.5 * t, y + tall * 0.5 + mouth * (1 - 2 * t * t)) for t in np.linspace(-1, 1, 9)]
    draw.line(lips, fill=(90, 20, 30), width=3)


def _behind(mask: Image.Image, ground: int) -> Callable[[Image.Image, int], Image.Image]:
    return lambda face, seed: Image.composite(face, Image.new("RGB", face.size, (ground,) * 3), mask)


def _oval() -> Image.Image:
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).ellipse([6, 2, 65, 69], fill=255)
    return mask


def _corners() -> Image.Image:
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).polygon([(20, 0), (51, 0), (71, 20), (71, 51), (51, 71), (20, 71), (0, 51), (0, 20)], fill=255)
    return mask


def _before_white(face: Image.Image, seed: int) -> Image.Image:
    rng = np.random.default_rng(10_000 + seed)
    head, clouds = Image.new("L", face.size), np.asarray(face)
    x, y = rng.uniform(32, 40, 2)
    ImageDraw.Draw(head).ellipse([x - 24, y - 30, x + 24, y + 30], fill=255)
    return _behind(head, 255)(Image.fromarray(clouds), seed)


def _darkened(face: Image.Image, seed: int) -> Image.Image:
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    light = np.clip(1.25 - 0.8 * (x**2 + y**2), 0, 1)
    return Image.fromarray((np.asarray(face) * light[..., None]).astype(np.uint8))


def _letterboxed(face: Image.Image, seed: int) -> Image.Image:
    return ImageOps.pad(face.resize((SIDE, SIDE * 2 // 3)), (SIDE, SIDE))


def _before_green(face: Image.Image, seed: int) -> Image.Image:
    x, y = np.random.default_rng(20_000 + seed).uniform(31, 41, 2)
    head = Image.new("L", face.size)
    ImageDraw.Draw(head).ellipse([x - 22, y - 28, x + 22, y + 28], fill=255)
    return Image.composite(face, Image.new("RGB", face.size, (20, 200, 40)), head)


def _lit(bright: float, dark: float, from_above: bool) -> Callable[[Image.Image, int], Image.Image]:
    light = np.linspace(bright, dark, SIDE)
    light = light[:, None, None] if from_above else light[:, None]
    return lambda face, seed: Image.fromarray(np.clip(np.asarray(face) * light, 0, 255).astype(np.uint8))


def _before_one_colour(face: Image.Image, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", face.size, tuple(rng.integers(0, 255, 3).tolist()))
    skin = tuple(rng.integers(120, 240, 3).tolist())
    _draw_head(image, skin, rng.uniform(0.42, 0.58, 2), rng.uniform(0.3, 0.42, 2), rng.integers(-6, 7, 2))
    return image


SETTINGS: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    "different grounds": lambda face, seed: face,
    "upright, padded": lambda face, seed: ImageOps.pad(drawn_face(seed, 0.75), (SIDE, SIDE)),
    "of all shapes, padded": lambda face, seed: ImageOps.pad(drawn_face(seed, 0.65 + seed % 8 / 20), (SIDE, SIDE)),
    "white ground": _before_white,
    "oval mask": _behind(_oval(), 0),
    "letterbox": _letterboxed,
    "dark corners": _darkened,
    "corners cut off": _behind(_corners(), 0),
    "green ground": _before_green,
    "light from above": _lit(1.6, 0.2, True),
    "light from the right": _lit(0.2, 1.6, False),
    "cut to squares": lambda face, seed: ImageOps.fit(drawn_face(seed, (0.65, 1, 1.3)[seed % 3]), (SIDE, SIDE)),
    "pixels of four": lambda face, seed: face.reduce(4).resize((SIDE, SIDE), Image.Resampling.NEAREST),
    "haze": lambda face, seed: Image.blend(face, Image.new("RGB", face.size, (205, 205, 210)), 0.7),
    "four tones": lambda face, seed: ImageOps.posterize(face, 2),
}
"""What pictures of unlike faces may have in common: each is given a face and its seed."""


PLAIN = "one colour each"
"""Unlike faces before a ground of one colour: a few equal shapes are all there is to tell them by."""


def faces_in(setting: str, count: int, first: int = 0) -> list[np.ndarray]:
    """Unlike faces in one of `SETTINGS`, or `PLAIN`, from a first seed: uint8 [72, 72, 3] each."""
    change = _before_one_colour if setting == PLAIN else SETTINGS[setting]
    return [np.asarray(change(drawn_face(seed), seed)) for seed in range(first, first + count)]


def laboratory(persons: int, takes: int) -> tuple[list[np.ndarray], list[tuple[int, int]]]:
    """Seven expressions of each person before one ground, in one light and pose, a few takes each that differ by noise
    and a pixel's move.

    Returns:
        Images, uint8 [72, 72, 1], and who shows which expression.
    """
    images, names = [], []
    for person in range(persons):
        rng = np.random.default_rng(person)
        size, skin = rng.uniform((0.26, 0.34), (0.33, 0.42)), int(rng.integers(150, 225))
        hair = int(rng.integers(20, 110))
        for mood in range(EXPRESSIONS):
            for take in range(takes):
                own = np.random.default_rng([person, mood, take])
                at = 0.5 + own.uniform(-1, 1, 2) / SIDE
                image = Image.new("RGB", (SIDE, SIDE), (180,) * 3)
                x, y = at * SIDE
                half, tall = size * SIDE * 1.12
                ImageDraw.Draw(image).ellipse([x - half, y - tall, x + half, y + tall * 0.5], fill=(hair,) * 3)
                _draw_head(image, (skin,) * 3, at, size, np.array((2 * (mood % 3) - 2, 3 * mood - 9)))
                grey = np.asarray(image.convert("L")) + own.normal(0, 2, (SIDE, SIDE))
                images.append(np.clip(grey, 0, 255).astype(np.uint8)[..., None])
                names.append((person, mood))
    return images, names
