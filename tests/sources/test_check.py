"""What a source hands to a build is checked at the border, each mistake in one line that names the record."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_tl import sources
from fer_tl.core.errors import UserError
from fer_tl.sources.check import check_source, checked_records
from fer_tl.sources.format import Format
from fer_tl.sources.format import _built_in as built_in
from fer_tl.sources.records import Record, Source

IMAGE = np.zeros((4, 6, 1), np.uint8)
GOOD: dict[str, Any] = {"split": "train", "id": "a", "label": 1, "image": IMAGE, "group": "g"}


class Given(Source):
    kind, name = "given", "records"

    def __init__(self, records: list[Any], shape: Any = IMAGE.shape, names: Any = ("happy", "sad")) -> None:
        self._records, self._shape, self.class_names = records, shape, names

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self._shape

    def total(self) -> int:
        return len(self._records)

    def records(self) -> Iterator[Record]:
        return iter(self._records)

    def sha256(self) -> str:
        return "0" * 64

    def warnings(self) -> list[str]:
        return []


WRONG = {
    "a tuple": (("train", "a", 1, IMAGE, "g"), "it is a tuple, not a Record"),
    "id": ({"id": 5}, "its id is 5, not a text of one line"),
    "no id": ({"id": ""}, "its id is '', not"),
    "two lines": ({"id": "a\nb"}, r"its id is 'a\\nb', not"),
    "no group": ({"group": ""}, "its group is '', not"),
    "negative label": ({"label": -1}, "its label is -1, not 0 to 1"),
    "label too large": ({"label": 2}, "its label is 2, not 0 to 1"),
    "text as label": ({"label": "1"}, "its label is '1', not a whole number"),
    "float as label": ({"label": 1.0}, "its label is 1.0, not a whole number"),
    "split": ({"split": "dev"}, "its split is 'dev', not train, validation, test or None"),
    "shape": ({"image": IMAGE[..., 0]}, r"its image is uint8 \(4, 6\), not uint8 \(4, 6, 1\)"),
    "dtype": ({"image": IMAGE.astype(np.float32)}, "its image is float32"),
    "targets": ({"targets": np.ones(3, np.float32)}, r"its targets are float32 \(3,\), not float32 \(2,\)"),
    "measure": ({"measures": {"valence": float("nan")}}, "its measure 'valence' is nan; use"),
    "measure's name": ({"measures": {"how old": 30.0}}, "its measure 'how old' is 30.0; use a-z"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_record_is_one_line(changes: Any, message: str) -> None:
    wrong = changes if isinstance(changes, tuple) else Record(**GOOD | changes)
    records = checked_records(Given([Record(**GOOD), wrong]))
    assert next(records).label == 1
    with pytest.raises(UserError, match=rf"records \(given\), record 1.*: {message}") as caught:
        next(records)
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_are_numbers() -> None:
    (record,) = checked_records(Given([Record(**GOOD | {"label": np.int64(1)})]))
    assert type(record.label) is int


@pytest.mark.parametrize(
    ("shape", "names", "message"),
    [
        ((16, 20, 4), ("a",), "image_shape is"),
        ((16, 20), ("a",), "image_shape is"),
        (IMAGE.shape, ("a", "a"), "class_names are"),
        (IMAGE.shape, (1, 2), "class_names are"),
        (IMAGE.shape, (), "class_names are"),
    ],
)
def test_what_no_dataset_can_have_is_refused(shape: Any, names: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        next(checked_records(Given([], shape, names)))


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        ("no.such.module:open", "cannot be imported"),
        ("fer_tl.sources.check:nothing", "cannot be imported"),
        ("a/b.py", "cannot be imported"),
        ("pathlib:Path", "returned a .*Path, not a fer_tl.sources.records.Source"),
    ],
)
def test_a_reader_that_is_none_is_named(tmp_path: Path, reader: str, message: str) -> None:
    with pytest.raises(UserError, match=f"{reader}.*'mine'.*{message}"):
        Format("mine", "files", reader).open(tmp_path)


SELF = {
    "kind": ({"kind": None}, "kind is None, not a text"),
    "name": ({"name": 3}, "name is 3, not a text"),
    "no options": ({}, "options is None, not a dict of texts"),
    "numbers in options": ({"options": {"tone": 3}, "notes": ()}, r"options are {'tone': 3}, not a dict of texts"),
    "notes": ({"options": {}, "notes": [3]}, r"notes is \[3\], not a list of texts"),
    "hash": ({"options": {}, "notes": (), "sha256": lambda: "abc"}, r"sha256\(\) gives 'abc', not 64 hexadecimal"),
}


@pytest.mark.parametrize(("given", "message"), SELF.values(), ids=SELF)
def test_what_a_source_says_of_itself_is_checked(given: dict[str, Any], message: str) -> None:
    source = Given([])
    for name, value in given.items():
        setattr(source, name, value)
    with pytest.raises(UserError, match=f"a source of the class Given: {message}"):
        check_source(source)


def test_what_reading_raises_is_told_with_its_line_and_the_number_of_records() -> None:
    class Broken(Given):
        def records(self) -> Iterator[Record]:
            yield Record(**GOOD)
            yield Record(**GOOD | {"label": int("three")})

    with pytest.raises(UserError, match=r"^records \(given\): reading record 1 fails: ValueError: .*test_check"):
        list(checked_records(Broken([])))


def test_a_total_that_is_not_kept_is_told() -> None:
    class Short(Given):
        def total(self) -> int:
            return 7

    with pytest.raises(UserError, match=r"total\(\) promises 7 records, and records\(\) gives 1"):
        list(checked_records(Short([Record(**GOOD)])))


def test_a_reader_that_fails_is_named(tmp_path: Path) -> None:
    form = Format("mine", "mine", f"{__name__}:Given")  # is given a path, and options that it does not take
    with pytest.raises(UserError, match=r"Given\(path, tone=\) of the dataset format 'mine' fails: TypeError"):
        form.open(tmp_path, tone=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "declares no format"),
        ("FORMAT = 3", "declares no format"),
        ("FOLDER", "another folder declares .*'folder'"),
    ],
)
def test_a_folder_of_formats_that_declares_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    (tmp_path / "zz_mine").mkdir()
    text = text.replace("FOLDER", "from fer_tl.sources.folder import FORMAT")
    (tmp_path / "zz_mine" / "__init__.py").write_text(text)
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    try:
        with pytest.raises(UserError, match=f"zz_mine.__init__.py.* {message}"):
            built_in.__wrapped__()
    finally:
        sys.modules.pop("fer_tl.sources.zz_mine", None)
        vars(sources).pop("zz_mine", None)
