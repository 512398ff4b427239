"""Which value each image has by a table of somebody's: found as ids are written, never guessed; what lacks is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_tl.core.errors import UserError
from fer_tl.evaluation.column_table import Column, read_column

IDS = np.array(["a/1.png", "a/2.png", "b/3.png", "b/2.png"])


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str, name: str = "Age", ids: np.ndarray = IDS, **options: str) -> Column:
    Path("people.csv").write_text(text, encoding="utf-8")
    return read_column(Path("people.csv"), name, ids, **options)


def test_images_are_found_by_id_file_name_and_stem_but_not_where_two_can_be_meant():
    found = read("Image;AGE\na\\1.png;old\n3;young\n2.png;lost\nc/9;old\n")
    assert found.values.tolist() == ["old", "", "young", ""]  # 2.png may be either of two
    assert (found.not_listed, found.empty, found.others, found.order) == (2, 0, 2, ("old", "young"))


def test_empty_cells_are_missing_and_unknown_is_a_value():
    found = read("id,age\na/1.png,NA\na/2.png,unknown\nb/3.png,\nb/2.png, nan \n")
    assert found.values.tolist() == ["", "unknown", "", ""]
    assert (found.not_listed, found.empty) == (0, 3)


def test_few_numbers_are_values_by_size_and_many_are_quarters():
    assert read("id,age\na/1.png,10\na/2.png,9\nb/3.png,9.5\n").order == ("9", "9.5", "10")
    ids = np.array([f"{n:03d}" for n in range(100)])
    found = read("id,age\n" + "\n".join(f"{each},{n}" for n, each in enumerate(ids)), ids=ids)
    assert found.bins and found.order == ("0 to 24.75", "24.75 to 49.5", "49.5 to 74.25", "74.25 to 99")
    assert [int((found.values == each).sum()) for each in found.order] == [25] * 4
    assert found.values[99] == "74.25 to 99" and found.values[0] == "0 to 24.75"


def test_an_image_that_is_predicted_twice_has_its_value_twice_and_is_counted_once():
    found = read("id,age\na/1.png,old\n", ids=np.array(["a/1.png", "b/3.png", "a/1.png", "b/3.png"]))
    assert found.values.tolist() == ["old", "", "old", ""] and found.not_listed == 1


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        ("id,sex\na/1.png,f\n", {}, "people.csv has no column Age; "),
        ("who,age\na/1.png,1\n", {}, "no column of ids .* in who, age: name it with --id-column"),
        ("who,age\na/1.png,1\n", {"id_column": "whom"}, "no column whom in who, age"),
        ("id,age\nz/7.png,1\n", {}, "none of its 1 rows is about an image that is scored: its id is such as 'z/7.png'"),
        ("id,age\na/1.png,1\na/1.png,2\n", {}, r"row 2 \(line 3\): Age of 'a/1.png' is '2', in .* it is '1'"),
        ("id,age\na/1.png,NA\n", {}, "Age says nothing of any image"),
        ("id,age,age\na/1.png,1,2\n", {}, "two columns are called age"),
    ],
)
def test_what_cannot_be_matched_is_refused(text: str, options: dict[str, str], why: str):
    with pytest.raises(UserError, match=why):
        read(text, **options)
