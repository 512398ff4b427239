"""FER+'s votes are joined to the rows they belong to, or refused in one clear line."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from fer_files import USAGE, csv_text, image_files, make_faces, write_folder, zip_bytes

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.sources.fer2013.csv_source import CsvSource
from fer_tl.sources.fer2013.ferplus import read_ferplus
from fer_tl.sources.fer2013.open_source import open_source
from fer_tl.sources.records import Record, Source
from fer_tl.sources.votes import COLUMNS

FACES = make_faces()  # 28: seven of each split in turn, train twice
HEADER = "Usage,Image name," + ",".join(COLUMNS)
PLACES = {"angry": 4, "disgust": 5, "fear": 6, "happy": 1, "sad": 3, "surprise": 2, "neutral": 0}

# Rows whose votes are not the face's own label; the others have 7 votes for it, 2 for neutral and one for unknown.
SPECIAL = {
    3: [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
    5: [2, 0, 0, 0, 0, 0, 0, 8, 0, 0],
    8: [0, 0, 0, 3, 3, 0, 0, 2, 2, 0],
    12: [0, 9, 1, 0, 0, 0, 0, 0, 0, 0],
}
LEFT_OUT = {"majority": [3, 5, 8], "soft": [3, 5]}


def votes_on(row: int) -> list[int]:
    votes = [2, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    votes[PLACES[CLASS_NAMES[FACES[row][1]]]] += 7
    return SPECIAL.get(row, votes)


def line(row: int, usage: str | None = None) -> str:
    name = "" if row == 3 else f"fer{row * 2:07d}.png"
    return ",".join([usage or USAGE[FACES[row][0]], name, *map(str, votes_on(row))])


LINES = [line(row) for row in range(len(FACES))]
TEXT = "\n".join([HEADER, *LINES]) + "\n"


def opened(folder: Path, mode: str = "majority", table: str | bytes = TEXT, faces: str = csv_text(FACES)) -> Source:
    (folder / "fer2013.csv").write_text(faces)
    (folder / "fer2013new.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    return open_source(folder / "fer2013.csv", None, folder / "fer2013new.csv", mode)


def read(source: Source) -> dict[int, Record]:
    """Everything that a source gives, by row; its counts agree with that."""
    assert isinstance(source, CsvSource)
    with closing(source):
        found = {int(record.id): record for record in source.records()}
        assert source.total() == len(found) == sum(sum(split.values()) for split in source.counts().values())
        assert sorted(map(int, source.names())) == sorted(found)
    return found


@pytest.mark.parametrize("mode", ["majority", "soft"])
def test_labels_are_those_of_the_votes_on_the_same_row(tmp_path: Path, mode: str) -> None:
    source = opened(tmp_path, mode)
    found = read(source)
    assert sorted(set(range(28)) - set(found)) == LEFT_OUT[mode]
    for row, record in found.items():
        split, label, pixels = FACES[row]
        expected = {8: "angry", 12: "happy"}.get(row, CLASS_NAMES[label])
        assert (record.split, CLASS_NAMES[record.label]) == (split, expected)
        np.testing.assert_array_equal(record.image[..., 0], pixels)
        assert (record.targets is None) == (mode == "majority")
    if mode == "soft":
        shares = {"happy": 7 / 9, "neutral": 2 / 9}
        targets = found[10].targets
        assert targets is not None
        np.testing.assert_allclose(targets, [shares.get(name, 0) for name in CLASS_NAMES], rtol=1e-6)
    sha256 = hashlib.sha256(TEXT.encode()).hexdigest()
    assert source.options == {"ferplus": sha256, "votes": mode}
    lines = source.warnings()
    reasons = "1 contempt, 1 not a face" + (", 1 no majority" if mode == "majority" else "")
    assert any(f"FER+ votes, {mode}: " in text and f"({reasons})" in text for text in lines)
    assert any("FER-2013's own label in 96.0% of the 25 rows" in text for text in lines) == (mode == "majority")
    assert any("train has 14 images" in text for text in lines)  # it is the emotion column that is compared
    assert source.class_names == CLASS_NAMES


def test_votes_decide_where_the_emotion_is_contempt(tmp_path: Path) -> None:
    rows = csv_text(FACES).split("\n")
    rows[1 + 4] = "contempt" + rows[1 + 4][1:]
    found = read(opened(tmp_path, faces="\n".join(rows)))
    assert CLASS_NAMES[found[4].label] == "sad"


def swapped(text: str) -> str:
    """Columns in another order, and one more."""
    rows = [row.split(",") for row in text.splitlines()]
    return "".join(",".join([str(i), *row[:1:-1], row[0]]) + "\n" for i, row in enumerate(rows))


WRITINGS = {
    "crlf": TEXT.replace("\n", "\r\n").encode(),
    "byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "utf-16": TEXT.encode("utf-16"),
    "semicolons": TEXT.replace(",", ";").encode(),
    "case and spaces": TEXT.replace(HEADER, HEADER.upper().replace(",", " , ")).encode(),
    "other order": swapped(TEXT).encode(),
    "zip": zip_bytes({"FERPlus-master/README.md": b"read", "FERPlus-master/fer2013new.csv": TEXT.encode()}),
}


@pytest.mark.parametrize("data", WRITINGS.values(), ids=WRITINGS)
def test_every_writing_reads_the_same(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "votes").write_bytes(data)
    table = read_ferplus(tmp_path / "votes", "majority")
    assert table.splits == [split for split, _, _ in FACES]
    labels = [verdict.label for verdict in table.verdicts]
    assert [row for row, label in enumerate(labels) if label is None] == LEFT_OUT["majority"]
    assert labels[12] == CLASS_NAMES.index("happy") and labels[4] == CLASS_NAMES.index("sad")


def table(*lines: str) -> str:
    return "\n".join([HEADER, *lines]) + "\n"


BAD = {
    "one row less": (table(*LINES[:-1]), r"fer2013new\.csv has 27 rows, but fer2013\.csv has 28: .*official"),
    "another Usage": (table(*LINES[:9], line(9, "Training"), *LINES[10:]), "row 10 is in train .* but in validation"),
    "another order": (table(*LINES[7:], *LINES[:7]), "row 1 is in validation .* but in train"),
    "another order within splits": (
        table(*(",".join([USAGE[FACES[row][0]], "", *LINES[(row + 1) % 28].split(",")[2:]]) for row in range(28))),
        r"agrees with the emotions .* on \d%.*by chance \(1\d%\): .*official",
    ),
    "a word": (table(*LINES[:4], "Training,,1,2,x,0,0,0,0,0,0,0"), r"row 5 \(line 6\): surprise is 'x', not a number"),
    "truncated": (table(*LINES[:4], "Training,fer.png,1,2"), r"row 5 \(line 6\): 4 cells for the 12 columns"),
    "surplus cells": (table(LINES[0] + ",7"), "row 1 .*: 13 cells for the 12 columns"),
    "Usage": (table("Nothing" + LINES[0].removeprefix("Training")), "row 1 .*: unknown Usage 'Nothing'"),
    "no rows": (table(), "a header but no rows"),
    "no votes": (
        csv_text(FACES),
        r"has no column neutral: give FER\+'s fer2013new\.csv, which begins Usage,Image name",
    ),
    "of image folders": ('fer0.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0\n', "no column Usage"),
    "web page": ("<html>", "web page"),
    "two tables": (zip_bytes({"a.csv": TEXT.encode(), "b.csv": b"b"}), "holds 2 files .*fer2013new.csv: give one"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught, closing(opened(tmp_path, table=content)) as source:
        source.total()
    assert "\n" not in str(caught.value)


def test_sources_without_the_official_rows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "fer2013new.csv").write_text(TEXT)
    write_folder(tmp_path / "images", image_files(FACES, "train/{name}/{usage}_{index}.png"))
    parts = {f"{name}.csv": csv_text(FACES[:7]).encode() for name in ("train", "test")}
    write_folder(tmp_path / "parts", parts)
    (tmp_path / "train.csv").write_text(csv_text(FACES, "emotion,pixels"))
    for name, message in (
        ("images", "images holds images, whose names do not tell the row"),
        ("parts", "parts is not a single table with a Usage column"),
        ("train.csv", "train.csv is not a single table with a Usage column"),
    ):
        with pytest.raises(UserError, match=rf"{message}.*: give fer2013\.csv") as caught:
            open_source(tmp_path / name, None, tmp_path / "fer2013new.csv")
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="votes is 'mean'"):
        opened(tmp_path, "mean")
    with pytest.raises(UserError, match=r"none\.csv does not exist"):
        open_source(tmp_path / "train.csv", None, tmp_path / "none.csv")
