"""Pixels as people write them into a cell of a CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np

from fer_tl.core.errors import UserError

SIZE = 48
PIXELS = SIZE * SIZE

_NUMBERS = b"0123456789 \t\r\n\v\f"
_WHOLE = "write the whole numbers 0..255 with blanks between them"
# As NumPy writes an array for Python: array([[1, 2], ...], dtype=uint8).
_REPR = re.compile(rb"\s*(?:np\.|numpy\.)?array\((.*?)(?:,\s*dtype=[\w.]+)?(?:,\s*shape=[^)]*\))?\)\s*", re.DOTALL)
_BRACKETS = bytes.maketrans(b"[](),;|", b" " * 7)  # a list of Python or JSON, a printed array


def parse_pixels(text: str, where: str, first: bool = False) -> np.ndarray:
    """Parse the 2,304 numbers of a picture of FER-2013, see ``parse_numbers``; 29,000 rows/s on one core.

    Args:
        text: the numbers.
        where: file and row, for the message.
        first: whether it is the first row of its file: where that has another number of values, all probably have.

    Returns:
        uint8 [2304], 0..255.

    Raises:
        UserError: another number of values, or one that is not a whole number in 0..255; the message says what they are
            if that is known.
    """
    return parse_numbers(text, where, lambda count: _check_count(count, where, first))


def picture_shape(count: int) -> tuple[int, int, int] | None:
    """Height, width and channels of the square picture in grey or colour that has so many values; None for none. No
    number is a square and three times a square."""
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if count and channels * side * side == count:
            return side, side, channels
    return None


def parse_numbers(text: str, where: str, check_count: Callable[[int], None]) -> np.ndarray:
    """Parse numbers divided by white space or commas, with or without brackets.

    Args:
        text: the numbers; ``98.0`` is 98.
        where: file and row, for the message.
        check_count: raises ``UserError`` for a number of values that is not right.

    Returns:
        uint8 [n], 0..255.

    Raises:
        UserError: a value that is not a whole number in 0..255; the message says what they are if that is known.
    """
    data = text.encode("ascii", "replace")
    if not data.strip():  # np.fromstring reads one zero from blank text
        raise UserError(f"{where}: no pixels")
    if data.translate(None, _NUMBERS):
        if written := _REPR.fullmatch(data):
            data = written[1]
        data = data.translate(_BRACKETS)
    if not data.translate(None, _NUMBERS):
        values = np.fromstring(data, sep=" ", dtype=np.int64)  # [n]; too large a number saturates
        check_count(len(values))
    else:
        values = _parse_others(data, where, check_count)
    if values.max() > 255:
        raise _no_grey_value(data.split(), int(np.argmax(values > 255)), where)
    return values.astype(np.uint8)


def _parse_others(data: bytes, where: str, check_count: Callable[[int], None]) -> np.ndarray:
    """int64 [n] of values that are not all written as whole numbers and are so nevertheless, such as ``98.0``."""
    if b"..." in data or b"\xe2\x80\xa6" in data:
        raise UserError(
            f"{where}: the pixels were cut to '...' when NumPy or pandas printed them, and are lost: "
            "write all of them, as in ' '.join(map(str, image.ravel()))"
        )
    tokens = data.split()
    if len(tokens) == 1:
        raise UserError(f"{where}: its pixels are {data[:40].decode('ascii', 'replace').strip()!r}, not numbers")
    check_count(len(tokens))
    values = np.empty(len(tokens))
    for position, token in enumerate(tokens):
        try:
            values[position] = float(token)
        except ValueError:
            values[position] = math.nan
        if not math.isfinite(values[position]):
            raise _no_grey_value(tokens, position, where)
    fractions, negative = bool((values % 1).any()), bool(values.min() < 0)
    if (values.max() <= 1 and (fractions or negative)) or (fractions and negative):
        raise UserError(
            f"{where}: the pixels are from {values.min():.4g} to {values.max():.4g}, as after a normalization that "
            "cannot be told: write the whole numbers 0..255 that they were before"
        )
    wrong = np.flatnonzero((values % 1 != 0) | (values < 0))
    if len(wrong):
        raise _no_grey_value(tokens, int(wrong[0]), where)
    return values.astype(np.int64)


def _check_count(count: int, where: str, first: bool) -> None:
    if count != PIXELS:
        raise UserError(f"{where}: {count:,} pixel values, not {PIXELS:,}: {_what_has(count, first)}")


def _no_grey_value(tokens: list[bytes], position: int, where: str) -> UserError:
    shown = tokens[position][:20].decode("ascii", "replace")
    return UserError(
        f"{where}: pixel {position + 1:,} of {len(tokens):,} (counted from 1) is {shown!r}, not a whole number in "
        "0..255"
    )


def _what_has(count: int, first: bool) -> str:
    """What so many values are, as far as that can be told; if all rows have them, the first one has."""
    kinds = {1: "grey", 3: "colour", 4: "RGBA"}
    sides = {kind: math.isqrt(count // channels) for channels, kind in kinds.items()}
    found = [
        f"{'an' if kind == 'RGBA' else 'a'} {kind} picture of {sides[kind]}x{sides[kind]}"
        for channels, kind in kinds.items()
        # Of all pictures with an even side, a quarter of the values is a square too.
        if count > 3 and channels * sides[kind] ** 2 == count and (kind != "RGBA" or sides[kind] == SIZE)
    ]
    advice = "other pictures are read by `fer-tl build table/NAME`"
    if first and found:
        return f"it is {' or '.join(found)}, and FER-2013's are grey {SIZE}x{SIZE}; {advice}"
    if count == 2 * PIXELS:
        return f"twice as many, as where decimal commas divide them too, or rows of two pictures; {_WHOLE}"
    if found:
        return f"it is {' or '.join(found)}, or the row is damaged or truncated"
    return (
        f"the row is damaged or truncated, or its picture is not {SIZE}x{SIZE}; download the file again, or {advice}"
        if count > PIXELS // 4
        else "the row is damaged or truncated"
    )
