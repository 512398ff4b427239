"""Trackers are told of a training and decide nothing: none stops it, changes it, or makes another run of it."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_trainings import held_out_faces, small_experiment

from fer_tl.core.config_keys import identity
from fer_tl.core.errors import UserError
from fer_tl.data.dataset import Dataset
from fer_tl.runs.folder import RunFolder, default_run_dir
from fer_tl.runs.history import read_history
from fer_tl.runs.part import EVENTS, TRACKING
from fer_tl.training.cross_validation import train_one
from fer_tl.training.prepare_run import check_ready
from fer_tl.training.trackers import tracking
from fer_tl.training.trackers.client import ClientTracker, describe_run
from fer_tl.training.trackers.tracker import About, Outcome

pytestmark = pytest.mark.usefixtures("thin_backbone")


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Dataset]) -> Dataset:
    return held_out_faces(make_faces)


class Notebook(ClientTracker):
    """A tracker whose client is a list, which fails where ``failing`` says so."""

    name = "mlflow"
    is_sure = True
    told: list[Any]
    failing: Sequence[str] = ()

    def _do(self, what: str, *told: Any) -> None:
        if what in self.failing:
            raise ConnectionError(f"no route to https://ann:secret@tracker ({what})")
        self.told.append((what, *told))

    def _connect(self, about: About, entry: dict[str, Any]) -> dict[str, Any]:
        self._do("open", entry.get("id"))
        return {"id": entry.get("id", "first")}

    def _send_epoch(self, number: int, numbers: dict[str, float]) -> None:
        self._do("epoch", number, sorted(numbers))

    def _send_outcome(self, outcome: Outcome) -> None:
        self._do("outcome", outcome.numbers())

    def _finish(self, status: str) -> None:
        self._do("close", status)

    def abandon(self) -> None:
        self.told.append(("abandon",))


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> type[Notebook]:
    monkeypatch.setattr(tracking, "MLflow", Notebook)
    monkeypatch.setattr(Notebook, "told", [], raising=False)
    monkeypatch.setattr(Notebook, "failing", ())
    return Notebook


@pytest.fixture(scope="module")
def untold(faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained for two epochs, of which nobody was told."""
    path = tmp_path_factory.mktemp("tracking") / "run"
    train_one(small_experiment(epochs=2, track="none"), faces, RunFolder(path), lambda line: None)
    return path


@pytest.fixture
def trained(untold: Path, tmp_path: Path) -> RunFolder:
    """A copy of it."""
    return RunFolder(Path(shutil.copytree(untold, tmp_path / "run")))


def finish(run: RunFolder, said: list[str], track: str = "mlflow") -> None:
    """What the command of a run that is done does."""
    with tracking.Tracking(small_experiment(epochs=2, track=track), run, said.append) as told:
        told.outcome(Outcome({"accuracy": (0.5, 0.4, 0.6), "kappa": (0.1, None, None)}, (), {"run.json": ""}))


def train_as_recorded(run: RunFolder, said: list[str]) -> None:
    """What a training tells, without one."""
    with tracking.Tracking(small_experiment(epochs=2, track="mlflow"), run, said.append) as told:
        told.open()
        told.begin("model", [])
        for record in read_history(run.part("model") / "history.csv"):
            told.epoch("model", record)


def test_names_come_as_a_list_or_as_text():
    for given in ("mlflow,wandb", "mlflow, wandb,mlflow", ["mlflow", "wandb"], "[mlflow,wandb]"):
        assert small_experiment(track=given).trackers == ("mlflow", "wandb")
    assert small_experiment(track="none").trackers == small_experiment(track=[]).trackers == ()
    assert small_experiment().trackers == ("tensorboard",)
    with pytest.raises(UserError, match=r"names 'mlfow'; did you mean 'mlflow'\?$"):
        small_experiment(track="wandb,mlfow")


def test_a_run_is_the_same_whoever_is_told_of_it():
    runs = [small_experiment(track=names) for names in ("none", "mlflow", "wandb,tensorboard")]
    assert len({str(default_run_dir(run, "cv")) for run in runs}) == 1
    assert all(identity(run) == identity(runs[0]) for run in runs)


def test_no_folder_of_the_machine_is_told(trained: RunFolder):
    places = {"weights": "/home/ann/start.keras", "fold_table": "/home/ann/folds.csv"}
    distill = {"teachers": ["/home/ann/runs/one", "two"]}
    about = describe_run(trained, small_experiment(**places, distill=distill, data_dir="/home/ann/data"))
    assert "/home" not in json.dumps(vars(about)) and about.name.endswith("/run")
    assert about.settings["weights"] == "start.keras" and about.settings["distill.teachers"] == ["one", "two"]
    assert describe_run(trained, small_experiment()).settings["weights"] == "none"


def test_every_epoch_is_told_once_and_then_what_came_out(notebook: type[Notebook], trained: RunFolder):
    said: list[str] = []
    train_as_recorded(trained, said)
    keys = ["accuracy", "learning_rate", "loss", "val_accuracy", "val_loss"]
    assert notebook.told == [("open", None), ("epoch", 1, keys), ("epoch", 2, keys), ("close", "finished")]
    notebook.told.clear()
    finish(trained, said)
    numbers = {"result/accuracy": 0.5, "result/accuracy_low": 0.4, "result/accuracy_high": 0.6, "result/kappa": 0.1}
    assert notebook.told == [("open", "first"), ("outcome", numbers), ("close", "finished")]
    notebook.told.clear()
    finish(trained, said)  # nobody is called for nothing
    assert notebook.told == [] and said == []


def test_what_was_trained_untold_is_told_later(notebook: type[Notebook], trained: RunFolder):
    assert not list(trained.path.rglob(TRACKING)) and not list(trained.path.rglob(EVENTS))
    finish(trained, [], "mlflow,tensorboard")
    assert [what[:2] for what in notebook.told[:3]] == [("open", None), ("epoch", 1), ("epoch", 2)]
    assert len(list(trained.path.rglob(EVENTS))) == 2


def test_a_tracker_that_fails_leaves_the_training_alone(
    notebook: type[Notebook], faces: Dataset, untold: Path, tmp_path: Path
):
    notebook.failing = ("epoch",)
    said: list[str] = []
    settings, run = small_experiment(epochs=2, track="mlflow"), RunFolder(tmp_path / "run")
    with tracking.Tracking(settings, run, said.append) as told:
        train_one(settings, faces, run, lambda line: None, told)
    assert len(said) == 1 and said[0].startswith("Warning: mlflow ")
    for name in ("history.csv", "model.keras", "predictions.npz", "result.json"):
        assert (run.part("model") / name).read_bytes() == (untold / "model" / name).read_bytes()


@pytest.mark.parametrize("failing", ["epoch", "outcome", "close"])
def test_what_a_failing_tracker_missed_is_told_to_the_same_entry_later(
    failing: str, notebook: type[Notebook], trained: RunFolder
):
    notebook.failing = (failing,)
    said: list[str] = []
    finish(trained, said)
    assert len(said) == 1 and "secret" not in said[0] and "\n" not in said[0]
    assert notebook.told[-1] == ("abandon",)
    notebook.failing = ()
    finish(trained, said)
    assert [what[1] for what in notebook.told if what[0] == "open"] == [None, "first"][: 1 + (failing != "close")]
    assert [what[1] for what in notebook.told if what[0] == "epoch"] == [1, 2]
    assert sum(what[0] == "outcome" for what in notebook.told) == len(said) == 1


def test_one_that_cannot_be_reached_stops_before_the_first_step(
    notebook: type[Notebook], faces: Dataset, tmp_path: Path
):
    notebook.failing = ("open",)
    settings, run = small_experiment(epochs=2, track="mlflow"), RunFolder(tmp_path / "run")
    with pytest.raises(UserError, match=r"--track mlflow: .*no route to https://tracker.*Nothing was trained$"):
        train_one(settings, faces, run, lambda line: None)
    assert not run.part("model").exists()


def test_what_is_safe_only_at_the_end_is_told_again_after_a_kill(
    notebook: type[Notebook], trained: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Notebook, "is_sure", False)
    killed = tracking.Tracking(small_experiment(epochs=2, track="mlflow"), trained)
    killed.begin("model", read_history(trained.part("model") / "history.csv"))  # never closed
    finish(trained, [])
    assert [what[1] for what in notebook.told if what[0] == "epoch"] == [1, 2, 1, 2]
    finish(trained, [])
    assert [what[1] for what in notebook.told if what[0] == "open"] == [None, "first"]


def test_a_fold_that_is_trained_by_itself_has_an_entry_without_results(notebook: type[Notebook], trained: RunFolder):
    told = tracking.Tracking(small_experiment(track="mlflow", fold=1), trained)
    told.begin("fold-1", [{"stage": "main", "epoch": 1, "loss": 1.5}])
    told.outcome(Outcome({"accuracy": (0.5, 0.4, 0.6)}, (), {}))
    assert [what[0] for what in notebook.told] == ["open", "epoch"]
    assert list(trained.path.rglob(TRACKING)) == [trained.path / "fold-1" / TRACKING]


@pytest.mark.parametrize("content", ["{", "[]", '{"mlflow": 3}', '{"mlflow": {"epochs": []}}'])
def test_a_damaged_record_is_named(content: str, notebook: type[Notebook], trained: RunFolder):
    (trained.path / TRACKING).write_text(content)
    said: list[str] = []
    finish(trained, said)
    assert len(said) == 1 and TRACKING in said[0] and said[0].startswith("Warning: ")


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_client_is_told_with_what_to_install(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    find = importlib.util.find_spec
    # A folder of that name, as the client itself writes, looks like a package without an origin.
    folder = importlib.machinery.ModuleSpec(name, None, is_package=True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda each, *more: folder if each == name else find(each, *more))
    with pytest.raises(UserError, match=rf"^--track {name} needs {name}.*: pip install 'fer-tl\[track\]'$"):
        check_ready(small_experiment(data="toyfaces", track=name), "cv")
    check_ready(small_experiment(data="toyfaces"), "cv")
    second = {"strategy": "multiworker", "workers": ["127.0.0.1:1", "127.0.0.1:2"], "worker": 1}
    assert check_ready(small_experiment(data="toyfaces", track=name, batch_size=24, **second), "cv").worker == 1
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_shows_settings_results_and_figures(trained: RunFolder, tmp_path: Path):
    import tensorflow as tf

    Image.fromarray(np.zeros((3, 5, 4), np.uint8)).save(tmp_path / "confusion.png")
    with tracking.Tracking(small_experiment(epochs=2), trained) as told:
        told.outcome(Outcome({"accuracy": (0.5, 0.25, 0.75)}, (tmp_path / "confusion.png",), {"a/b": "0f"}))
    records = tf.data.TFRecordDataset([str(trained.path / EVENTS)])
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in records]
    values = {value.tag: value for event in events for value in event.summary.value}
    assert [values[f"result/accuracy{end}"].simple_value for end in ("", "_low", "_high")] == [0.5, 0.25, 0.75]
    assert (values["confusion"].image.width, values["confusion"].image.height) == (5, 3)
    assert values["confusion"].image.encoded_image_string == (tmp_path / "confusion.png").read_bytes()
    assert values["settings"].metadata.plugin_data.plugin_name == "text"
    assert b"batch_size: 24\n" in values["settings"].tensor.string_val[0]
    assert str(tmp_path).encode() not in values["settings"].tensor.string_val[0]
    assert values["files"].tensor.string_val[0] == b"```\na/b  0f\n```"
