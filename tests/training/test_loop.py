"""An interrupted run ends where an uninterrupted one does, to the last bit, and decides by nothing it is scored on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fer_tl.config import Experiment
from fer_tl.data.dataset import Dataset
from fer_tl.data.randomness import example_keys
from fer_tl.errors import UserError
from fer_tl.files import read_json
from fer_tl.options import load_experiment
from fer_tl.training import loop, tensorflow_engine
from fer_tl.training.checkpoint import read_values
from fer_tl.training.cross_validation import train_folds, train_one
from fer_tl.training.loop import FoldRows, Loop
from fer_tl.training.plan import EpochPlan, adjustment, balanced_weights
from fer_tl.training.progress import Clock, Progress
from fer_tl.training.run_folder import RunFolder, load_predictions, read_history
from fer_tl.training.saved_model import load_model
from fer_tl.training.session import CompiledStage, Session
from fer_tl.training.stages import Stage, stages_of
from fer_tl.training.tensorflow_engine import TensorFlowEngine

TRAIN, HELD_OUT = 64, 24


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Dataset]) -> Dataset:
    """With an official validation split, so that one model is trained."""
    dataset = make_faces(TRAIN + HELD_OUT, side=16)
    return replace(dataset, splits=np.repeat(["train", "validation"], [TRAIN, HELD_OUT]))


def experiment(**options: Any) -> Experiment:
    small = {"backbone": "shallow_cnn", "weights": "none", "alpha": 0.5, "image_size": 16, "batch_size": 24}
    return load_experiment(**small, **options)


def train(settings: Experiment, dataset: Dataset, path: Path) -> None:
    train_one(settings, dataset, RunFolder(path), lambda line: None)


def same_result(one: Path, other: Path) -> None:
    """Weights, predictions and history of two parts are bit-equal; what they took is not compared."""
    for left, right in zip(*(read_values(load_model(p / "model.keras")[0].weights) for p in (one, other)), strict=True):
        np.testing.assert_array_equal(left, right)
    left, right = (load_predictions(p / "predictions.npz") for p in (one, other))
    np.testing.assert_array_equal(left.ids, right.ids)
    np.testing.assert_array_equal(left.logits, right.logits)
    histories = [read_history(p / "history.csv") for p in (one, other)]
    for epoch in (epoch for history in histories for epoch in history):
        del epoch["seconds"]
    assert histories[0] == histories[1]
    results = [read_json(p / "result.json") for p in (one, other)]
    for result in results:
        for measured in ("seconds", "seconds_to_first_step", "memory_mb"):
            del result[measured]
    assert results[0] == results[1]


@contextmanager
def interrupted_at(epoch: int, saved: bool) -> Iterator[None]:
    """Ctrl-C at the end of an epoch counted from the start of the run, after or before its checkpoint is written."""
    write = loop.save_checkpoint

    def save(path: Path, variables: dict, state: dict) -> None:
        last = path.name == "checkpoint.npz" and len(state["history"]) == epoch
        if saved or not last:
            write(path, variables, state)
        if last:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", save)
        with pytest.raises(KeyboardInterrupt):
            yield


def train_with_interruptions(settings: Experiment, dataset: Dataset, path: Path, where: list[tuple[int, bool]]) -> None:
    """Every part in a new session, as a new process would have."""
    for epoch, saved in where:
        with interrupted_at(epoch, saved):
            train(settings, dataset, path)
    train(settings, dataset, path)


@pytest.fixture(scope="module")
def two_stages() -> Experiment:
    """Dropout of the backbone and of the head, augmentation, mixing, warm-up, even sampling, momentum, clipping."""
    return experiment(
        head_epochs=1,
        epochs=3,
        head={"dense": [16], "dropout": [0.2, 0.2]},
        optimizer={"name": "adam", "clip": 1.0, "decay": 0.001},
        schedule={"kind": "cosine", "warmup": 1},
        augment={"vertical_flip": True, "mixup": 0.2, "cutmix": 1.0, "erase": 0.25},
        loss={"name": "focal", "gamma": 1.0, "smoothing": 0.1, "l2": 1e-4},
        sampling="balanced",
    )


@pytest.fixture(scope="module")
def uninterrupted(two_stages: Experiment, faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("uninterrupted") / "run"
    train(two_stages, faces, path)
    return path


def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    two_stages: Experiment, uninterrupted: Path, faces: Dataset, tmp_path: Path
):
    # After the head stage; within the epoch after it; and after an epoch of the main stage.
    train_with_interruptions(two_stages, faces, tmp_path / "run", [(1, True), (2, False), (3, True)])
    same_result(tmp_path / "run" / "model", uninterrupted / "model")


def test_the_loss_falls_on_drawn_faces(uninterrupted: Path):
    losses = [epoch["loss"] for epoch in read_history(uninterrupted / "model" / "history.csv")]
    assert losses[-1] < losses[1]  # over the main stage


def test_history_tells_stage_rate_and_epoch(uninterrupted: Path):
    history = read_history(uninterrupted / "model" / "history.csv")
    assert [epoch["stage"] for epoch in history] == ["head", "main", "main", "main"]
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3, 4]
    rates = [epoch["learning_rate"] for epoch in history]
    assert rates[:2] == pytest.approx([1e-3, 1e-3])
    assert rates[1] > rates[2] > rates[3] > 0


def test_a_finished_part_leaves_no_checkpoint(uninterrupted: Path):
    names = {path.name for path in (uninterrupted / "model").iterdir()}
    assert names == {"model.keras", "predictions.npz", "history.csv", "result.json"}


def test_a_kill_after_the_last_epoch_loses_nothing(
    two_stages: Experiment, uninterrupted: Path, faces: Dataset, tmp_path: Path
):
    with interrupted_at(4, saved=True):
        train(two_stages, faces, tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "plan_epoch", None)  # no epoch is left to plan
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

    train_with_interruptions(watching, faces, tmp_path / "cut", [(3, True), (6, False)])
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
    keys, reseed = [], TensorFlowEngine.reseed
    monkeypatch.setattr(TensorFlowEngine, "reseed", lambda engine, key: (keys.append(key), reseed(engine, key)))
    traces, losses_of = [], tensorflow_engine.image_losses
    monkeypatch.setattr(tensorflow_engine, "image_losses", lambda *given: (traces.append(1), losses_of(*given))[1])
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
    assert all(result["seconds_to_first_step"] > 0 for result in results)
    assert all(100 < result["memory_mb"] < 100_000 for result in results)


class Recorder:
    """Takes a session's place in a loop and keeps the plans that it is handed."""

    def __init__(self, settings: Experiment, dataset: Dataset):
        self.experiment, self.dataset, self.keys = settings, dataset, example_keys(dataset.ids)
        self.stages = stages_of(settings)
        self.model = SimpleNamespace(variables=[], stop_training=False)
        self.engine = SimpleNamespace(reseed=lambda key: None)
        self.plans: list[EpochPlan] = []

    def reset(self, rows: np.ndarray) -> None:
        pass

    def start(self, stage: Stage) -> CompiledStage:
        return CompiledStage(stage, SimpleNamespace(variables=[]), [], self.train)

    def train(self, plan: EpochPlan) -> np.ndarray:
        self.plans.append(plan)
        return np.array([1.0, 1.0, 1.0])

    def evaluate(self, rows: np.ndarray) -> tuple[float, float, None]:
        return 1.0, 0.5, None


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
    with pytest.raises(UserError, match=r"model: the loss is (nan|inf) in epoch \d, steps \d to \d; lower") as error:
        train(settings, faces, tmp_path / "run")
    assert "1e+30" in str(error.value)
    assert "\n" not in str(error.value)
    assert not RunFolder(tmp_path / "run").is_done("model")
