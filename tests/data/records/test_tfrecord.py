"""Records without TensorFlow: checksums that fit the standard's, and no changed byte that goes unnoticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stored_dataset import Stored, field, frame, serialize, varint

from fer_tl.data.records.example import StoredExample, parse_example
from fer_tl.data.records.tfrecord import DamagedRecord, Record, read_records

DATA = [b"first", b"", b"the third one"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"".join(map(frame, DATA)))
    return path


def read(path: Path) -> tuple[list[Record], DamagedRecord | None]:
    """What comes before the fault, if there is one."""
    records = []
    try:
        for record in read_records(path):
            records.append(record)  # those before an error count
    except DamagedRecord as error:
        return records, error
    return records, None


def test_records_are_read_with_their_places(file: Path) -> None:
    content = file.read_bytes()
    records, fault = read(file)
    assert fault is None and all(record.is_whole for record in records)
    assert [record.number for record in records] == [1, 2, 3]
    assert [record.data for record in records] == DATA
    assert [content[record.offset :][: len(record.data)] for record in records] == DATA


def test_every_changed_byte_is_noticed_in_its_record(file: Path) -> None:
    content = file.read_bytes()
    ends = np.cumsum([len(frame(data)) for data in DATA])
    for position in range(len(content)):
        for change in (1, 128, 255):
            file.write_bytes(content[:position] + bytes([content[position] ^ change]) + content[position + 1 :])
            records, fault = read(file)
            damaged = [record.number for record in records if not record.is_whole] + ([fault.number] if fault else [])
            assert damaged == [int(np.searchsorted(ends, position, side="right")) + 1], position


def test_every_cut_is_noticed_unless_it_is_between_records(file: Path) -> None:
    content = file.read_bytes()
    ends = np.cumsum([0, *(len(frame(data)) for data in DATA)]).tolist()
    for size in range(len(content)):
        file.write_bytes(content[:size])
        records, fault = read(file)
        whole = int(np.searchsorted(ends, size, side="right")) - 1
        assert [record.data for record in records] == DATA[:whole]
        assert (fault is None) == (size in ends)
        assert fault is None or (fault.number == whole + 1 and "truncated" in str(fault))


def test_many_records_come_out_as_they_went_in(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pieces = [rng.bytes(size) for size in rng.integers(0, 60, 40)]
    content = bytearray(b"".join(map(frame, pieces)))
    content[-1] ^= 1
    (tmp_path / "many").write_bytes(content)
    records, fault = read(tmp_path / "many")
    assert fault is None and [record.data for record in records] == pieces
    assert [record.number for record in records if not record.is_whole] == [40]


ONE = Stored(
    np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1),
    np.array([5]),
    np.array(["größer"]),
    np.array(["photo"]),
    np.array([[0.25, 0.75]], np.float32),
)


def test_an_example_is_read_from_the_wire() -> None:
    data = serialize(ONE, 0)
    example = parse_example(data)
    assert (example.label, example.id, example.group) == (5, "größer", "photo")
    assert data[slice(*example.image)].startswith(b"\x89PNG") and data[slice(*example.image)].endswith(b"\xaeB`\x82")
    assert example.targets.tolist() == [0.25, 0.75]


def entry(name: bytes, feature: bytes) -> bytes:
    return field(1, field(1, field(1, name) + field(2, feature)))


def rest(*without: str) -> bytes:
    """The features of an example but for those named."""
    features = {
        "image": field(1, field(1, b"pixels")),
        "label": field(3, field(1, varint(3))),
        "id": field(1, field(1, b"a")),
        "group": field(1, field(1, b"b")),
    }
    return b"".join(entry(name.encode(), value) for name, value in features.items() if name not in without)


def test_other_ways_to_write_the_same_are_read() -> None:
    def told(example: StoredExample) -> tuple:
        return example.label, example.id, example.group, example.targets.tolist()

    floats = [np.float32(value).tobytes() for value in (0.5, 1.5)]
    unpacked = entry(b"targets", field(2, b"".join(b"\x0d" + value for value in floats)))  # wire type 5
    packed = entry(b"targets", field(2, field(1, b"".join(floats))))
    bare = entry(b"label", field(3, b"\x08" + varint(3)))  # wire type 0
    unknown = entry(b"new", field(1, field(1, b"?"))) + varint(9 << 3 | 1) + bytes(8)
    assert told(parse_example(rest() + packed)) == (3, "a", "b", [0.5, 1.5])
    assert told(parse_example(bare + unknown + rest("label") + unpacked)) == (3, "a", "b", [0.5, 1.5])
    assert told(parse_example(rest())) == (3, "a", "b", [])
    assert parse_example(entry(b"label", field(3, field(1, varint(-2)))) + rest("label")).label == -2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (rest("group"), "no feature 'group'"),
        (rest("label") + entry(b"label", field(1, field(1, b"3"))), "no feature 'label'"),
        (rest("id") + entry(b"id", field(1, field(1, b"a") + field(1, b"b"))), "'id' has 2 values"),
        (rest("label") + entry(b"label", field(3, field(1, varint(1) + varint(2)))), "'label' has several values"),
        (rest("id") + entry(b"id", field(1, field(1, b"\xff"))), "utf-8"),
        (rest() + entry(b"targets", field(2, field(1, bytes(3)))), "multiple of element size"),
        (rest()[:-1], "beyond its end"),
        (b"\xff" * 20, "beyond its end"),
        (b"\x0f" + rest(), "wire type 7"),
        (b"", "no feature 'image'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_example_is_told(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_example(data)
