"""Pictures on stdin, one after the other, as they arrive."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from fer_tl.core.errors import UserError
from fer_tl.faces.opening import MOST_BYTES
from fer_tl.inference.predict.sources import PictureBytes

_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_LONGEST_HEADER = 4096  # bytes of a PPM file's, comments and all
_SHOWN = 1 << 16  # bytes that are taken of what is not a picture, to say what it is
# How files begin that may be pictures, but do not say where they end: TIFF, AVIF, and rare kinds of PPM and BMP.
_ENDLESS = re.compile(rb"II|MM|BM|\0\0|P.", re.DOTALL)
# How another one behind such a file is noticed. A TIFF file may hold JPEG data, but not as a file of its own.
_FOLLOWING = re.compile(
    rb"II\*\0|MM\0\*|ftypavi[fs]|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|\xff\xd8\xff[\xe0\xe1]..(?:JFIF|Exif)\0",
    re.DOTALL,
)


class _Pipe:
    """A stream to which bytes can be given back.

    Attributes:
        place: how many bytes were taken.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._back, self.place = stream, b"", 0

    def read(self, size: int) -> bytes:
        """So many bytes, fewer only at the end; it waits for no more than these."""
        if self._back:
            data, self._back = self._back[:size], self._back[size:]
            if len(data) < size:
                data += self._stream.read(size - len(data))
        else:
            data = self._stream.read(size)
        self.place += len(data)
        return data

    def read_through(self, byte: bytes, most: int) -> bytes:
        """Up to a byte, with it, but hardly more than so many; it waits for no more than these."""
        data = bytearray()
        while len(data) < most and not data.endswith(byte):
            ahead = self._ahead()  # searched as a whole: byte by byte this takes 0.2 s for each MB
            part = self.read(ahead.find(byte) + 1 or len(ahead) or 1)
            if not part:
                break
            data += part
        return bytes(data)

    def read_some(self, most: int) -> bytes:
        """What is there by now, one byte at least but at the end."""
        return self.read(min(len(self._ahead()) or most, most))

    def give_back(self, data: bytes) -> None:
        """Bytes that ``read`` will give next."""
        self._back = data + self._back
        self.place -= len(data)

    def _ahead(self) -> bytes:
        """What can be had without waiting, not taken; b"" where the stream cannot tell, or at its end."""
        return self._back or (self._stream.peek(1) if hasattr(self._stream, "peek") else b"")


def read_stdin(stream: BinaryIO | None = None) -> Iterator[PictureBytes]:
    """The pictures on stdin, each as soon as its last byte is there.

    JPEG, PNG, GIF, WebP, BMP and binary PPM files may follow each other in any order, with line ends or zeros between
    them; one of another kind can only be the last. At the first bytes that begin no picture it ends: they come as a
    picture that cannot be read, and says what and where it is.

    Raises:
        UserError: nothing arrives.
    """
    pipe, number = _Pipe(sys.stdin.buffer if stream is None else stream), 0
    while start := _next_start(pipe, number):
        begun, name = pipe.place - len(start), f"stdin-{number}"
        where = f"{name} (from byte {begun:,} on)" if number else name
        read = next((read for first, read in _READERS if start == first[:2]), None)
        if read is not None:
            pipe.give_back(start)
            data = read(pipe)
        if read is None or data is None:
            yield from _last(pipe, start if read is None else pipe.read(2), number, begun)
            return
        if not number and start != _JPEG and not _has_more(pipe):
            name = where = "stdin"
        yield PictureBytes(name, data, where)
        number += 1


def _next_start(pipe: _Pipe, number: int) -> bytes:
    """The first two bytes of the next picture; none at the end."""
    if not number:
        start = pipe.read(2)
        if not start:
            raise UserError("nothing arrived on stdin: pipe an image into it")
        return start
    blank, byte = b"", pipe.read(1)
    while byte and byte in b"\0\r\n":
        blank, byte = (blank + byte)[-3:], pipe.read(1)  # as cameras fill up a file, and scripts end a line
    rest = byte and byte + pipe.read(1)
    if blank == b"\0\0\0" and rest:  # an AVIF file begins so
        tail = pipe.read(3)
        pipe.give_back(rest + tail)
        if rest[1:] + tail == b"ftyp":
            pipe.give_back(blank)
        return pipe.read(2)
    return rest


def _has_more(pipe: _Pipe) -> bool:
    byte = pipe.read(1)
    pipe.give_back(byte)
    return bool(byte)


def _last(pipe: _Pipe, start: bytes, number: int, begun: int) -> Iterator[PictureBytes]:
    """A picture that does not say where it ends, or what is none, after which no picture can be found."""
    name = f"stdin-{number}" if number else "stdin"
    where = f"{name} (from byte {begun:,} to the end)" if number else name
    if not _ENDLESS.fullmatch(start):
        yield PictureBytes(name, start + pipe.read_some(_SHOWN), where)
        return
    data = start + pipe.read(MOST_BYTES)
    if len(data) > MOST_BYTES:
        yield PictureBytes(name, b"", where, f"{where} has more bytes than a picture can have ({MOST_BYTES:,})")
        return
    yield PictureBytes(name, data, where)
    if _FOLLOWING.search(data, 12):  # behind its own beginning
        problem = f"{where} may be several pictures, of which the first was read: such files do not say where they end"
        yield PictureBytes(f"stdin-{number + 1}", b"", where, problem + "; pipe JPEG or PNG files, or give files")


def _read_jpeg(pipe: _Pipe) -> bytes:
    """A JPEG file up to its end, or up to where it is truncated by the end of the stream or the start of another one.

    Segments have a length, by which a thumbnail's own end is passed over; entropy-coded data has a zero or a restart
    marker after each 0xFF (ITU-T T.81, B.1.1).
    """
    data = bytearray(pipe.read(2))
    while len(data) < MOST_BYTES:
        data += pipe.read_through(b"\xff", MOST_BYTES)
        if data[-1] != 0xFF:
            break
        while (marker := pipe.read(1)) == b"\xff":  # fill bytes
            data += marker
        data += marker
        if marker == b"\xd8":
            pipe.give_back(_JPEG)
            return bytes(data[:-2])
        if marker in (b"\xd9", b""):
            break
        if marker[0] != 0 and marker[0] != 1 and not 0xD0 <= marker[0] <= 0xD7:
            length = pipe.read(2)
            data += length + pipe.read(max(0, int.from_bytes(length) - 2))
    return bytes(data)


def _read_png(pipe: _Pipe) -> bytes | None:
    """A PNG file up to its last chunk; a chunk with a wrong checksum that holds the start of another file is cut there
    (PNG 1.2, 3)."""
    data = bytearray(pipe.read(8))
    if data != _PNG:
        pipe.give_back(bytes(data))
        return None
    while len(data) < MOST_BYTES:
        head = pipe.read(8)  # length and kind
        length, kind = int.from_bytes(head[:4]), head[4:]
        if len(head) == 8 and (not kind.isalpha() or length > MOST_BYTES):
            pipe.give_back(head)
            break
        chunk = head + pipe.read(length + 4)
        if int.from_bytes(chunk[-4:]) != zlib.crc32(chunk[4:-4]) and (cut := chunk.find(_PNG)) >= 0:
            pipe.give_back(chunk[cut:])
            return bytes(data + chunk[:cut])
        data += chunk
        if kind in (b"IEND", b""):
            break
    return bytes(data)


def _read_gif(pipe: _Pipe) -> bytes | None:
    """A GIF file up to its trailer (GIF89a, 18 to 27)."""
    data = bytearray(pipe.read(13))
    if not data.startswith(b"GIF8"):
        pipe.give_back(bytes(data))
        return None
    data += pipe.read(_colours(bytes(data[10:11])))
    while len(data) < MOST_BYTES:
        kind = pipe.read(1)
        if kind not in (b"\x2c", b"\x21", b"\x3b"):  # neither image, extension nor trailer
            pipe.give_back(kind)
            break
        data += kind
        if kind == b"\x3b":
            break
        head = pipe.read(9 if kind == b"\x2c" else 1)
        data += head
        if kind == b"\x2c":
            data += pipe.read(_colours(head[8:]) + 1)
        while size := pipe.read(1):
            data += size + pipe.read(size[0])
            if size == b"\0" or len(data) > MOST_BYTES:
                break
    return bytes(data)


def _colours(flags: bytes) -> int:
    """Bytes of the table of colours that follows, by the flags before it."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _read_webp(pipe: _Pipe) -> bytes | None:
    """A WebP file, whose header has its length (RFC 9649, 2.4)."""
    head = pipe.read(12)
    length = int.from_bytes(head[4:8], "little")
    return _sized(pipe, head, 8 + length + length % 2, head[8:] == b"WEBP" and length >= 4)


def _read_bmp(pipe: _Pipe) -> bytes | None:
    """A BMP file, whose header has its length."""
    head = pipe.read(14)
    length = int.from_bytes(head[2:6], "little")
    return _sized(pipe, head, length, length > 14)


def _read_ppm(pipe: _Pipe) -> bytes | None:
    """A binary PBM, PGM or PPM file, whose length follows from its header (netpbm: ppm(5))."""
    head = bytearray(pipe.read(2))
    binary, bits = head in (b"P4", b"P5", b"P6"), head == b"P4"
    found: list[int] = []
    while binary and len(found) < (2 if bits else 3) and len(head) < _LONGEST_HEADER:
        byte = pipe.read(1)
        head += byte
        if not byte:
            break
        words = re.sub(rb"#[^\n\r]*", b" ", bytes(head[2:]))
        if byte.isspace() and b"#" not in bytes(head).splitlines()[-1]:
            found = [int(word) for word in words.split() if word.isdigit()]
    if len(found) != (2 if bits else 3):
        pipe.give_back(bytes(head))
        return None
    width, height = found[:2]
    row = (width + 7) // 8 if bits else width * (3 if head[:2] == b"P6" else 1) * (2 if found[2] > 255 else 1)
    return _sized(pipe, bytes(head), len(head) + row * height, True)


def _sized(pipe: _Pipe, head: bytes, length: int, sound: bool) -> bytes | None:
    """A file of known length whose head was read; None, and the head given back, if it cannot be one."""
    if not sound or length > MOST_BYTES:
        pipe.give_back(head)
        return None
    return head + pipe.read(length - len(head))


_READERS: tuple[tuple[bytes, Callable[[_Pipe], bytes | None]], ...] = (
    (_JPEG, _read_jpeg),
    (_PNG, _read_png),
    (b"GIF8", _read_gif),
    (b"RIFF", _read_webp),
    (b"BM", _read_bmp),
    (b"P4", _read_ppm),
    (b"P5", _read_ppm),
    (b"P6", _read_ppm),
)
