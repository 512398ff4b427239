"""The manifest: hashes that mean what they say, and a data folder that is whole or called half built."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path

import pytest

from fer_tl.core.checksums import Checksum, checksums
from fer_tl.core.errors import UserError
from fer_tl.data.building.request import BuildRequest
from fer_tl.data.directory import build_arguments, built_datasets, check_shards, dataset_directory
from fer_tl.data.manifest import Manifest, describe, read_manifest, write_manifest

CLASSES = ("angry", "happy")
SHAPE = (2, 2, 1)
MANIFEST = Manifest(
    name="fer2013",
    config="",
    version="1.0.0",
    source={"kind": "csv", "name": "fer2013.csv", "sha256": "0" * 64},
    class_names=CLASSES,
    image_shape=SHAPE,
    counts={"train": {"angry": 1200, "happy": 1}, "test": {"angry": 0, "happy": 1}},
    shards={"train": 1, "test": 1},
    fingerprints={"train": "1" * 64, "test": "3" * 64},
    content="2" * 64,
    warnings=("look out",),
)
SHARDS = ["fer2013-train.tfrecord-00000-of-00001", "fer2013-test.tfrecord-00000-of-00001"]


def place(data_dir: Path, manifest: Manifest = MANIFEST) -> Path:
    directory = data_dir / manifest.name / manifest.config / manifest.version
    directory.mkdir(parents=True)
    for name in ["dataset_info.json", "features.json", *manifest.shard_names]:
        (directory / name).touch()
    write_manifest(manifest, directory)
    return directory


def test_written_manifest_is_read_back(tmp_path: Path) -> None:
    known = {name: Checksum(size, "4" * 64) for size, name in enumerate(SHARDS)}
    for manifest in (MANIFEST, dataclasses.replace(MANIFEST, checksums=known)):
        write_manifest(manifest, tmp_path)
        assert read_manifest(tmp_path) == manifest


def test_a_manifest_of_before_checksums_is_read(tmp_path: Path) -> None:
    values = dataclasses.asdict(MANIFEST) | {"format": 2}
    del values["checksums"]
    (tmp_path / "manifest.json").write_text(json.dumps(values))
    assert read_manifest(tmp_path) == dataclasses.replace(MANIFEST, format=2)
    check_shards(tmp_path, MANIFEST, ["train", "test"])  # nothing is known, so nothing is wrong


def test_damaged_shards_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    three = dataclasses.replace(MANIFEST, shards={"train": 3, "test": 1})
    directory = place(tmp_path, three)
    manifest = dataclasses.replace(three, checksums=checksums(directory / name for name in three.shard_names))
    check_shards(directory, manifest, ["train", "test"])
    for name in three.shards_of("train")[1:]:
        (directory / name).write_bytes(b"12")
    with pytest.raises(UserError) as caught:
        check_shards(directory, manifest, ["train", "test"])
    assert str(caught.value) == (
        f"{directory}: split 'train' is damaged (fer2013-train.tfrecord-00001-of-00003 has 2 of 0 bytes, and 1 more of "
        f"its 3 files is damaged); build it again: `fer-tl build fer2013 --source PATH --data-dir {tmp_path} "
        "--overwrite`"
    )
    check_shards(directory, manifest, ["test"])


def test_description_has_classes_splits_and_totals() -> None:
    lines = [line.split() for line in describe(MANIFEST).splitlines()]
    assert lines == [
        ["class", "train", "test", "total"],
        ["angry", "1,200", "0", "1,200"],
        ["happy", "1", "1", "2"],
        ["total", "1,201", "1", "1,202"],
    ]


def test_the_newest_version_is_found(tmp_path: Path) -> None:
    for version in ("1.9.0", "1.10.0"):
        place(tmp_path, dataclasses.replace(MANIFEST, version=version))
    assert dataset_directory(tmp_path, "fer2013").name == "1.10.0"


def test_a_configuration_is_part_of_the_name(tmp_path: Path) -> None:
    mine = dataclasses.replace(MANIFEST, name="folder", config="mine")
    directory = place(tmp_path, mine)
    assert dataset_directory(tmp_path, "folder/mine") == directory
    assert built_datasets(tmp_path) == [mine.dataset] == ["folder/mine"]


def test_what_is_not_built_is_said_with_what_is(tmp_path: Path) -> None:
    place(tmp_path)
    with pytest.raises(UserError, match=r"toyfaces is not built .*there: fer2013.*fer-tl build toyfaces"):
        dataset_directory(tmp_path, "toyfaces")
    with pytest.raises(UserError, match="there: nothing"):
        dataset_directory(tmp_path / "none", "fer2013")
    with pytest.raises(UserError, match="fer-tl build folder/mine --source PATH"):
        dataset_directory(tmp_path, "folder/mine")


@pytest.mark.parametrize("missing", ["manifest.json", "dataset_info.json", "fer2013-test.tfrecord-00000-of-00001"])
def test_a_missing_file_means_half_built(tmp_path: Path, missing: str) -> None:
    (place(tmp_path) / missing).unlink()
    with pytest.raises(UserError, match=r"half built.*(?:no |first: )" + missing + ".*--overwrite"):
        dataset_directory(tmp_path, "fer2013")


VALUES = dataclasses.asdict(MANIFEST)
BROKEN = [
    *("", "{", "[]", "{}", '{"format": 1}', '{"format": 99}'),
    *(
        json.dumps(VALUES | changes)
        for changes in (
            {"counts": []},
            {"counts": VALUES["counts"] | {"test": {"angry": 1}}},
            {"shards": {"train": 1, "tset": 1}},
            {"shards": {"train": 0, "test": 1}},
            {"fingerprints": {"train": "1"}},
            {"image_shape": [2, 2]},
            {"class_names": ["happy", "angry"]},
            {"checksums": {SHARDS[0]: {"size": 0, "sha256": ""}}},
            {"checksums": {name: {"size": 0} for name in SHARDS}},
            {"checksums": {name: {"size": "0", "sha256": ""} for name in SHARDS}},
        )
    ),
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_manifest_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (place(tmp_path) / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json .*(build the dataset again|newer)") as caught:
        dataset_directory(tmp_path, "fer2013")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "more"),
    [
        (
            {"image_size": "64", "fit": "crop", "labels": "raf", "duplicates": "drop", "encoding": "jpeg"},
            {"skipped": 2},
        ),
        ({"image_size": "96", "fit": "pad", "duplicates": "group", "encoding": "png", "channels": "1"}, {}),
        ({"boxes": "0" * 64, "box_margin": "0.25", "copies": "of whole images", "duplicates": "keep"}, {}),
        ({"detector": "yunet", "detector_model": "0" * 64, "opencv": "4.14", "box_margin": "0.1"}, {}),
    ],
)
def test_the_command_that_makes_a_dataset_again_has_all_its_options(source: dict, more: dict) -> None:
    counts = {"train": {"angry": 40, "happy": 40}}
    given = dataclasses.replace(
        MANIFEST, name="folder", config="x", source=MANIFEST.source | source, counts=counts, shards={"train": 4}, **more
    )
    words = iter(shlex.split(build_arguments(given.dataset, given))[1:])
    options = {word.removeprefix("--").replace("-", "_"): next(words) for word in words}
    assert options.pop("source") == "PATH" and options.pop("shards") == "4"
    assert options.pop("on_error", None) == ("skip" if more else None)
    plain = {"fit": "pad", "duplicates": "group", "encoding": "png"}
    files = {"boxes": "BOXES", "detector_model": "DETECTOR_MODEL"}
    unsaid = ("copies", "opencv")
    assert options == {
        key: files.get(key, value) for key, value in source.items() if plain.get(key) != value and key not in unsaid
    }
    numbers = {
        key: float(value) if "." in value else int(value) for key, value in options.items() if value[0].isdigit()
    }
    BuildRequest("folder/x", source="x", **{**options, **numbers})  # which refuses what is no option
    assert build_arguments("toyfaces", dataclasses.replace(MANIFEST, name="toyfaces")) == "toyfaces"
