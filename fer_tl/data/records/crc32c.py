"""CRC-32C, the checksum of TFRecord files, of many pieces of data at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, lowest bit first: RFC 3720, appendix B.4
_ONES = 0xFFFFFFFF
_LANE = 256  # bytes


def crc32c(data: bytes) -> int:
    """CRC-32C of a few bytes, 0.1 microseconds each."""
    table = _byte_table()
    crc = _ONES
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ _ONES


def crc32c_of_many(pieces: Sequence[bytes]) -> np.ndarray:
    """CRC-32C of each piece, uint32 ``[N]``; about 300 MB/s on one core, and twice the memory of the pieces.

    The data are cut into lanes of 256 bytes, all lanes advance side by side, and their remainders are joined. A CRC is
    linear over GF(2): that of two parts in a row is the first's, moved on by as many zeros as the second has bytes,
    plus the second's. Zeros in front change nothing, so each piece is filled up in front to whole lanes.
    """
    short = [index for index, piece in enumerate(pieces) if len(piece) < 4]
    sizes = np.array([len(piece) for piece in pieces], np.int64)
    lanes = -(-sizes // _LANE)  # [N], of each piece, rounded up
    ends = np.cumsum(lanes)  # [N]
    filled = (piece.rjust(count * _LANE, b"\0") for piece, count in zip(pieces, lanes.tolist(), strict=True))
    buffer = np.frombuffer(bytearray().join(filled), np.uint8)
    # The register starts with all bits set: the same as the first four bytes inverted.
    long = sizes >= 4
    starts = (ends * _LANE - sizes)[long]
    buffer[starts[:, None] + np.arange(4)] ^= 255
    remainders = _lane_remainders(buffer.reshape(-1, _LANE))  # [L]
    move = _moved_by_a_lane()
    crc = np.zeros(len(pieces), np.uint32)
    for step in range(int(lanes.max(initial=0))):
        rows = np.flatnonzero(lanes > step)
        old = crc[rows]
        moved = move[0][old & 255] ^ move[1][old >> 8 & 255] ^ move[2][old >> 16 & 255] ^ move[3][old >> 24]
        crc[rows] = moved ^ remainders[ends[rows] - lanes[rows] + step]
    crc ^= np.uint32(_ONES)
    for index in short:
        crc[index] = crc32c(pieces[index])
    return crc


def _lane_remainders(lanes: np.ndarray) -> np.ndarray:
    """CRC of each lane, uint8 ``[L, 256]``, from a register of zeros: uint32 ``[L]``, 8 bytes a step."""
    words = np.ascontiguousarray(lanes.view("<u2").T)  # [128, L]
    first, second, third, fourth = _word_tables()
    crc = np.zeros(len(lanes), np.uint32)
    for a, b, c, d in words.reshape(_LANE // 8, 4, len(lanes)):
        crc = first[a ^ (crc & 0xFFFF)] ^ second[b ^ (crc >> 16)] ^ third[c] ^ fourth[d]
    return crc


@cache
def _byte_table() -> list[int]:
    return [int(value) for value in _advanced(np.arange(256, dtype=np.uint32))]


def _advanced(register: np.ndarray) -> np.ndarray:
    """The register, uint32, after 8 more bits of zeros."""
    for _ in range(8):
        register = np.where(register & 1, (register >> 1) ^ np.uint32(_POLYNOMIAL), register >> 1)
    return register


@cache
def _word_tables() -> list[np.ndarray]:
    """What a word of 16 bits becomes after itself and 6, 4, 2, 0 bytes more: uint32 ``[65536]`` each, 1 MB together."""
    tables = []
    register = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(4):
        register = _advanced(_advanced(register))
        tables.append(register)
    return tables[::-1]


@cache
def _moved_by_a_lane() -> np.ndarray:
    """What each byte of a register becomes after a lane of zeros: uint32 ``[4, 256]``, the lowest byte first."""
    register = np.arange(256, dtype=np.uint32) << np.array([[0], [8], [16], [24]], np.uint32)
    for _ in range(_LANE):
        register = _advanced(register)
    return register
