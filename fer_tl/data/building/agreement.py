"""Whether two pictures that lie on each other differ in their light alone, or under a mark: the last look at a pair.

Outlines say little of drawn faces: two heads before other grounds, of other skin, fit when one is moved. Their tones do
not: what was one picture became the other by brightness and contrast, or by a gamma, in all its colours alike.
"""

from __future__ import annotations

import numpy as np

from fer_tl.data.building.blurring import around

_GAMMAS = (1.25, 1.6, 2.0, 2.5)
_COLOURED = 4
"""Mean difference of a picture's colours, in grey levels, below which it is grey."""
_FLOOR = 16
"""Grey levels that a picture's contrast counts as at least: compression changes some in the faintest."""
_GREY, _COLOURED_GREY, _COLOURS = (0.05, 0.14), (0.065, 0.235), (0.11, 0.28)
"""What may differ of grey pictures, of coloured ones in grey or in all their colours, and of each colour anyway, as
shares of the contrast: over all, and around one place. Copies at JPEG quality 15 differ by 0.03 and 0.07, their colours
by up to 0.09 and 0.2; of other pairs that fit, grey ones by 0.06 and 0.25, coloured ones by 0.25 and 0.9."""
_DIFFERENT = 0.08
"""Share of the contrast from which a place differs."""
_MARKED = 0.15
"""Share of a picture that a mark may cover."""
_ONE_SIDED = 0.85
"""A mark is brighter than the picture under it, or darker; features that moved are both."""
_KNOWN = 0.7
"""Share of what differs whose tones agree elsewhere, of the picture without the mark: 0.78 and more under a mark, up to
0.6 where skin, ground or features have other tones."""
_BINS = 16


def agree(first: np.ndarray, second: np.ndarray, inside: np.ndarray, still: np.ndarray) -> np.ndarray:
    """Whether pairs of pictures are the same but for light, or for a mark on one of them.

    Args:
        first: float32 ``[P, 64, 64, C]``, see ``in_colours``.
        second: likewise, laid on the first.
        inside: where both are, ``[P, 64, 64]``, 0 and 1.
        still: bool ``[P]``, whether the second was hardly moved: a picture that was both cut and marked is not known
            from another one.

    Returns:
        bool ``[P]``.
    """
    rest = _differences(first, second, inside)  # [P, 64, 64, C]
    pixels = inside.sum(axis=(1, 2))
    rms = np.sqrt((rest**2).sum(axis=(1, 2)) / pixels[:, None])  # [P, C]
    largest = np.stack(
        [around(np.abs(rest[..., c]), inside, 2).max(axis=(1, 2)) for c in range(rest.shape[3])], axis=-1
    )

    def within(most: tuple[float, float], channels: slice) -> np.ndarray:
        found: np.ndarray = ((rms <= most[0]) & (largest <= most[1]))[:, channels].all(axis=1)
        return found

    # Compression changes colours more than grey, and a gamma of colours is none of grey.
    grey, colours = slice(1), slice(1, None)
    in_one_light = within(_COLOURED_GREY, grey) | within(_COLOURED_GREY, colours)
    coloured = (first != first[..., :1]).any(axis=(1, 2, 3))
    same = np.where(coloured, in_one_light & within(_COLOURS, colours), within(_GREY, grey))
    share = (np.abs(rest) > _DIFFERENT).any(axis=3).sum(axis=(1, 2)) / pixels
    for pair in np.flatnonzero(~same & still & (share <= _MARKED)):
        same[pair] = _is_mark((first[pair], second[pair]), rest[pair], inside[pair] > 0)
    return same


def _is_mark(pictures: tuple[np.ndarray, np.ndarray], rest: np.ndarray, inside: np.ndarray) -> bool:
    """Whether differences, ``[64, 64, C]``, lie over one of the pictures as a mark does."""
    different = np.abs(rest) > _DIFFERENT
    large = rest * different
    one_sided = np.abs(large.sum(axis=(0, 1))) >= _ONE_SIDED * np.abs(large).sum(axis=(0, 1))
    grey = different[inside, 0]
    return bool(one_sided.all()) and any(_are_known(picture[inside, 0], grey) for picture in pictures)


def _are_known(grey: np.ndarray, different: np.ndarray) -> bool:
    """Whether the tones of a picture that differ are the same in other places."""
    tones = np.clip(grey * (_BINS / 256), 0, _BINS - 1).astype(int)
    with_tone = np.bincount(tones, minlength=_BINS)
    differing = np.bincount(tones[different], minlength=_BINS)
    return bool(differing[2 * differing < with_tone].sum() >= _KNOWN * differing.sum())


def _differences(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """What remains of the tones of one picture that those of the other do not explain, as shares of the contrast."""
    contrasts = []
    for pictures in (first, second):
        shown = np.stack([around(pictures[..., c], inside, 1) for c in range(pictures.shape[3])], axis=-1)
        shown = np.where(inside[..., None] > 0, shown, np.nan).reshape(len(shown), -1, shown.shape[3])
        contrast = np.subtract(*np.nanquantile(shown, (0.98, 0.02), axis=1)).max(axis=1)  # [P]
        contrasts.append(np.maximum(contrast, _FLOOR)[:, None, None])
    colours = [_explain((first[..., c], second[..., c]), contrasts, inside) for c in range(first.shape[3])]
    return np.stack(colours, axis=-1)


def _explain(pair: tuple[np.ndarray, np.ndarray], contrasts: list[np.ndarray], inside: np.ndarray) -> np.ndarray:
    """One colour of pictures less the others' in the best light: brightness and contrast, or a gamma of either. Not its
    inverse: edges of dark places that were blurred do not become bright ones."""
    best = _fitted(around(pair[0], inside, 1), around(pair[1], inside, 1), inside, offset=True) / contrasts[1]
    least = np.minimum(np.abs(best), 0.25).sum(axis=(1, 2))
    for gamma in _GAMMAS:
        for one, other in ((0, 1), (1, 0)):
            tones = around(255 * (pair[one] / 255) ** gamma, inside, 1)
            rest = _fitted(tones, around(pair[other], inside, 1), inside, offset=False) / contrasts[other]
            cost = np.minimum(np.abs(rest), 0.25).sum(axis=(1, 2))
            best = np.where((cost < least)[:, None, None], rest, best)
            least = np.minimum(cost, least)
    return best


def _fitted(tones: np.ndarray, second: np.ndarray, inside: np.ndarray, offset: bool) -> np.ndarray:
    """What a line leaves over, by least squares that let go of what is far off, so that a mark changes nothing."""
    weights = inside

    def total(values: np.ndarray) -> np.ndarray:
        return values.sum(axis=(1, 2), keepdims=True, dtype=np.float64)

    for _ in range(6):
        number = total(weights) + 1e-6
        x = tones - total(tones * weights) / number if offset else tones
        y = second - total(second * weights) / number if offset else second
        rest = (x * (total(x * y * weights) / (total(x * x * weights) + 1e-3)) - y) * inside
        usual = total(np.abs(rest) * weights) / number + 0.5
        weights = inside / (1 + (rest / (2 * usual)) ** 2) ** 2
    return rest


def in_colours(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of pictures, uint8 ``[P, 64, 64, 1 or 4]``, by what is compared of both, float32, as many colours: their
    own, or grey where one has none, for a copy in grey of one in colours is a copy."""
    if first.shape[3] == 1 or second.shape[3] == 1:
        return first[..., :1].astype(np.float32), second[..., :1].astype(np.float32)
    found = []
    for pictures in (first, second):
        colours = pictures[..., 1:].astype(np.int16)
        found.append((colours.max(axis=3) - colours.min(axis=3)).mean(axis=(1, 2)) >= _COLOURED)
    coloured = (found[0] & found[1])[:, None, None, None]
    one, other = (
        np.where(coloured, values, values[..., :1]).astype(np.float32) for values in (first, second)
    )  # grey alone, four times, of the others
    return one, other
