"""The manifest: hashes that mean what they say, and a data folder that is whole or called half built."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fer_tl.data.manifest import (
    Manifest,
    built_datasets,
    dataset_directory,
    describe,
    read_manifest,
    write_manifest,
)
from fer_tl.errors import UserError

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
    fingerprints={"train": "1" * 64},
    content="2" * 64,
    warnings=("look out",),
)


def place(data_dir: Path, manifest: Manifest = MANIFEST) -> Path:
    directory = data_dir / manifest.name / manifest.config / manifest.version
    directory.mkdir(parents=True)
    for name in ["dataset_info.json", "features.json", *manifest.shard_names]:
        (directory / name).touch()
    write_manifest(manifest, directory)
    return directory


def test_written_manifest_is_read_back(tmp_path: Path) -> None:
    write_manifest(MANIFEST, tmp_path)
    assert read_manifest(tmp_path) == MANIFEST


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


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 99}'])
def test_a_broken_manifest_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (place(tmp_path) / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json .*(build the dataset again|newer)") as caught:
        dataset_directory(tmp_path, "fer2013")
    assert "\n" not in str(caught.value)
