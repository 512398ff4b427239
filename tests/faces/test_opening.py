"""A picture looks the same however its pixels are stored, and what does not say its range is refused."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from fer_tl.core.errors import UserError
from fer_tl.faces import opening
from fer_tl.faces.convert import GROUND
from fer_tl.faces.opening import convert_image, is_grey, open_file, open_image, size_of

GREY = np.linspace(20, 230, 24 * 16).reshape(24, 16).round().astype(np.uint8)
COLOUR = np.stack([GREY, GREY.T.reshape(24, 16), 255 - GREY], axis=-1)


def file(image: Image.Image, kind: str = "png", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def opened(data: bytes, channels: int = 1, bits: int | None = None) -> np.ndarray:
    return np.asarray(open_image(data, channels, "it", bits).image)


def deep_png(samples: np.ndarray, colour_type: int) -> bytes:
    """A PNG of 16 bits a sample, which Pillow cannot write in colour: uint16 ``[H, W, samples]``."""
    height, width, _ = samples.shape
    rows = b"".join(b"\0" + samples[y].astype(">u2").tobytes() for y in range(height))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def with_alpha(image: Image.Image, alpha: int) -> Image.Image:
    image = image.copy()
    image.putalpha(alpha)
    return image


L = Image.fromarray(GREY)
WRITTEN = {
    "8 bits": file(L),
    "16 bits": file(Image.fromarray(GREY.astype(np.uint16) * 257)),
    "16 bits, TIFF": file(Image.fromarray(GREY.astype(np.uint16) * 257), "tiff"),
    "16 bits, big-endian": file(Image.frombytes("I;16B", (16, 24), (GREY.astype(">u2") * 257).tobytes()), "tiff"),
    "16 bits and opaque": deep_png(
        np.stack([GREY.astype(np.uint16) * 257, np.full_like(GREY, 65535, np.uint16)], -1), 4
    ),
    "floats to 1": file(Image.fromarray(GREY.astype(np.float32) / 255), "tiff"),
    "floats to 255": file(Image.fromarray(GREY.astype(np.float32)), "tiff"),
    "as colour": file(L.convert("RGB")),
    "16 bits in colour": deep_png(np.repeat(GREY[..., None].astype(np.uint16) * 257, 3, 2), 2),
    "palette": file(L.convert("P")),
    "opaque": file(with_alpha(L, 255)),
    "opaque colour": file(with_alpha(L.convert("RGB"), 255)),
    "inverted ink": file(L.convert("RGB").convert("CMYK"), "tiff"),
    "BMP": file(L, "bmp"),
    "PGM": file(L, "ppm"),
    "lossless WebP": file(L.convert("RGB"), "webp", lossless=True),
    "GIF": file(L, "gif"),
}


@pytest.mark.parametrize("data", WRITTEN.values(), ids=WRITTEN)
def test_a_grey_picture_is_the_same_in_every_way_of_storing_it(data: bytes) -> None:
    np.testing.assert_array_equal(opened(data), GREY)
    np.testing.assert_array_equal(opened(data, 3), np.repeat(GREY[..., None], 3, 2))


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_fewer_bits_are_used_where_somebody_says_so_and_never_guessed(bits: int) -> None:
    values = (GREY.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    data = file(Image.fromarray(values))
    assert np.abs(opened(data, bits=bits).astype(int) - GREY).max() <= 1
    # A dark picture of 16 bits stays dark, whatever its brightest pixel is.
    np.testing.assert_array_equal(opened(data), (values / 257).round().astype(np.uint8))


REFUSED = {
    "from -1 to 1": (
        Image.fromarray(GREY.astype(np.float32) / 127.5 - 1),
        r"numbers from -0\.8\d+ to 0\.8\d+, whose range",
    ),
    "floats to 65535": (Image.fromarray(GREY.astype(np.float32) * 257), "numbers from .* whose range it does not say"),
    "not finite": (
        Image.fromarray(np.where(GREY > 200, np.nan, GREY).astype(np.float32)),
        "values that are not finite",
    ),
    "32 bits": (Image.fromarray(GREY.astype(np.int32)), "integers of 32 bits, whose range it does not say"),
}


@pytest.mark.parametrize(("image", "message"), REFUSED.values(), ids=REFUSED)
def test_a_range_that_is_not_said_is_refused(image: Image.Image, message: str) -> None:
    with pytest.raises(UserError, match=f"^it .*{message}"):
        opened(file(image, "tiff"))
    with pytest.raises(UserError, match=f"^image 3 .*{message}"):
        convert_image(image, 1, "image 3")


def inks() -> dict[str, bytes]:
    """Black and white ink on nothing, whose hidden colour is the ink's own, in every way of saying what is clear."""
    ink = Image.fromarray(np.where(GREY > 128, 255, 0).astype(np.uint8))
    found = {}
    for name, level in (("black", 0), ("white", 255)):
        for mode in ("L", "RGB"):
            picture = Image.new(mode, ink.size, level if mode == "L" else (level,) * 3)
            picture.putalpha(ink)
            found[f"{name} {picture.mode}"] = file(picture)
        palette = Image.fromarray((np.asarray(ink) > 0).astype(np.uint8), "P")
        palette.putpalette([level] * 6)
        found[f"{name} palette"] = file(palette, transparency=bytes([0, 255]))
    return found


@pytest.mark.parametrize(("name", "data"), inks().items(), ids=inks())
@pytest.mark.parametrize("channels", [1, 3])
def test_ink_on_nothing_stays_visible_on_the_one_ground(name: str, data: bytes, channels: int) -> None:
    pixels = opened(data, channels)
    drawn, level = GREY > 128, 255 * name.startswith("white")
    assert (pixels[drawn] == level).all() and (pixels[~drawn] == GROUND).all()
    in_memory = np.asarray(convert_image(Image.open(io.BytesIO(data)), channels, "x"))
    np.testing.assert_array_equal(in_memory, pixels)


@pytest.mark.parametrize("level", [20, 230])
def test_a_level_or_a_colour_that_a_png_calls_clear_is_the_ground(level: int) -> None:
    grey = opened(file(L, transparency=level))
    assert (grey[level == GREY] == GROUND).all() and (grey[level != GREY] == GREY[level != GREY]).all()
    deep = opened(file(Image.fromarray(GREY.astype(np.uint16) * 257), transparency=level * 257))
    assert abs(int(deep[level == GREY][0]) - GROUND) <= 1
    colour = opened(file(L.convert("RGB"), transparency=(level,) * 3))
    assert (colour[level == GREY] == GROUND).all()


def test_half_clear_is_half_ground() -> None:
    expected = GREY * (100 / 255) + GROUND * (155 / 255)
    assert np.abs(opened(file(with_alpha(L, 100))) - expected).max() <= 1
    assert np.abs(np.asarray(convert_image(np.dstack([COLOUR, np.full_like(GREY, 100)]), 3, "x"))
                  - (COLOUR * (100 / 255) + GROUND * (155 / 255))).max() <= 1  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tag_turns_a_picture_in_a_file_and_in_memory_alike(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file(Image.fromarray(COLOUR), exif=exif)
    expected = {1: COLOUR, 3: np.rot90(COLOUR, 2), 6: np.rot90(COLOUR, -1), 8: np.rot90(COLOUR)}.get(orientation)
    pixels = opened(data, 3)
    if expected is not None:
        np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(np.asarray(convert_image(Image.open(io.BytesIO(data)), 3, "x")), pixels)


@pytest.mark.parametrize(
    "block", [b"rubbish", b"MM\0*\0\0\0\x08\0\x05\x01", b"II*\0\x08\0\0\0\x01\0\x12\x01c\0\1\0\0\0"]
)
def test_a_broken_tag_turns_nothing(block: bytes) -> None:
    jpeg = file(L, "jpeg")
    segment = b"Exif\0\0" + block
    data = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
    np.testing.assert_array_equal(opened(data), opened(jpeg))


def test_long_text_beside_the_pixels_does_no_harm() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("XML:com.adobe.xmp", "x" * 3_000_000, zip=True)
    np.testing.assert_array_equal(opened(file(L, pnginfo=info)), GREY)


@pytest.mark.parametrize("kind", ["gif", "webp", "tiff"])
def test_of_several_frames_the_first_is_taken_and_that_is_told(kind: str) -> None:
    others = [Image.fromarray(255 - GREY), Image.fromarray(GREY // 2)]
    data = file(L, kind, save_all=True, append_images=others, **({"lossless": True} if kind == "webp" else {}))
    found = open_image(data, 1, "it")
    assert found.several and np.abs(np.asarray(found.image).astype(int) - GREY).max() <= 2
    assert not open_image(WRITTEN["8 bits"], 1, "it").several


NO_PICTURES = {
    "empty": (b"", "is empty"),
    "truncated": (
        file(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)))[:900],
        "truncated",
    ),
    "HEIC": (b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(200), "HEIC picture"),
    "text": (b"this is not a picture", "is text, not a picture"),
    "web page": (b"<html><body>404", "web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git-LFS pointer"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript file"),
    "EPS with a picture in it": (file(L, "eps"), "PostScript file"),
    "PDF": (b"%PDF-1.7 ", "PDF document"),
    "Photoshop": (b"8BPS\0\1" + bytes(40), "Photoshop document"),
    "JPEG 2000": (file(L, "jpeg2000"), "JPEG 2000 picture"),
    "another of Pillow's formats": (file(L, "sgi"), "not an image that can be read"),
    "noise": (bytes(range(1, 200)), "not an image that can be read"),
}


@pytest.mark.parametrize(("data", "message"), NO_PICTURES.values(), ids=NO_PICTURES)
def test_what_is_no_picture_is_called_what_it_is(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        open_image(data, 3, "face.png")
    assert str(refused.value).startswith("face.png") and "\n" not in str(refused.value)
    if "truncated" not in message:
        assert size_of(data) == (0, 0)


def test_heic_needs_an_extra_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    data = io.BytesIO()
    heif.from_pillow(Image.fromarray(np.stack([GREY] * 3, axis=2))).save(data, quality=-1)
    assert open_image(data.getvalue(), 1, "phone.heic").image.size == L.size
    monkeypatch.setattr(opening, "is_installed", lambda name: False)
    monkeypatch.setattr(opening, "_known_formats", lambda: ["PNG"])
    with pytest.raises(UserError, match=r"phone\.heic is a HEIC picture, .*pip install 'fer-tl\[heic\]'"):
        open_image(data.getvalue(), 1, "phone.heic")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_picture_is_turned_as_it_was_taken_like_any_other(orientation: int) -> None:
    """A phone says how it was held, HEIC in two places, of which the decoder has heeded one already."""
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x112] = orientation
    corner = np.full((32, 48, 3), 60, np.uint8)
    corner[:16, :24] = 200
    found = []
    for format in ("png", "heic"):
        data = io.BytesIO()
        if format == "png":
            Image.fromarray(corner).save(data, format, exif=exif)
        else:
            heif.from_pillow(Image.fromarray(corner)).save(data, quality=-1, exif=exif.tobytes())
        found.append(np.asarray(open_image(data.getvalue(), 3, "phone").image).astype(int))
    assert found[0].shape == found[1].shape
    assert np.abs(found[0] - found[1]).max() <= 3  # of 8-bit chroma


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "link.png", "device.png"):
        with pytest.raises(UserError, match=rf"{name} is not a regular file"):
            open_file(tmp_path / name, 1)
    with pytest.raises(UserError, match="is a folder"):
        open_file(tmp_path, 1)
    with pytest.raises(UserError, match="does not exist"):
        open_file(tmp_path / "none.png", 1)
    with pytest.raises(UserError, match="cannot be read"):
        open_file(tmp_path / "a\0b.png", 1)


@pytest.mark.parametrize(
    "array", [GREY.astype(float), GREY[None, None], np.zeros((0, 5), np.uint8), GREY[..., None, None]]
)
def test_an_array_that_is_no_picture_is_refused(array: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"image 0 is an array \[.*\] of .*: give uint8"):
        convert_image(array, 1, "image 0")


def test_the_header_tells_whether_a_file_is_grey() -> None:
    assert (
        is_grey(WRITTEN["8 bits"], "x") and is_grey(WRITTEN["16 bits"], "x") and not is_grey(WRITTEN["as colour"], "x")
    )
