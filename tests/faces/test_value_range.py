"""Samples of more than 8 bits: the same face looks alike in each way to store it, as far as its file says how."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.faces.opening import convert_image, open_image

GREY = np.random.default_rng(0).integers(20, 200, (16, 16)).astype(np.uint8)  # no pixel is black or white
DEEP = GREY.astype(np.uint16) * 257  # 0..65535


def png(samples: np.ndarray, kind: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A file of 16 bits a sample, ``[H, W]`` or ``[H, W, C]``, with more chunks before its pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, kind, 0, 0, 0)
    body = [chunk(b"IHDR", header), *(chunk(*each) for each in chunks), chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body) + chunk(b"IEND", b"")


def tiff(samples: bytes, bits: int, white_is_zero: bool = False, form: int = 1, **more: float) -> bytes:
    """A grey file of 16 x 16 samples; form 1: without a sign, 2: with one, 3: floats."""
    short, long, real = 3, 4, 11
    tags = [
        (256, short, 16),
        (257, short, 16),
        (258, short, bits),
        (259, short, 1),
        (262, short, int(not white_is_zero)),
    ]
    tags += [(273, long, 8), (277, short, 1), (278, short, 16), (279, long, len(samples)), (339, short, form)]
    kind = real if form == 3 else short
    tags += [({"smallest": 340, "largest": 341, "seen": 281}[name], kind, value) for name, value in more.items()]
    packing = {short: "<Hxx", long: "<I", real: "<f"}
    entries = [
        struct.pack("<HHI", tag, kind, 1) + struct.pack(packing[kind], value) for tag, kind, value in sorted(tags)
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(samples)) + samples + directory


def twelve_bits() -> bytes:
    """Two samples in three bytes."""
    first, second = (DEEP >> 4).reshape(-1, 2).T.astype(int)
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1)
    return packed.astype(np.uint8).tobytes()


def little(samples: np.ndarray, kind: str = "<u2") -> bytes:
    return samples.astype(kind).tobytes()


ALIKE = {
    "PNG": png(DEEP, 0),
    **{f"PNG, {n} bits as they are": png(DEEP >> (16 - n), 0, (b"sBIT", bytes([n]))) for n in (10, 12, 14)},
    **{f"PNG, {n} bits brought to 16": png(DEEP >> (16 - n) << (16 - n), 0, (b"sBIT", bytes([n]))) for n in (10, 12)},
    "PNG, colours": png(np.stack([DEEP] * 3, axis=2), 2),
    "TIFF": tiff(little(DEEP), 16),
    "TIFF, 12 bits": tiff(twelve_bits(), 12),
    "TIFF, white is zero": tiff(little(65535 - DEEP), 16, white_is_zero=True),
    "TIFF, 12 bits of 16": tiff(little(DEEP >> 4), 16, largest=4095),
    "TIFF, 10 bits of 16": tiff(little(DEEP >> 6), 16, seen=1023),
    "TIFF, its brightest pixel": tiff(little(DEEP), 16, seen=int(DEEP.max())),
    "TIFF, 0..1": tiff(little(GREY / 255, "<f4"), 32, form=3),
    "TIFF, 0..255": tiff(little(GREY, "<f4"), 32, form=3),
    "TIFF, -1..1": tiff(little(GREY / 127.5 - 1, "<f4"), 32, form=3, smallest=-1, largest=1),
    "PGM": b"P5 16 16 65535\n" + DEEP.astype(">u2").tobytes(),
    "PGM, 12 bits": b"P5 16 16 4095\n" + (DEEP >> 4).astype(">u2").tobytes(),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_a_face_looks_alike_however_it_is_stored(kind: str):
    seen = np.asarray(open_image(ALIKE[kind], 1, kind).image).astype(int)
    assert np.abs(seen - GREY).max() <= 1


@pytest.mark.parametrize("kind", ALIKE)
def test_a_file_and_its_picture_of_pillow_are_one(kind: str):
    with Image.open(io.BytesIO(ALIKE[kind])) as image:
        first = np.asarray(convert_image(image, 1, kind))
        again = np.asarray(convert_image(image, 1, kind))
    expected = np.asarray(open_image(ALIKE[kind], 1, kind).image)
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(again, expected)


def test_a_dark_picture_is_not_made_bright():
    dark = DEEP >> 4 << 4
    for data in (png(dark >> 4, 0), png(dark >> 4 << 4 >> 4, 0, (b"sBIT", b"\x10")), tiff(little(dark >> 4), 16)):
        assert np.asarray(open_image(data, 1, "dark").image).max() <= 255 // 16 + 1
    # Brought to 16 bits, as the standard asks, so these are the darkest grey levels of 12 bits.
    brought = (np.arange(256).reshape(16, 16) % 16).astype(np.uint16) << 4
    assert np.asarray(open_image(png(brought, 0, (b"sBIT", b"\x0c")), 1, "dark").image).max() <= 1


def test_twelve_bits_of_sixteen_that_no_file_tells_are_told():
    seen = np.asarray(open_image(png(DEEP >> 4, 0), 1, "it", bits=12).image).astype(int)
    assert np.abs(seen - GREY).max() <= 1


def test_a_colour_that_is_transparent_is_no_longer_seen_in_sixteen_bits():
    samples = np.stack([DEEP] * 3, axis=2)
    samples[:4] = (513, 770, 1027)
    data = png(samples, 2, (b"tRNS", struct.pack(">HHH", 513, 770, 1027)))
    seen = np.asarray(open_image(data, 3, "it").image)
    assert (seen[:4] == 128).all() and (np.abs(seen[4:, :, 0].astype(int) - GREY[4:]) <= 1).all()


@pytest.mark.parametrize(
    "data",
    [
        tiff(little(DEEP >> 1, "<i2"), 16, form=2),
        tiff(little(DEEP, "<u4"), 32),
        tiff(little(GREY / 127.5 - 1, "<f4"), 32, form=3),
        tiff(little(DEEP, "<f4"), 32, form=3),
    ],
    ids=["signed", "32 bits", "negative floats", "large floats"],
)
def test_a_range_that_cannot_be_known_is_refused(data: bytes):
    with pytest.raises(UserError, match=r"face\.tif holds .*, whose range it does not say: save it with 8 or 16 bits"):
        open_image(data, 1, "face.tif")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\xff\x0a" + bytes(60), "a JPEG XL picture"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg width="9"/>', r"a drawing \(SVG\)"),
        (bytes(128) + b"DICM" + bytes(90), r"a medical picture \(DICOM\)"),
        (b"SIMPLE  =                    T" + b" " * 2000, r"an astronomer's picture \(FITS\)"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(80), "a camera's raw file"),
        (b"\0\0\0\x18ftypcrx " + bytes(80), "a camera's raw file"),
        (b"\0\0\1\0\1\0" + bytes(80), "an icon"),
        (b"gimp xcf v011" + bytes(80), "a document of GIMP"),
    ],
)
def test_what_is_no_picture_of_a_known_kind_is_called_what_it_is(data: bytes, what: str):
    with pytest.raises(UserError, match=rf"face\.png is {what}: (convert|develop|export) it"):
        open_image(data, 1, "face.png")


@pytest.mark.parametrize("kind", ["PNG, colours", "PNG, grey and opacity"])
def test_colours_of_sixteen_bits_tell_how_many_are_used(kind: str):
    grey = kind != "PNG, colours"
    samples = np.stack([DEEP, np.full_like(DEEP, 65535)] if grey else [DEEP] * 3, axis=2)
    largest = open_image(png(samples, 4 if grey else 2), 1, "it").largest
    assert largest is not None and abs(largest - int(DEEP.max())) <= 257
    samples[..., : 1 if grey else 3] >>= 4
    dark = png(samples, 4 if grey else 2)
    assert (open_image(dark, 1, "it").largest or 0) < 4096
    with pytest.raises(UserError, match=r"it has 16 bits for each of its channels.*save it with 8 bits a channel"):
        open_image(dark, 1, "it", bits=12)
