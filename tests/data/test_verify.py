"""Verification: every damaged file is named, nothing else is, and nothing ends in a traceback."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stored_dataset import Stored, frame, serialize, store_dataset

from fer_tl.commands.verify import verify
from fer_tl.core.checksums import checksums
from fer_tl.core.errors import UserError
from fer_tl.data.dataset import load_dataset
from fer_tl.data.manifest import read_manifest, write_manifest

NAME = "folder/mine"
CLASSES = ("happy", "sad")
COUNT = {"train": 24, "test": 9}
SHARDS = 3
SHARD = "folder-train.tfrecord-00001-of-00003"


def examples(split: str, **changes: np.ndarray) -> Stored:
    rng = np.random.default_rng(len(split))
    rows = np.arange(COUNT[split])
    ids = np.char.add(f"{split}-", rows.astype(str))
    images = rng.integers(0, 256, (len(rows), 8, 8, 1), dtype=np.uint8)
    return dataclasses.replace(Stored(images, rows % 2, ids, ids), **changes)


def store(data_dir: Path, encoding: str = "png", **changes: object) -> Path:
    return store_dataset(data_dir, NAME, CLASSES, {s: examples(s) for s in COUNT}, SHARDS, encoding, **changes)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose dataset was loaded both ways."""
    data_dir = tmp_path_factory.mktemp("stored") / "data"
    store(data_dir)
    load_dataset(NAME, data_dir, ("train", "test"))
    return data_dir


@pytest.fixture
def directory(tmp_path: Path, stored: Path) -> Path:
    """The dataset in a copy of its data folder."""
    return Path(shutil.copytree(stored, tmp_path / "data")) / NAME / "1.1.0"


def refused(directory: Path) -> tuple[list[str], str]:
    """What is said of a damaged dataset, less the lines about whole splits, and the error."""
    lines: list[str] = []
    with pytest.raises(UserError) as caught:
        verify(NAME, directory.parents[2], lines.append)
    assert "\n" not in str(caught.value)
    return [line for line in lines if not line.endswith((" images, whole", " images can be read"))], str(caught.value)


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_a_whole_dataset_is_said_to_be_without_tensorflow(stored: Path) -> None:
    code = (
        "import sys; from fer_tl.commands.verify import verify; verify(*sys.argv[1:]); "
        "print(sorted({'tensorflow', 'keras', 'tensorflow_datasets'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code, NAME, str(stored)], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        "train: 3 files, 24 images, whole",
        "test: 3 files, 9 images, whole",
        f"folder/mine is whole: {stored / NAME / '1.1.0'}",
        "[]",
    ]


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_whole_datasets_of_all_kinds_pass(tmp_path: Path, encoding: str) -> None:
    votes = np.full((24, 2), 0.5, np.float32)
    store_dataset(tmp_path, NAME, CLASSES, {"train": examples("train", targets=votes)}, 2, encoding, checksums={})
    lines: list[str] = []
    verify(NAME, tmp_path, lines.append)
    assert any("before files had checksums" in line for line in lines)
    assert any("JPEG" in line for line in lines) == (encoding == "jpeg")


# How a file is damaged, and what is said about it.
DAMAGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "length": (SHARD, lambda path: flip(path, 0), "record 1 has a length that fails its checksum"),
    "data": (SHARD, lambda path: flip(path, path.stat().st_size // 2), "fails its checksum"),
    "last byte": (SHARD, lambda path: flip(path, -1), "record 8 fails its checksum"),
    "emptied": (SHARD, lambda path: path.write_bytes(b""), "has 0 of "),
    "cut in a record": (SHARD, lambda path: path.write_bytes(path.read_bytes()[:-3]), "record 8 is truncated"),
    "a record lost": (SHARD, lambda path: path.write_bytes(b"".join(first_records(path))), "has "),
    "something else": (SHARD, lambda path: path.write_bytes(b"<html>" * 99), "record 1 has a length that fails"),
    "missing": (SHARD, Path.unlink, "is missing"),
    "a folder": (SHARD, lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
    "extra": ("folder-train.tfrecord-00000-of-00004", lambda path: path.write_bytes(b""), "is not a shard"),
    "info": ("dataset_info.json", lambda path: path.write_text("{"), "has 1 of"),
    "features": ("features.json", lambda path: flip(path, 3), "fails its checksum"),
    "no features": ("features.json", Path.unlink, "is missing"),
    "table": ("examples.csv", lambda path: flip(path, -9), "fails its checksum"),
}


def first_records(path: Path) -> list[bytes]:
    """All but the last."""
    content, records = path.read_bytes(), []
    while content:
        size = 16 + int.from_bytes(content[:8], "little")
        records.append(content[:size])
        content = content[size:]
    return records[:-1]


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_and_nothing_else(directory: Path, name: str) -> None:
    file, harm, message = DAMAGES[name]
    harm(directory / file)
    lines, error = refused(directory)
    assert lines[0].startswith(f"{file}: ") and message in lines[0] and len(lines) == 1
    assert "(1 of its files)" in error and "fer-tl build folder/mine --source PATH" in error and "--overwrite" in error


def test_any_changed_byte_of_any_file_is_found(directory: Path) -> None:
    rng = np.random.default_rng(0)
    files = [path for path in directory.iterdir() if path.name != "manifest.json"]
    for path in rng.choice(files, 40).tolist():
        content = path.read_bytes()
        flip(path, int(rng.integers(len(content))))
        lines, _ = refused(directory)
        assert {line.split(":")[0] for line in lines} == {path.name}
        path.write_bytes(content)


def test_all_damaged_files_are_named(directory: Path) -> None:
    harmed = [DAMAGES[name] for name in ("data", "extra", "info", "table")]
    harmed += [
        (f"folder-test.tfrecord-0000{shard}-of-00003", harm, "") for shard, harm in enumerate((Path.unlink, Path.touch))
    ]
    flip(directory / "folder-test.tfrecord-00001-of-00003", 50)
    for file, harm, _ in harmed:
        harm(directory / file)
    lines, error = refused(directory)
    assert {line.split(":")[0] for line in lines} == {file for file, _, _ in harmed}
    assert "(6 of its files)" in error


def test_records_are_judged_by_their_own_checksums_where_files_have_none(directory: Path) -> None:
    manifest = read_manifest(directory)
    write_manifest(dataclasses.replace(manifest, checksums={}), directory)
    for name, (file, harm, _) in DAMAGES.items():
        kept = {path: path.read_bytes() for path in directory.iterdir()}
        harm(directory / file)
        lines, _ = refused(directory)
        whole_split = name in ("emptied", "a record lost")  # what is not there has no checksum: the counts tell
        assert {line.split(":")[0] for line in lines[1:]} == {"manifest.json" if whole_split else file}, name
        shutil.rmtree(directory / file) if name == "a folder" else (directory / file).unlink(missing_ok=True)
        for path, content in kept.items():
            path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"counts": {"train": {"happy": 11, "sad": 12}, "test": {"happy": 5, "sad": 4}}},
            "has 11 images of happy in train",
        ),
        ({"fingerprints": {"train": "f" * 64, "test": "e" * 64}}, "has another fingerprint of train"),
        ({"content": "c" * 64}, "has another hash of all images"),
    ],
)
def test_a_manifest_that_does_not_fit_the_records_is_told(tmp_path: Path, change: dict, message: str) -> None:
    lines, error = refused(store(tmp_path, **change))
    assert lines[0].startswith(f"manifest.json: {message}")
    assert "(1 of its files)" in error


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 3}', "\x00\xff"])
def test_a_manifest_that_is_none_is_told(directory: Path, text: str) -> None:
    (directory / "manifest.json").write_text(text, encoding="latin-1")
    lines, error = refused(directory)
    assert not lines and "manifest.json cannot be read" in error and "--overwrite" in error


def test_no_change_of_the_manifest_ends_in_a_traceback(directory: Path) -> None:
    path = directory / "manifest.json"
    content, values = path.read_bytes(), json.loads(path.read_bytes())
    rng = np.random.default_rng(1)
    for position in rng.integers(0, len(content), 30):
        flip(path, int(position))
        told(directory)
        path.write_bytes(content)
    for key in values:
        for value in (None, 0, "x", [], {}, [[1]], {"train": 1}, {"train": {"happy": "many"}}):
            path.write_text(json.dumps(values | {key: value}))
            told(directory)


def told(directory: Path) -> None:
    """Verify and load: both may refuse."""
    with contextlib.suppress(UserError):
        verify(NAME, directory.parents[2], lambda line: None)
    with contextlib.suppress(UserError):
        load_dataset(NAME, directory.parents[2], input="stream")


def test_records_that_a_build_never_writes_are_told(tmp_path: Path) -> None:
    """Their checksums are right: it is what they hold that is not."""
    directory = store(tmp_path)
    other = examples("train", images=np.zeros((24, 9, 8, 1), np.uint8), labels=np.full(24, 2))
    votes = examples("train", targets=np.ones((24, 3), np.float32))
    broken = serialize(examples("train"), 3).replace(b"IDAT", b"IDOT")
    records = [serialize(examples("train"), 0), b"", serialize(other, 1), serialize(votes, 2), broken]
    wrong_size = serialize(examples("train", images=other.images), 4)
    (directory / SHARD).write_bytes(b"".join(map(frame, [*records, wrong_size, *[b"x"] * 5])))
    files = [path for path in sorted(directory.iterdir()) if path.name != "manifest.json"]
    manifest = read_manifest(directory)
    write_manifest(dataclasses.replace(manifest, checksums=checksums(files)), directory)
    lines, _ = refused(directory)
    assert [line.removeprefix(f"{SHARD}: ").partition(":")[0] for line in lines] == [
        "record 2 is not an example of ours",
        "record 3 has the label 2, of 2 classes",
        "record 4 has 3 soft targets, of 2 classes",
        "record 5 has an image that cannot be decoded",
        "record 6 has an image that is 9x8 in mode L, not 8x8x1",
        "5 more findings",
    ]


def test_ids_and_the_table_of_examples_are_compared(tmp_path: Path) -> None:
    twice = examples("test", ids=examples("train").ids[:9])
    directory = store_dataset(tmp_path, NAME, CLASSES, {"train": examples("train"), "test": twice})
    lines, _ = refused(directory)
    assert lines == ["manifest.json: has 9 ids more than once, such as 'train-0'"]
    directory = store(tmp_path / "other", checksums={})
    table = directory / "examples.csv"
    table.write_text(table.read_text().replace("train-7,train,sad", "train-7,train,happy"))
    assert refused(directory)[0][1:] == ["examples.csv: differs from the records in 2 rows"]
    table.write_text("id\n1\n")
    assert refused(directory)[0][1].startswith("examples.csv: ")


def test_kept_arrays_are_read_whatever_their_stamps_say(directory: Path) -> None:
    (images,) = (directory.parents[2] / ".cache").rglob("*train*/images.npy")
    flip(images, -1)
    lines, error = refused(directory)
    assert lines == [f"{images.parent.name}/images.npy: fails its checksum; it is made again when it is needed"]
    assert "is whole, but" in error and "delete" in error
    load_dataset(NAME, directory.parents[2])
    verify(NAME, directory.parents[2], lambda line: None)


def test_stamps_do_not_count(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails changes bytes but neither sizes nor times, which are all that loading looks at."""
    monkeypatch.setattr("fer_tl.core.checksums._SETTLED_NS", 0)
    cache = directory.parents[2] / ".cache"
    (images,) = cache.rglob("*train*/images.npy")
    verify(NAME, directory.parents[2], lambda line: None)
    load_dataset(NAME, directory.parents[2])
    stamps = {
        directory / SHARD: cache / "folder-mine-1.1.0.json",
        directory / "features.json": cache / "folder-mine-1.1.0.json",
        images: images.parent / "stamps.json",
    }
    for path, file in stamps.items():
        flip(path, -1)
        known = json.loads(file.read_text())
        now = path.stat()
        known[path.name][1:] = [now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino]
        file.write_text(json.dumps(known))
    load_dataset(NAME, directory.parents[2])
    lines, _ = refused(directory)
    assert [line.split(":")[0] for line in lines] == [SHARD, "features.json", f"{images.parent.name}/images.npy"]


def test_what_is_not_built_is_said() -> None:
    with pytest.raises(UserError, match="fer2013 is not built under nowhere"):
        verify("fer2013", "nowhere")
