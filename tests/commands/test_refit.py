"""A refit learns all training images for as long as the folds did, claims no accuracy, and quotes that of its folds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_run import COUNT, IMAGES, make_run

import fer_tl
from fer_tl.core.config import Schedule
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.evaluation.run_contents import open_contents
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.history import read_history, write_history
from fer_tl.runs.part import describe_files
from fer_tl.runs.predictions import load_predictions
from fer_tl.training.schedules import rate_factors

pytestmark = pytest.mark.usefixtures("light_figures")

EPOCHS, RATE = 6, 0.002
KEPT = [2, 4, 3]  # by fold, of the main stage, after a head stage of one epoch
SETTINGS = {"alpha": 0.5, "image_size": 16, "batch_size": 16, "epochs": EPOCHS, "head_epochs": 1, "early_stopping": 2}


def quiet(verb: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return verb(*arguments, say=lambda line: None, **options)


def make_source(name: str, **settings: Any) -> RunFolder:
    """A cross validation whose folds kept these epochs."""
    run = make_run(name, **SETTINGS | {"optimizer": fer_tl.core.config.Optimizer(rate=RATE)} | settings)
    for part, kept in zip(run.parts, KEPT, strict=True):
        stages = ["head"] + ["main"] * (kept + 1)
        rows = [{"stage": stage, "epoch": number, "loss": 1.0} for number, stage in enumerate(stages, 1)]
        write_history(run.part(part) / "history.csv", rows)
        found = {"epochs": kept + 2, "kept_epoch": kept + 1, "files": describe_files(run.part(part))}
        write_json(run.part(part) / "result.json", found)
    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds ``run``, its refit ``run-refit`` and their dataset, not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_source("run")
        quiet(fer_tl.refit, "run")
    return folder


@pytest.fixture
def full(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A copy of the refit, in the current folder."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return RunFolder(Path("run-refit"))


def test_it_learns_every_image_for_the_median_of_the_epochs_on_the_same_rates(full: RunFolder):
    result = read_json(full.part("model") / "result.json")
    assert (result["trained_on"], result["held_out"], result["watched"]) == (COUNT, 0, 0)
    assert "accuracy" not in result and not len(load_predictions(full.part("model") / "predictions.npz").ids)
    history = read_history(full.part("model") / "history.csv")
    assert [row["stage"] for row in history] == ["head", "main", "main", "main"]
    steps = -(-COUNT // 16)
    rates = [RATE * rate_factors(Schedule(), epoch * steps, steps, steps, EPOCHS)[-1] for epoch in range(3)]
    assert [row["learning_rate"] for row in history[1:]] == pytest.approx(rates)
    experiment = full.read_experiment()
    assert (experiment.early_stopping, experiment.head_epochs, experiment.stop_after) == (0, 1, 3)


def test_it_says_from_which_run_it_is_and_what_to_expect(full: RunFolder):
    summary = open_contents(RunFolder(Path("run")), None).held_out.summary  # type: ignore[union-attr]
    about = full.read_run()["refit"]
    assert (about["run"], about["number"], about["kept_epochs"]) == ("run", 3, KEPT)
    assert about["accuracy"] == pytest.approx(summary.pooled.accuracy)
    assert about["interval"] == pytest.approx(list(summary.intervals["accuracy"]))
    expected = f"{100 * summary.pooled.accuracy:.1f} % (95 % interval"
    text = quiet(fer_tl.report, "run-refit").text
    assert "not measured" in text and expected in text
    assert "the median of the epochs that the folds of run kept: 2, 4, 3" in text
    model = fer_tl.load("run-refit")
    assert expected in model.calibration and "the median of the 3 models of run" in model.calibration
    assert model.temperature == pytest.approx(about["temperature"])
    assert model.predict(list(IMAGES[:3])).probabilities.shape == (3, 3)


def test_the_same_command_again_finds_it_done_and_other_models_are_refused(full: RunFolder):
    before = (full.part("model") / "model.keras").read_bytes()
    lines: list[str] = []
    assert fer_tl.refit("run", say=lines.append).run_dir.name == "run-refit"
    assert any("done before" in line for line in lines)
    assert (full.part("model") / "model.keras").read_bytes() == before
    about = read_json(full.path / "run.json")
    write_json(full.path / "run.json", about | {"refit": about["refit"] | {"models": "0" * 64}})
    with pytest.raises(UserError, match="holds a refit of other models than run's: give another --run-dir"):
        quiet(fer_tl.refit, "run")


def test_it_opens_test_and_exports_and_what_needs_unseen_images_is_one_line(full: RunFolder):
    assert list(quiet(fer_tl.evaluate, "run-refit").predictions) == ["model"]
    card = quiet(fer_tl.export, "run-refit", out="exported").out_dir.joinpath("MODEL_CARD.md").read_text()
    assert "not measured" in card and f"all {COUNT} images of its training split" in card
    assert "images of folder/own that it was trained on" in card
    quiet(fer_tl.evaluate, "run")
    assert len(quiet(fer_tl.compare, ["run", "run-refit"], split="test").rows) == 2
    refused: list[Callable[[], Any]] = [
        lambda: quiet(fer_tl.compare, ["run", "run-refit"]),
        lambda: quiet(fer_tl.audit, "run-refit"),
        lambda: quiet(fer_tl.ensemble, ["run", "run-refit"]),
        lambda: quiet(fer_tl.explain, "run-refit", errors=3),
        lambda: quiet(fer_tl.export, "run-refit", format="tflite", int8=True),
        lambda: quiet(fer_tl.stress, "run-refit"),
    ]
    for call in refused:
        with pytest.raises(
            UserError, match=r"run-refit is a refit of run on all training images and holds none out: \w"
        ) as error:
            call()
        assert "\n" not in str(error.value)
    with pytest.raises(
        UserError, match="run-refit is a run of fer-tl refit: a refit is of a finished run of fer-tl cv"
    ):
        quiet(fer_tl.refit, "run-refit")


def test_what_cannot_be_refitted_is_one_line_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    make_source("leaky", group_folds=False)
    make_source("slowing", schedule=Schedule(kind="plateau"))
    make_source("partial")
    shutil.rmtree("partial/fold-1")
    before = sorted(Path().rglob("*"))
    for name, message in (("leaky", "copies flatter"), ("slowing", "plateau"), ("partial", "unfinished")):
        with pytest.raises(UserError, match=message):
            quiet(fer_tl.refit, name)
    with pytest.raises(UserError, match=r"none does not exist: give the folder of a run"):
        quiet(fer_tl.refit, "none")
    assert sorted(Path().rglob("*")) == before
