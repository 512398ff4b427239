"""Whether two pictures are one and the same when they are laid on each other to a part of a pixel.

Sketches cannot tell a copy that was cropped from another drawn face: copies that were moved by half a pixel of theirs
correlate with their originals at 0.79 to 0.90, and alike faces at 0.78 to 0.92. At full size they differ: what was one
picture fits again, and other eyes do not. About 5 ms a pair.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from fer_tl.data.building.agreement import agree, in_colours
from fer_tl.data.building.blurring import around, blurred
from fer_tl.data.building.sketches import content_box, grey_picture

SIDE = 64
"""Height and width at which pictures are compared, in pixels."""
_AT_ONCE = 32
"""Pairs that are worked on at once: 14 MB a thread."""
_PASSES = ((3, 5), (2, 4), (1, 6))
"""Pixels each way over which pictures are blurred, and steps: coarse to fine."""
_STEP, _FARTHEST = np.array([0.04, 2.0] * 2), np.array([0.12, 6.0] * 2)
"""Scale, and move in pixels, down and across: by how much one step may change them, and how large they may be."""
_ASPECT = 0.03
"""By how much the scales down and across may differ: at most 0.025 of 99 copies in 100, 0.04 to 0.06 of plain drawings
that only fit when they are stretched."""
_MOVE = 3.2
"""How far the middle of one may lie from the other's, in pixels, 5 % of the side: 1.6 of copies that were moved by 4 %,
3.7 of some plain drawings."""
_DETAIL = 0.983
"""Correlation of what is finer than 7 pixels and coarser than 3, from which pictures are one: 0.983 and more of copies
at JPEG quality 15, 0.995 of rescaled and moved ones, at most 0.97 of alike faces, but 0.987 before plain grounds."""
_MOST = 0.96
"""Or half of all places with detail agree as much as that: marked copies do and those of another gamma, and at most
0.95 have alike faces, but 0.98 before plain grounds."""
_STILL = 0.75
"""How far a marked copy may be moved, in pixels: its mark is where something differs already."""
_DETAILED = 0.3
"""Contrast of a place with detail, as a share of the picture's."""


def picture(image: np.ndarray) -> np.ndarray:
    """The content of an image, uint8 ``[H, W, C]``: uint8 ``[64, 64, 1]``, or ``[64, 64, 4]``, grey and colours."""
    grey = grey_picture(image)
    box = content_box(np.asarray(grey))
    colours = [grey] if image.shape[2] == 1 else [grey, Image.fromarray(image)]
    small = [np.asarray(part.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)) for part in colours]
    return np.dstack(small)


def small_content(image: np.ndarray) -> np.ndarray:
    """The content of a large image, uint8 ``[H, W, C]``, as an image ``[64, 64, C]`` to make a ``picture`` of."""
    box = content_box(np.asarray(grey_picture(image)))
    whole = Image.fromarray(image.squeeze())
    small = whole.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box, reducing_gap=2)
    return np.asarray(small).reshape(SIDE, SIDE, -1)


def are_one(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether pairs of pictures, uint8 ``[P, 64, 64, C]`` each, are one and the same when one is moved and scaled and
    has another light: bool ``[P]``."""
    places = [slice(start, start + _AT_ONCE) for start in range(0, len(first), _AT_ONCE)]
    return np.concatenate([np.zeros(0, bool), *(_are_one(first[place], second[place]) for place in places)])


def _are_one(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    same, found = _fit(first[..., 0].astype(np.float32), second[..., 0].astype(np.float32))
    if same.any():
        down, across = _scaled_and_moved(found[same])
        one, other = in_colours(first[same], second[same])
        moved = [down @ other[..., colour] @ across.transpose(0, 2, 1) for colour in range(other.shape[3])]
        still = np.maximum(np.abs(found[same, ::2]) * SIDE / 2, np.abs(found[same, 1::2])).max(axis=1) <= _STILL
        same[same] = agree(one, np.stack(moved, axis=-1), _covered(down, across), still)
    return same


def _fit(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether outlines of pairs, float32 ``[P, 64, 64]`` each, fit, and where: bool ``[P]`` and see ``_register``."""
    found = _register(_evened(first), _evened(second))  # [P, 4]
    down, across = _scaled_and_moved(found)
    second = down @ second @ across.transpose(0, 2, 1)
    inside = _covered(down, across)

    def mean(values: np.ndarray) -> np.ndarray:
        return (values * inside).sum(axis=(1, 2), keepdims=True) / inside.sum(axis=(1, 2), keepdims=True)

    def near(values: np.ndarray, pixels: int) -> np.ndarray:
        return around(values, inside, pixels)

    one, other = (near(values, 1) - near(near(values, 1), 3) for values in (first, second))
    fits = mean(one * other) >= _DETAIL * np.sqrt(mean(one**2) * mean(other**2) + 1e-6)
    one, other = (values - near(values, 2) for values in (first, second))
    products, squares = near(one * other, 2), (near(one**2, 2), near(other**2, 2))
    agreeing = products >= _MOST * np.sqrt(squares[0] * squares[1] + 16)  # fainter than 2 grey levels does not count
    contrast = np.maximum(*(values / (mean(values) + 1e-6) for values in squares))
    detailed = (contrast >= _DETAILED**2) & (inside > 0)
    mostly = (agreeing & detailed).sum(axis=(1, 2)) > detailed.sum(axis=(1, 2)) / 2
    close = (np.abs(found[:, 0] - found[:, 2]) <= _ASPECT) & (np.abs(found[:, 1::2]).max(axis=1) <= _MOVE)
    return close & (fits[:, 0, 0] | mostly), found


def _register(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Scale and move, down and across, that lay the second on the first: float64 ``[P, 4]``. Least squares by Gauss and
    Newton's steps, with brightness and contrast free (Lucas & Kanade, IJCAI 1981)."""
    found = np.zeros((len(first), 4))
    places = ((np.arange(SIDE) - (SIDE - 1) / 2) / SIDE).astype(np.float32)
    for blur, steps in _PASSES:
        fixed, moving = blurred(first, blur), blurred(second, blur)
        for _ in range(steps):
            down, across = _scaled_and_moved(found)
            moved = down @ moving @ across.transpose(0, 2, 1)
            inside = _covered(down, across)
            y, x = np.gradient(moved, axis=(1, 2))
            slopes = np.stack([y * places[:, None], y, x * places, x, moved, np.ones_like(moved)], axis=-1)
            slopes = (slopes * inside[..., None]).reshape(len(first), -1, 6)
            rest = ((fixed - moved) * inside).reshape(len(first), -1, 1)
            curves = (slopes.transpose(0, 2, 1) @ slopes).astype(np.float64)  # [P, 6, 6]
            curves += np.eye(6) * (1e-3 / 6 * np.trace(curves, axis1=1, axis2=2)[:, None, None] + 1e-6)
            step = np.linalg.solve(curves, slopes.transpose(0, 2, 1) @ rest)[:, :4, 0]
            step[:, ::2] /= SIDE
            found = np.clip(found + np.clip(step, -_STEP, _STEP), -_FARTHEST, _FARTHEST)
    return found


def _scaled_and_moved(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What interpolates lines and columns at their new places: float32 ``[P, 64, 64]`` each."""
    lines, middle = np.arange(SIDE), (SIDE - 1) / 2
    at = (1 + found[:, ::2, None]) * (lines - middle) + middle + found[:, 1::2, None]  # [P, 2, 64]
    weights = np.maximum(0, 1 - np.abs(at[..., None] - lines)).astype(np.float32)
    return weights[:, 0], weights[:, 1]


def _covered(down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Where the moved picture lies: float32 ``[P, 64, 64]``, 0 and 1."""
    lines, columns = down.sum(axis=2) > 0.99, across.sum(axis=2) > 0.99
    return (lines[:, :, None] & columns[:, None]).astype(np.float32)


def _evened(pictures: np.ndarray) -> np.ndarray:
    """Each pixel's difference from the mean around it, in local standard deviations: light counts little."""
    mean = blurred(pictures, 4)
    return (pictures - mean) / np.sqrt(np.maximum(blurred(pictures**2, 4) - mean**2, 0) + 4)
