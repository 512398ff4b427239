"""Images and a CSV: whatever wrote the table, a row means the file that it was written about, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fer_files import png, write_folder, write_zip

from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.building.request import BuildRequest
from fer_tl.data.directory import build_arguments
from fer_tl.data.manifest import Manifest
from fer_tl.sources.records import Record
from fer_tl.sources.table.matching import Finder, Match
from fer_tl.sources.table.reader import open_table

RANDOM = np.random.default_rng(5)
NAMES = [f"set/{folder}/{number:05d}.png" for folder in ("one", "two") for number in (1, 2, 3, 10)]
PIXELS = {name: RANDOM.integers(0, 256, (24, 24), dtype=np.uint8) for name in NAMES}
FILES = {name: png(pixels) for name, pixels in PIXELS.items()}
WORDS = ("Joy", "sad", "bored", "Joy", "sad", "bored", "sad", "Joy")
CANONICAL = {"Joy": "happy", "sad": "sad", "bored": "bored"}


def csv_of(cells: list[tuple[str, ...]], delimiter: str = ",") -> str:
    return "".join(delimiter.join(row) + "\n" for row in cells)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "images", FILES)


def read(source_path: Path, table: str | bytes, **options: object) -> dict[str, Record]:
    path = source_path.parent / "labels.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    source = open_table(source_path, path, image_size=24, **options)  # type: ignore[arg-type]
    found = {record.id: record for record in source.records()}
    source.close()
    return found


def check(found: dict[str, Record], classes: tuple[str, ...] = ("happy", "sad", "bored")) -> None:
    """Every row's label is that of its pixels."""
    labels = {PIXELS[name].tobytes(): CANONICAL[word] for name, word in zip(NAMES, WORDS, strict=True)}
    assert {record.image.tobytes(): classes[record.label] for record in found.values()} == labels


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda name: name,
    "below the root": lambda name: name.removeprefix("set/"),
    "Windows": lambda name: "C:\\Users\\Jo Doe\\faces\\" + name.replace("/", "\\"),
    "elsewhere": lambda name: "/home/jo/data/" + name,
    "above": lambda name: "../../" + name,
    "no ending": lambda name: name.removesuffix(".png"),
    "another ending": lambda name: name.replace(".png", ".JPG"),
    "capitals": lambda name: name.upper(),
    "quoted": lambda name: f'"{name}"',
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("packed", [False, True])
def test_paths_from_anywhere_mean_their_files(tmp_path: Path, images: Path, way: str, packed: bool) -> None:
    source = write_zip(tmp_path / "i.zip", FILES) if packed else images
    rows = [(WAYS[way](name), word) for name, word in zip(NAMES, WORDS, strict=True)]
    check(read(source, csv_of([("file", "emotion"), *rows])))


@pytest.mark.parametrize(
    ("delimiter", "encoding", "start"),
    [(";", "utf-8-sig", ""), ("\t", "utf-16", ""), (",", "utf-16-le", ""), (";", "utf-8", "sep=;\n")],
)
def test_tables_of_any_program(images: Path, delimiter: str, encoding: str, start: str) -> None:
    rows = [(str(row), name, word) for row, (name, word) in enumerate(zip(NAMES, WORDS, strict=True))]
    text = start + csv_of([("", " Image ", "Emotion"), *rows], delimiter)
    check(read(images, text.encode(encoding)))


def test_numbers_that_lost_their_zeros(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "flat", {f"{number:04d}.png": png(PIXELS[NAMES[number]]) for number in range(8)})
    rows = [(f"{number}{'.0' * (number % 2)}" if number < 6 else f"0{number}", WORDS[number]) for number in range(8)]
    check(read(source, csv_of([("image", "label"), *rows])))


def test_a_missing_file_is_not_replaced_by_another_of_its_name() -> None:
    finder = Finder(["i/train/a/1.png", "i/train/a/2.png", "i/test/b/3.png", "i/test/b/4.jpg", "i/test/b/4.png"])
    assert finder.find("train/a/1.png") == Match("i/train/a/1.png", 3)
    assert finder.find("/x/y/1.png") == Match("i/train/a/1.png", 1)
    for path in ("test/1.png", "b/1.png", "val/a/1.png", "train/3.png"):
        assert (
            finder.find(path)
            == f"there is no such file, and i/{'test/b/3' if '3' in path else 'train/a/1'}.png is another"
        )
    assert str(finder.find("4")).startswith("several files may be meant, i/test/b/4.jpg and i/test/b/4.png")
    assert finder.find("b/4.png") == Match("i/test/b/4.png", 2)
    assert finder.find("9.png") == finder.find("") == "there is no such file"
    capitals = Finder(["a/X.png", "a/x.png"])
    assert capitals.find("a/x.png") == Match("a/x.png", 2) and capitals.find("D:\\b\\X.png") == Match("a/X.png", 1)


def test_of_two_rows_that_could_mean_a_file_the_one_that_names_more_of_it_does(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "images", {name: FILES[name] for name in NAMES[:4]})
    rows = [(f"gone/{name.split('/')[-1]}" if row == 4 else name, WORDS[row]) for row, name in enumerate(NAMES[:5])]
    with pytest.raises(UserError, match=r"1 of 5 examples .* labels.csv, row 5 \(line 6\).*: there is no such file"):
        read(source, csv_of([("path", "class"), *rows]))


def test_splits_persons_and_classes_of_columns(images: Path) -> None:
    splits = ("Training", "Training", "Training", "PublicTest", "val", "PrivateTest", "test", "train")
    rows = [(str(row), WORDS[row], splits[row], f"S{row // 2}", name) for row, name in enumerate(NAMES)]
    head = ("Unnamed: 0", "Expression", "Usage", "subject", "image_path")
    found = read(images, csv_of([head, *rows]))
    check(found)
    wanted = ["train", "train", "train", "validation", "validation", "test", "test", "train"]
    by_name = {name.removeprefix("set/"): row for row, name in enumerate(NAMES)}
    assert {name: (record.split, record.person) for name, record in found.items()} == {
        name: (wanted[row], f"S{row // 2}") for name, row in by_name.items()
    }
    named = read(images, csv_of([head, *rows]), group_column="none", split_column="none", label_column="EXPRESSION ")
    assert {(record.split, record.person) for record in named.values()} == {("train", "")}


def test_numbers_for_classes_need_their_order(images: Path) -> None:
    rows = [(name, str(row % 7)) for row, name in enumerate(NAMES)]
    with pytest.raises(UserError, match=r"labels.csv has numbers for classes \(0, .*, whose meaning is a guess"):
        read(images, csv_of([("file", "emotion"), *rows]))
    found = read(images, csv_of([("file", "emotion"), *rows]), labels="affectnet")
    numbers = {record.image.tobytes(): record.label for record in found.values()}
    affectnet = (6, 3, 4, 5, 2, 1, 0)  # neutral, happy, sad, surprise, fear, disgust, angry
    assert [numbers[PIXELS[name].tobytes()] for name in NAMES] == [affectnet[row % 7] for row in range(8)]


@pytest.mark.parametrize("columns", ["x,y,w,h", "Left=x,top=y,width=w,height=h", "x1,y1,x2,y2"])
def test_faces_of_boxes(images: Path, columns: str) -> None:
    head = ("file", "emotion", "x", "y", "w", "h", "x1", "y1", "x2", "y2")
    rows = [(name, word, "4", "2", "8", "8", "4", "2", "12", "10") for name, word in zip(NAMES, WORDS, strict=True)]
    rows.append((NAMES[0], "sad", "12", "12", "12", "12", "12", "12", "24", "24"))
    rows[1] = (*rows[1][:2], *[""] * 8)
    found = read(images, csv_of([head, *rows]), box_columns=columns)
    first = [found["one/00001#0"], found["one/00001#1"]] if "one/00001#0" in found else []
    first = first or [found["one/00001.png#0"], found["one/00001.png#1"]]
    assert {record.group for record in first} == {NAMES[0]} and [record.label for record in first] == [0, 1]
    assert [record.size for record in first] == [(8, 8), (12, 12)] and all(r.photo is not None for r in first)
    whole = found[next(name for name in found if name.startswith("one/00002"))]
    assert whole.crop == "whole" and whole.size == (24, 24) and whole.group == whole.id
    wide = read(images, csv_of([head, *rows]), box_columns=columns, box_margin=0.5)
    assert wide[first[1].id].size == (24, 24)


GOOD = [
    ("file", "emotion", "person"),
    *((n, w, f"S{r // 2}") for r, (n, w) in enumerate(zip(NAMES, WORDS, strict=True))),
]


def changed(row: int, column: int, text: str) -> str:
    rows = [list(cells) for cells in GOOD]
    rows[row][column] = text
    return csv_of([tuple(cells) for cells in rows])


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (changed(0, 0, "what"), {}, "no column is called like one of paths; there are what, emotion, person: say"),
        (changed(0, 2, "image"), {}, r"several columns may hold the paths, file, image: say which with --path-column$"),
        (changed(0, 2, "subject"), {"group_column": "persn"}, r"no column 'persn', only file, emotion"),
        (changed(0, 2, "usage"), {}, r"row 1 \(line 2\): usage is 'S0', none of train, validation, test"),
        (changed(3, 2, ""), {}, r"row 3 \(line 4\): no person: fill it in"),
        (changed(3, 1, ""), {}, r"1 of 8 examples .*row 3 \(line 4\).*: no emotion"),
        (changed(3, 0, ""), {}, r"1 of 8 examples .*row 3 \(line 4\).*: no file"),
        (changed(3, 0, NAMES[0]), {}, r"row 3 \(line 4\): .*00001.png is in .*row 1 .* already: keep one row"),
        (csv_of([GOOD[0], *((f"{r[0]}x", *r[1:]) for r in GOOD[1:])]), {}, "none of its 8 rows can be used"),
        (csv_of([GOOD[0], *((r[0], "sad", r[2]) for r in GOOD[1:])]), {}, r"has one class only \(sad\)"),
        (csv_of([GOOD[0], *((*r[:2], "S1") for r in GOOD[1:])]), {}, "all images are of one person, 'S1'"),
        (csv_of(GOOD), {"group_column": "file", "path_column": "file"}, "the column 'file' cannot hold two things"),
        (csv_of(GOOD), {"box_columns": "file,emotion"}, "it is not told which side 'file' is"),
        (csv_of(GOOD), {"box_columns": "left=file,top=emotion"}, "gives left, top: give left, top, right and bottom"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_meant_are_refused(
    images: Path, table: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(images, table, **options)


def test_persons_that_are_no_persons_hold_nothing(images: Path) -> None:
    rows = [(*cells[:2], f"S{row}") for row, cells in enumerate(GOOD[1:])]
    assert {record.person for record in read(images, csv_of([GOOD[0], *rows])).values()} == {""}
    with pytest.raises(UserError, match="each image has another person, which holds nothing together"):
        read(images, csv_of([GOOD[0], *rows]), group_column="person")


def test_a_cell_without_a_class_is_no_class(images: Path) -> None:
    rows = [
        (name, "NaN" if number == 2 else word) for number, (name, word) in enumerate(zip(NAMES, WORDS, strict=True))
    ]
    with pytest.raises(UserError, match=r"labels.csv, row 3 \(line 4\) \(set/one/00003.png\): no label"):
        read(images, csv_of([("path", "label"), *rows]))
    persons = [(*row, "P1" if number else "nan") for number, row in enumerate(zip(NAMES, WORDS, strict=True))]
    with pytest.raises(UserError, match=r"labels.csv, row 1 \(line 2\): no person: fill it in"):
        read(images, csv_of([("path", "label", "person"), *persons]))


def test_the_table_may_lie_with_the_images_and_what_it_does_not_list_is_told(tmp_path: Path) -> None:
    table = csv_of(GOOD[:5]).encode()
    source = open_table(write_zip(tmp_path / "i.zip", FILES | {"set/list.csv": table}), image_size=24)
    assert source.total() == 4 and source.passed_over["images that the table does not list"] == sorted(NAMES[4:])
    assert not source.passed_over["files that are not images"]
    assert source.notes[0].startswith(
        "set/list.csv: read paths from 'file', classes from 'emotion', persons from 'person'"
    )
    source.close()
    for extra, said in (({}, "has none"), ({"a.csv": table, "b.csv": table}, r"has several \(a.csv, b.csv\)")):
        with pytest.raises(UserError, match=f"{said}: give the CSV of the images' classes with --table"):
            open_table(write_zip(tmp_path / "j.zip", FILES | extra))


def test_boxes_come_from_one_place() -> None:
    with pytest.raises(UserError, match="--box-columns gives the faces: leave --boxes and --detector out"):
        BuildRequest("table/mine", "x", box_columns="x,y,w,h", detector="haar")


def quiet(*args: object, **options: object) -> Manifest:
    return build(*args, image_size=24, say=lambda line: None, **options)  # type: ignore[arg-type]


def test_what_was_told_by_names_is_the_same_as_what_is_given(tmp_path: Path, images: Path) -> None:
    table = tmp_path / "labels.csv"
    head = ("file", "emotion", "person", "x", "y", "w", "h")
    table.write_text(csv_of([head, *((*row, "0", "0", "16", "16") for row in GOOD[1:])]))
    boxed = {"table": table, "box_columns": "x,y,w,h"}
    built = quiet("table/mine", images, tmp_path / "data", **boxed)
    assert built.dataset == "table/mine" and built.class_names == ("happy", "sad", "bored")
    assert quiet("table/mine", images, tmp_path / "data", path_column="file", group_column="Person", **boxed) == built
    with pytest.raises(UserError, match=r"already built from other options \(group_column\)"):
        quiet("table/mine", images, tmp_path / "data", group_column="none", **boxed)
    assert build_arguments("table/mine", built) == (
        "table/mine --source PATH --table TABLE --path-column file --label-column emotion --group-column person "
        "--box-columns x,y,w,h --image-size 24 --box-margin 0.0"
    )
