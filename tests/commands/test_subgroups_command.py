"""The verb ``subgroups``: a run by a column of a table, in every form, of what is saved alone."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hand_made_runs import COUNT, IDS, LABELS, build_data, logits_of, make_run
from html_reader import assert_sound
from latex_reader import assert_balanced

import fer_tl
from fer_tl.core.errors import UserError

LOGITS = logits_of(0, 3.0)
LOGITS[COUNT // 2 :] = logits_of(1, 0.0)[COUNT // 2 :]  # the second half is guessed


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build_data()
    make_run(Path("run"), LOGITS)
    rows = [f"{name},{'<b>old' if n >= COUNT // 2 else '=young'}" for n, name in enumerate(IDS)]
    Path("people.csv").write_text("\n".join(["id,Age", *rows[3:], "nobody,old"]) + "\n", encoding="utf-8")


def test_what_is_found_stands_in_table_page_and_terminal_whatever_values_are_called():
    said: list[str] = []
    result = fer_tl.subgroups("run", by="age", table="people.csv", say=said.append)
    assert result.out_dir == Path("run/by-age")
    assert {path.name for path in result.out_dir.iterdir()} == {"subgroups.csv", "table.md", "table.tex", "index.html"}
    with (result.out_dir / "subgroups.csv").open(newline="", encoding="utf-8") as lines:
        old, young, unknown = csv.DictReader(lines)
    right = (LOGITS.argmax(axis=1) == LABELS)[3:]
    assert (old["age"], young["age"], unknown["age"]) == ("<b>old", "'=young", "")
    expected = right[COUNT // 2 - 3 :].mean() - right[: COUNT // 2 - 3].mean()
    assert float(old["difference"]) == pytest.approx(expected) == -float(young["difference"])
    assert (int(young["images"]), int(young["groups"]), int(unknown["images"])) == (57, 29, 3)
    assert float(old["p_adjusted"]) < 0.001 and unknown["tested"] == "no"
    reader = assert_sound((result.out_dir / "index.html").read_text(encoding="utf-8"))
    assert "<b>old" in reader.text and "(not known)" in reader.text
    assert_balanced((result.out_dir / "table.tex").read_text(encoding="utf-8"))
    text = " ".join("\n".join(said).split())
    assert "3 of 120 images are not in people.csv; 1 of its rows are about no image that is scored." in text
    assert "Different, as far as these images tell (adjusted p up to 0.05): <b>old −" in text
    assert max(map(len, result.text.splitlines())) <= 100


def test_a_repeated_cross_validation_counts_each_image_once():
    folds = np.arange(COUNT) // 6 % 4
    make_run(Path("plain"), LOGITS, folds=folds)
    once = fer_tl.subgroups("plain", by="age", table="people.csv", say=lambda line: None).found
    assert sum(each.images for each in once.tested) + 3 == COUNT == once.images


def test_without_a_dataset_each_image_stands_for_itself_and_it_says_so():
    found = fer_tl.subgroups("run", by="age", table="people.csv", data_dir="elsewhere", say=lambda line: None)
    assert "the dataset is not at hand" in found.text
    assert [each.groups for each in found.found.tested] == [60, 57]


def test_what_cannot_be_scored_is_refused():
    make_run(Path("half"), LOGITS, done=[0, 1])
    Path("photos").mkdir()
    Path("photos/me.jpg").touch()
    for options, why in (
        ({"by": "sex", "table": "people.csv"}, "people.csv has no column sex"),
        ({"by": "age"}, "examples.csv"),
        ({"by": "age", "table": "people.csv", "split": "test"}, "fer-tl evaluate run --split test"),
        ({"by": "age", "table": "people.csv", "out": "photos"}, "photos holds other files"),
        ({"by": "age", "table": "people.csv", "run_dir": "half"}, "half"),
    ):
        with pytest.raises(UserError, match=why):
            fer_tl.subgroups(**{"run_dir": "run", **options}, say=lambda line: None)
