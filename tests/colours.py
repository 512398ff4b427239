"""How light colours are, and how far two stand apart, by WCAG 2."""

from __future__ import annotations

import numpy as np


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2 of ``#rrggbb``, 0..1."""
    channels = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
