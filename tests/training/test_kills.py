"""A real process that is killed at any moment loses nothing: the same command ends with the same bytes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stored_dataset import Stored, store_dataset

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.data.dataset import Dataset
from fer_tl.runs.part import EVENTS

KILLS, SEED = 6, 20
DIFFERS = {"timing.json", EVENTS, "environment.json", ".lock", ".turn.lock"}


class Runs:
    """Training processes, one at a time."""

    def __init__(self, folder: Path):
        self.log = (folder / "log.txt").open("w+")
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forked_runs.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            cwd=folder,
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        return self._server.stdout.readline().strip()

    def run(self, arguments: list[str], kill_after: float | None = None) -> tuple[int, float]:
        """Its exit status, negative for a signal, and the seconds that it took."""
        self._server.stdin.write(json.dumps(arguments) + "\n")
        self._server.stdin.flush()
        process, start = int(self._line()), time.monotonic()
        timer = threading.Timer(kill_after or 0, os.kill, (process, signal.SIGKILL))
        if kill_after is not None:
            timer.start()
        status = int(self._line())
        timer.cancel()
        return status, time.monotonic() - start

    def close(self) -> None:
        self._server.stdin.close()
        self._server.wait(timeout=30)
        self._server.stdout.close()
        self.log.close()


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    opened = Runs(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


def contents(run: Path) -> dict[str, bytes]:
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in DIFFERS
    }


def test_kills_at_random_moments_leave_the_same_bytes(runs: Runs, make_faces: Callable[..., Dataset], tmp_path: Path):
    run, faces = tmp_path / "run", make_faces(700, side=16)
    train = Stored(faces.images, faces.labels, faces.ids, faces.groups)
    store_dataset(tmp_path / "data", "folder/drawn", CLASS_NAMES, {"train": train})
    options = "--backbone shallow_cnn --alpha 0.25 --weights none --image-size 16 --folds 2 --epochs 3 --head-epochs 1"
    rest = "--data folder/drawn --batch-size 16 --early-stopping 2 --holdout 0.2"
    places = ["--data-dir", str(tmp_path / "data"), "--run-dir", str(run)]
    command = ["cv", *options.split(), *rest.split(), *places]
    status, seconds = runs.run(command)
    assert status == 0
    whole = contents(run)
    assert {"folds.csv", "fold-0/model.keras", "fold-1/predictions.npz", "fold-1/history.csv"} <= whole.keys()
    shutil.rmtree(run)
    rng, killed, continued = random.Random(SEED), 0, 0
    # Until some came where there was something to continue, whatever else the machine does.
    while (killed < KILLS or continued < 3) and killed < 3 * KILLS:
        status, _ = runs.run(command, kill_after=rng.uniform(0, 0.8 * seconds))  # the first run is the slowest
        if status == -signal.SIGKILL:
            killed += 1
            continued += any(run.rglob("checkpoint-*.npz"))
        else:
            assert status == 0, runs.log.seek(0) or runs.log.read()
            assert contents(run) == whole
            shutil.rmtree(run)
    assert runs.run(command)[0] == 0
    assert contents(run) == whole
    assert continued >= 3
