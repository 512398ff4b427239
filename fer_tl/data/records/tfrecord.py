"""TFRecord files without TensorFlow: records one after the other, and whether they are as they were written."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

# A record is its length (uint64, little-endian), the masked CRC-32C of those 8 bytes, the data, and the masked CRC-32C
# of the data: https://www.tensorflow.org/tutorials/load_data/tfrecord
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_MASK = 0xA282EAD8
_ALL_BITS = 0xFFFFFFFF


class DamagedRecord(ValueError):
    """What follows in the file cannot be read either.

    Attributes:
        number: of the record in its file, from 1.
        reason: what is wrong with it: "is truncated".
    """

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"record {number:,} {reason}")
        self.number = number
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file.

    Attributes:
        number: of the record in its file, from 1.
        offset: of the data in the file, bytes.
        data: a serialized ``tf.train.Example``.
        is_whole: whether the data have the checksum that the file has for them.
    """

    number: int
    offset: int
    data: bytes
    is_whole: bool


def read_records(path: Path) -> Iterator[Record]:
    """Read the records of a file one after the other, about 300 MB/s.

    Raises:
        DamagedRecord: the file ends within a record, or a length is not what it was; after the whole ones before it.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb", buffering=1 << 20) as file:
        number = position = 0
        while position < size:
            number += 1
            header = file.read(_LENGTH.size + _CHECKSUM.size)
            if len(header) < _LENGTH.size + _CHECKSUM.size:
                raise DamagedRecord(number, "is truncated")
            if header[_LENGTH.size :] != _checksum(header[: _LENGTH.size]):
                raise DamagedRecord(number, "has a length that fails its checksum")
            (length,) = _LENGTH.unpack_from(header)
            offset = position + len(header)
            position = offset + length + _CHECKSUM.size
            data = file.read(length) if position <= size else b""
            checksum = file.read(_CHECKSUM.size)
            if len(data) < length or len(checksum) < _CHECKSUM.size:
                raise DamagedRecord(number, "is truncated")
            yield Record(number, offset, data, checksum == _checksum(data))


def frame(data: bytes) -> bytes:
    """A record as a file holds it."""
    length = _LENGTH.pack(len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    """CRC-32C as TFRecord stores it: rotated by 15 bits, plus a constant, modulo 2^32."""
    crc = google_crc32c.value(data)
    return _CHECKSUM.pack(((crc >> 15 | crc << 17 & _ALL_BITS) + _MASK) & _ALL_BITS)
