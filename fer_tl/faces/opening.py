"""Opens pictures, whoever asks: builders, predict, serve, explain, the API. What a picture shows is told by its mode
and metadata, never by its own brightest pixel.

Decided once, for all:

- an EXIF tag turns the picture; a tag that cannot be read turns nothing;
- transparency is put on mid grey, ``GROUND``: drawn black or white, ink stays visible, and hidden colours are not seen;
- 16 bits a sample are 0..65535, unless the file says that fewer are used (see ``value_range``), or ``bits`` does;
  floats are 0..1, or 0..255 where one is above 1; negative ones, and integers of 32 bits, are refused where the file
  does not say their range; - colours become grey by ITU-R 601 luma; - of several frames or pages the first is taken; -
  only the formats in ``FORMATS`` are decoded, and at most ``MOST_PIXELS``: Pillow knows others that run programs.
"""

from __future__ import annotations

import functools
import io
import re
import stat
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import refuse_non_data
from fer_tl.core.framework import is_installed
from fer_tl.faces.convert import pixels_of, to_mode, turn_upright
from fer_tl.faces.decoder_warnings import no_warnings
from fer_tl.faces.value_range import largest_unsaid, note_range

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "HEIF")
"""Pillow's names; HEIF is known where the package pillow-heif is installed. The pictures of two lenses that
some cameras write, MPO, are opened as JPEG."""
MOST_PIXELS = 89_478_485
"""Of one picture, some 0.27 GB as RGB: where Pillow begins to warn of a decompression bomb."""
MOST_SIDE = 65_500
"""Pixels of a side: what a JPEG file can have."""
MOST_BYTES = 1 << 29
"""Of one file: more than an uncompressed one of ``MOST_PIXELS`` has."""

_GREY = frozenset(("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"))
_OF_FRAMES = ("GIF", "WEBP", "TIFF", "PNG", "AVIF")
_PNG = b"\x89PNG\r\n\x1a\n"

_HEIC = "a HEIC picture, as phones save them: pip install 'fer-tl[heic]' to read it, or convert it to JPEG"
# How files of other kinds begin, and what to do about them.
_OTHERS = (
    (rb"....ftyp(heic|heix|hevc|heim|heis|mif1|msf1)", _HEIC),
    (
        rb"....ftypavi[fs]",
        "an AVIF picture, which this Pillow cannot decode: update it to 11.3, or convert it to JPEG",
    ),
    (rb"....ftypcrx ", "a camera's raw file: develop it to JPEG"),
    (rb"....ftyp", "a film or a picture in a film's container: convert it to JPEG"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 picture: convert it to JPEG or PNG"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture: convert it to JPEG or PNG"),
    (rb"\0\0\x01\0", "an icon: convert it to PNG"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--[^>]*>\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg", "a drawing (SVG): convert it to PNG"),
    (rb".{128}DICM", "a medical picture (DICOM): convert it to PNG"),
    (rb"SIMPLE  =", "an astronomer's picture (FITS): convert it to PNG"),
    (rb"II\*\0....CR|FUJIFILMCCD-RAW", "a camera's raw file: develop it to JPEG"),
    (rb"gimp xcf", "a document of GIMP: export it as JPEG or PNG"),
    (rb"8BPS", "a Photoshop document: export it as JPEG or PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript file: convert it to PNG"),
    (rb"%PDF", "a PDF document: convert it to PNG"),
    (rb"RIFF....AVI|\x1a\x45\xdf\xa3", "a film: take pictures from it first"),
    (rb"PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ", "an archive: unpack it"),
)


class Opened(NamedTuple):
    """A picture that was decoded.

    Attributes:
        image: mode "L" or "RGB", at its own size, upright.
        converted: whether it had to be turned or was stored in another mode.
        several: whether it is the first of several frames or pages.
        largest: value of samples of 16 bits, where neither the file nor ``bits`` says how many are used; else None.
    """

    image: Image.Image
    converted: bool
    several: bool
    largest: int | None = None


def open_image(data: bytes, channels: int, where: str, bits: int | None = None) -> Opened:
    """Decode an image file.

    Args:
        data: the bytes of the file.
        channels: 1 or 3.
        where: how to name it in a message.
        bits: how many bits of a sample are used where it is stored in 16 or 32; None for all 16.

    Raises:
        UserError: what it is instead of a picture that can be read, or that it is damaged or too large.
    """
    with no_warnings(), open_header(io.BytesIO(data), where) as stored:
        try:
            # Not `n_frames`, for which Pillow reads a file to its end; two lenses' pictures are one picture.
            several = stored.format in _OF_FRAMES and bool(getattr(stored, "is_animated", False))
            stored.load()
            largest = largest_unsaid(stored) if bits is None else None
            upright = turn_upright(stored)
            image = to_mode(upright, channels, where, bits)
        except UserError:
            raise
        except Exception as error:  # Pillow's plugins raise nearly anything on damaged data
            reason = " ".join(str(error).split())[:100]
            what = "is truncated" if "truncated" in reason else f"cannot be decoded ({reason})"
            raise UserError(f"{where} {what}: replace or remove it") from None
        return Opened(image, upright is not stored or image is not upright, several, largest)


def several_frames(count: int) -> str:
    """What is said of pictures that are the first of several frames or pages."""
    what = "picture has" if count == 1 else "pictures have"
    return f"{count:,} {what} several frames or pages: the first of each was taken"


def open_file(path: Path, channels: int, bits: int | None = None) -> Opened:
    """``open_image`` of a file, which is not read if it is a pipe, a device, or too large.

    Raises:
        UserError: as there, or there is no such file.
    """
    return open_image(read_bytes(path), channels, str(path), bits)


def read_bytes(path: Path) -> bytes:
    """The bytes of a picture's file.

    Raises:
        UserError: it is missing, no regular file, too large, or cannot be read.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise UserError(f"{path} is a folder: give image files, such as {path / '*.jpg'}")
        if not stat.S_ISREG(found.st_mode):  # a pipe or a device has no end
            raise UserError(f"{path} is not a regular file: give an image file")
        if found.st_size > MOST_BYTES:
            raise UserError(f"{path} has {found.st_size:,} bytes, more than a picture can have ({MOST_BYTES:,})")
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: give image files") from None
    except (OSError, ValueError) as error:  # a NUL in a name is a ValueError
        raise UserError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error})") from None


def convert_image(image: Image.Image | np.ndarray, channels: int, where: str, bits: int | None = None) -> Image.Image:
    """The same for a picture in memory: turned, of 8 bits, in mode "L" or "RGB".

    Args:
        image: of Pillow in any mode, or uint8 ``[H, W]``, ``[H, W, 1]``, ``[H, W, 3]`` or ``[H, W, 4]`` (red, green,
            blue, and opacity), 0..255.
        channels: 1 or 3.
        where: how to name it in a message.
        bits: see ``open_image``.

    Raises:
        UserError: it is not such an array, or its range is not known.
    """
    if not isinstance(image, Image.Image):
        image = Image.fromarray(pixels_of(image, where))
    _refuse_large(*image.size, where)
    note_range(image)
    return to_mode(turn_upright(image), channels, where, bits)


def is_grey(data: bytes, where: str) -> bool:
    """Whether an image file stores one channel, told from its header (a grey palette or grey RGB counts as colour)."""
    with open_header(io.BytesIO(data), where) as image:
        return image.mode in _GREY


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height by the header of an image file; zeros where it has none."""
    try:
        with open_header(io.BytesIO(data), "it") as image:
            return image.size
    except UserError:
        return 0, 0


@functools.cache
def _known_formats() -> list[str]:
    """Those of ``FORMATS`` that this Pillow has."""
    Image.init()
    if is_installed("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return [name for name in FORMATS if name in Image.OPEN]


def open_header(stream: BinaryIO, where: str) -> Image.Image:
    """An image file whose pixels are not decoded yet; what it is instead, or too large, is a ``UserError``."""
    with no_warnings():
        try:
            image: Image.Image = Image.open(stream, formats=_known_formats())
        except Image.DecompressionBombError as error:
            found = re.search(r"\((\d+) pixels\)", str(error))
            raise _too_large(f"{int(found[1]):,} pixels" if found else "too many pixels", where) from None
        except Exception:  # Pillow's plugins raise nearly anything on damaged data
            image = _open_without_text(stream, where)
    _refuse_large(*image.size, where)
    note_range(image)
    return image


def _open_without_text(stream: BinaryIO, where: str) -> Image.Image:
    """Pillow refuses long text beside the pixels, which editors and generators put there."""
    stream.seek(0)
    data = stream.read(MOST_BYTES)
    if not data:
        raise UserError(f"{where} is empty: replace or remove it")
    try:
        return Image.open(io.BytesIO(_without_text(data)), formats=_known_formats())
    except Exception:  # as above
        raise UserError(f"{where} is {_what_it_is(data, where)}") from None


def _without_text(data: bytes) -> bytes:
    """A PNG file without its chunks of text."""
    if not data.startswith(_PNG):
        raise ValueError("no PNG")
    kept, place = [data[: len(_PNG)]], len(_PNG)
    while place + 12 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        if data[place + 4 : place + 8] not in (b"tEXt", b"zTXt", b"iTXt"):
            kept.append(data[place : place + 12 + length])
        place += 12 + length
    return b"".join(kept)


def _what_it_is(data: bytes, where: str) -> str:
    for start, what in _OTHERS:
        if re.match(start, data[:512], re.DOTALL):
            return "a HEIC picture that is damaged" if what == _HEIC and is_installed("pillow_heif") else what
    refuse_non_data(data[:512], where)  # a web page, a git-LFS pointer, ...
    if not data[:512].translate(None, bytes(range(32, 127)) + b"\r\n\t"):
        return "text, not a picture: replace or remove it"
    return "not an image that can be read: it is damaged or of another kind; replace or remove it"


def _refuse_large(width: int, height: int, where: str) -> None:
    if width * height > MOST_PIXELS:
        raise _too_large(f"{width * height:,} pixels", where)
    if max(width, height) > MOST_SIDE:
        raise TooLarge(f"{where} says that it is {width:,} x {height:,} pixels: no picture of a face is so long")


class TooLarge(UserError):
    """More pixels than are decoded."""


def _too_large(pixels: str, where: str) -> TooLarge:
    return TooLarge(
        f"{where} says that it has {pixels}: at most {MOST_PIXELS // 10**6} million are decoded; make it smaller"
    )
