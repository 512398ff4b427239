"""AffectNet: every face is the box of its photo and has the class that its number means; the rest is told."""

from __future__ import annotations

import pickle
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affect_files import (
    HEADER,
    NAMES,
    PHOTOS,
    SIDE,
    Said,
    annotation_files,
    list_files,
    npy,
    photo,
    said,
)
from fer_files import png, tar_bytes, write_folder, write_zip

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.dataset import load_dataset
from fer_tl.data.directory import dataset_directory
from fer_tl.data.examples import Example, read_examples, write_examples
from fer_tl.sources.affectnet.reader import AffectNet, open_affectnet
from fer_tl.sources.records import Record

TRAINING, VALIDATION = said("t", 33), said("v", 22)
EIGHT = (*CLASS_NAMES, "contempt")


def read(source: AffectNet) -> dict[str, Record]:
    with closing(source):
        return {record.id: record for record in source.records()}


def opened(root: Path, files: dict[str, bytes], **options: Any) -> AffectNet:
    return open_affectnet(write_folder(root / "an", files), SIDE, **options)


@pytest.mark.parametrize("packing", ["folder", "zip", "tar"])
def test_a_face_is_the_box_of_its_photo(tmp_path: Path, packing: str) -> None:
    path, files = tmp_path / "an", list_files(TRAINING, VALIDATION)
    if packing == "folder":
        write_folder(path, files)
    elif packing == "zip":
        write_zip(path, files)
    else:
        path.write_bytes(tar_bytes(files))
    source = open_affectnet(path, SIDE)
    assert source.class_names == EIGHT and source.total() == 24 + 16
    found = read(source)
    kept = [(split, row) for split, rows in (("train", TRAINING), ("validation", VALIDATION)) for row in rows]
    kept = [(split, row) for split, row in kept if int(row.expression) < 8]
    assert [*found] == [row.path for _, row in kept]
    for split, row in kept:
        record = found[row.path]
        assert (record.split, EIGHT[record.label]) == (split, NAMES[int(row.expression)])
        assert (record.crop, record.size, record.group) == ("cropped", (SIDE, SIDE), row.path)
        np.testing.assert_array_equal(record.image, photo(row.path)[row.y : row.y + SIDE, row.x : row.x + SIDE])
        assert record.measures == {"valence": float(row.valence), "arousal": -0.5}
        assert record.photo is not None
    assert "15 images without an expression left out: none 5, uncertain 5, no face 5." in source.warnings()
    assert "train with --classes '[angry, disgust" in source.notes[0]


def test_a_margin_widens_the_boxes(tmp_path: Path) -> None:
    row = Said("0/a.jpg", "1", 10, 8)
    files = list_files([row], [])
    (record,) = read(opened(tmp_path, files, box_margin=0.25)).values()
    assert record.size == (24, 24)
    assert opened(tmp_path, files, box_margin=0.25).options != opened(tmp_path, files).options


def whole_lists(columns: bool) -> dict[str, bytes]:
    """Lists without boxes: cells that are blank, or no such columns; and a list whose name says no split."""

    def without(line: str) -> str:
        cells = line.split(",")
        cells[1:5] = ["", "", "", ""] if columns and "face_x" not in line else cells[1:5] if columns else []
        return ",".join(cells)

    files = list_files(said("t", 16, 8), said("v", 8, 8))
    lists = {name: "\n".join(map(without, data.decode().splitlines())) for name, data in files.items() if "csv" in name}
    lists["lists/automatic.csv"] = lists["lists/training.csv"]
    return files | {name: text.encode() for name, text in lists.items()}


def middle(image: np.ndarray) -> list[tuple[float, float, float, float]]:
    """A detector's answer: rows 5 to 21 and columns 10 to 26 of a small photo, which is searched enlarged."""
    scale, room = 1.44, 18
    top, left, bottom, right = (side * scale + room for side in (5, 10, 21, 26))
    return [(top, left, bottom, right)]


@pytest.mark.parametrize("columns", [True, False])
def test_photos_without_boxes_stay_whole_or_are_cut_by_a_detector(tmp_path: Path, columns: bool) -> None:
    root = write_folder(tmp_path / "an", whole_lists(columns))
    told: list[str] = []
    options = {"image_size": SIDE, "duplicates": "keep", "say": told.append}
    whole = build("affectnet", root, tmp_path / "whole", **options)
    assert whole.crops["train"]["whole"] == 16
    assert any(line.startswith("Warning: lists/automatic.csv is not read, for its name says no split") for line in told)
    with pytest.raises(UserError, match="an has no boxes for --box-margin to widen"):
        build("affectnet", root, tmp_path / "no", box_margin=0.1, **options)
    found = build("affectnet", root, tmp_path / "cut", detector=middle, box_margin=0.0, **options)
    assert found.crops["train"] == {"cropped": 16, "whole": 0, "clipped": 0}
    images = load_dataset("affectnet", tmp_path / "cut", "train")
    rows = {str(identity): np.asarray(image) for identity, image in zip(images.ids, images.images, strict=True)}
    np.testing.assert_array_equal(rows["0/t000.jpg"], photo("0/t000.jpg")[5:21, 10:26])


def test_a_detector_is_refused_where_the_lists_have_boxes(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "an", list_files(said("t", 16, 8), said("v", 8, 8)))
    with pytest.raises(UserError, match="an says where the faces are, and they are cut by that: leave --detector out"):
        build("affectnet", root, tmp_path, detector=middle, say=lambda line: None)
    half = {name: data.replace(b",face_height", b"") for name, data in list_files(said("t", 8, 8), ()).items()}
    with pytest.raises(UserError, match="has no column face_height"):
        open_affectnet(write_folder(tmp_path / "half", half), SIDE)


def test_lists_that_a_spreadsheet_saved_with_decimal_commas(tmp_path: Path) -> None:
    files = list_files(said("t", 16, 8), said("v", 8, 8))
    changed = {
        name: data.replace(b";", b" ").replace(b",", b";").replace(b".", b",").replace(b",jpg", b".jpg")
        if name.endswith(".csv")
        else data
        for name, data in files.items()
    }
    one, other = (
        {record.id: record for record in open_affectnet(write_folder(tmp_path / each, of), SIDE).records()}
        for each, of in (("a", files), ("b", changed))
    )
    assert len(one) == 24 and all(
        (one[key].label, one[key].measures) == (other[key].label, other[key].measures)
        and np.array_equal(one[key].image, other[key].image)
        for key in one
    )


def test_seven_classes_have_no_eighth(tmp_path: Path) -> None:
    source = opened(tmp_path, list_files(said("t", 14, 7), said("v", 7, 7)))
    assert source.class_names == CLASS_NAMES and source.notes == [] and source.warnings() == []


@pytest.mark.parametrize("as_text", [False, True])
def test_the_newer_folders_are_read(tmp_path: Path, as_text: bool) -> None:
    files = annotation_files({"train_set": 16, "val_set": 8}, as_text=as_text)
    files["train_set/images/99.jpg"] = png(photo("x"))
    source = opened(tmp_path, files)
    assert source.class_names == EIGHT
    assert source.passed_over["images of which no list or annotation says anything"] == ["train_set/images/99.jpg"]
    assert source.counts() == {
        "train": dict.fromkeys(EIGHT, 2),
        "validation": dict.fromkeys(EIGHT, 1),
    }
    found = read(source)
    for number in range(8):
        record = found[f"val_set/{number}"]
        assert (record.split, EIGHT[record.label]) == ("validation", NAMES[number])
        assert record.measures == {"valence": number % 7 / 10, "arousal": -0.5} and record.crop == ""
    larger = open_affectnet(tmp_path / "an", 30)
    np.testing.assert_array_equal(read(larger)["train_set/9"].image, photo("train_set/9")[:, :30])
    alone = open_affectnet(tmp_path / "an" / "val_set", SIDE)
    assert read(alone).keys() == {name for name in found if name.startswith("val_set/")}


def test_valence_and_arousal_are_columns_of_the_table_of_examples(tmp_path: Path) -> None:
    rows = said("t", 40, 4)
    rows[1] = rows[1]._replace(valence="-2", arousal="")
    source = write_folder(tmp_path / "an", list_files(rows, said("v", 8, 4)))
    build("affectnet", source, tmp_path / "data", image_size=SIDE, say=lambda line: None)
    directory = dataset_directory(tmp_path / "data", "affectnet")
    assert (directory / "examples.csv").read_text().splitlines()[0].endswith(",crop,arousal,valence")
    table = {example.id: example for example in read_examples(directory)}
    assert table[rows[0].path].measures == {"valence": 0.0, "arousal": -0.5}
    assert table[rows[4].path].measures == {"valence": 0.4, "arousal": -0.5} and table[rows[1].path].measures == {}


def test_tables_have_columns_of_measures_only_where_there_are_some(tmp_path: Path) -> None:
    write_examples([Example("a", "train", "happy", "a")], tmp_path)
    assert (tmp_path / "examples.csv").read_text().splitlines()[0].endswith(",crop")
    with pytest.raises(UserError, match="'split' is called like a column"):
        write_examples([Example("a", "train", "happy", "a", measures={"split": 1.0})], tmp_path)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Said("0/none.jpg", "3"), "there is no such image"),
        (Said("1/t001.jpg", "3"), "it is in training.csv, line 3 already"),
        (Said("1/v001.jpg", "3"), "validation.csv, line 3|training.csv, line 102"),
        (Said("0/t000.jpg", "11"), "expression is '11', not 0 to 10"),
        (Said("0/t000.jpg", "-1"), "expression is '-1', not 0 to 10"),
        (Said("0/t000.jpg", "happy"), "expression is 'happy', not 0 to 10"),
        (Said("0/t000.jpg", "3", valence="7"), "valence is '7', not -1 to 1"),
        (Said("0/t000.jpg", "3", arousal="nan"), "arousal is 'nan', not -1 to 1"),
        (Said("", "3"), "no path of an image"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_or_left_out(tmp_path: Path, row: Said, reason: str) -> None:
    files = list_files(said("t", 100, 8), said("v", 16, 8))
    files["lists/training.csv"] += f"{row.line}\n".encode()
    with pytest.raises(UserError, match=r"^1 of 117 examples in an .* line ") as stopped:
        read(opened(tmp_path, files))
    assert any(each in str(stopped.value) for each in reason.split("|")) and "\n" not in str(stopped.value)
    source = opened(tmp_path, files)
    source.on_error = "skip"
    assert len(read(source)) == 116


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("5,2,16,16", "5,2,0,16", "the box has no area (face_width 0, face_height 16)"),
        ("5,2,16,16", "5,NULL,16,16", "face_y is 'NULL', not a number of pixels"),
        ("5,2,16,16", "60,2,16,16", "covers no pixel of image"),
        (",0.25,-0.5", "", "7 cells, fewer than columns|"),
        ("0/a.jpg,5,2,16,16", "0/a.jpg", "cells, fewer than columns"),
    ],
)
def test_a_box_that_is_none_is_named(tmp_path: Path, old: str, new: str, reason: str) -> None:
    files = list_files([Said("0/a.jpg", "1"), Said("0/b.jpg", "2")], [])
    assert old in files["lists/training.csv"].decode()
    files["lists/training.csv"] = files["lists/training.csv"].replace(old.encode(), new.encode(), 1)
    if reason.endswith("|"):  # valence and arousal are no must
        assert read(opened(tmp_path, files))["0/a.jpg"].measures == {}
        return
    with pytest.raises(UserError, match=r"^1 of 2 examples in an .*training\.csv, line 2") as stopped:
        read(opened(tmp_path, files))
    assert reason in str(stopped.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (npy("11"), "expression is '11', not 0 to 10"),
        (npy([1, 2]), "3_exp.npy is not one number or text of NumPy"),
        (npy("3")[:-3], "3_exp.npy is not one number or text of NumPy"),
        (b"\x93NUMPY", "3_exp.npy is not one number"),
        (b"", "3_exp.npy is not one number"),
        (pickle.dumps(3), "3_exp.npy is not one number"),
        (npy("3").replace(b"'shape': ()", b"'shape': (9999999999,)"), "3_exp.npy is not one number"),
    ],
)
def test_an_annotation_that_is_none_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    files = annotation_files({"train_set": 24, "val_set": 8}) | {"train_set/annotations/3_exp.npy": data}
    with pytest.raises(UserError, match=r"^1 of 32 examples in an .*train_set/annotations/3_exp\.npy: ") as stopped:
        read(opened(tmp_path, files))
    assert reason in str(stopped.value) and "\n" not in str(stopped.value)


def test_pickled_objects_are_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    trap = npy(np.array(Trap(), dtype=object))
    with pytest.raises(UserError, match=r"3_exp\.npy is not one number"):
        read(opened(tmp_path, annotation_files({"train_set": 24}) | {"train_set/annotations/3_exp.npy": trap}))
    assert not (tmp_path / "sprung").exists()


def test_an_image_that_is_missing_in_the_newer_folders_is_named(tmp_path: Path) -> None:
    files = annotation_files({"train_set": 24, "val_set": 8})
    del files["train_set/images/5.jpg"]
    with pytest.raises(UserError, match=r"train_set/annotations/5_exp.npy.*there is no image of it"):
        read(opened(tmp_path, files))


LISTS = list_files(TRAINING, VALIDATION)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": b"x"}, "an holds neither lists nor annotations: give the folder or archive"),
        ({"0/a.jpg": b"x"}, "holds images but neither lists.*fer-tl build folder/NAME`, numbered ones with --labels"),
        ({"faces.csv": b"a,b\n"}, "no list with the column subDirectory_filePath [(]faces.csv is none"),
        ({"training.csv": f"{HEADER}\n".encode()}, "an holds no face with an expression"),
        ({"training.csv": HEADER.replace(",expression", ",label").encode()}, "no column expression: give AffectNet's"),
        ({"training.csv": b"<html>"}, "training.csv in an is a web page"),
        (list_files(TRAINING, [], images=False), "none of the images that lists/training.csv .*first is 0/t000.jpg"),
        (
            LISTS | {"b/training.csv": LISTS["lists/training.csv"]},
            "two lists of train images, b/training.csv and lists/",
        ),
        (LISTS | annotation_files({"val_set": 8}), "has lists .* and annotations .*give the folder of one"),
        (LISTS | {f"copy/{row.path}": b"x" for row in TRAINING}, "has 0/t000.jpg twice, .*remove one"),
        (annotation_files({"mine": 8}), "'mine', the folder of images and annotations, names no split"),
        ({"train_set/annotations/0_exp.npy": npy("1")}, "has annotations but no images"),
    ],
)
def test_what_is_not_affectnet_is_named(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(UserError, match=message) as stopped:
        opened(tmp_path, files)
    assert "\n" not in str(stopped.value)


def test_a_list_alone_is_not_enough(tmp_path: Path) -> None:
    write_folder(tmp_path, list_files([Said("0/a.jpg", "1")], []))
    with pytest.raises(UserError, match=r"none of the images that training\.csv lists is there"):
        open_affectnet(tmp_path / "lists" / "training.csv", SIDE)


def test_photos_without_their_folders_are_found_by_their_names(tmp_path: Path) -> None:
    files = {name.replace(f"{PHOTOS}{name.split('/')[1]}/", "flat/"): data for name, data in LISTS.items()}
    assert "flat/t000.jpg" in files and opened(tmp_path, files).total() == 40
