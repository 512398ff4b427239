"""One reader for the tables that people bring, and one way to find the example that a row is about."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fer_tl.core import csv_tables
from fer_tl.core.csv_tables import decimal, id_finder, is_missing, read_table
from fer_tl.core.errors import UserError


def read(folder: Path, content: str | bytes) -> list[tuple[str, str]]:
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(row.cells["id"], row.cells["n"]) for row in read_table(path, ("id", "n"), "numbers").rows]


@pytest.mark.parametrize("mark", [";", "|", "\t", ",", ":"])
def test_the_line_that_names_the_delimiter_is_obeyed(tmp_path: Path, mark: str) -> None:
    assert read(tmp_path, f"sep={mark}\nid{mark}n\na{mark}1\n") == [("a", "1")]
    assert read(tmp_path, f"\ufeffSEP={mark}\r\n\r\nid{mark}n\r\na{mark}1\r\n") == [("a", "1")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_with_and_without_a_mark(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, "id,n\nZoë,1\n".encode(encoding)) == [("Zoë", "1")]


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"t\.csv, line 3 is longer than 1,048,576 characters"):
        read(tmp_path, "id,n\na,1\nb," + "9" * (1 << 20))
    monkeypatch.setattr(csv_tables, "LARGEST", 10)
    with pytest.raises(UserError, match=r"has 12 bytes, more than 10"):
        read(tmp_path, "id,n\naaa,1\n\n")


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name, message in (("pipe", "is not a regular file"), ("link", "is not a regular"), ("none", "does not exist")):
        with pytest.raises(UserError, match=rf"{name} {message}.*: give a CSV of numbers with the columns id, n"):
            read_table(tmp_path / name, ("id", "n"), "numbers")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04" + bytes(30), r"t\.csv is a spreadsheet or an archive, not text: save the numbers as a CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", r"t\.csv is a spreadsheet or an archive"),
        (b" \r\n\n", r"t\.csv is empty: its first line has to name id, n"),
        (b"id\na\n", r"t\.csv: no column n in its first line \(id\); expected id, n"),
    ],
)
def test_what_is_no_such_table_is_told_for_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, content)
    with pytest.raises(UserError, match=r"none does not exist: give a CSV of names with the column id$"):
        read_table(tmp_path / "none", ("id",), "names")


def test_names_are_found_as_spreadsheets_and_systems_change_them() -> None:
    find = id_finder({"00012": "00012", "é": "é", " a ": " a ", "x.png": "x", "two": None, "05": "05", "5": "5"})
    asked = ("00012", "12", "12.0", "012", "e\u0301", "a", "x.png", "two", "5", "05", "005", "1.2", "")
    assert [find(name) for name in asked] == [
        "00012", "00012", "00012", "00012", "é", " a ", "x", None, "5", "05", None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"), [("0.25", 0.25), ("-0,212", -0.212), ("12,5", 12.5), ("1,2345", 1.2345), (" 7 ", 7.0)]
)
def test_numbers_have_a_point_or_a_comma(text: str, value: float) -> None:
    assert decimal(text) == value


@pytest.mark.parametrize("text", ["1,234", "1,234,5", "x", "", ",5", "1.000,5"])
def test_what_may_be_thousands_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        decimal(text)


def test_cells_that_say_nothing() -> None:
    assert all(map(is_missing, ("", "  ", "NaN", "nan ", "N/A", "#N/A", "NULL", "<NA>")))
    assert not any(map(is_missing, ("none", "neutral", "0", "-", "nana")))
