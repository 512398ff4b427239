"""Any detector's table reads as the same boxes; everything else gets one clear line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.faces.box_table import BoxTable, read_box_table
from fer_tl.faces.boxes import Box

PLAIN = "id,top,left,bottom,right\na,1,2,30,40\nb,,,,\nc/d e.png,-1.5,0,9.25,1e1\n"
ROWS = [("a", Box(1, 2, 30, 40)), ("b", None), ("c/d e.png", Box(-1.5, 0, 9.25, 10))]


def table_of(folder: Path, content: str | bytes) -> BoxTable:
    path = folder / "boxes.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_box_table(path)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.rstrip("\n"),
        "\ufeff" + PLAIN,
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("\n", "\n\n"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", ";").replace("-1.5", "-1,5").replace("9.25", "9,25"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", " , "),
        PLAIN.replace("\n", ",\n").replace("right,", "right"),
        PLAIN.replace("id,top,left", "ID, Top ,LEFT"),
        "score,right,bottom,left,top,id\n.9,40,30,2,1,a\n,,,,,b\n.8,10,9.25,0,-1.5,c/d e.png\n",
        ',id,"top",left,bottom,right,note\n0,a,1.0,2.0,30.0,40.0,"x, y"\n1,b,,,,,\n2,c/d e.png,-1.5,0,9.25,10,\n',
    ],
)
def test_every_writing_reads_the_same(tmp_path: Path, content: str | bytes) -> None:
    table = table_of(tmp_path, content)
    assert [(row.name, row.box) for row in table.rows] == ROWS


def test_the_hash_is_the_file_s(tmp_path: Path) -> None:
    first = table_of(tmp_path, PLAIN)
    assert table_of(tmp_path, PLAIN).sha256 == first.sha256 and len(first.sha256) == 64
    assert table_of(tmp_path, PLAIN + "\n").sha256 != first.sha256


HEADER = "id,top,left,bottom,right\n"
GOOD = "a,1,2,30,40\n"
BAD = {
    "x y w h": ("id,x,y,w,h\na,1,2,3,4\n", r"no column top or left or bottom or right in its first line \(id, x, y"),
    "no header": ("a,1,2,30,40\n", "no column id or top"),
    "a column twice": ("id,top,left,bottom,right,Top\na,1,2,3,4,5\n", "two columns are called top"),
    "no rows": (HEADER, "a header but no rows"),
    "a word": (HEADER + GOOD + "b,1,2,3,wide\n", r"boxes\.csv, row 2 \(line 3\): right is 'wide', not a number"),
    "not finite": (HEADER + "b,nan,2,3,4\n", "row 1 .*top is 'nan'"),
    "infinite": (HEADER + "b,1,2,inf,4\n", "row 1 .*bottom is 'inf'"),
    "thousands or decimals": (HEADER.replace(",", ";") + "b;1,234;2;3;4\n", "row 1 .*top is '1,234'"),
    "half blank": (HEADER + "b,1,,3,4\n", "row 1 .*left is blank"),
    "no id": (HEADER + GOOD + "\n,1,2,3,4\n", r"row 2 \(line 4\): no id"),
    "upside down": (HEADER + "b,30,2,1,40\n", r"row 1 .*bottom is 1, not more than top \(30\)"),
    "no width": (HEADER + "b,1,2,30,2\n", r"row 1 .*right is 2, not more than left \(2\)"),
    "too short": (HEADER + "b,1,2,30\n", "row 1 .*4 cells for the 5 columns"),
    "too long": (HEADER + GOOD + "b,1,2,30,40,50\n", "row 2 .*6 cells for the 5 columns"),
    "open quote": (HEADER + 'b,"' + "x\n" * 600_000, "not a CSV row"),
    "empty": ("", "is empty"),
    "web page": ("<html>", "web page"),
    "git-LFS": ("version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    "archive": (b"PK\x03\x04" + bytes(100), "is an archive"),
    "Latin-1": (HEADER.encode() + b"caf\xe9,1,2,3,4\n", "UTF-8"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_bad_tables_are_told_apart(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        table_of(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv does not exist.*id, top, left, bottom, right"):
        read_box_table(tmp_path / "none.csv")
    with pytest.raises(UserError, match="is a folder"):
        read_box_table(tmp_path)


IMAGE = Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30))


def cropped(table: BoxTable, names: dict[str, str | None]) -> dict[str, tuple[int, int]]:
    """(height, width) of a 20 x 30 image, cropped, for each id that a name stands for."""
    crop = table.match(names, 0.0)
    faces = {i: crop.find(IMAGE, i, Counter()) for i in names.values() if i}
    boxes = {i: Box(0, 0, 20, 30) if face is None else face.box for i, face in faces.items()}
    return {i: (box.bottom - box.top, box.right - box.left) for i, box in boxes.items()}


def test_ids_are_matched_and_the_rest_stays_whole(tmp_path: Path) -> None:
    table = table_of(tmp_path, HEADER + "a,1,2,5,9\nalias,0,0,3,4\nblank,,,,\nstranger,1,1,2,2\nother,,,,\n")
    names = {name: name for name in ("a", "b", "blank", "none")} | {"alias": "b"}
    assert cropped(table, names) == {"a": (4, 7), "b": (3, 4), "blank": (20, 30), "none": (20, 30)}
    (warning,) = table.match(names, 0.0).warnings({})
    assert "boxes.csv: no image for 2 of its 5 ids (first: 'stranger', row 4 (line 5))" in warning


def test_shares_of_a_picture_are_no_pixels(tmp_path: Path) -> None:
    table = table_of(tmp_path, "id,top,left,bottom,right\na,0.1,0.2,0.75,1.0\nb,0,0,1.01,0.5\n")
    with pytest.raises(UserError, match=r"boxes.csv: no box has a side beyond 1.5, such as top 0.1.*multiply them"):
        table.match({"a": "a", "b": "b"}, 0.0)
    table_of(tmp_path, "id,top,left,bottom,right\na,0.1,0.2,0.75,1.0\nb,0,0,3,3\n").match({"a": "a", "b": "b"}, 0.0)


def test_zeros_that_a_spreadsheet_took_away_are_found(tmp_path: Path) -> None:
    table = table_of(tmp_path, HEADER + "0,0,0,1,1\n42,0,0,2,2\n10000,0,0,3,3\n7,0,0,4,4\n")
    names = {name: name for name in ("00000", "00042", "10000", "07", "7")}
    assert cropped(table, names) == {"00000": (1, 1), "00042": (2, 2), "10000": (3, 3), "07": (20, 30), "7": (4, 4)}


def test_a_number_that_may_be_two_is_not_guessed(tmp_path: Path) -> None:
    table = table_of(tmp_path, HEADER + "7,0,0,4,4\na,0,0,1,1\n")
    crop = table.match({"07": "07", "007": "007", "a": "a"}, 0.0)
    assert crop.find(IMAGE, "07", Counter()) is None and crop.find(IMAGE, "007", Counter()) is None
    assert "'7'" in crop.warnings({})[0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a,1,2,5,9\nb,1,2,5,9\na,1,2,5,9\n", r"row 3 \(line 4\): 'a' .*row 1 \(line 2\) already: keep one box"),
        ("a,1,2,5,9\na,,,,\n", "row 2 .*'a' .*row 1"),
        ("a,1,2,5,9\na.png,1,2,5,9\n", "row 2 .*'a' .*row 1"),
        ("a,1,2,5,9\nx,1,2,5,9\nx,1,2,5,9\n", "row 3 .*'x' .*row 2"),
        ("a,1,2,5,9\ntwo,1,2,5,9\n", "row 2 .*several images are called 'two'"),
        ("x,1,2,5,9\ny,,,,\n", "none of its 2 ids is an image's .*'x'.*'a'"),
    ],
)
def test_tables_that_do_not_fit_the_images(tmp_path: Path, lines: str, message: str) -> None:
    names = {"a": "a", "a.png": "a", "b": "b", "two": None}
    with pytest.raises(UserError, match=message) as caught:
        table_of(tmp_path, HEADER + lines).match(names, 0.0)
    assert "\n" not in str(caught.value)
