"""Which values of a picture mean black and white, as far as its file says so: for samples of more than 8 bits."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from PIL import Image

# Tags of TIFF 6.0.
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_MIN_MAX = ((340, 341), (280, 281))  # SMinSampleValue, SMaxSampleValue; MinSampleValue, MaxSampleValue
_WHITE_IS_ZERO = 0
_REDUCED = ("RGB", "RGBA", "RGBX", "LA")
_NOTE = "fer_tl_range"  # in `Image.info`, which survives turning and loading
_MOST_CHUNKS = 1000  # of a PNG file before its pixels


class ValueRange(NamedTuple):
    """What a file says of its samples.

    Attributes:
        low: the value that means black, 0 if it says nothing.
        high: the one that means white, None if it says nothing.
        inverted: whether black and white change places.
        significant: bits of a sample that PNG's sBIT chunk says are significant, None without one.
        reduced: whether Pillow keeps the upper 8 of 16 bits, as it does of colours and of grey with transparency.
    """

    low: float = 0.0
    high: float | None = None
    inverted: bool = False
    significant: int | None = None
    reduced: bool = False


def note_range(image: Image.Image) -> None:
    """Keep what a file that was opened, and not loaded yet, says of its samples, for ``stored_range``."""
    if _NOTE in image.info:
        return
    if image.format == "TIFF":
        image.info[_NOTE] = _of_tiff(image)
    elif image.format == "PNG":
        high = None if image.mode != "I" else 65535.0
        image.info[_NOTE] = ValueRange(high=high, significant=_significant(image), reduced=_is_reduced(image))
        hidden = image.info.get("transparency")
        if isinstance(hidden, tuple) and _is_reduced(image):
            image.info["transparency"] = tuple(value >> 8 for value in hidden)
    elif image.format == "PPM" and image.mode == "I":
        image.info[_NOTE] = ValueRange(high=65535.0)  # Pillow brings any `maxval` above 255 to it


def stored_range(image: Image.Image, values: np.ndarray) -> ValueRange:
    """What the file of a picture says of its samples.

    A PNG file's sBIT chunk counts the bits before they were brought to 16: its values fill all of 0..65535 (PNG 1.2,
    4.2.6). Some programs store the bits as they are instead: then no value is above them, and not all of the lower
    bits are zeros, as those of values that were brought to 16 and are as small.

    Args:
        image: of Pillow, loaded.
        values: of its samples, integers or floats.
    """
    found: ValueRange = image.info.get(_NOTE, ValueRange())
    bits = found.significant
    if bits is None or bits == 16 or found.high is not None or not values.size or values.max() >= 1 << bits:
        return found
    as_they_are = (values & ((1 << (16 - bits)) - 1)).any()
    return found._replace(high=float((1 << bits) - 1)) if as_they_are else found


def is_reduced(image: Image.Image) -> bool:
    """Whether the picture's file has 16 bits for each channel, of which Pillow gives the upper 8."""
    found: ValueRange = image.info.get(_NOTE, ValueRange())
    return found.reduced


def largest_unsaid(image: Image.Image) -> int | None:
    """The largest value of samples of 16 bits, if the picture's file does not say how many are used.

    Args:
        image: of Pillow, loaded.
    """
    if is_reduced(image):
        bands = image.getextrema()[: 1 if image.mode == "LA" else 3]
        return 257 * max(int(band[1]) for band in bands if isinstance(band, tuple))
    if not image.mode.startswith("I;16"):
        return None
    values = np.asarray(image)
    return int(values.max()) if stored_range(image, values).high is None else None


def _of_tiff(image: Image.Image) -> ValueRange:
    tags = getattr(image, "tag_v2", {})
    # Pillow inverts 8 bits by itself, and no others.
    inverted = _first(tags.get(_PHOTOMETRIC)) == _WHITE_IS_ZERO and image.mode.startswith(("I", "F"))
    bits = _first(tags.get(_BITS_PER_SAMPLE))
    if image.mode.startswith("I;16") and bits is not None and 8 < bits < 16:
        return ValueRange(0.0, float((1 << int(bits)) - 1), inverted)
    for lowest, highest in _MIN_MAX:
        low, high = _first(tags.get(lowest)), _first(tags.get(highest))
        if _is_range(low or 0.0, high, image.mode):
            return ValueRange(float(low or 0.0), float(high or 0.0), inverted)
    return ValueRange(inverted=inverted, reduced=_is_reduced(image))


def _is_range(low: float, high: float | None, mode: str) -> bool:
    """Whether two values are ends of a scale, not the least and greatest that happen to be in a picture, which many
    programs write in their place."""
    if high is None:
        return False
    if mode == "F":
        return (low, high) in ((0, 1), (-1, 1), (0, 255), (0, 65535))
    return low == 0 and high in [(1 << bits) - 1 for bits in range(8, 33)]


def _first(value: object) -> float | None:
    value = value[0] if isinstance(value, tuple) and value else value
    return float(value) if isinstance(value, int | float) else None


def _is_reduced(image: Image.Image) -> bool:
    """Whether a file that is not loaded yet has 16 bits for each of several channels."""
    return image.mode in _REDUCED and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _significant(image: Image.Image) -> int | None:
    """The number in a PNG file's sBIT chunk, which Pillow passes over; None for colours, or without one."""
    stream = getattr(image, "fp", None)
    if stream is None or stream.closed or not image.mode.startswith("I"):
        return None
    place = stream.tell()
    try:
        stream.seek(8)
        for _ in range(_MOST_CHUNKS):
            head = stream.read(8)
            if len(head) < 8:
                return None
            length, kind = struct.unpack(">I4s", head)
            if kind == b"sBIT":
                data = stream.read(1)
                return data[0] if data and 1 <= data[0] <= 16 else None
            if kind == b"IDAT":
                return None
            stream.seek(length + 4, 1)
        return None
    finally:
        stream.seek(place)
