"""Pictures of strangers: decoded as they look, or refused with the status that says why."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fer_tl.inference.serve.uploads import FORMATS, MOST_BYTES, Refused, decode_upload

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (9, 14, 3), dtype=np.uint8)


def encode(pixels: np.ndarray, kind: str, mode: str | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, *more: bytes) -> bytes:
    """The start of a PNG of any size: nothing behind its header could be decoded."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("media_type", FORMATS)
def test_every_format_is_read(media_type: str):
    smooth = np.broadcast_to(np.linspace(40, 200, 14).astype(np.uint8)[:, None], (9, 14, 3)).copy()
    options = {"lossless": True} if media_type == "image/webp" else {"quality": 95} if "jpeg" in media_type else {}
    found = decode_upload(encode(smooth, FORMATS[media_type], **options), media_type)
    assert (found.shape, found.dtype) == ((9, 14, 3), np.uint8)
    np.testing.assert_allclose(found.astype(int), smooth, atol=3)


def test_long_text_beside_whole_pixels_does_not_stop_a_picture():
    whole = encode(PIXELS, "PNG")
    start = whole.index(b"IDAT") - 4
    np.testing.assert_array_equal(decode_upload(whole[:start] + BOMB + whole[start:], "image/png"), PIXELS)


def test_pictures_are_taken_as_they_look():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    turned = encode(np.rot90(PIXELS), "PNG", exif=exif)
    np.testing.assert_array_equal(decode_upload(turned, "image/png"), PIXELS)
    deep = (RNG.integers(0, 256, (9, 14)) * 257).astype(np.uint16)
    np.testing.assert_array_equal(decode_upload(encode(deep, "PNG"), "image/png")[..., 1], deep // 257)
    for mode in ("RGBA", "P", "L", "1"):
        assert decode_upload(encode(PIXELS, "PNG", mode), "image/png").shape == (9, 14, 3)
    # What the sender calls it decides nothing.
    np.testing.assert_array_equal(decode_upload(encode(PIXELS, "PNG"), "image/jpeg"), PIXELS)


JPEG = encode(RNG.integers(0, 256, (60, 60, 3), dtype=np.uint8), "JPEG")
BOMB = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(9_000_000), 9))
REFUSED: dict[str, tuple[bytes, str, int, str]] = {
    "200 megapixels": (png_of(20_000, 10_000), "image/png", 413, "more than the 25,000,000 pixels"),
    "100 megapixels": (png_of(10_000, 10_000), "image/png", 413, "more than the 25,000,000 pixels"),
    "26 megapixels": (png_of(26_000, 1_000), "image/png", 413, "26,000 x 1,000 pixels"),
    "many bytes": (JPEG + bytes(MOST_BYTES), "image/jpeg", 413, "at most 10,000,000 are taken"),
    "text that inflates": (png_of(10, 10, BOMB), "image/png", 400, "cannot be decoded"),
    "HEIC": (b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(200), "image/jpeg", 400, "HEIC picture"),
    "truncated": (JPEG[: len(JPEG) // 2], "image/jpeg", 400, "cannot be decoded"),
    "empty": (b"", "image/png", 400, "cannot be read"),
    "no picture": (b"\x80\x04K\x01.", "image/png", 400, "cannot be read"),
    "TIFF in disguise": (encode(PIXELS, "TIFF"), "image/png", 400, "not one of BMP, GIF, JPEG, PNG, WEBP"),
    "EPS in disguise": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image/png", 400, "not one of BMP"),
    "SVG": (b"<svg/>", "image/svg+xml", 415, "the content type is image/svg+xml"),
    "no type": (JPEG, "", 415, "the content type is not given"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused_before_they_are_decoded(name: str):
    data, media_type, status, said = REFUSED[name]
    with pytest.raises(Refused) as error:
        decode_upload(data, media_type)
    assert error.value.status == status
    assert said in str(error.value) and "\n" not in str(error.value)
