"""The verbs from a folder of images to a scored test split, and what the run's folder says of it."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import resource
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import fer_tl
from fer_tl.commands._part_result import PartResult
from fer_tl.commands._report_folds import CvResult, report_folds
from fer_tl.commands.evaluate import EvaluationResult
from fer_tl.commands.train import FitResult
from fer_tl.core import lock
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.config import Experiment
from fer_tl.core.errors import TrainingFailed, UserError
from fer_tl.core.files import write_json
from fer_tl.core.lock import hold
from fer_tl.data.dataset import Dataset
from fer_tl.devices import broadcast
from fer_tl.devices.choose import choose_devices
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import EVENTS, describe_files
from fer_tl.runs.predictions import load_predictions, save_predictions
from fer_tl.runs.saved_model import load_model, save_model
from fer_tl.sources.toyfaces import source as toyfaces
from fer_tl.training import loop, prepare_run, session
from fer_tl.training.loop import Loop

pytestmark = pytest.mark.usefixtures("thin_backbone", "light_figures")

FIGURES = {f"{name}.{kind}" for name in ("confusion", "learning_curves", "reliability") for kind in ("png", "pdf")}
COUNTS = {"train": 8, "validation": 3, "test": 4}  # images of each of the seven classes
PART = {"model.keras", "predictions.npz", "history.csv", "result.json", "timing.json", EVENTS}


def write_faces(root: Path, faces: Dataset) -> None:
    """``root/<split>/<class>/*.png``."""
    for label, name in enumerate(CLASS_NAMES):
        rows = iter(np.flatnonzero(faces.labels == label))
        for split, count in COUNTS.items():
            (root / split / name).mkdir(parents=True)
            for _ in range(count):
                row = next(rows)
                Image.fromarray(faces.images[row, :, :, 0]).save(root / split / name / f"{row}.png")


@pytest.fixture(scope="module")
def data_dir(make_faces: Callable[..., Dataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_faces(root / "source", make_faces(400, side=16))
    fer_tl.build("folder/tiny", source=root / "source", data_dir=root, shards=1, image_size=16, say=lambda line: None)
    return root


@pytest.fixture(scope="module")
def poisoned(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same dataset, except that its test split cannot be read."""
    root = tmp_path_factory.mktemp("poisoned") / "data"
    shutil.copytree(data_dir, root, ignore=shutil.ignore_patterns(".cache"))
    shards = [path for path in root.rglob("*tfrecord*") if "-test.tfrecord" in path.name]
    assert shards
    for shard in shards:
        shard.write_bytes(b"\xff" * shard.stat().st_size)
    return root


def settings(data_dir: Path, run_dir: Path, **options: object) -> Experiment:
    return fer_tl.load_experiment(
        data="folder/tiny",
        data_dir=str(data_dir),
        run_dir=str(run_dir),
        backbone="shallow_cnn",
        weights="none",
        alpha=0.5,
        image_size=16,
        folds=2,
        epochs=1,
        batch_size=16,
        **options,
    )


@pytest.fixture(scope="module")
def cv(poisoned: Path, tmp_path_factory: pytest.TempPathFactory) -> CvResult:
    """On the dataset without a readable test split: a cross validation must not notice."""
    return fer_tl.cross_validate(settings(poisoned, tmp_path_factory.mktemp("cv") / "run"), say=lambda line: None)


@pytest.fixture(scope="module")
def evaluated(cv: CvResult, data_dir: Path) -> list[EvaluationResult]:
    """The test split opened twice."""
    return [fer_tl.evaluate(cv.run_dir, data_dir=data_dir, say=lambda line: None) for _ in range(2)]


@pytest.fixture(scope="module")
def fitted(poisoned: Path, tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    return fer_tl.fit(settings(poisoned, tmp_path_factory.mktemp("fit") / "run"), say=lambda line: None)


@pytest.fixture
def run_copy(cv: CvResult, tmp_path: Path) -> Path:
    """For tests that change the run."""
    return Path(shutil.copytree(cv.run_dir, tmp_path / "run"))


def run_experiment(cv: CvResult) -> Experiment:
    return fer_tl.load_experiment(cv.run_dir / "config.yaml")


def ids_of(data_dir: Path, split: str) -> list[str]:
    return sorted(fer_tl.load_dataset("folder/tiny", data_dir, split).ids.tolist())


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def bytes_below(folder: Path, pattern: str = "**/*") -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob(pattern) if path.is_file()}


def forbid_training(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "Loop", None)
    patch.setattr("fer_tl.training.session.Session", None)


def test_cross_validation_leaves_a_whole_run(cv: CvResult):
    parts = {f"fold-{fold}/{name}" for fold in (0, 1) for name in PART}
    tables = {"table.csv", "table.md", "confusion.csv", "result.json", EVENTS, *FIGURES}
    written = {name for name in files_below(cv.run_dir) if not name.startswith("evaluat")}
    assert written == parts | tables | {"config.yaml", "run.json", "environment.json", "folds.csv"}
    [environment] = json.loads((cv.run_dir / "environment.json").read_text())
    assert environment["versions"]["tensorflow"]
    assert environment["weights"] == "none" and re.fullmatch("[0-9a-f]{16}", environment["kernel_checksum"])
    assert (cv.run_dir / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_every_training_image_is_scored_once_in_its_fold(cv: CvResult, data_dir: Path):
    with (cv.run_dir / "folds.csv").open(newline="") as lines:
        table = {row["id"]: int(row["fold"]) for row in csv.DictReader(lines)}
    assert sorted(table) == ids_of(data_dir, "train")
    assert sorted(np.concatenate([fold.ids for fold in cv.folds]).tolist()) == sorted(table)
    for number, fold in enumerate(cv.folds):
        assert {table[i] for i in fold.ids} == {number}


def test_values_tables_and_files_are_those_of_the_saved_predictions(cv: CvResult):
    saved = [load_predictions(cv.run_dir / f"fold-{fold}" / "predictions.npz") for fold in (0, 1)]
    right = [np.mean(fold.probabilities.argmax(axis=1) == fold.labels) for fold in saved]
    assert [fold.accuracy for fold in cv.summary.folds] == pytest.approx(right)
    assert cv.summary.mean["accuracy"] == pytest.approx(np.mean(right))
    result = json.loads((cv.run_dir / "result.json").read_text())
    assert result["mean"]["accuracy"] == pytest.approx(np.mean(right))
    with (cv.run_dir / "table.csv").open(newline="") as lines:
        table = {row["fold"]: row for row in csv.DictReader(lines)}
    assert [float(table[str(fold)]["accuracy"]) for fold in (0, 1)] == pytest.approx(right, abs=1e-4)
    assert f"{100 * np.mean(right):.1f}" in cv.text


def test_a_finished_run_is_only_reported(cv: CvResult, run_copy: Path, monkeypatch: pytest.MonkeyPatch):
    forbid_training(monkeypatch)
    before = bytes_below(run_copy)
    reports = [path for path in run_copy.iterdir() if path.is_file() and path.suffix in (".csv", ".md", ".png")]
    for path in [*reports, run_copy / "result.json"]:
        path.unlink()
    for name in (".4711.confusion.png", "fold-0/.4711.result.json", "fold-0/checkpoint-000009.npz"):
        (run_copy / name).write_text("what a killed process left")
    again = fer_tl.cross_validate(replace(run_experiment(cv), run_dir=str(run_copy)), say=lambda line: None)
    after = bytes_below(run_copy)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == set()  # what was deleted comes back the same
    assert again.text == cv.text


def test_a_full_disk_and_a_failed_fold_cost_nothing_but_what_is_missing(
    cv: CvResult, run_copy: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    before = bytes_below(run_copy)
    shutil.rmtree(run_copy / "fold-1")
    experiment = replace(run_experiment(cv), run_dir=str(run_copy))
    lines: list[str] = []

    def fold_0() -> dict[str, bytes]:
        return bytes_below(run_copy, "fold-0/*")

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as full:
            fer_tl.cross_validate(experiment, say=lines.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "fold-1" in full.value.filename
    assert not {name for name in files_below(run_copy) if "/." in name or name.startswith(".")}
    assert capfd.readouterr().err == ""
    assert any(line.startswith("fold-0: done before") for line in lines)

    def fail(self: Loop) -> None:
        raise TrainingFailed(f"{self.name}: the loss is nan in epoch 1, step 2; do so", 1, 2)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "run", fail)
        result = fer_tl.cross_validate(experiment, say=lines.append)
    assert result.failed == {1: "the loss is nan in epoch 1, step 2; do so"}
    assert [fold.accuracy for fold in result.summary.folds] == [cv.summary.folds[0].accuracy]
    assert "Fold 1 failed: the loss is nan in epoch 1, step 2; do so." in (run_copy / "table.md").read_text()
    assert json.loads((run_copy / "fold-1" / "failed.json").read_text())["step"] == 2
    for verb in (fer_tl.evaluate, fer_tl.audit):
        with pytest.raises(UserError, match=r"unfinished \(fold-1 failed: the loss is nan in epoch 1, step 2\): run"):
            verb(run_copy, say=lambda line: None)

    again = fer_tl.cross_validate(experiment, say=lines.append)
    assert fold_0() == {name: content for name, content in before.items() if name.startswith("fold-0/")}
    np.testing.assert_array_equal(again.folds[1].logits, cv.folds[1].logits)
    assert again.text == cv.text
    assert files_below(run_copy) == before.keys()
    assert len(json.loads((run_copy / "environment.json").read_text())) == 4


def test_all_folds_that_fail_are_one_line_and_no_table(cv: CvResult, run_copy: Path):
    for name in ("fold-0", "fold-1"):
        shutil.rmtree(run_copy / name)
        write_json(run_copy / name / "failed.json", {"message": f"nan in {name}", "epoch": 1, "step": 1})
    before = bytes_below(run_copy)
    ids = np.concatenate([fold.ids for fold in cv.folds])
    with pytest.raises(UserError, match="all 2 folds failed; fold 0: nan in fold-0"):
        report_folds(RunFolder(run_copy), ids, {}, lambda line: None)
    assert bytes_below(run_copy) == before


def test_folds_trained_in_two_places_are_collected_to_what_one_place_gives(
    cv: CvResult, run_copy: Path, tmp_path: Path
):
    experiment = replace(run_experiment(cv), run_dir=str(tmp_path / "elsewhere"), fold=1)
    lines: list[str] = []
    part = fer_tl.cross_validate(experiment, say=lines.append)
    assert isinstance(part, PartResult)
    assert (part.done, part.missing) == (("fold-1",), ("fold-0",))
    assert "missing: fold-0" in lines[-1] and "fer-tl collect" in lines[-1]
    about = {"config.yaml", "run.json", "environment.json", "folds.csv"}
    assert files_below(tmp_path / "elsewhere") == {f"fold-1/{name}" for name in PART} | about
    shutil.rmtree(run_copy / "fold-1")
    with pytest.raises(UserError, match=r"elsewhere is unfinished \(fold-0\)"):
        fer_tl.evaluate(tmp_path / "elsewhere", say=lambda line: None)
    joined = fer_tl.collect([run_copy, tmp_path / "elsewhere"], tmp_path / "all", say=lines.append)
    assert joined.text == cv.text
    assert joined.summary.intervals == cv.summary.intervals
    first, second = bytes_below(cv.run_dir), bytes_below(tmp_path / "all")
    different = {name for name in second if first[name] != second[name]}
    assert different <= {"config.yaml", "environment.json", "fold-1/timing.json", f"fold-1/{EVENTS}"}
    # The last fold that is missing ends with the table.
    shutil.copytree(run_copy / "fold-0", tmp_path / "elsewhere" / "fold-0")
    assert fer_tl.cross_validate(experiment, say=lambda line: None).text == cv.text


def test_a_run_is_worked_on_by_one_process_and_shown_to_any(
    cv: CvResult, run_copy: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lock, "_PATIENCE", 0.05)
    experiment = replace(run_experiment(cv), run_dir=str(run_copy))
    before, lines = bytes_below(run_copy), []
    (run_copy / "table.md").unlink()
    with hold(run_copy):
        shown = fer_tl.cross_validate(experiment, say=lines.append)
        assert shown.text == cv.text
        assert any(re.search(f"not written: .* is worked on by process {os.getpid()} on", line) for line in lines)
        assert not (run_copy / "table.md").exists()
        with pytest.raises(UserError, match="is worked on by process"):
            fer_tl.evaluate(run_copy, "validation", say=lambda line: None)
        (run_copy / "fold-1" / "result.json").unlink()
        for fold in (None, 1):
            with pytest.raises(UserError, match="is worked on by process"):
                fer_tl.cross_validate(replace(experiment, fold=fold), say=lambda line: None)
    with hold(run_copy, shared=True), hold(run_copy / "fold-1"):
        with pytest.raises(UserError, match="fold-1 is worked on by process"):
            fer_tl.cross_validate(replace(experiment, fold=1), say=lambda line: None)
        assert fer_tl.cross_validate(replace(experiment, fold=0), say=lambda line: None).missing == ("fold-1",)
    assert before.keys() - files_below(run_copy) == {"table.md", "fold-1/result.json"}


def test_a_worker_leaves_the_run_to_its_chief(
    cv: CvResult, run_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It trains what the chief says, here nothing, in a folder of its own; beside a finished run it does not start."""
    asked, temporary = [], tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(prepare_run, "check_cluster", lambda *given: 2)
    monkeypatch.setattr(prepare_run, "configure_cluster", lambda experiment: experiment)
    monkeypatch.setattr(prepare_run, "joined_workers", lambda *given: contextlib.nullcontext())
    monkeypatch.setattr(prepare_run, "claim_devices", lambda *given: None)
    monkeypatch.setattr(session, "choose_devices", lambda *given: choose_devices("cpu"))
    monkeypatch.setattr(broadcast, "share_bytes", lambda strategy, payload: asked.append(payload) or b"[]")
    monkeypatch.setattr(broadcast, "check_alike", lambda *given: None)
    monkeypatch.setattr(loop, "Loop", None)
    experiment = replace(run_experiment(cv), run_dir=str(run_copy), strategy="multiworker")
    for left in (False, True):
        if left:
            (run_copy / "fold-1" / "result.json").unlink()
        before, lines = bytes_below(run_copy), []
        result = fer_tl.cross_validate(experiment, say=lines.append)
        assert isinstance(result, PartResult) and lines[-1].startswith("worker 2 is done")
        assert not any(line.startswith(("fold-", "results")) for line in lines)
        assert bytes_below(run_copy) == before
        assert not list(temporary.iterdir())
    assert [json.loads(payload) for payload in asked] == [["fold-0", "fold-1"]]


def test_other_settings_in_the_same_folder_are_refused(cv: CvResult, run_copy: Path):
    before = bytes_below(run_copy)
    with pytest.raises(UserError, match="seed 0 -> 1"):
        fer_tl.cross_validate(replace(run_experiment(cv), run_dir=str(run_copy), seed=1), say=lambda line: None)
    with pytest.raises(UserError, match="fer-tl cv -> fer-tl train"):
        fer_tl.fit(replace(run_experiment(cv), run_dir=str(run_copy)), say=lambda line: None)
    assert bytes_below(run_copy) == before


def test_the_test_split_is_unreadable_to_those_who_must_not_read_it(run_copy: Path):
    """So the fixtures ``cv`` and ``fitted`` show that training does not open it."""
    with pytest.raises(UserError, match=r"split 'test' is damaged.*--overwrite"):
        fer_tl.evaluate(run_copy, say=lambda line: None)


def test_evaluation_scores_each_fold_and_the_mean_of_their_probabilities(
    cv: CvResult, evaluated: list[EvaluationResult], data_dir: Path
):
    predictions = evaluated[0].predictions
    assert list(predictions) == ["ensemble", "fold-0", "fold-1"]
    assert all(sorted(each.ids.tolist()) == ids_of(data_dir, "test") for each in predictions.values())
    mean = (predictions["fold-0"].probabilities + predictions["fold-1"].probabilities) / 2
    np.testing.assert_allclose(predictions["ensemble"].probabilities, mean, rtol=0, atol=1e-6)
    test = fer_tl.load_dataset("folder/tiny", data_dir, "test")
    model, class_names = load_model(cv.run_dir / "fold-0" / "model.keras")
    assert class_names == CLASS_NAMES
    np.testing.assert_allclose(model(test.images), predictions["fold-0"].logits, rtol=0, atol=1e-4)
    name, metrics = evaluated[0].result.rows[0]
    assert name == "ensemble"
    assert metrics.accuracy == pytest.approx(np.mean(mean.argmax(axis=1) == test.labels))
    low, high = evaluated[0].result.intervals["accuracy"]
    assert low <= metrics.accuracy <= high


def test_an_opening_of_the_test_split_is_recorded_and_to_ask_again_opens_nothing(
    cv: CvResult, evaluated: list[EvaluationResult]
):
    first, second = (result.text for result in evaluated)
    assert "opened" not in first
    assert "opened 1 time before" in second
    record = json.loads((cv.run_dir / "evaluations.json").read_text())
    assert [entry["split"] for entry in record] == ["test"]
    assert all(entry["images"] == 7 * COUNTS["test"] and entry["date"] for entry in record)
    files = {"ensemble.npz", "fold-0.npz", "fold-1.npz", "table.csv", "table.md", "result.json"}
    assert files <= files_below(cv.run_dir / "evaluate-test")
    saved = load_predictions(cv.run_dir / "evaluate-test" / "ensemble.npz")
    np.testing.assert_array_equal(saved.logits, evaluated[1].predictions["ensemble"].logits)


def test_evaluation_leaves_the_run_as_it_was(cv: CvResult, evaluated: list[EvaluationResult], run_copy: Path):
    shutil.rmtree(run_copy / "evaluate-test", ignore_errors=True)
    (run_copy / "evaluations.json").unlink(missing_ok=True)
    before = bytes_below(run_copy)
    fer_tl.evaluate(run_copy, split="validation", data_dir=run_experiment(cv).data_dir, say=lambda line: None)
    after = bytes_below(run_copy)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {"evaluate-validation", "evaluations.json"}


def record_again(part: Path) -> None:
    """Let a part's record say of its files what they are now, as if it had been trained so."""
    result = json.loads((part / "result.json").read_text())
    write_json(part / "result.json", {**result, "files": describe_files(part)})


def put_models(run: Path, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Make every model of a run the same: logits that depend on the mean of the left column of the image alone."""
    inputs = keras.Input((16, 16, 1))
    left = keras.layers.Cropping2D(((0, 0), (0, 15)))(keras.layers.Rescaling(1 / 255)(inputs))
    dense = keras.layers.Dense(7)
    model = keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(left)))
    dense.set_weights([kernel[None], bias])
    for part in run.glob("fold-*"):
        save_model(model, CLASS_NAMES, part / "model.keras")
        record_again(part)


def test_views_are_averaged_by_probability(run_copy: Path, data_dir: Path):
    kernel, bias = 6 * np.eye(7)[3] - 2, np.zeros(7)
    put_models(run_copy, kernel, bias)
    lines: list[str] = []
    result = fer_tl.evaluate(run_copy, "validation", data_dir, tta="flip", say=lines.append)
    images = fer_tl.load_dataset("folder/tiny", data_dir, "validation").images[..., 0] / 255  # [N, H, W]
    edges = np.stack([images[:, :, 0], images[:, :, -1]]).mean(axis=2)  # [2, N]: left and right
    powers = np.exp(edges[..., None] * kernel + bias)  # [2, N, K]
    expected = (powers / powers.sum(axis=2, keepdims=True)).mean(axis=0)
    assert np.ptp(edges, axis=0).max() > 0.1
    for each in result.predictions.values():
        np.testing.assert_allclose(each.probabilities, expected, atol=1e-5)
    assert "split validation, mean of image and mirror" in result.text
    assert any(re.search(r"fold-1: predicted in \d+\.\d s, \d+ images/s with loading, 2 views each", x) for x in lines)
    assert json.loads((run_copy / "evaluations.json").read_text())[-1]["tta"] == "flip"
    saved = load_predictions(run_copy / "evaluate-validation-flip" / "ensemble.npz")
    np.testing.assert_array_equal(saved.logits, result.predictions["ensemble"].logits)
    assert not (run_copy / "evaluate-validation").exists()


def test_a_model_that_does_not_look_gives_the_same_whatever_the_view(run_copy: Path, data_dir: Path):
    bias = np.linspace(-1, 2, 7)
    put_models(run_copy, np.zeros(7), bias)
    result = fer_tl.evaluate(run_copy, "validation", data_dir, tta="ten-crop", say=lambda line: None)
    for each in result.predictions["ensemble"].probabilities:
        np.testing.assert_allclose(each, np.exp(bias) / np.exp(bias).sum(), atol=1e-6)
    assert (run_copy / "evaluate-validation-ten-crop" / "result.json").is_file()


def test_results_on_another_build_are_not_overwritten(
    cv: CvResult, evaluated: list[EvaluationResult], data_dir: Path, tmp_path: Path
):
    run = Path(shutil.copytree(cv.run_dir, tmp_path / "run"))
    before = bytes_below(run)
    source = shutil.copytree(data_dir / "source", tmp_path / "source")
    one = next((source / "test" / "happy").iterdir())
    Image.fromarray(255 - np.asarray(Image.open(one))).save(one)
    fer_tl.build("folder/tiny", source=source, data_dir=tmp_path, shards=1, image_size=16, say=lambda line: None)
    with pytest.raises(UserError, match=r"evaluate-test holds results on another build of 'folder/tiny'.*rename"):
        fer_tl.evaluate(run, data_dir=tmp_path, say=lambda line: None)
    assert bytes_below(run) == before
    (run / "evaluate-test").rename(run / "evaluate-test-first-build")
    fer_tl.evaluate(run, data_dir=tmp_path, say=lambda line: None)
    with pytest.raises(UserError, match="another build"):
        fer_tl.evaluate(run, data_dir=data_dir, say=lambda line: None)


def test_runs_vote_with_what_they_predicted_and_what_they_evaluated(
    cv: CvResult, evaluated: list[EvaluationResult], tmp_path: Path
):
    """A run and one of the same probabilities: the vote is the run, whatever the weights."""
    runs = [cv.run_dir, shutil.copytree(cv.run_dir, tmp_path / "run")]
    with pytest.raises(UserError, match="predict the same to the last digit: one run, counted twice"):
        fer_tl.ensemble(runs, out=tmp_path / "copies", say=lambda line: None)
    for path in runs[1].rglob("*.npz"):
        same = load_predictions(path)
        save_predictions(path, replace(same, logits=same.logits + 1))
    for part in runs[1].glob("fold-*"):
        record_again(part)
    for weights in ("equal", "validation"):
        own = fer_tl.ensemble(runs, weights=weights, out=tmp_path / f"own-{weights}", say=lambda line: None)
        assert own.result.rows[0][1].accuracy == cv.summary.pooled.accuracy
        assert own.result.intervals.keys() == cv.summary.intervals.keys()
        for name, interval in cv.summary.intervals.items():
            assert own.result.intervals[name] == pytest.approx(interval, abs=1e-6), name
        test = fer_tl.ensemble(runs, "test", weights, out=tmp_path / f"test-{weights}", say=lambda line: None)
        np.testing.assert_allclose(
            test.predictions["ensemble"].probabilities, evaluated[1].predictions["ensemble"].probabilities, atol=1e-6
        )
        assert test.result.intervals == evaluated[1].result.intervals


def test_what_cannot_be_built_or_set_aside_leaves_no_run_behind(data_dir: Path, tmp_path: Path):
    other = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(other)
    run = settings(data_dir, tmp_path / "run", early_stopping=2)
    with pytest.raises(UserError, match=r"does not hold the weights of shallow_cnn"):
        fer_tl.cross_validate(replace(run, weights=str(other), early_stopping=0), say=lambda line: None)
    # Four images of the rarest class in a fold's training part: one in ten of them is none.
    with pytest.raises(UserError, match=r"less than one of its 4 groups .*: use --holdout 0\.25, or more"):
        fer_tl.cross_validate(run, say=lambda line: None)
    assert not (tmp_path / "run").exists()


def test_a_single_folder_is_no_list_of_runs(cv: CvResult):
    with pytest.raises(UserError, match="takes a list of run folders"):
        fer_tl.ensemble(str(cv.run_dir), say=lambda line: None)


@pytest.mark.parametrize("split", ["train", "tset"])
def test_a_split_that_was_trained_on_or_is_none_is_refused(run_copy: Path, data_dir: Path, split: str):
    with pytest.raises(UserError, match=f"--split {split}"):
        fer_tl.evaluate(run_copy, split=split, data_dir=data_dir, say=lambda line: None)


def test_an_unfinished_run_is_not_evaluated(run_copy: Path, data_dir: Path):
    (run_copy / "fold-1" / "result.json").unlink()
    before = bytes_below(run_copy)
    with pytest.raises(UserError, match=r"is unfinished \(fold-1\)"):
        fer_tl.evaluate(run_copy, data_dir=data_dir, say=lambda line: None)
    assert bytes_below(run_copy) == before


@pytest.mark.parametrize("file", ["predictions.npz", "model.keras"])
def test_a_damaged_file_is_not_read_by_any_verb(cv: CvResult, run_copy: Path, data_dir: Path, file: str):
    path = run_copy / "fold-1" / file
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(bytes(content))
    before = bytes_below(run_copy)
    again = replace(run_experiment(cv), run_dir=str(run_copy))

    def silent(line: str) -> None:
        pass

    verbs = [
        lambda: fer_tl.cross_validate(again, say=silent),
        lambda: fer_tl.cross_validate(replace(again, fold=0), say=silent),
    ]
    if file == "predictions.npz":
        verbs.append(lambda: fer_tl.audit(run_copy, data_dir, say=silent))
        verbs.append(lambda: fer_tl.ensemble([cv.run_dir, run_copy], say=silent))
    if file == "model.keras":
        verbs.append(lambda: fer_tl.evaluate(run_copy, data_dir=data_dir, say=silent))
    for verb in verbs:
        with pytest.raises(UserError, match=rf"fold-1/{file} is not what was written .*: move .*fold-1 away, and"):
            verb()
    assert bytes_below(run_copy) == before


def test_a_damaged_history_costs_its_curve_and_nothing_else(cv: CvResult, run_copy: Path) -> None:
    path = run_copy / "fold-1" / "history.csv"
    path.write_bytes(b"\0\0")
    lines: list[str] = []
    again = fer_tl.cross_validate(replace(run_experiment(cv), run_dir=str(run_copy)), say=lines.append)
    assert isinstance(again, CvResult) and again.text == cv.text
    (told,) = [line for line in lines if "history.csv" in line]
    assert re.search(r"fold-1/history\.csv is not what was written .*: no result depends on it, and curves are", told)
    assert path.read_bytes() == b"\0\0"
    fer_tl.report(run_copy, say=lines.append)
    assert "fold-1/history.csv is not what was written" in lines[-2]


def test_a_folder_that_is_no_run_is_one_clear_line(tmp_path: Path, data_dir: Path):
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "run.json"))) as error:
        fer_tl.evaluate(tmp_path, data_dir=data_dir, say=lambda line: None)
    assert "\n" not in str(error.value)


def test_other_training_data_than_the_run_saw_is_said(
    cv: CvResult, run_copy: Path, data_dir: Path, tmp_path: Path, evaluated: list[EvaluationResult]
):
    source = shutil.copytree(data_dir / "source", tmp_path / "source")
    one = next((source / "train" / "happy").iterdir())
    Image.fromarray(255 - np.asarray(Image.open(one))).save(one)
    fer_tl.build("folder/tiny", source=source, data_dir=tmp_path, shards=1, image_size=16, say=lambda line: None)
    said = fer_tl.evaluate(run_copy, data_dir=tmp_path, say=lambda line: None).text
    remark = "not what the run was trained on"
    assert remark in said
    assert remark not in evaluated[0].text
    # Nor is a run continued on it.
    with pytest.raises(UserError, match="another build"):
        fer_tl.cross_validate(
            replace(run_experiment(cv), run_dir=str(run_copy), data_dir=str(tmp_path)), say=lambda line: None
        )


def test_toyfaces_are_drawn_on_the_spot_and_called_drawings_first_and_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(toyfaces, "COUNTS", {"train": 70, "validation": 14, "test": 14})
    lines: list[str] = []
    experiment = replace(settings(tmp_path / "data", tmp_path / "run"), data="toyfaces")
    fer_tl.cross_validate(experiment, say=lines.append)
    text = "\n".join(lines).strip().splitlines()
    assert "toyfaces" in text[0]
    assert "drawn" in text[0]
    assert "toyfaces" in text[-1]
    assert "nothing about photographs" in text[-1]


def test_fit_trains_on_train_and_scores_validation(fitted: FitResult, data_dir: Path):
    assert sorted(fitted.predictions.ids.tolist()) == ids_of(data_dir, "validation")
    result = json.loads((fitted.run_dir / "model" / "result.json").read_text())
    assert (result["trained_on"], result["held_out"]) == (7 * COUNTS["train"], 7 * COUNTS["validation"])
    right = np.mean(fitted.predictions.logits.argmax(axis=1) == fitted.predictions.labels)
    assert fitted.result.rows[0][1].accuracy == pytest.approx(right)
    tables = {"table.csv", "table.md", "confusion.csv", "result.json", EVENTS, *FIGURES}
    own = {"config.yaml", "run.json", "environment.json"}
    assert files_below(fitted.run_dir) == {f"model/{name}" for name in PART} | tables | own


def test_a_finished_fit_is_only_reported(fitted: FitResult, monkeypatch: pytest.MonkeyPatch):
    forbid_training(monkeypatch)
    before = bytes_below(fitted.run_dir, "model/*")
    again = fer_tl.fit(fer_tl.load_experiment(fitted.run_dir / "config.yaml"), say=lambda line: None)
    assert again.text == fitted.text
    assert bytes_below(fitted.run_dir, "model/*") == before


def test_one_model_is_evaluated_without_an_ensemble(fitted: FitResult, data_dir: Path, tmp_path: Path):
    run = shutil.copytree(fitted.run_dir, tmp_path / "run")
    result = fer_tl.evaluate(run, data_dir=data_dir, say=lambda line: None)
    assert list(result.predictions) == ["model"]
    assert "not what the run was trained on" not in result.text


@pytest.mark.parametrize("wrong", ["configs/quickstart.yaml", {"epochs": 3}])
def test_what_is_no_experiment_is_refused(wrong: object):
    with pytest.raises(UserError, match=r"load_experiment\(\.\.\.\), but this is a (str|dict)"):
        fer_tl.cross_validate(wrong)


def test_predictions_of_another_fold_are_refused(run_copy: Path):
    shutil.copy(run_copy / "fold-1" / "predictions.npz", run_copy / "fold-0" / "predictions.npz")
    record_again(run_copy / "fold-0")
    experiment = replace(fer_tl.load_experiment(run_copy / "config.yaml"), run_dir=str(run_copy))
    with pytest.raises(UserError, match=r"predictions.npz does not hold the images that folds.csv gives to fold-0"):
        fer_tl.cross_validate(experiment, say=lambda line: None)


def test_a_damaged_model_is_found_before_the_split_is_opened(run_copy: Path, data_dir: Path):
    model, openings = run_copy / "fold-1" / "model.keras", run_copy / "evaluations.json"
    model.write_bytes(model.read_bytes()[:1000])
    openings.write_text("[]")
    with pytest.raises(UserError, match=r"fold-1/model.keras is not what was written"):
        fer_tl.evaluate(run_copy, data_dir=data_dir, say=lambda line: None)
    assert openings.read_text() == "[]"


def test_a_run_finds_its_data_from_another_folder(cv: CvResult):
    assert Path(fer_tl.load_experiment(cv.run_dir / "config.yaml").data_dir).is_absolute()


def test_folds_are_those_of_a_cross_validation_and_a_table_is_checked(
    cv: CvResult, data_dir: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    drawn = fer_tl.draw_folds("folder/tiny", data_dir, folds=2, out=tmp_path / "f.csv", say=lines.append)
    printed = next(line for line in lines if "uses it" in line)
    assert f"--data-dir {data_dir} --folds 2 --fold-table {tmp_path / 'f.csv'}" in printed
    assert (tmp_path / "f.csv").read_text() == (cv.run_dir / "folds.csv").read_text()
    assert "no group is split" in "\n".join(lines) and drawn.path == tmp_path / "f.csv"
    assert fer_tl.draw_folds("folder/tiny", data_dir, table=tmp_path / "f.csv", say=str).fold_of == drawn.fold_of
    rows = (tmp_path / "f.csv").read_text().splitlines()
    for text, message in {
        "\n".join(rows[:-1]): "1 of its ids are not there",
        "\n".join([*rows, rows[1]]): "is in the table already",
        "\n".join([rows[0], *(f"{row[:-1]}0" for row in rows[1:])]): "should hold the folds 0 to 1, but holds 0",
    }.items():
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(UserError, match=message):
            fer_tl.draw_folds("folder/tiny", data_dir, table=tmp_path / "bad.csv", say=str)
    with pytest.raises(UserError, match=r"f\.csv is there and holds something else"):
        fer_tl.draw_folds("folder/tiny", data_dir, folds=3, out=tmp_path / "f.csv", say=str)
    with pytest.raises(UserError, match="should hold the folds 0 to 2, but holds 0, 1"):
        fer_tl.draw_folds("folder/tiny", data_dir, folds=3, table=tmp_path / "f.csv", say=str)
