"""Pixels as people write them into a cell of a CSV."""

from __future__ import annotations

import math

import numpy as np

from fer_tl.core.errors import UserError

SIZE = 48
PIXELS = SIZE * SIZE

_NUMBERS = b"0123456789 \t\r\n\v\f"
_BRACKETS = bytes.maketrans(b"[](),;|", b" " * 7)  # a list of Python or JSON, a printed array


def parse_pixels(text: str, where: str, first: bool = False) -> np.ndarray:
    """Parses 2,304 numbers divided by white space or commas, with or without brackets; 29,000 rows/s on one core.

    Args:
        text: the numbers; `98.0` is 98.
        where: file and row, for the message.
        first: whether it is the first row of its file: where that has another number of values, all probably have.

    Returns:
        uint8 [2304], 0..255.

    Raises:
        UserError: another number of values, or one that is not a whole number in 0..255; the message says what they are
            if that is known.
    """
    data = text.encode("ascii", "replace")
    if not data.strip():  # np.fromstring reads one zero from blank text
        raise UserError(f"{where}: no pixels.")
    if data.translate(None, _NUMBERS):
        data = data.translate(_BRACKETS)
    if not data.translate(None, _NUMBERS):
        values = np.fromstring(data, sep=" ", dtype=np.int64)  # [2304]; too large a number saturates
        _check_count(len(values), where, first)
    else:
        values = _parse_others(data, where, first)
    if values.max() > 255:
        position = int(np.argmax(values > 255))
        raise _no_grey_value(data.split()[position], position, where)
    return values.astype(np.uint8)


def _parse_others(data: bytes, where: str, first: bool) -> np.ndarray:
    """int64 [2304] of values that are not all written as whole numbers and are so nevertheless, such as `98.0`."""
    if b"..." in data or b"\xe2\x80\xa6" in data:
        raise UserError(
            f"{where}: the pixels were cut to '...' when NumPy or pandas printed them, and are lost: "
            "write all of them, as in ' '.join(map(str, image.ravel()))."
        )
    tokens = data.split()
    if len(tokens) == 1:
        raise UserError(f"{where}: its pixels are {data[:40].decode('ascii', 'replace').strip()!r}, not numbers.")
    _check_count(len(tokens), where, first)
    values = np.empty(len(tokens))
    for position, token in enumerate(tokens):
        try:
            values[position] = float(token)
        except ValueError:
            values[position] = math.nan
        if not math.isfinite(values[position]):
            raise _no_grey_value(token, position, where)
    fractions, negative = bool((values % 1).any()), bool(values.min() < 0)
    if (values.max() <= 1 and (fractions or negative)) or (fractions and negative):
        raise UserError(
            f"{where}: the pixels are from {values.min():.4g} to {values.max():.4g}, as after a normalization that "
            "cannot be told: write the whole numbers 0..255 that they were before."
        )
    wrong = np.flatnonzero((values % 1 != 0) | (values < 0))
    if len(wrong):
        raise _no_grey_value(tokens[wrong[0]], int(wrong[0]), where)
    return values.astype(np.int64)


def _check_count(count: int, where: str, first: bool) -> None:
    if count != PIXELS:
        raise UserError(f"{where}: {count:,} pixel values, not {PIXELS:,}: {_what_has(count, first)}.")


def _no_grey_value(token: bytes, position: int, where: str) -> UserError:
    shown = token[:20].decode("ascii", "replace")
    return UserError(
        f"{where}: pixel {position + 1:,} of {PIXELS:,} (counted from 1) is {shown!r}, not a whole number in 0..255."
    )


def _what_has(count: int, first: bool) -> str:
    """What so many values are, as far as that can be told."""
    side, colour_side = math.isqrt(count), math.isqrt(count // 3)
    if first and count > 3 and side * side == count:
        what = f"a grey picture of {side}x{side}"
    elif first and count > 3 and 3 * colour_side * colour_side == count:
        what = f"a colour picture of {colour_side}x{colour_side}"
    else:
        return "the row is damaged or cut short"
    return (
        f"it is {what}, and FER-2013's are grey {SIZE}x{SIZE}; resize them, "
        "or save them as image files in class folders and use `fer-tl build folder`"
    )
