"""A built dataset as arrays: what was put in comes out, quickly the second time, and nothing of a damaged one."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stored_dataset import Stored, field, frame, serialize, store_dataset

from fer_tl.core import checksums
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.dataset import Dataset, cached_groups, load_dataset
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import read_manifest, write_manifest
from fer_tl.data.records import cache
from fer_tl.sources.records import VERSION
from fer_tl.sources.votes import COLUMNS

SIZE = 16
CLASSES = ("angry", "happy", "sad")
COUNTS = {"train": 5, "test": 3}  # images a class


@pytest.fixture(scope="module")
def pixels() -> dict[str, np.ndarray]:
    """Noise by file stem, such as ``train-happy-4``: uint8 [16, 16, 3]."""
    rng = np.random.default_rng(0)
    names = [f"{split}-{name}-{i}" for split, count in COUNTS.items() for name in CLASSES for i in range(count)]
    return {name: rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for name in names}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, pixels: dict[str, np.ndarray]) -> Path:
    """A data folder with ``folder/mine``, never loaded."""
    root = tmp_path_factory.mktemp("built")
    for stem, image in pixels.items():
        split, name, _ = stem.split("-")
        (root / "source" / split / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / "source" / split / name / f"{stem}.png")
    build("folder/mine", root / "source", root / "data", shards=2, image_size=SIZE, say=lambda _: None)
    return root / "data"


@pytest.fixture
def data_dir(tmp_path: Path, built: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(built, tmp_path / "data"))


def records(data_dir: Path) -> Path:
    return data_dir / "folder" / "mine" / VERSION


def refusal(
    data_dir: Path, name: str = "folder/mine", split: str | tuple[str, ...] = "train", input: str = "resident"
) -> str:
    """The message with which loading is refused; one line."""
    with pytest.raises(UserError) as caught:
        load_dataset(name, data_dir, split, input)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def same(one: Dataset, two: Dataset) -> bool:
    fields = ("images", "labels", "ids", "groups", "splits")
    return all(np.array_equal(getattr(one, field), getattr(two, field)) for field in fields)


def test_arrays_are_the_source(data_dir: Path, pixels: dict[str, np.ndarray]) -> None:
    loaded = load_dataset("folder/mine", data_dir)
    assert loaded.class_names == CLASSES
    assert (loaded.name, loaded.image_shape, len(loaded)) == ("folder/mine", (SIZE, SIZE, 3), 15)
    assert loaded.images.dtype == np.uint8
    assert sorted(loaded.ids.tolist()) == sorted(stem for stem in pixels if stem.startswith("train"))
    for identity, label, image in zip(loaded.ids.tolist(), loaded.labels, loaded.images, strict=True):
        np.testing.assert_array_equal(image, pixels[identity])
        assert identity.split("-")[1] == CLASSES[label]
    np.testing.assert_array_equal(loaded.groups, loaded.ids)
    assert loaded.targets is None


def test_splits_are_joined_in_the_order_asked_for(data_dir: Path) -> None:
    test, train = load_dataset("folder/mine", data_dir, "test"), load_dataset("folder/mine", data_dir, "train")
    both = load_dataset("folder/mine", data_dir, ("test", "train"))
    assert both.splits.tolist() == ["test"] * 9 + ["train"] * 15
    np.testing.assert_array_equal(both.ids, np.concatenate([test.ids, train.ids]))
    np.testing.assert_array_equal(both.images, np.concatenate([test.images, train.images]))
    assert len({both.fingerprint, test.fingerprint, train.fingerprint}) == 3


def test_tfds_reads_the_same_examples(tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    rng = np.random.default_rng(0)
    for row in range(36):
        path = tmp_path / "source" / ("happy", "sad")[row % 2] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    options = {"shards": 18, "image_size": 8, "duplicates": "keep", "say": lambda _: None}  # 2 in a shard
    build("folder/many", tmp_path / "source", tmp_path, **options)
    loaded = load_dataset("folder/many", tmp_path)
    row_of = {name: row for row, name in enumerate(loaded.ids.tolist())}
    examples = list(
        tfds.as_numpy(tfds.builder_from_directory(dataset_directory(tmp_path, "folder/many")).as_dataset("train"))
    )
    assert sorted(example["id"].decode() for example in examples) == sorted(row_of)
    for example in examples:
        row = row_of[example["id"].decode()]
        assert example["label"] == loaded.labels[row]
        np.testing.assert_array_equal(example["image"], loaded.images[row])


def test_the_second_load_maps_the_same_arrays_and_decodes_nothing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_dataset("folder/mine", data_dir)

    def forbidden(*given: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("fer_tl.data.records.stream.decode_stored", forbidden)
    second = load_dataset("folder/mine", data_dir)
    assert same(first, second)
    assert isinstance(second.images, np.memmap)
    assert not second.images.flags.writeable
    with pytest.raises(AssertionError, match="decoded again"):
        load_dataset("folder/mine", data_dir, "test")


def test_loading_needs_no_tensorflow(data_dir: Path) -> None:
    code = (
        "import sys, fer_tl; loaded = fer_tl.load_dataset('folder/mine', sys.argv[1]); "
        "print(int(loaded.images.sum()), sorted({'tensorflow', 'keras', 'tensorflow_datasets'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(data_dir)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == f"{load_dataset('folder/mine', data_dir).images.sum()} []"


def test_shares_of_votes_are_kept(tmp_path: Path) -> None:
    votes = {"happy": "0,7,3,0,0,0,0,0,0,0", "sad": "2,0,0,8,0,0,0,0,0,0"}
    rng = np.random.default_rng(0)
    faces, table = "emotion,pixels,Usage\n", f"Usage,Image name,{','.join(COLUMNS)}\n"
    for row in range(12):
        usage, name = ("Training", "PrivateTest")[row // 8], ("happy", "sad")[row % 2]
        faces += f"{CLASS_NAMES.index(name)},{' '.join(map(str, rng.integers(0, 256, 48 * 48)))},{usage}\n"
        table += f"{usage},,{votes[name]}\n"
    (tmp_path / "fer2013.csv").write_text(faces)
    (tmp_path / "fer2013new.csv").write_text(table)
    build(
        "fer2013",
        tmp_path / "fer2013.csv",
        tmp_path,
        labels="fer",  # two classes alone do not tell it
        ferplus=tmp_path / "fer2013new.csv",
        votes="soft",
        say=lambda _: None,
    )
    shares = {"happy": [0, 0, 0, 0.7, 0, 0.3, 0], "sad": [0, 0, 0, 0, 0.8, 0, 0.2]}
    for _ in ("decoded", "kept"):
        loaded = load_dataset("fer2013", tmp_path, ("test", "train"))
        assert loaded.targets is not None and loaded.targets.dtype == np.float32 and len(loaded) == 12
        np.testing.assert_allclose(loaded.targets, [shares[CLASS_NAMES[label]] for label in loaded.labels], rtol=1e-6)


def test_a_new_build_is_not_answered_from_the_old_cache(data_dir: Path, tmp_path: Path) -> None:
    first = load_dataset("folder/mine", data_dir)
    for name in ("happy", "sad"):
        (tmp_path / "new" / "train" / name).mkdir(parents=True)
        Image.new("RGB", (SIZE, SIZE), "red").save(tmp_path / "new" / "train" / name / f"{name}.png")
    build("folder/mine", tmp_path / "new", data_dir, image_size=SIZE, overwrite=True, say=lambda _: None)
    second = load_dataset("folder/mine", data_dir)
    assert (len(first), len(second)) == (15, 2)
    assert second.fingerprint != first.fingerprint


def test_another_order_or_encoding_is_not_answered_from_the_old_cache(tmp_path: Path) -> None:
    """Both leave the fingerprint as it is."""
    rows = np.arange(60)
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    loaded = []
    for order, encoding in ((rows, "png"), (rows[::-1], "png"), (rows[::-1], "jpeg")):
        stored = Stored(images[order], order % 3, order.astype(str), order.astype(str))
        directory = store_dataset(tmp_path, "folder/own", CLASSES, {"train": stored}, 3, encoding)
        loaded.append(load_dataset("folder/own", tmp_path))
        assert (np.array_equal(loaded[-1].images, images[loaded[-1].ids.astype(int)])) == (encoding == "png")
        shutil.rmtree(directory)
    assert len({one.fingerprint for one in loaded}) == 1
    assert loaded[0].ids.tolist() != loaded[1].ids.tolist() == loaded[2].ids.tolist()


def test_decoders_at_the_same_time_do_not_break_each_other(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2, timeout=60)
    replace = os.replace

    def replace_together(source: Path, target: Path) -> None:
        together.wait()  # both have decoded before either has put its arrays in place
        replace(source, target)

    monkeypatch.setattr(cache.os, "replace", replace_together)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: load_dataset("folder/mine", data_dir), range(2))
    assert same(one, two)
    assert len(list((data_dir / ".cache").rglob("images.npy"))) == 1


def test_a_killed_decoder_leaves_nothing_that_is_taken_for_a_cache(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    replace = os.replace
    for last in (cache.IMAGES, f"{cache.IMAGES}.json"):  # the array, or its checksum, is put in place

        def die(source: Path, target: Path, last: str = last) -> None:
            if target.name == last:
                raise KeyboardInterrupt
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(cache.os, "replace", die)
            with pytest.raises(KeyboardInterrupt):
                load_dataset("folder/mine", data_dir)
    assert len(load_dataset("folder/mine", data_dir)) == 15
    assert capsys.readouterr().err == ""


def test_what_killed_decoders_left_is_cleared_away_after_an_hour(data_dir: Path) -> None:
    load_dataset("folder/mine", data_dir, input="stream")
    (folder,) = (data_dir / ".cache").glob("*train*")
    for name, age in (("old", 3700), ("new", 3500)):
        (folder / f".{name}").mkdir()
        os.utime(folder / f".{name}", (time.time() - age,) * 2)
    load_dataset("folder/mine", data_dir)
    assert [path.name for path in folder.glob(".*")] == [".new"]


DAMAGES = [
    (file, damage) for file in ("images.npy", "examples.npz") for damage in ("gone", "empty", "short", "flipped")
]


@pytest.mark.parametrize(("file", "damage"), [*DAMAGES, ("images.npy.json", "flipped")])
def test_a_damaged_cache_is_made_again_after_a_warning(
    data_dir: Path, capsys: pytest.CaptureFixture, file: str, damage: str
) -> None:
    first = load_dataset("folder/mine", data_dir)
    (path,) = (data_dir / ".cache").rglob(file)
    damage_file(path, damage)
    second = load_dataset("folder/mine", data_dir)
    assert same(first, second)
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path).removesuffix(".json") in line and "made again" in line
    assert same(first, load_dataset("folder/mine", data_dir))
    assert capsys.readouterr().err == ""


def damage_file(path: Path, damage: str) -> None:
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.unlink()
    if damage != "gone":
        path.write_bytes({"empty": b"", "short": content[:middle], "flipped": flipped}[damage])


@pytest.mark.parametrize("input", ["resident", "stream"])
@pytest.mark.parametrize("damage", ["gone", "empty", "short", "flipped"])
def test_damaged_records_are_refused_also_where_they_were_loaded_before(
    data_dir: Path, damage: str, input: str
) -> None:
    load_dataset("folder/mine", data_dir, input=input)
    test = load_dataset("folder/mine", data_dir, "test", input)
    shard = sorted(records(data_dir).glob("*train*"))[1]
    damage_file(shard, damage)
    message = refusal(data_dir, input=input)
    assert str(records(data_dir)) in message and shard.name in message
    assert "fer-tl build folder/mine --source PATH" in message and "--overwrite" in message
    if damage != "gone":  # what is not read is not judged
        assert same(test, load_dataset("folder/mine", data_dir, "test", input))


def test_whole_files_are_read_once(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    checksum = checksums.checksum

    def counted(path: Path) -> checksums.Checksum:
        read.append(path.name)
        return checksum(path)

    monkeypatch.setattr(checksums, "checksum", counted)
    monkeypatch.setattr(checksums, "_SETTLED_NS", 0)
    load_dataset("folder/mine", data_dir)
    shards = sorted(path.name for path in records(data_dir).glob("*train*"))
    assert sorted(read) == shards
    load_dataset("folder/mine", data_dir)
    assert sorted(read[len(shards) :]) == ["examples.npz", "images.npy"]
    load_dataset("folder/mine", data_dir)
    assert len(read) == len(shards) + 2
    os.utime(records(data_dir) / shards[0])
    (data_dir / ".cache" / f"folder-mine-{VERSION}.json").write_text('["something else"]')
    monkeypatch.setattr(checksums, "_SETTLED_NS", 10**12)
    for _ in range(2):  # too new for its time of change to tell a later change: not trusted
        read.clear()
        load_dataset("folder/mine", data_dir)
        assert sorted(read) == shards


def test_records_without_checksums_of_files_are_judged_by_their_own(data_dir: Path) -> None:
    """As in datasets built before format 3 of the manifest."""
    manifest = read_manifest(records(data_dir))
    write_manifest(dataclasses.replace(manifest, checksums={}), records(data_dir))
    first = load_dataset("folder/mine", data_dir)
    assert len(first) == 15
    shard = sorted(records(data_dir).glob("*train*"))[0]
    content = shard.read_bytes()
    damage_file(shard, "flipped")
    assert re.search(rf"{shard.name} is damaged \(record \d+ .*--overwrite", refusal(data_dir))
    damage_file(shard, "empty")
    assert re.search(rf"{shard.name} is damaged .*--overwrite", refusal(data_dir))
    end = 16 + int.from_bytes(content[:8], "little")
    shard.write_bytes(content[end:])  # cut where a record ends
    assert "does not hold the 15 examples" in refusal(data_dir)
    shard.write_bytes(content)
    assert same(first, load_dataset("folder/mine", data_dir))


def test_records_with_other_features_are_refused(tmp_path: Path) -> None:
    rows = np.arange(6)
    stored = Stored(np.zeros((6, 4, 4, 1), np.uint8), rows % 3, rows.astype(str), rows.astype(str))
    directory = store_dataset(tmp_path, "folder/own", CLASSES, {"train": stored}, checksums={})
    (shard,) = directory.glob("*train*")
    whole = shard.read_bytes()
    shard.write_bytes(whole + frame(field(1, b"")))
    assert re.search(r"record 7 is not an example of ours: it has no feature 'image'", refusal(tmp_path, "folder/own"))
    high = dataclasses.replace(stored, labels=rows + 10**12)
    shard.write_bytes(whole[: -len(frame(serialize(stored, 5)))] + frame(serialize(high, 5)))
    assert "does not hold the 6 examples" in refusal(tmp_path, "folder/own")
    votes = dataclasses.replace(stored, targets=np.full((6, 3), 1 / 3, np.float32))
    shard.write_bytes(whole[: len(frame(serialize(stored, 0)))] + frame(serialize(votes, 1)))
    assert "not all of its examples have the same targets" in refusal(tmp_path, "folder/own")


def test_a_data_folder_that_must_not_be_written_to_is_read(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    before = sorted(data_dir.rglob("*"))

    def refuse(path: Path, *given: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(checksums, "_SETTLED_NS", 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", refuse)
        first = load_dataset("folder/mine", data_dir)
        (line,) = capsys.readouterr().err.splitlines()
        assert str(data_dir / ".cache") in line and "decoded again" in line
        streamed = load_dataset("folder/mine", data_dir, input="stream")
        assert capsys.readouterr().err == ""
    assert sorted(data_dir.rglob("*")) == before
    np.testing.assert_array_equal(streamed.images[:], first.images)
    assert same(first, load_dataset("folder/mine", data_dir))


def test_a_full_disk_is_one_line_and_leaves_nothing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array_header_1_0", full)
        assert "No space left on device" in refusal(data_dir)
    assert not list((data_dir / ".cache").rglob("*images*"))
    assert len(load_dataset("folder/mine", data_dir)) == 15


def test_groups_are_told_of_what_was_loaded_before(data_dir: Path) -> None:
    both = ("train", "test")
    assert cached_groups("folder/mine", data_dir, both) == {}
    loaded = load_dataset("folder/mine", data_dir, input="stream")
    expected = dict(zip(loaded.ids.tolist(), loaded.groups.tolist(), strict=True))
    assert cached_groups("folder/mine", data_dir, (*both, "validation")) == expected
    assert cached_groups("folder/other", data_dir, both) == {}


def test_an_unwritable_cache_is_one_line(data_dir: Path) -> None:
    (data_dir / ".cache").write_text("a file where a folder should be")
    assert str(data_dir / ".cache") in refusal(data_dir)


def test_a_wrong_split_is_named_with_those_there_are(data_dir: Path) -> None:
    message = refusal(data_dir, split=("train", "validation"))
    assert "no split 'validation'" in message
    assert message.endswith("train, test") or message.endswith("test, train")


@pytest.mark.parametrize("missing", ["manifest.json", "features.json", "shard"])
def test_half_built_is_said_with_the_command_to_run(data_dir: Path, missing: str) -> None:
    (sorted(records(data_dir).glob("*tfrecord*"))[0] if missing == "shard" else records(data_dir) / missing).unlink()
    message = refusal(data_dir)
    assert "half built" in message
    assert "fer-tl build" in message


@pytest.mark.parametrize("name", ["fer2013", "folder/other", "folder", "nonsense", ""])
def test_not_built_is_said_with_what_is(data_dir: Path, name: str) -> None:
    message = refusal(data_dir, name)
    assert "is not built" in message
    assert "folder/mine" in message


def test_the_path_of_nothing_is_said_to_lead_nowhere(data_dir: Path) -> None:
    assert refusal(data_dir, "../nothing").startswith("../nothing does not exist: give a file, archive or folder")
