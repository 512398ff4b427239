"""The ways to explain an answer, by name, and the numbers of the one that has some."""

from __future__ import annotations

from collections.abc import Sequence

from fer_tl.core.errors import UserError, suggest

# What --method takes, and how a title names it.
METHODS = {"gradcam": "Grad-CAM", "saliency": "saliency", "smoothgrad": "SmoothGrad"}

# SmoothGrad's noise: 10 to 20 % of the range of an image's values, of which 15 % is the middle, and about 50 copies,
# beyond which the paper sees little change (Smilkov et al., section 3.1). 48 are three batches.
SPREAD = 0.15
SAMPLES = 48


def choose_methods(asked: str | Sequence[str]) -> tuple[str, ...]:
    """The methods that were asked for, in the order of ``METHODS``.

    Args:
        asked: a name, several joined by commas, or a list of names.

    Raises:
        UserError: none, or one that there is not.
    """
    names = [name.strip() for name in (asked.split(",") if isinstance(asked, str) else asked)]
    for name in names:
        if name not in METHODS:
            raise UserError(f"--method {name}: no such method{suggest(name, METHODS)}")
    if not names:
        raise UserError(f"--method names nothing: choose from {', '.join(METHODS)}")
    return tuple(method for method in METHODS if method in names)
