"""Pictures that strangers send: refused or decoded, in memory only."""

from __future__ import annotations

import io
import threading
from contextlib import nullcontext

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.faces.opening import TooLarge, convert_image, open_header

# By media type. Pictures of other kinds are refused before they are decoded.
FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
    "image/gif": "GIF",
}
MOST_BYTES = 10_000_000
# Photos of most cameras and phones; 75 MB when decoded, and twice that while turned.
MOST_PIXELS = 25_000_000
_LARGE = 4_000_000  # pixels: from here on, one picture is decoded at a time, which bounds the memory of many at once

_one_at_a_time = threading.Lock()


class Refused(Exception):
    """A request that is not answered.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def decode_upload(data: bytes, media_type: str, bits: int | None = None) -> np.ndarray:
    """The pixels of a picture, opened as ``fer_tl.faces.opening`` does.

    Its size is taken from its header before anything is decoded. Decoding stops at that size, so a small file that
    would grow beyond it does not.

    Args:
        data: of the file.
        media_type: as the sender names it, one of ``FORMATS``; which of these it really is, the bytes say.
        bits: see ``fer_tl.faces.recipe.FaceRecipe``.

    Returns:
        uint8 ``[H, W, 3]``: red, green, blue, 0..255.

    Raises:
        Refused: 415 for another kind of file, 413 for too many bytes or pixels, 400 for a damaged or empty file.
    """
    if media_type not in FORMATS:
        known = ", ".join(FORMATS)
        raise Refused(415, f"the content type is {media_type or 'not given'}: send the bytes of a file, as {known}")
    if len(data) > MOST_BYTES:
        raise Refused(413, f"the picture has {len(data):,} bytes, at most {MOST_BYTES:,} are taken: send a smaller one")
    names = ", ".join(sorted(FORMATS.values()))
    try:
        stored = open_header(io.BytesIO(data), "the picture")
    except TooLarge:
        raise Refused(413, f"the picture has more than the {MOST_PIXELS:,} pixels that are taken") from None
    except UserError as error:
        raise Refused(400, f"the picture cannot be read: it is damaged, or not one of {names} ({error})") from None
    with stored:
        if stored.format not in (*FORMATS.values(), "MPO"):  # two lenses' pictures in a JPEG file
            raise Refused(400, f"the picture cannot be read: it is a {stored.format} file, not one of {names}")
        width, height = stored.size
        if width * height > MOST_PIXELS:
            raise Refused(413, f"the picture has {width:,} x {height:,} pixels, at most {MOST_PIXELS:,} are taken")
        try:
            with _one_at_a_time if width * height > _LARGE else nullcontext():
                return np.asarray(convert_image(stored, 3, "the picture", bits))
        except UserError as error:
            raise Refused(400, str(error)) from None
        except Exception:  # Pillow's plugins raise nearly anything on damaged data
            raise Refused(400, "the picture cannot be decoded: it is damaged or truncated") from None
