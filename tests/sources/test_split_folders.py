"""What folders are called and how they lie: which are splits, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fer_files import png, write_folder, write_zip

from fer_tl.core.errors import UserError
from fer_tl.sources.folder.reader import open_folder
from fer_tl.sources.split_names import canonical_split

IMAGE = png(np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8))


@pytest.mark.parametrize(
    ("split", "names"),
    [
        (
            "train",
            "train_set training_set Train_data trainimages TRAIN my_train fer2013_train Training-Images trainSplit",
        ),
        (
            "validation",
            "val_set val_images valid_data ValidationSet dev_set FER2013Valid PublicTest public validation_set",
        ),
        ("test", "test_images test_set TestData testing_data test-faces PrivateTest private raf_test test_dataset"),
    ],
)
def test_words_around_a_split_do_not_count(split: str, names: str) -> None:
    found = {name: canonical_split(name) for name in names.split()}
    assert found == dict.fromkeys(found, split)


@pytest.mark.parametrize(
    "name",
    [
        "testy",
        "tested",
        "testimony",
        "test_subject",
        "trained",
        "trainer",
        "valiant",
        "devil",
        "developing",
        "publicity",
        "data",
        "set",
        "images",
        "face",
        "public_data",
        "private_images",
        "trainval",
        "train_test",
        "contest",
        "retest",
    ],
)
def test_other_names_are_no_splits(name: str) -> None:
    assert canonical_split(name) is None


def test_a_name_of_any_length_is_read_at_once() -> None:
    assert canonical_split("datasets" * 5000 + "!") is None


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_with_the_names_of_affectnet(tmp_path: Path, packed: bool) -> None:
    files = {f"{s}/{c}/{i}.png": IMAGE for s in ("train_set", "val_set") for c in ("testy", "calm") for i in (1, 2)}
    source = open_folder(write_zip(tmp_path / "x.zip", files) if packed else write_folder(tmp_path / "x", files), 20)
    assert source.counts() == {split: {"calm": 2, "testy": 2} for split in ("train", "validation")}


def test_splits_below_the_classes_are_understood(tmp_path: Path) -> None:
    files = {f"x/{c}/{s}/{i}.png": IMAGE for c in "ab" for s, n in (("train", 3), ("test", 2)) for i in range(n)}
    source = open_folder(write_folder(tmp_path / "r", files), 20)
    assert source.counts() == {"train": {"a": 3, "b": 3}, "test": {"a": 2, "b": 2}}
    assert source.notes == ["r has its splits below its classes: class/split/image."]
    found = {record.id: (record.split, record.label) for record in source.records()}
    assert len(found) == 10 and found["b/test/1.png"] == ("test", 1)


def test_images_right_in_splits_have_no_class(tmp_path: Path) -> None:
    files = {f"{s}/{i}.png": IMAGE for s in ("train_set", "test_images") for i in range(2)}
    with pytest.raises(UserError, match=r"no class folders.*called like splits \(test_images, train_set\)"):
        open_folder(write_folder(tmp_path, files), 20)


def test_a_lone_test_split_is_said(tmp_path: Path) -> None:
    source = open_folder(write_zip(tmp_path / "mine.zip", {f"test/{c}/{c}.png": IMAGE for c in "ab"}), 20)
    assert source.counts() == {"test": {"a": 1, "b": 1}}
    assert "they can be evaluated on, and nothing can be trained. Rename the folder" in source.notes[0]


def test_images_outside_of_splits_are_counted(tmp_path: Path) -> None:
    files = {f"{s}/{c}/{i}.png": IMAGE for s in ("train", "holdout") for c in "ab" for i in range(2)}
    with pytest.raises(UserError, match=r"^holdout/a/0\.png in .* no split's folder .*\(4 of 8 do not\)"):
        open_folder(write_folder(tmp_path, files), 20)


def test_a_table_of_labels_is_named_where_folders_have_none(tmp_path: Path) -> None:
    files = {"images/1.png": IMAGE, "images/2.png": IMAGE, "labels.csv": b"image,emotion"}
    with pytest.raises(UserError, match=r"one class only \(images\).*a table \(labels\.csv\) are not read"):
        open_folder(write_folder(tmp_path, files), 20)
