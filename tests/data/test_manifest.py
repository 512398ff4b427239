"""The manifest: hashes that mean what they say, and a data folder that is whole or called half built."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fer_tl.data.manifest import (
    Manifest,
    Tally,
    built_datasets,
    dataset_directory,
    describe,
    read_manifest,
    write_manifest,
)
from fer_tl.errors import UserError

CLASSES = ("angry", "happy")
SHAPE = (2, 2, 1)
EXAMPLES = [
    ("train", "a", "a", 0, np.full(SHAPE, 1, np.uint8)),
    ("train", "b", "b", 1, np.full(SHAPE, 2, np.uint8)),
    ("test", "c", "c", 1, np.full(SHAPE, 3, np.uint8)),
]
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


def tally(examples, class_names=CLASSES) -> Tally:
    result = Tally(class_names, SHAPE)
    for example in examples:
        result.add(*example)
    return result


def place(data_dir: Path, manifest: Manifest = MANIFEST) -> Path:
    directory = data_dir / manifest.name / manifest.config / manifest.version
    directory.mkdir(parents=True)
    for name in ["dataset_info.json", "features.json", *manifest.shard_names]:
        (directory / name).touch()
    write_manifest(manifest, directory)
    return directory


def test_hashes_do_not_depend_on_the_order_of_reading() -> None:
    assert tally(EXAMPLES).fingerprints() == tally(EXAMPLES[::-1]).fingerprints()
    assert tally(EXAMPLES).content() == tally(EXAMPLES[::-1]).content()


@pytest.mark.parametrize(
    ("position", "value", "same_content"),
    [(0, "validation", False), (1, "z", True), (2, "z", True), (3, 1, False), (4, np.full(SHAPE, 9, np.uint8), False)],
    ids=["split", "id", "group", "label", "pixels"],
)
def test_each_part_of_an_example_counts(position, value, same_content) -> None:
    changed = list(EXAMPLES[0])
    changed[position] = value
    other = tally([tuple(changed), *EXAMPLES[1:]])
    assert other.fingerprints() != tally(EXAMPLES).fingerprints()
    assert (other.content() == tally(EXAMPLES).content()) == same_content


def test_class_names_count() -> None:
    assert tally(EXAMPLES, ("sad", "happy")).fingerprints() != tally(EXAMPLES).fingerprints()


def test_counts_name_every_class() -> None:
    assert tally(EXAMPLES).counts == {"train": {"angry": 1, "happy": 1}, "test": {"angry": 0, "happy": 1}}


def test_an_id_twice_is_refused() -> None:
    with pytest.raises(UserError, match="'a'"):
        tally([EXAMPLES[0], ("test", "a", "a", 0, EXAMPLES[1][4])])


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
