"""An interrupted run ends where an uninterrupted one does, to the last bit, and decides by nothing it is scored on."""

from __future__ import annotations

import importlib
import json
import math
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_trainings import HELD_OUT, TRAIN, held_out_faces, train
from small_trainings import small_experiment as experiment

from fer_tl.core import config_keys
from fer_tl.core.checksummed_npz import read_sealed
from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import identity
from fer_tl.core.errors import Terminated, TrainingFailed, UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.core.options import load_experiment
from fer_tl.core.progress import Clock, Progress
from fer_tl.core.randomness import example_keys
from fer_tl.data.dataset import Dataset
from fer_tl.engines.plan import EpochPlan, adjustment, balanced_weights
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.history import read_history
from fer_tl.runs.part import EVENTS
from fer_tl.runs.predictions import load_predictions
from fer_tl.runs.saved_model import load_model
from fer_tl.training import fold_checkpoints, loop, session
from fer_tl.training.checkpoint import read_values
from fer_tl.training.cross_validation import train_folds
from fer_tl.training.loop import FoldRows, Loop
from fer_tl.training.session import CompiledStage, Session
from fer_tl.training.stages import Stage, stages_of

pytestmark = pytest.mark.usefixtures("thin_backbone")

NAME = keras.backend.backend()
MODULE = importlib.import_module(f"fer_tl.engines.{NAME}_engine")
ENGINE = getattr(MODULE, {"tensorflow": "TensorFlowEngine", "jax": "JaxEngine"}[NAME])


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Dataset]) -> Dataset:
    """With an official validation split, so that one model is trained."""
    return held_out_faces(make_faces)


def same_result(one: Path, other: Path) -> None:
    """All files of two parts are the same bytes, but for what they took."""
    names = {path.name for path in one.iterdir()}
    assert names == {path.name for path in other.iterdir()}
    assert names >= {"model.keras", "predictions.npz", "history.csv", "result.json", "timing.json", EVENTS}
    for name in names - {"timing.json", EVENTS}:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@contextmanager
def interrupted_at(epoch: int, step: int, end: Callable[[], None], saved: bool = True) -> Iterator[None]:
    """A checkpoint after every step, and ``end`` before or after that of one step of an epoch is written."""
    save = fold_checkpoints.Keeper.save

    def ending(self: fold_checkpoints.Keeper, at: fold_checkpoints.Position) -> None:
        here = (at.epoch, at.step) == (epoch, step)
        if saved or not here:
            save(self, at)
        if here:
            end()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_checkpoints.Keeper, "save", ending)
        patch.setattr(fold_checkpoints, "WRITING_SHARE", math.inf)
        patch.setattr(loop, "SECONDS_PER_CHECKPOINT", 0.0)
        patch.setattr(loop, "SECONDS_PER_CALL", 0.0)  # one step a call
        yield


def newest(folder: Path) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]]:
    """The last checkpoint, whosoever it is."""
    arrays = read_sealed(max(folder.glob("checkpoint-*.npz")))
    state = json.loads(str(arrays.pop("state")))
    return {"model": [arrays[key] for key in sorted(arrays) if key.startswith("model-")]}, state


class Killed(BaseException):
    """The end of a process, as far as one process can play it."""


def kill() -> None:
    raise Killed


def train_with_kills(settings: Experiment, dataset: Dataset, path: Path, where: list[tuple[int, int, bool]]) -> None:
    """Every part in a new session, as a new process would have."""
    for epoch, step, saved in where:
        with interrupted_at(epoch, step, kill, saved), pytest.raises(Killed):
            train(settings, dataset, path)
    train(settings, dataset, path)


@pytest.fixture(scope="module")
def two_stages() -> Experiment:
    """Dropout of the backbone and of the head, augmentation of all kinds, warm-up, even sampling, clipping."""
    return experiment(
        head_epochs=1,
        epochs=3,
        head={"dense": [16], "dropout": [0.2, 0.2]},
        optimizer={"name": "adam", "clip": 1.0, "decay": 0.001},
        schedule={"kind": "cosine", "warmup": 1},
        augment={"vertical_flip": True, "mixup": 0.2, "cutmix": 1.0, "erase": 0.25, "noise": 0.05, "policy": "rand"},
        loss={"name": "focal", "gamma": 1.0, "smoothing": 0.1, "l2": 1e-4},
        sampling="balanced",
    )


@pytest.fixture(scope="module")
def uninterrupted(two_stages: Experiment, faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("uninterrupted") / "run"
    train(two_stages, faces, path)
    return path


@pytest.fixture(scope="module")
def killed(two_stages: Experiment, faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed in the second epoch of its main stage, to be copied."""
    path = tmp_path_factory.mktemp("killed") / "run"
    with interrupted_at(3, 1, kill), pytest.raises(Killed):
        train(two_stages, faces, path)
    return path


def test_a_killed_run_ends_as_an_uninterrupted_one(
    two_stages: Experiment, uninterrupted: Path, faces: Dataset, tmp_path: Path
):
    # In the head stage; at the end of the first epoch of the main stage, before it is measured; in the second one,
    # whose last step is not saved; and before anything of the next epoch is.
    train_with_kills(two_stages, faces, tmp_path / "run", [(1, 2, True), (2, 3, True), (3, 3, False), (4, 1, False)])
    same_result(tmp_path / "run" / "model", uninterrupted / "model")


def test_a_run_that_goes_on_says_where(
    two_stages: Experiment, killed: Path, faces: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(killed, tmp_path / "run")
    train(two_stages, faces, tmp_path / "run")
    told = [line for line in capsys.readouterr().out.splitlines() if "continuing" in line]
    assert told == ["model  continuing at epoch 3, step 1 of 3"]
    train(two_stages, faces, tmp_path / "new")
    assert "continuing" not in capsys.readouterr().out


@pytest.mark.parametrize("stopping", [0, 2])
def test_averages_of_the_weights_go_on_too_and_steps_in_parts(stopping: int, faces: Dataset, tmp_path: Path):
    settings = experiment(epochs=2, head_epochs=1, ema=0.9, early_stopping=stopping, holdout=0.2, accumulate=2)
    train(settings, faces, tmp_path / "whole")
    train_with_kills(settings, faces, tmp_path / "cut", [(1, 1, True), (2, 2, True), (3, 1, False), (4, 0, True)])
    same_result(tmp_path / "cut" / "model", tmp_path / "whole" / "model")


@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_leaves_a_checkpoint_of_its_step(
    number: int,
    error: type[BaseException],
    two_stages: Experiment,
    uninterrupted: Path,
    faces: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    handler, steps = signal.getsignal(number), []
    plain = ENGINE.compile_training

    def counted(*given: Any) -> Any:
        run = plain(*given)

        def train(plan: EpochPlan, start: int, stop: int) -> np.ndarray:
            steps.append(stop - start)
            if len(steps) == 8:  # the second step of the third epoch
                signal.raise_signal(number)
            return run(plan, start, stop)

        return train

    monkeypatch.setattr(ENGINE, "compile_training", counted)
    monkeypatch.setattr(loop, "SECONDS_PER_CALL", 0.0)  # one step a call
    with pytest.raises(error):
        train(two_stages, faces, tmp_path / "run")
    assert signal.getsignal(number) is handler
    _, state = newest(tmp_path / "run" / "model")
    assert (len(state["history"]), state["step"]) == (2, 2)
    train(two_stages, faces, tmp_path / "run")
    assert steps == [1] * (8 + 4)  # none twice
    same_result(tmp_path / "run" / "model", uninterrupted / "model")


def test_a_version_with_an_option_more_goes_on_with_a_checkpoint(
    two_stages: Experiment,
    uninterrupted: Path,
    killed: Path,
    faces: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    shutil.copytree(killed, tmp_path / "run")
    monkeypatch.setattr(config_keys, "identity", lambda settings: identity(settings) | {"newer": 0.0})
    train(two_stages, faces, tmp_path / "run")
    assert "begins anew" not in capsys.readouterr().out
    same_result(tmp_path / "run" / "model", uninterrupted / "model")


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    two_stages: Experiment,
    uninterrupted: Path,
    killed: Path,
    faces: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    shutil.copytree(killed, tmp_path / "run")
    one, other = sorted((tmp_path / "run" / "model").glob("checkpoint-*.npz"))
    other.write_bytes(other.read_bytes()[:-100])
    train(two_stages, faces, tmp_path / "run")
    warning = f"warning: checkpoint {other} is damaged (it is not what was written): {one.name} is taken"
    assert warning in capsys.readouterr().out
    same_result(tmp_path / "run" / "model", uninterrupted / "model")


def test_the_checkpoint_of_another_fold_is_not_taken_up(
    faces: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    settings, run = experiment(folds=2, epochs=2), RunFolder(tmp_path / "run")
    with interrupted_at(2, 1, kill), pytest.raises(Killed):
        train_folds(settings, faces, run, lambda line: None)
    (run.path / "fold-1").mkdir()
    for path in (run.path / "fold-0").glob("checkpoint-*"):
        shutil.copy(path, run.path / "fold-1")
    train_folds(settings, faces, run, lambda line: None)
    assert "is of another fold or run: training begins anew" in capsys.readouterr().out
    train_folds(settings, faces, RunFolder(tmp_path / "whole"), lambda line: None)
    for fold in ("fold-0", "fold-1"):
        same_result(run.path / fold, tmp_path / "whole" / fold)


def test_without_a_whole_checkpoint_training_begins_anew(
    two_stages: Experiment,
    uninterrupted: Path,
    killed: Path,
    faces: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    shutil.copytree(killed, tmp_path / "run")
    for path in (tmp_path / "run" / "model").glob("checkpoint-*.npz"):
        path.write_bytes(b"")
    train(two_stages, faces, tmp_path / "run")
    assert "training begins anew" in capsys.readouterr().out
    same_result(tmp_path / "run" / "model", uninterrupted / "model")


def test_the_loss_falls_on_drawn_faces(faces: Dataset, tmp_path: Path):
    train(experiment(epochs=3), faces, tmp_path / "run")  # without the noise and the mixing of `two_stages`
    losses = [epoch["loss"] for epoch in read_history(tmp_path / "run" / "model" / "history.csv")]
    assert losses[-1] < losses[1] < losses[0]


def test_history_tells_stage_rate_and_epoch(uninterrupted: Path):
    history = read_history(uninterrupted / "model" / "history.csv")
    assert [epoch["stage"] for epoch in history] == ["head", "main", "main", "main"]
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3, 4]
    rates = [epoch["learning_rate"] for epoch in history]
    assert rates[:2] == pytest.approx([1e-3, 1e-3])
    assert rates[1] > rates[2] > rates[3] > 0


def test_a_finished_part_leaves_no_checkpoint(uninterrupted: Path):
    names = {path.name for path in (uninterrupted / "model").iterdir()}
    assert names == {"model.keras", "predictions.npz", "history.csv", "result.json", "timing.json", EVENTS}


def test_a_kill_after_the_last_epoch_loses_nothing(
    two_stages: Experiment, uninterrupted: Path, faces: Dataset, tmp_path: Path
):
    with interrupted_at(5, 0, kill), pytest.raises(Killed):
        train(two_stages, faces, tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "plan_epoch", None)  # no epoch is left to plan
        train(two_stages, faces, tmp_path / "run")
    same_result(tmp_path / "run" / "model", uninterrupted / "model")


# Watched losses of the epochs of a main stage: a plateau after epochs 4 and 7, the best is the fifth, stop after 8.
WATCHED = [2.0, 1.5, 1.6, 1.7, 1.4, 1.6, 1.6, 1.6, 0.1, 0.1]


@pytest.fixture(scope="module")
def watching() -> Experiment:
    return experiment(
        epochs=10,
        early_stopping=3,
        holdout=0.2,
        optimizer={"name": "sgd", "rate": 0.01},
        schedule={"kind": "plateau", "patience": 2, "factor": 0.5},
    )


@pytest.fixture
def _scripted(monkeypatch: pytest.MonkeyPatch):
    """Measures WATCHED on the images that are watched, told apart by their number, and the truth on others."""
    truth = Session.evaluate

    def evaluate(self: Session, rows: np.ndarray) -> tuple[float, float, np.ndarray]:
        loss, accuracy, logits = truth(self, rows)
        if len(rows) == HELD_OUT:
            return loss, accuracy, logits
        steps = -(-(TRAIN - len(rows)) // self.experiment.batch_size)
        return WATCHED[int(self.model.optimizer.iterations) // steps - 1], accuracy, logits

    monkeypatch.setattr(Session, "evaluate", evaluate)


@pytest.mark.usefixtures("_scripted")
def test_callbacks_decide_as_if_the_run_had_not_been_interrupted(watching: Experiment, faces: Dataset, tmp_path: Path):
    train(watching, faces, tmp_path / "whole")
    whole = tmp_path / "whole" / "model"
    history = read_history(whole / "history.csv")
    assert [epoch["watched_loss"] for epoch in history] == WATCHED[:8]
    assert [epoch["learning_rate"] for epoch in history] == pytest.approx([0.01] * 4 + [0.005] * 3 + [0.0025])
    result = read_json(whole / "result.json")
    assert (result["epochs"], result["kept_epoch"]) == (8, 5)
    # The weights that are scored and saved are those of the fifth epoch.
    assert result["loss"] == history[4]["val_loss"] != history[7]["val_loss"]
    kept = load_predictions(whole / "predictions.npz").logits
    np.testing.assert_allclose(load_model(whole / "model.keras")[0](faces.images[TRAIN:]), kept, rtol=0, atol=1e-5)
    train_with_kills(watching, faces, tmp_path / "cut", [(4, 2, True), (5, 1, True), (7, 2, False)])
    same_result(tmp_path / "cut" / "model", whole)


def test_images_that_are_scored_decide_nothing(watching: Experiment, faces: Dataset, tmp_path: Path):
    """Early stopping and plateau watch other images: with ruined held-out ones the same weights come out."""
    settings = replace(watching, epochs=3, early_stopping=1)
    images, labels = np.array(faces.images), faces.labels.copy()
    images[TRAIN:], labels[TRAIN:] = 255 - images[TRAIN:, ::-1], (labels[TRAIN:] + 1) % 7
    train(settings, faces, tmp_path / "run")
    train(settings, replace(faces, images=images, labels=labels), tmp_path / "ruined")
    models = [load_model(tmp_path / name / "model" / "model.keras")[0] for name in ("run", "ruined")]
    for left, right in zip(*(read_values(model.weights) for model in models), strict=True):
        np.testing.assert_array_equal(left, right)
    results = [read_json(tmp_path / name / "model" / "result.json") for name in ("run", "ruined")]
    assert results[0]["kept_epoch"] == results[1]["kept_epoch"]
    assert results[0]["loss"] != results[1]["loss"]
    assert results[0]["trained_on"] + results[0]["watched"] == TRAIN


def test_a_fold_comes_out_the_same_alone_and_after_another(
    faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    keys, reseed = [], ENGINE.reseed
    monkeypatch.setattr(ENGINE, "reseed", lambda engine, key: (keys.append(key), reseed(engine, key)))
    traces, losses_of = [], MODULE.image_losses
    monkeypatch.setattr(MODULE, "image_losses", lambda *given: (traces.append(1), losses_of(*given))[1])
    # The adjustment is another one in each fold: they differ in the images of the classes.
    settings = experiment(
        folds=2,
        epochs=1,
        head_epochs=1,
        optimizer={"name": "sgd"},
        augment={"mixup": 0.4, "erase": 0.5},
        loss={"logit_adjustment": 2.0},
    )
    train_folds(settings, faces, RunFolder(tmp_path / "both"), lambda line: None)
    assert len(set(keys)) == 4  # each epoch of each fold draws dropout of its own
    of_both = len(traces)
    shutil.copytree(tmp_path / "both", tmp_path / "second")
    shutil.rmtree(tmp_path / "second" / "fold-1")
    train_folds(settings, faces, RunFolder(tmp_path / "second"), lambda line: None)
    assert keys[4:] == keys[2:4]
    assert len(traces) - of_both == of_both  # the second fold was traced by the first
    same_result(tmp_path / "both" / "fold-1", tmp_path / "second" / "fold-1")
    results = [read_json(tmp_path / "both" / f"fold-{fold}" / "result.json") for fold in (0, 1)]
    assert results[0]["loss"] != results[1]["loss"]
    timings = [read_json(tmp_path / "both" / f"fold-{fold}" / "timing.json") for fold in (0, 1)]
    assert all(timing["seconds_to_first_step"] > 0 for timing in timings)
    assert all(100 < timing["memory_mb"] < 100_000 for timing in timings)
    assert all(len(timing["epoch_seconds"]) == 2 for timing in timings)


class Recorder(Session):
    """Takes a session's place in a loop and keeps the plans that it is handed."""

    def __init__(self, settings: Experiment, dataset: Dataset):
        self.experiment, self.dataset, self.keys = settings, dataset, example_keys(dataset.ids)
        self.stages = stages_of(settings)
        self.model = SimpleNamespace(variables=[], optimizer=SimpleNamespace(variables=[]), stop_training=False)
        side = dataset.image_shape[:2]
        self.engine = SimpleNamespace(steps_at_once=1024, image_size=side, side=side, reseed=lambda key: None)
        self.augment = settings.augment
        self.devices = SimpleNamespace(workers=1, worker=0)
        self.plans: list[EpochPlan] = []

    def reset(self, rows: np.ndarray) -> None:
        pass

    def start(self, stage: Stage) -> CompiledStage:
        return CompiledStage(stage, SimpleNamespace(variables=[]), [], self.train)

    def train(self, plan: EpochPlan, start: int, stop: int) -> np.ndarray:
        self.plans.append(plan)
        return np.ones((stop - start, 3))

    def evaluate(self, rows: np.ndarray) -> tuple[float, float, None]:
        return 1.0, 0.5, None


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_the_last_epochs_of_the_main_stage_are_not_mixed_where_that_is_asked_for(
    kind: str, faces: Dataset, tmp_path: Path
):
    rows, nobody = np.arange(TRAIN), np.empty(0, int)

    def planned(share: float) -> list[EpochPlan]:
        mixing = {kind: 1.0, "mix_epochs": share}
        recorder = Recorder(experiment(head_epochs=4, epochs=5, augment=mixing), faces)
        training = Loop(recorder, 0, FoldRows(rows, rows, nobody), tmp_path, Progress(16), "model", Clock())
        training.run()
        training.forget()
        return list({id(plan): plan for plan in recorder.plans}.values())  # one may take several calls

    whole, part = planned(1.0), planned(0.6)
    for number, (one, other) in enumerate(zip(whole, part, strict=True), 1):
        assert one.arrays().keys() == other.arrays().keys()  # what an engine compiled goes on
        assert np.ptp(one.mixing.shares) > 0
        if number <= 4 + 3:
            np.testing.assert_array_equal(other.mixing.shares, one.mixing.shares)
        else:
            assert (other.mixing.shares == 1).all() and not other.mixing.boxes.any()
        np.testing.assert_array_equal(other.transforms, one.transforms)


def test_classes_are_evened_out_by_the_images_that_are_trained_on(faces: Dataset, tmp_path: Path):
    rows = np.concatenate([np.flatnonzero(faces.labels == label)[:count] for label, count in ((0, 8), (2, 7), (5, 1))])
    labels, nobody = faces.labels[rows], np.empty(0, int)

    def planned(**options: Any) -> EpochPlan:
        recorder = Recorder(experiment(epochs=1, **options), faces)
        training = Loop(recorder, 0, FoldRows(rows, rows, nobody), tmp_path, Progress(16), "model", Clock())
        training.run()
        training.forget()
        (plan,) = recorder.plans
        assert plan.counts.tolist() == [16]
        return plan.part(0, 1)

    plain, weighted = planned(), planned(class_weights="balanced")
    sampled, adjusted = planned(sampling="balanced"), planned(loss={"logit_adjustment": 0.5})
    for plan in (plain, weighted, adjusted):
        assert sorted(plan.rows[0, :16]) == sorted(rows)
    assert np.bincount(faces.labels[sampled.rows[0, :16]]).tolist() == [6, 0, 5, 0, 0, 5]
    of_row = dict(zip(rows, balanced_weights(labels, 7), strict=True))
    np.testing.assert_allclose(weighted.weights[0, :16], [of_row[row] for row in weighted.rows[0, :16]], rtol=1e-6)
    for plan in (plain, sampled, adjusted):
        assert (plan.weights[0, :16] == 1).all()
    np.testing.assert_allclose(adjusted.offsets, [adjustment(labels, 7, 0.5)], rtol=1e-6)
    assert plain.offsets is weighted.offsets is sampled.offsets is None


def test_a_loss_that_explodes_is_one_clear_line_that_says_where(faces: Dataset, tmp_path: Path):
    settings = experiment(epochs=3, schedule={"kind": "constant"}, optimizer={"name": "sgd"})
    settings = replace(settings, optimizer=replace(settings.optimizer, rate=1e30))
    with pytest.raises(TrainingFailed, match=r"model: the loss is (nan|inf) in epoch \d, step \d; lower") as error:
        train(settings, faces, tmp_path / "run")
    assert "1e+30" in str(error.value)
    assert "\n" not in str(error.value)
    assert f"epoch {error.value.epoch}, step {error.value.step};" in str(error.value)
    assert not RunFolder(tmp_path / "run").is_done("model")


def test_the_last_checkpoint_before_a_step_that_ruins_the_weights_is_kept(faces: Dataset, tmp_path: Path):
    settings = experiment(epochs=3, augment={"rotation": 0.0})
    ruined = []

    def ruin() -> None:
        (variable,) = (v for v in ruined[0].model.trainable_variables if v.path.endswith("logits/bias"))
        variable.assign(np.full(7, np.nan))

    start = Session.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "start", lambda self, stage: (ruined.append(self), start(self, stage))[1])
        with interrupted_at(2, 1, ruin), pytest.raises(TrainingFailed) as error:
            train(settings, faces, tmp_path / "run")
    assert (error.value.epoch, error.value.step) == (2, 2)
    values, state = newest(tmp_path / "run" / "model")
    assert (len(state["history"]), state["step"]) == (1, 1)
    assert all(np.isfinite(value).all() for value in values["model"])


def test_weights_that_are_not_finite_are_never_saved(faces: Dataset, tmp_path: Path):
    training = Session(experiment(epochs=1), faces, None)
    training.start(training.stages[0])
    kept = fold_checkpoints.Keeper(training, tmp_path, "fold-0", np.arange(TRAIN), print)
    kept.save(fold_checkpoints.Position(stage="main", step=4))
    training.model.trainable_variables[0].assign(training.model.trainable_variables[0] * np.nan)
    with pytest.raises(TrainingFailed, match="fold-0: weights are not finite after step 5 of epoch 1; lower"):
        kept.save(fold_checkpoints.Position(stage="main", step=5))
    assert newest(tmp_path)[1]["step"] == 4


@pytest.mark.parametrize(
    ("fits", "in_parts", "words"),
    [
        (6, False, "use --batch-size 6, which does"),
        (6, True, "use --accumulate 4, which computes it in parts, or --batch-size 6"),
        (0, True, "not even a batch of 3 images"),
    ],
)
def test_a_batch_that_does_not_fit_into_memory_is_told_with_what_does(
    fits: int, in_parts: bool, words: str, faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plain = ENGINE.compile_training

    def limited(engine: Any, *given: Any) -> Any:
        run = plain(engine, *given)

        def train(plan: EpochPlan, *cut: int) -> np.ndarray:
            if plan.rows.shape[1] // (engine.parts if in_parts else 1) > fits:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
            return run(plan, *cut)

        return train

    monkeypatch.setattr(ENGINE, "compile_training", limited)
    settings = load_experiment(backbone="liu_3conv", weights="none", image_size=16, batch_size=24, epochs=1)
    with pytest.raises(UserError) as told:
        train(settings, faces, tmp_path / "run")
    assert words in str(told.value) and "1 CPU" in str(told.value)


def test_a_run_that_another_framework_began_is_not_continued(faces: Dataset, tmp_path: Path):
    run = tmp_path / "run"
    with interrupted_at(1, 1, kill), pytest.raises(Killed):
        train(experiment(), faces, run)
    about = read_json(run / "run.json")
    assert about["backend"] == NAME
    other = {"tensorflow": "jax", "jax": "tensorflow"}[NAME]
    write_json(run / "run.json", about | {"backend": other})
    refused = f"{run} was begun with {other}, and the backend is {NAME} now: set KERAS_BACKEND={other} to go on with it"
    with pytest.raises(UserError, match=re.escape(refused)):
        train(experiment(), faces, run)
    write_json(run / "run.json", {key: value for key, value in about.items() if key != "backend"})  # of version 0.1.0
    train(experiment(), faces, run)
    write_json(run / "run.json", about | {"backend": other})
    train(experiment(), faces, run)  # done: nothing is trained
