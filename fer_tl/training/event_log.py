"""What TensorBoard shows of a fold while it trains, written without TensorFlow. Nothing leaves the machine.

``tensorboardX`` (2.6 was looked at) does not replace this: it puts the host's name into the file's name, and begins
another file where a fold is resumed, so that epochs which a killed process wrote come twice.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fer_tl.core.files import write_atomically
from fer_tl.data.records.tfrecord import frame

_KINDS = {"": "training", "val_": "held out", "watched_": "watched"}


class EventLog:
    """The scalars of a fold by epoch, in TensorBoard's format.

    Each epoch is added to the end of the file, which a running TensorBoard reads on from.

    Args:
        path: of the file, in the folder of the fold.
    """

    def __init__(self, path: Path):
        self._path = path

    def begin(self, history: Sequence[Mapping[str, Any]], seconds: Sequence[float]) -> None:
        """Write the epochs that are done: a killed process may have left others, or half of one.

        Args:
            history: as in ``history.csv``.
            seconds: that each of these epochs took.
        """
        # When they ended is not kept: so that the time between them is right, they end now.
        ends = [time.time() - sum(seconds[index + 1 :]) for index in range(len(history))]
        version = _event(time.time(), _text(3, "brain.Event:2"))
        content = version + b"".join(_scalars(record, end) for record, end in zip(history, ends, strict=True))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, lambda temporary: temporary.write_bytes(content))

    def add(self, record: Mapping[str, Any]) -> None:
        """Write the epoch that has just ended."""
        with self._path.open("ab") as file:
            file.write(_scalars(record, time.time()))


def write_summary(
    path: Path, numbers: Mapping[str, float], texts: Mapping[str, str], pictures: Sequence[Path] = ()
) -> None:
    """Write what a run comes to, in TensorBoard's format, as of step 0. A file that says the same stays as it is.

    Args:
        path: of the file.
        numbers: by tag.
        texts: Markdown by tag.
        pictures: PNG files, whose tags are their names without the ending.
    """
    values = b"".join(_scalar(tag, number) for tag, number in numbers.items())
    values += b"".join(_message(1, _text(1, tag) + _text_tensor(text)) for tag, text in texts.items())
    values += b"".join(_picture(picture) for picture in pictures)

    def written_at(seconds: float) -> bytes:
        return _event(seconds, _text(3, "brain.Event:2")) + _event(seconds, _message(5, values))

    before = path.read_bytes() if path.is_file() else b""
    # Behind the length, its checksum and the number of the field.
    if len(before) > 21 and before == written_at(*struct.unpack("<d", before[13:21])):
        return
    write_atomically(path, lambda temporary: temporary.write_bytes(written_at(time.time())))


def _scalars(record: Mapping[str, Any], end: float) -> bytes:
    """The record of an event with all numbers of an epoch."""
    values = b""
    for key, value in record.items():
        if key in ("stage", "epoch"):
            continue
        kind = next((prefix for prefix in ("val_", "watched_") if key.startswith(prefix)), "")
        name = key.removeprefix(kind)
        tag = name if name == "learning_rate" else f"{name}/{_KINDS[kind]}"
        values += _scalar(tag, value)
    return _event(end, b"\x10" + _varint(int(record["epoch"])) + _message(5, values))  # field 2, a varint


# tensorflow/core/util/event.proto and framework/summary.proto: an Event is 1 wall_time, 2 step, 3 file_version or 5
# summary; a Summary repeats 1 Value; a Value is 1 tag, 2 simple_value, or 4 image, or 8 tensor with 9 metadata.
# https://protobuf.dev/programming-guides/encoding


def _scalar(tag: str, value: float) -> bytes:
    return _message(1, _text(1, tag) + b"\x15" + struct.pack("<f", value))  # field 2, 4 bytes


def _text_tensor(text: str) -> bytes:
    """A TensorProto (1 dtype: 7 is string, 2 shape: none is a scalar, 8 string_val), of the plugin "text"."""
    tensor = b"\x08\x07" + _message(2, b"") + _text(8, text)
    return _message(8, tensor) + _message(9, _message(1, _text(1, "text")))


def _picture(path: Path) -> bytes:
    """An Image: 1 height, 2 width, 3 colorspace (4 is RGBA), 4 the file as it is."""
    content = path.read_bytes()
    width, height = struct.unpack(">II", content[16:24])  # of the header of every PNG file
    size = b"\x08" + _varint(height) + b"\x10" + _varint(width) + b"\x18\x04"
    return _message(1, _text(1, path.stem) + _message(4, size + _message(4, content)))


def _event(wall_time: float, fields: bytes) -> bytes:
    return frame(b"\x09" + struct.pack("<d", wall_time) + fields)  # field 1, 8 bytes


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _message(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low = bytearray()
    while value > 0x7F:
        low.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*low, value])
