"""The ledger of a data folder: who opened what, counted over runs, never lost and never in the way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from made_run import make_faces, make_run

from fer_tl.core.errors import UserError
from fer_tl.evaluation import openings
from fer_tl.evaluation.openings import (
    LEDGER,
    Standing,
    key_of_run,
    ordinal,
    read_ledger,
    read_openings,
    record_opening,
    standing,
)
from fer_tl.runs.folder import RunFolder

OPENED = {"dataset": "folder/mine", "split": "test", "date": "2026-08-01T10:00:00+00:00"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def made(path: Path, seed: int = 0) -> RunFolder:
    """A run whose results are of this seed alone."""
    run = RunFolder(path)
    make_run(path, make_faces(count=30 + 3 * seed), "train")
    (run.part("model") / "model.keras").write_bytes(str(seed).encode())
    result = json.loads((run.part("model") / "result.json").read_text())
    result.pop("files", None)  # as version 0.1.0 wrote it: the model itself tells the run
    (run.part("model") / "result.json").write_text(json.dumps(result))
    return run


def test_models_are_counted_by_dataset_and_split(data: Path, tmp_path: Path):
    runs = [made(tmp_path / f"run-{seed}", seed) for seed in range(3)]
    for day, run in enumerate(runs, start=1):
        assert record_opening(data, run, {**OPENED, "date": f"2026-08-0{day}"}) == ""
    record_opening(data, runs[0], {**OPENED, "date": "2026-08-09"})  # again: no further model
    record_opening(data, runs[0], {**OPENED, "split": "validation"})
    assert [str(standing(data, "folder/mine", "test", run)) for run in runs] == [
        "the 1st of 3 models opened on it",
        "the 2nd of 3 models opened on it",
        "the 3rd of 3 models opened on it",
    ]
    assert standing(data, "folder/mine", "validation", runs[0]).models == 1
    assert standing(data, "expw", "test", runs[0]).models == 0
    new = made(tmp_path / "new", 3)
    assert standing(data, "folder/mine", "test", new) == Standing(0, 3)
    assert str(standing(data, "folder/mine", "test", new, opening=True)) == "the 4th of 4 models opened on it"


def test_two_openings_of_one_second_are_two(data: Path, tmp_path: Path):
    run = made(tmp_path / "run")
    record_opening(data, run, OPENED)
    record_opening(data, run, OPENED, [OPENED])
    assert [entry["date"] for entry in read_ledger(data)] == [OPENED["date"]] * 2


def test_a_run_is_the_same_wherever_it_lies(data: Path, tmp_path: Path):
    run = made(tmp_path / "here")
    record_opening(data, run, OPENED)
    (tmp_path / "there").mkdir()
    moved = RunFolder((tmp_path / "here").rename(tmp_path / "there" / "moved"))
    assert str(standing(data, "folder/mine", "test", moved)) == "the 1st of 1 model opened on it"
    assert key_of_run(moved) != key_of_run(made(tmp_path / "other", 1))
    make_run(tmp_path / "new", make_faces(count=30), "train")
    new = RunFolder(tmp_path / "new")
    key = key_of_run(new)
    (new.part("model") / "model.keras").unlink()  # its record tells which it was
    assert key_of_run(new) == key


def test_openings_of_before_the_ledger_are_added_once(data: Path, tmp_path: Path):
    run = made(tmp_path / "run")
    earlier = [{**OPENED, "date": "2026-07-01"}, {**OPENED, "date": "2026-07-02"}]
    record_opening(data, run, {**OPENED, "date": "2026-08-01"}, earlier)
    record_opening(data, run, {**OPENED, "date": "2026-08-02"}, [*earlier, {**OPENED, "date": "2026-08-01"}])
    assert [entry["date"] for entry in read_ledger(data)] == ["2026-07-01", "2026-07-02", "2026-08-01", "2026-08-02"]


@pytest.mark.parametrize("left", [b'{"run": "x", "datas', b"\xff\xfe", b"[" * 5000, b"[1, 2]", b'{"run": 3}'])
def test_a_line_that_was_left_half_costs_no_other(data: Path, tmp_path: Path, left: bytes):
    run = made(tmp_path / "run")
    record_opening(data, run, OPENED)
    with (data / LEDGER).open("ab") as file:
        file.write(left)
    record_opening(data, run, {**OPENED, "date": "2026-08-02"})
    assert len(read_ledger(data)) == 2
    assert (data / LEDGER).read_bytes().count(left) == 1  # only ever added to


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_may_not_be_written_is_said(data: Path, tmp_path: Path):
    data.chmod(0o500)
    try:
        assert "cannot be written" in record_opening(data, made(tmp_path / "run"), OPENED)
    finally:
        data.chmod(0o700)


def test_what_is_no_ledger_is_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(openings, "_MOST_BYTES", 100)
    (data / LEDGER).write_bytes(bytes(101))
    with pytest.raises(UserError, match=r"openings\.jsonl is not the ledger"):
        read_ledger(data)
    (data / LEDGER).unlink()
    (data / LEDGER).mkdir()
    with pytest.raises(UserError, match=r"openings\.jsonl is not the ledger"):
        standing(data, "folder/mine", "test", made(tmp_path / "run"))


def test_two_processes_that_write_at_once_lose_no_line(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first, second = made(tmp_path / "first"), made(tmp_path / "second", 1)
    record_opening(data, first, OPENED)
    write, others = os.write, [second]

    def slow(descriptor: int, line: bytes) -> int:
        if others:
            record_opening(data, others.pop(), OPENED)
        return write(descriptor, line)

    monkeypatch.setattr(openings.os, "write", slow)
    record_opening(data, first, {**OPENED, "date": "2026-09-01"})
    assert [entry["run"] for entry in read_ledger(data)] == [key_of_run(run) for run in (first, second, first)]


def test_runs_stand_by_the_date_of_their_opening_and_not_by_the_order_of_lines(data: Path, tmp_path: Path):
    """Two data folders may have been joined."""
    late, early = made(tmp_path / "late"), made(tmp_path / "early", 1)
    record_opening(data, late, {**OPENED, "date": "2026-08-02"})
    record_opening(data, early, {**OPENED, "date": "2026-08-01"})
    assert [standing(data, "folder/mine", "test", run).place for run in (late, early)] == [2, 1]


@pytest.mark.parametrize(
    "text",
    ["[", '{"split": "test"}', "[3]", '[{"date": "2026"}]', '[{"split": "test"}]', '[{"split": 3}]', "5"],
)
def test_damaged_records_of_a_run_are_one_line(tmp_path: Path, text: str):
    run = made(tmp_path / "run")
    (run.path / "evaluations.json").write_text(text)
    with pytest.raises(UserError, match=r"evaluations\.json .*: put it back; without it nobody knows what was opened"):
        read_openings(run)


def test_numbers_are_spelled():
    spelled = [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111)]
    assert spelled == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th"]
