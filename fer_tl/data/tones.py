"""Images in which nothing can be seen, and greys that are stored as colours: counted while a dataset is built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from fer_tl.core.counting import counted, fitting

NEARLY_BLANK = 8.0
"""Standard deviation of grey, 0..255, below which nothing can be seen. In FER-2013's 32,298 training and validation
images, 12 have 0.0; below 8 come one at 0.6 (grey noise) and one at 4.1 (black, a few lights); the next, at 9.1, is a
dark face whose smile can be seen."""

_DARK, _BRIGHT = 32, 223  # mean level, 0..255, up to which an image of nearly one tone is called black, and white
_ALIKE = 2  # levels by which red, green and blue of a grey differ where a JPEG file was made of it
_STEP = 4  # rows and columns of which one is looked at first


_TOTAL, _GREY = "images", "grey"
_BLANK = ("nearly black", "nearly one tone", "nearly white")


class Tones:
    """Counts what the tones of images tell.

    Args:
        counts: what was counted before; none for nothing.

    Attributes:
        counts: "images" that were counted; "nearly black", "nearly white" and "nearly one tone", those that are one
            flat tone not among them; "grey", images with three channels that show no colour.
    """

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self.counts = Counter(counts or {})

    def add(self, image: np.ndarray) -> None:
        """Count an image, uint8 ``[H, W, C]``."""
        self.counts[_TOTAL] += 1
        if is_nearly_blank(image) and image.min() != image.max():
            mean = image.mean()
            dark, one, bright = _BLANK
            self.counts[dark if mean < _DARK else bright if mean > _BRIGHT else one] += 1
        if image.shape[2] == 3 and _is_grey(image[:: 4 * _STEP, :: 4 * _STEP]) and _is_grey(image):
            self.counts[_GREY] += 1

    def warnings(self, choosable: bool) -> list[str]:
        """A line for each thing that a person should know.

        Args:
            choosable: whether ``--channels`` can be given.
        """
        lines, total, grey = [], self.counts[_TOTAL], self.counts[_GREY]
        blank = {name: self.counts[name] for name in _BLANK if self.counts[name]}
        if blank:
            found = ", ".join(f"{count:,} {fitting(count, 'is', 'are')} {name}" for name, count in blank.items())
            where = fitting(sum(blank.values()), "it", "them")
            lines.append(f"Of {counted(total, 'image')}, {found}: next to nothing can be seen in {where}.")
        if 2 * grey >= total > 0:
            how = ": --channels 1 keeps one channel, for a model that takes grey" if choosable else ""
            lines.append(
                f"{grey:,} of {total:,} images {fitting(grey, 'is', 'are')} grey, stored as colour. A model of them "
                f"takes colour, of which it has seen {'none' if grey == total else 'little'}: coloured pictures are "
                f"new to it{how}."
            )
        return lines


def is_nearly_blank(image: np.ndarray) -> bool:
    """Whether an image, uint8 ``[H, W, C]``, is of one tone, or so nearly that nothing can be seen in it."""
    some = image[::_STEP, ::_STEP]
    # The squares that a part of the pixels adds up to are no more than those of all: most images are told by it.
    return _variance(some) * some.size < NEARLY_BLANK**2 * image.size and _variance(image) < NEARLY_BLANK**2


def _variance(image: np.ndarray) -> float:
    values = image.reshape(-1).astype(np.float32)  # a third of the time of `var`
    mean = values.sum() / values.size
    return float(np.dot(values, values) / values.size - mean * mean)


def _is_grey(image: np.ndarray) -> bool:
    red, green, blue = (image[..., channel].astype(np.int16) for channel in range(3))
    return bool(max(np.abs(red - green).max(), np.abs(green - blue).max(), np.abs(red - blue).max()) <= _ALIKE)
