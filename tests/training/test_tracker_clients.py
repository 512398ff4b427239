"""MLflow and W&B, by their real clients writing on this machine: one entry a run, each epoch once, figures with ends.

They are not in the extra ``dev``, see setup.cfg: where one is not installed, its test is skipped.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from small_trainings import held_out_faces, small_experiment

from fer_tl.data.dataset import Dataset
from fer_tl.runs.folder import RunFolder
from fer_tl.training import fold_checkpoints
from fer_tl.training.cross_validation import train_one
from fer_tl.training.trackers.tracker import Outcome
from fer_tl.training.trackers.tracking import Tracking

pytestmark = pytest.mark.usefixtures("thin_backbone")

OUTCOME = {"accuracy": (0.5, 0.25, 0.75)}
FILES = {"model/model.keras": "0f", "run.json": ""}


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Dataset]) -> Dataset:
    return held_out_faces(make_faces)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of its own, and no servers but what is written there."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train_in_two_sessions(faces: Dataset, track: str) -> None:
    """Three epochs, interrupted after the second."""
    settings, run = small_experiment(epochs=3, track=track), RunFolder(Path("runs") / "one")
    save = fold_checkpoints.Keeper.save_if_due

    def interrupt(self: fold_checkpoints.Keeper, at: fold_checkpoints.Position, seconds: float) -> None:
        save(self, at, 0.0)
        if at.epoch == 3:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_checkpoints.Keeper, "save_if_due", interrupt)
        with pytest.raises(KeyboardInterrupt), Tracking(settings, run, [].append) as told:
            train_one(settings, faces, run, [].append, told)
    Image.new("RGB", (4, 3)).save("confusion.png")
    with Tracking(settings, run, [].append) as told:
        train_one(settings, faces, run, [].append, told)
        told.outcome(Outcome(OUTCOME, (Path("confusion.png"),), FILES))


@pytest.mark.filterwarnings("ignore")  # of MLflow's own insides
def test_mlflow_has_one_run_with_each_epoch_once(faces: Dataset, alone: Path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("alembic")
    train_in_two_sessions(faces, "mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{alone}/mlflow.db")
    experiment = client.get_experiment_by_name("fer-tl")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("runs/one", "FINISHED")
    assert run.data.params["batch_size"] == "24" and run.data.params["optimizer.name"] == "adam"
    assert not set(run.data.params) & {"data_dir", "run_dir", "track"}
    for key in ("loss", "val_accuracy", "learning_rate"):
        assert [metric.step for metric in client.get_metric_history(run.info.run_id, key)] == [1, 2, 3]
    assert [run.data.metrics[f"result/accuracy{end}"] for end in ("", "_low", "_high")] == [0.5, 0.25, 0.75]
    kept = Path(run.info.artifact_uri)
    assert (kept / "files.txt").read_text() == "model/model.keras  0f\nrun.json\n"
    assert {path.name for path in kept.iterdir()} == {"files.txt", "confusion.png"}


def test_wandb_has_one_run_with_each_epoch_once_and_needs_no_login(faces: Dataset, alone: Path):
    pytest.importorskip("wandb")
    train_in_two_sessions(faces, "wandb")
    files = sorted(Path("runs/one/wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2 and len({path.name for path in files}) == 1  # two sessions of one run
    found = [record for path in files for record in wandb_records(path)]
    run = next(record.run for record in found if record.WhichOneof("record_type") == "run")
    assert (run.project, run.display_name, run.run_group, run.host) == ("fer-tl", "runs/one", "runs", "")
    assert named(run.config.update)["batch_size"] == "24"
    rows = [named(record.history.item) for record in found if record.WhichOneof("record_type") == "history"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert all({"loss", "val_accuracy", "learning_rate"} <= set(row) for row in rows)
    summary: dict[str, str] = {}
    for record in found:
        summary |= named(record.summary.update) if record.WhichOneof("record_type") == "summary" else {}
    assert [summary[f"result/accuracy{end}"] for end in ("", "_low", "_high")] == ["0.5", "0.25", "0.75"]
    assert json.loads(summary["files"]) == list(FILES) and "figures/confusion" in summary


def named(items: Any) -> dict[str, str]:
    return {item.key or "/".join(item.nested_key): item.value_json for item in items}


def wandb_records(path: Path) -> Iterator[Any]:
    """The records of a file of W&B: a log in blocks of 32 KiB, as LevelDB writes it, behind a header of 7 bytes."""
    record_type = __import__("wandb.proto.wandb_internal_pb2", fromlist=["Record"]).Record
    content, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack("<HB", content[at + 4 : at + 7])
        whole, at = whole + content[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield record_type.FromString(whole)
            whole = b""


def test_nothing_of_a_client_is_imported_where_it_is_not_asked_for(faces: Dataset, alone: Path):
    before = {name for name in ("mlflow", "wandb") if name in sys.modules}
    settings, run = small_experiment(epochs=1), RunFolder(Path("runs") / "two")
    with Tracking(settings, run, [].append) as told:
        train_one(settings, faces, run, [].append, told)
    assert {name for name in ("mlflow", "wandb") if name in sys.modules} == before
