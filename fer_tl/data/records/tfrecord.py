"""TFRecord files without TensorFlow: records one after the other, and whether they are as they were written."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from fer_tl.data.records.crc32c import crc32c, crc32c_of_many

# A record is its length (uint64, little-endian), the masked CRC-32C of those 8 bytes, the data, and the masked CRC-32C
# of the data: https://www.tensorflow.org/tutorials/load_data/tfrecord
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_MASK = 0xA282EAD8
_ALL_BITS = 0xFFFFFFFF

_BLOCK_BYTES = 1 << 22  # of records whose checksums are computed at once


_Checksums = TypeVar("_Checksums", int, np.ndarray)


class DamagedRecord(ValueError):
    """What follows in the file cannot be read either.

    Attributes:
        number: of the record in its file, from 1.
        reason: what is wrong with it: "is cut short".
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
    """Read the records of a file, about 100 MB/s, some megabytes of them in memory at a time.

    Raises:
        DamagedRecord: the file ends within a record, or a length is not what it was; after the whole ones before it.
        OSError: the file cannot be read.
    """
    number = 0
    for block in _blocks(path):
        whole = _masked(crc32c_of_many([frame.data for frame in block])) == [frame.checksum for frame in block]
        for frame, is_whole in zip(block, whole.tolist(), strict=True):
            number += 1
            yield Record(number, frame.offset, frame.data, is_whole)


def frame(data: bytes) -> bytes:
    """A record as a file holds it."""
    length = _LENGTH.pack(len(data))
    return length + _CHECKSUM.pack(_masked(crc32c(length))) + data + _CHECKSUM.pack(_masked(crc32c(data)))


@dataclass(frozen=True, slots=True)
class _Frame:
    offset: int
    data: bytes
    checksum: int


def _blocks(path: Path) -> Iterator[list[_Frame]]:
    """What the frames hold, not compared with the checksums; a fault comes after the block of those before it."""
    block: list[_Frame] = []
    size = 0
    try:
        for frame in _frames(path):
            block.append(frame)
            size += len(frame.data)
            if size > _BLOCK_BYTES:
                yield block
                block, size = [], 0
    except DamagedRecord:
        yield block
        raise
    yield block


def _frames(path: Path) -> Iterator[_Frame]:
    size = path.stat().st_size
    with path.open("rb", buffering=1 << 20) as file:
        number = position = 0
        while position < size:
            number += 1
            header = file.read(_LENGTH.size + _CHECKSUM.size)
            if len(header) < _LENGTH.size + _CHECKSUM.size:
                raise DamagedRecord(number, "is cut short")
            if _masked(crc32c(header[: _LENGTH.size])) != _CHECKSUM.unpack_from(header, _LENGTH.size)[0]:
                raise DamagedRecord(number, "has a length that fails its checksum")
            (length,) = _LENGTH.unpack_from(header)
            offset = position + len(header)
            position = offset + length + _CHECKSUM.size
            data = file.read(length + _CHECKSUM.size) if position <= size else b""
            if len(data) < length + _CHECKSUM.size:
                raise DamagedRecord(number, "is cut short")
            yield _Frame(offset, data[:length], _CHECKSUM.unpack_from(data, length)[0])


def _masked(checksums: _Checksums) -> _Checksums:
    """As TFRecord stores CRC-32C: turned by 15 bits, plus a constant, modulo 2^32."""
    return ((checksums >> 15 | checksums << 17 & _ALL_BITS) + _MASK) & _ALL_BITS
