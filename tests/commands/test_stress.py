"""A run under stress: whose model answers for which image, what the figures are, and what stays closed."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from html_reader import assert_sound
from small_run import COUNT, make_run

from fer_tl.commands.stress import StressResult, stress
from fer_tl.core.errors import UserError
from fer_tl.inference.stress.corruptions import CORRUPTIONS, SEVERITIES
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import load_predictions


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds two runs of the same data, not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_run("other")
        make_run("run")
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return RunFolder(Path("run"))


def ask(run: RunFolder, **options: object) -> StressResult:
    return stress(run.path, say=lambda line: None, **options)  # type: ignore[arg-type]


def test_every_image_is_answered_for_by_the_model_that_held_it_out(run: RunFolder):
    found = ask(run, corruptions="blur,noise").found
    right = [
        load_predictions(run.part(part) / "predictions.npz") for part in run.parts
    ]  # what each model said when it was scored
    saved = sum(int((each.logits.argmax(axis=1) == each.labels).sum()) for each in right)
    assert len(found.ids) == found.held_out == COUNT
    assert found.accuracy == saved / COUNT
    low, high = found.interval
    assert low < found.accuracy < high


def test_the_figures_agree_and_are_written(run: RunFolder):
    result = ask(run)
    found = result.found
    assert {kind.name for kind in found.levels} == set(CORRUPTIONS)
    levels = [level for each in found.levels.values() for level in each]
    assert found.mean == pytest.approx(np.mean([level.accuracy for level in levels]))
    assert all(level.lost == pytest.approx(found.accuracy - level.accuracy) for level in levels)
    assert all(level.lost_interval[0] <= level.lost <= level.lost_interval[1] for level in levels)
    assert len({level.accuracy for level in levels}) > 3  # the networks do not say the same of everything
    with (result.out_dir / "stress.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["corruption"], int(row["severity"])) for row in rows] == [
        ("none", 0),
        *((name, severity) for name in CORRUPTIONS for severity in SEVERITIES),
    ]
    assert [float(row["accuracy"]) for row in rows[1:]] == [level.accuracy for level in levels]
    assert_sound((result.out_dir / "index.html").read_text(encoding="utf-8"))
    assert "60 held-out images" in (result.out_dir / "table.md").read_text(encoding="utf-8")


def test_two_runs_see_the_same_images_and_no_split_is_opened(run: RunFolder):
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    first = ask(run, corruptions="noise", images=20, out="first").found
    second = ask(RunFolder(Path("other")), corruptions="noise", images=20, out="second").found
    assert first.ids.tolist() == second.ids.tolist()
    assert 2 <= len(first.ids) < COUNT
    assert np.array_equal(first.images, second.images)
    assert not (run.path / "evaluations.json").exists()
    assert {path: path.read_bytes() for path in before} == before


def test_again_gives_the_same_bytes(run: RunFolder):
    folder = ask(run, corruptions="rotation,jpeg").out_dir
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    ask(run, corruptions="rotation,jpeg")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_cannot_be_scored_is_refused_and_nothing_is_written(run: RunFolder):
    shutil.move("data", "elsewhere")
    with pytest.raises(UserError, match="--data-dir"):
        ask(run)
    with pytest.raises(UserError, match="two are the least"):
        ask(run, images=1)
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("x")
    with pytest.raises(UserError, match="other files"):
        ask(run, data_dir="elsewhere", out="mine")
    (run.part("fold-1") / "model.keras").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"fold-1"):
        ask(run, data_dir="elsewhere")
    assert not (run.path / "stress").exists()
