"""RAF-DB: every image gets the class that its number means, in its official split; what is not RAF-DB is named."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fer_files import png, tar_bytes, write_folder, write_zip
from raf_files import CLASSES, LIST, folder_files, lines, listed_files, picture

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.sources.rafdb.labels import COMPOUND, OFFICIAL_COUNTS, count_warnings
from fer_tl.sources.rafdb.reader import open_rafdb
from fer_tl.sources.rafdb.source import RafSource
from fer_tl.sources.records import Record

ROWS = lines()


def read(source: RafSource) -> dict[str, Record]:
    with closing(source):
        return {record.id: record for record in source.records()}


def opened(root: Path, files: dict[str, bytes], **options: Any) -> RafSource:
    return open_rafdb(write_folder(root / "raf", files), 20, **options)


@pytest.mark.parametrize("packing", ["folder", "zip", "tar"])
@pytest.mark.parametrize("listed", [LIST, "basic/list_partition_label.txt"])
def test_a_list_gives_each_image_its_class_and_official_split(tmp_path: Path, packing: str, listed: str) -> None:
    path, files = tmp_path / "raf", listed_files(ROWS, listed=listed)
    if packing == "folder":
        write_folder(path, files)
    elif packing == "zip":
        write_zip(path, files)
    else:
        path.write_bytes(tar_bytes(files))
    source = open_rafdb(path, 20)
    assert source.class_names == CLASS_NAMES and source.total() == len(ROWS)
    found = read(source)
    assert [*found] == [row.split(".")[0] for row in ROWS]
    for row in ROWS:
        stem, number = row.split(".")[0], int(row.split()[1])
        record = found[stem]
        assert (record.split, record.group) == (stem.split("_")[0], stem)
        assert CLASS_NAMES[record.label] == CLASSES[number - 1]
        np.testing.assert_array_equal(record.image, picture(f"{stem}_aligned"))


def test_aligned_images_come_before_the_original_ones_unless_these_are_asked_for(tmp_path: Path) -> None:
    files = listed_files(ROWS, ("aligned", "original"))
    aligned, original = opened(tmp_path, files), opened(tmp_path, files, images="original")
    assert aligned.options != original.options
    np.testing.assert_array_equal(read(aligned)["test_00001"].image, picture("test_00001_aligned"))
    np.testing.assert_array_equal(read(original)["test_00001"].image, picture("test_00001"))
    assert any("--detector" in line for line in original.warnings())
    alone = opened(tmp_path / "alone", listed_files(ROWS, ["original"]))
    np.testing.assert_array_equal(read(alone)["train_00002"].image, picture("train_00002"))


def test_of_two_folders_the_one_called_aligned_counts(tmp_path: Path) -> None:
    files = listed_files(ROWS) | {"larger/train_00001_aligned.jpg": png(picture("x"))}
    np.testing.assert_array_equal(read(opened(tmp_path, files))["train_00001"].image, picture("train_00001_aligned"))
    files["copy/aligned/train_00001_aligned.jpg"] = png(picture("y"))
    with pytest.raises(UserError, match=r"train_00001_aligned\.jpg twice, Image/aligned/.* and copy/aligned/.*remove"):
        opened(tmp_path / "b", {**files})


@pytest.mark.parametrize(
    "path",
    [
        "DATASET/{split}/{number}/{stem}_aligned.jpg",
        "{number}/{stem}.jpg",
        "{split}/{name}/{stem}.jpg",
        "x/{number}/{split}/{stem}_aligned.jpg",
    ],
)
def test_class_folders_have_raf_db_s_order(tmp_path: Path, path: str) -> None:
    source = opened(tmp_path, folder_files(ROWS, path))
    assert source.class_names == CLASS_NAMES
    found = read(source)
    for row in ROWS:
        stem, number = row.split(".")[0], int(row.split()[1])
        assert (found[stem].split, CLASS_NAMES[found[stem].label]) == (stem.split("_")[0], CLASSES[number - 1])
        np.testing.assert_array_equal(found[stem].image, picture(f"{stem}_aligned"))


@pytest.mark.parametrize("make", [listed_files, folder_files])
def test_numbers_that_fit_two_orders_are_refused_until_one_is_said(tmp_path: Path, make: Any) -> None:
    files = make(lines(classes=6))
    with pytest.raises(UserError, match=r"meaning is a guess.*--labels fer .*--labels raf .*"):
        opened(tmp_path, files)
    said = opened(tmp_path, files, labels="raf")
    assert said.class_names == CLASS_NAMES[:-1] and said.options["labels"] == "raf"
    other = opened(tmp_path, files, labels="fer")
    label = {record.split + other.class_names[record.label] for record in read(other).values()}
    assert "traindisgust" in label and "trainangry" not in label
    shifted = make([f"{row.split()[0]} {int(row.split()[1]) - 1}" for row in ROWS])
    with pytest.raises(UserError, match="meaning is a guess"):
        opened(tmp_path / "zero", shifted)
    with pytest.raises(UserError, match=r"0.*1 to 7"):
        opened(tmp_path / "zero", make(["train_00001.jpg 0"]), labels="raf")


@pytest.mark.parametrize("make", [listed_files, folder_files])
def test_the_compound_set_keeps_its_own_eleven_classes(tmp_path: Path, make: Any) -> None:
    source = opened(tmp_path, make([f"train_{i:04d}.jpg {i}" for i in range(1, 12)]))
    assert source.class_names == COMPOUND.names and len(source.class_names) == 11
    found = {name: source.class_names[record.label] for name, record in read(source).items()}
    assert (found["train_0001"], found["train_0011"]) == ("happily surprised", "disgustedly surprised")


def test_both_sets_at_once_are_refused(tmp_path: Path) -> None:
    files = listed_files(ROWS, listed="basic/" + LIST) | listed_files(lines(3, 2), listed="compound/" + LIST)
    with pytest.raises(UserError, match=r"two lists, basic/.* and compound/.*give the folder of one set"):
        opened(tmp_path, files)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("train_09999.jpg 3", "its aligned image train_09999_aligned.jpg is missing"),
        ("train_00001.jpg 5", "it is in line 1 already"),
        ("train_00099.jpg 8", "label 8 is not 1 to 7, those of RAF-DB"),
        ("train_00099.jpg five", "label 'five' is not a number"),
        ("train_00099.jpg", "1 words, not 2"),
        ("train_00099.jpg 3 4", "3 words, not 2"),
        ("photo_7.jpg 3", "the name is not train_ or test_ and a number"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_or_left_out(tmp_path: Path, row: str, reason: str) -> None:
    files = listed_files(lines(35, 7))
    files[LIST] += f"{row}\n".encode()
    source = opened(tmp_path, files)
    with pytest.raises(UserError, match=r"^1 of 43 examples in raf .*list_patition_label\.txt, line 43") as stopped:
        read(source)
    assert reason in str(stopped.value) and "\n" not in str(stopped.value)
    source = opened(tmp_path, files)
    source.on_error = "skip"
    assert len(read(source)) == 42
    (left,) = source.skipped()
    assert reason in left.reason


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"a.txt": b"x"}, {}, "neither list_patition_label.txt nor images"),
        ({"aligned.rar": b"Rar!"}, {}, "neither list_patition_label.txt nor images.*aligned.rar"),
        ({LIST: b"train_00001.jpg 5\n"}, {"labels": "raf"}, "none of the images that .* lists is there .*aligned.jpg"),
        ({LIST: b"train_00001.jpg 5\n", "x.zip": b"PK"}, {"labels": "raf"}, "none of its images: unpack x.zip there"),
        ({LIST: b""}, {}, "list_patition_label.txt in raf is empty"),
        ({LIST: b"<html>"}, {}, "is a web page"),
        (listed_files(ROWS), {"images": "original"}, "--images original asks for is there .*train_00001.jpg"),
        (folder_files(ROWS), {"images": "original"}, "leave --images out"),
        (folder_files(ROWS, "{name}/{stem}.jpg"), {"labels": "raf"}, "leave --labels out"),
        (folder_files(ROWS) | {"DATASET/train/9/a.jpg": b"x"}, {}, "lies in '9', none of the numbers 1 to 7"),
        ({"aligned/train_00001.jpg": b"x"}, {}, "'aligned', which is not a class, and there is no list_patition_label"),
        (folder_files(ROWS, "{split}/{name}/{stem}.jpg") | {"train/joy/a.jpg": b"x"}, {}, "two names for one class"),
        (
            folder_files(ROWS) | {"DATASET/train/3/test_00400_aligned.jpg": b"x"},
            {},
            "is in train, but its name says that RAF-DB has it in test",
        ),
    ],
)
def test_what_is_not_raf_db_is_named(tmp_path: Path, files: dict[str, bytes], options: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as stopped:
        opened(tmp_path, files, **options)
    assert "\n" not in str(stopped.value)


def test_a_list_alone_is_not_enough(tmp_path: Path) -> None:
    write_folder(tmp_path, listed_files(ROWS))
    with pytest.raises(UserError, match="is a list alone"):
        open_rafdb(tmp_path / LIST)


def test_other_counts_than_the_official_ones_are_told_and_images_without_a_label(tmp_path: Path) -> None:
    source = opened(tmp_path, listed_files(ROWS) | {"Image/aligned/train_00777_aligned.jpg": b"x"})
    assert source.passed_over["images that the list does not name"] == ["Image/aligned/train_00777_aligned.jpg"]
    (train, test) = source.warnings()
    assert "train has 14 images, official 12,271 (angry 2 for 705" in train and "official 3,068" in test
    official = {split: dict(zip(CLASS_NAMES, counts, strict=True)) for split, counts in OFFICIAL_COUNTS.items()}
    assert count_warnings(official) == []
