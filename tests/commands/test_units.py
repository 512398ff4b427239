"""Folds and runs that are trained beside each other give the files and tables of one after the other."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.cli import main
from fer_tl.commands._report_folds import CvResult
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.core.framework import is_installed
from fer_tl.data.dataset import Dataset
from fer_tl.runs.part import EVENTS

pytestmark = pytest.mark.usefixtures("light_figures")

DIFFERS = {"timing.json", EVENTS, "environment.json"}
SMALL = {"data": "folder/drawn", "data_dir": "data", "backbone": "shallow_cnn", "alpha": 0.1, "weights": "none"}
SMALL |= {"image_size": 16, "batch_size": 16, "epochs": 1, "folds": 2}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Dataset]) -> Path:
    folder, faces = tmp_path_factory.mktemp("units"), make_faces(140, side=16)
    train = Stored(faces.images, faces.labels, faces.ids, faces.groups)
    store_dataset(folder / "data", "folder/drawn", CLASS_NAMES, {"train": train})
    return folder


@pytest.fixture(autouse=True)
def _inside(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("TF_CONFIG", "")  # what a test makes of it is gone with the test
    monkeypatch.delenv("TF_CONFIG")


@pytest.fixture(scope="module")
def alone(place: Path) -> Path:
    """A run of one process, which nothing but the command has begun."""
    command = [sys.executable, "-m", "fer_tl", "cv", "--run-dir", "runs/one"]
    command += [f"--{key.replace('_', '-')}={value}" for key, value in SMALL.items()]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)
    (place / "runs/one").rename(place / "alone")
    return place / "alone"


def contents(run: Path) -> dict[str, bytes]:
    """Of all files but figures, which the fixture draws otherwise in this process."""
    paths = [path for path in sorted(run.rglob("*")) if path.is_file() and path.suffix not in (".png", ".pdf")]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in paths if path.name not in DIFFERS}


def test_two_processes_leave_the_bytes_of_one_and_continue_alike(alone: Path, tmp_path: Path) -> None:
    said: list[str] = []
    experiment = fer_tl.load_experiment(**SMALL, run_dir="runs/one", jobs=2)
    found = fer_tl.cross_validate(experiment, said.append)
    assert contents(Path("runs/one")) == contents(alone)
    assert isinstance(found, CvResult) and found.text in said[-1]
    # What each of them says is said once.
    assert len(said) == len(set(said)) and sum(line.startswith("model: ") for line in said) == 1
    assert not any("missing" in line for line in said)
    # One fold goes missing: the same command trains that one alone.
    shutil.rmtree("runs/one/fold-1")
    said.clear()
    fer_tl.cross_validate(experiment, said.append)
    assert f"fold-0: done before, {Path('runs/one/fold-0')}" in said
    assert not any(line.startswith("fold-0  ") for line in said)
    assert contents(Path("runs/one")) == contents(alone)
    environments = json.loads(Path("runs/one/environment.json").read_text())
    assert len(environments) == 3


def test_a_sweep_of_two_at_a_time_scores_the_runs_that_one_process_trains(alone: Path, tmp_path: Path) -> None:
    axis = "how: {plain: {epochs: 1}, wild: {optimizer.rate: 100, optimizer.name: sgd, batch_size: 4}}"
    rest = "\n".join(f"{key}: {value}" for key, value in SMALL.items())
    Path("grid.yaml").write_text(f"{rest}\nsweep:\n  command: cv\n  axes:\n    {axis}\n")
    said: list[str] = []
    with pytest.raises(UserError, match=r"1 of 2 runs of the sweep failed, such as wild: .*lower --optimizer.rate"):
        fer_tl.sweep("grid.yaml", said.append, run_dir="grid", jobs=2)
    assert contents(Path("grid/plain"))["fold-0/predictions.npz"] == contents(alone)["fold-0/predictions.npz"]
    assert contents(Path("grid/plain"))["table.csv"] == contents(alone)["table.csv"]
    assert any(line.startswith("plain: fold-1: done") for line in said)
    assert not any(line.startswith("fold-") for line in said)
    rows = list(csv.DictReader(Path("grid/table.csv").read_text().splitlines()))
    assert [bool(row["failure"]) for row in rows] == [False, True]


REFUSED = {
    ("cv", "--fold", "0"): "--fold 0 is one fold and --jobs 2 are several: use one of them",
    ("train",): "this is one model",
    ("cv", "--strategy", "multiworker", "--workers", "[127.0.0.1:1,127.0.0.1:2]", "--worker", "0"): "each by all",
    ("cv", "--strategy", "tpu"): "a TPU belongs to one process",
    ("cv", "--executor", "slurm"): "there is no sbatch here",
    ("cv", "--executor", "ray", "--executor-options", "address=127.0.0.1:9"): "no cluster answers at 127.0.0.1:9",
    ("cv", "--executor", "ray", "--executor-options", "cpus"): "should be such as num_cpus=4",
    ("cv", "--executor-options", "num_cpus=4"): "are for --executor ray and slurm",
    ("cv", "--jobs", "0"): "'jobs' should be between 1 and",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_trained_beside_each_other_is_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command = [words[0], "--jobs", "2", *words[1:], "--data", "folder/drawn", "--weights", "none", "--run-dir", "never"]
    assert main(command) == 2
    error = capsys.readouterr().err
    expected = REFUSED[words]
    if "no cluster" in expected and not is_installed("ray"):
        expected = "--executor ray needs Ray: pip install"
    assert expected in error and error.count("\n") == 1
    assert not Path("never").exists()
