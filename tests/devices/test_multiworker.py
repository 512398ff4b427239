"""Two real processes train as one does, and when one of them dies the other says so and the run can go on."""

from __future__ import annotations

import csv
import json
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forked_workers import LENGTHS, arrays, payload
from stored_dataset import Stored, store_dataset

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.framework import import_backend
from fer_tl.data.dataset import Dataset
from fer_tl.devices.broadcast import is_chief, share_bytes, share_values
from fer_tl.devices.choose import choose_devices
from fer_tl.runs.predictions import load_predictions

pytestmark = pytest.mark.engines

# No BatchNorm and no dropout, which see a worker's own images and numbers; clipping, which sees those of all.
OPTIONS = (
    "--data folder/drawn --backbone liu_3conv --weights none --head.dense [] --head.dropout [0.0] --image-size 16 "
    "--batch-size 24 --epochs 2 --optimizer.clip 0.5"
)


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class Server:
    """Starts tasks of ``forked_workers.py``, those of a list at once."""

    def __init__(self, folder: Path):
        self.folder = folder
        environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
        # A proxy that does not answer is not asked for a machine that workers are on.
        # JAX: two devices a worker, and what one has compiled for itself alone another one reads.
        environment |= {"XLA_FLAGS": os.environ["XLA_FLAGS"].replace("device_count=4", "device_count=2")}
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": str(folder / "xla"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        environment |= {"http_proxy": "http://127.0.0.1:9", "no_proxy": "", "TMPDIR": str(folder / "tmp")}
        (folder / "tmp").mkdir()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forked_workers.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stdout.readline() == "ready\n"

    def run(self, *tasks: dict[str, Any]) -> list[Ended]:
        self._process.stdin.write(json.dumps(tasks) + "\n")
        self._process.stdin.flush()
        ends = json.loads(self._process.stdout.readline())
        texts = [[Path(f"{task['log']}.{kind}").read_text() for kind in ("out", "err")] for task in tasks]
        return [Ended(*end, *text) for end, text in zip(ends, texts, strict=True)]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


@dataclass(frozen=True)
class Ended:
    """How a process ended: status, negative for a signal, when, and what it printed."""

    status: int
    moment: float
    out: str
    err: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    opened = Server(tmp_path_factory.mktemp("workers"))
    try:
        yield opened
    finally:
        opened.close()


@dataclass(frozen=True)
class Runs:
    """The same run on one process, and on two of which one was killed before both were started again."""

    folder: Path
    lost: list[Ended]
    again: list[Ended]
    ports: list[int]

    def history(self, name: str) -> list[dict[str, str]]:
        with (self.folder / name / "run" / "model" / "history.csv").open(newline="") as lines:
            return list(csv.DictReader(lines))

    def logits(self, name: str) -> np.ndarray:
        return load_predictions(self.folder / name / "run" / "model" / "predictions.npz").logits


@pytest.fixture(scope="module")
def runs(server: Server, make_faces: Callable[..., Dataset]) -> Runs:
    faces, folder = make_faces(140, side=16), server.folder
    data = folder / "data"
    stored = Stored(faces.images, faces.labels, faces.ids, faces.groups)
    store_dataset(data, "folder/drawn", CLASS_NAMES, {"train": stored})
    ports = free_ports(2)
    workers = f"[{','.join(f'localhost:{port}' for port in ports)}]"

    def task(name: str, dies_at: str = "") -> dict[str, Any]:
        (folder / name).mkdir(exist_ok=True)
        place = ["--data-dir", str(data), "--run-dir", str(folder / name / "run")]
        worker = [] if name == "alone" else ["--workers", workers, "--worker", name[-1]]
        # As if of different speed: the chief does one step a call, the other would do more.
        arguments = {
            "arguments": ["train", *OPTIONS.split(), *place, *worker],
            "seconds_per_call": 2.0 if name == "worker-1" else 0.0,
            "dies_at": dies_at,
        }
        return {"name": "train", "arguments": arguments, "log": str(folder / name / "log")}

    lost = server.run(task("worker-0"), task("worker-1", dies_at="epoch 2  step 3/"), task("alone"))
    return Runs(folder, lost, server.run(task("worker-0"), task("worker-1")), ports)


def test_when_one_is_killed_the_other_names_it_and_ends_soon(runs: Runs):
    chief, worker, alone = runs.lost
    assert [chief.status, worker.status, alone.status] == [2, -9, 0], chief.err + alone.err
    assert chief.moment - worker.moment < 30
    assert chief.err == (
        f"fer-tl: worker 1 (localhost:{runs.ports[1]}) stopped responding; restart all workers with the same command: "
        "the run continues from its last checkpoint\n"
    )
    assert "epoch 1  loss" in chief.out
    assert "epoch 2  loss" not in chief.out


def test_started_again_they_continue_where_the_chief_was(runs: Runs):
    assert [ended.status for ended in runs.again] == [0, 0], runs.again[0].err
    for ended in runs.again:
        assert "epoch 2  loss" in ended.out
        assert "epoch 1  loss" not in ended.out


def test_two_workers_learn_what_one_process_learns(runs: Runs):
    ours, theirs = (runs.history(name) for name in ("worker-0", "alone"))
    assert [row["epoch"] for row in ours] == ["1", "2"]
    numbers = [[[float(row[name]) for name in row if name != "stage"] for row in rows] for rows in (ours, theirs)]
    np.testing.assert_allclose(*numbers, rtol=0, atol=1e-5)
    np.testing.assert_allclose(runs.logits("worker-0"), runs.logits("alone"), rtol=0, atol=1e-4)


def test_only_the_chief_leaves_a_run(runs: Runs):
    assert sorted(path.name for path in (runs.folder / "worker-1").iterdir()) == ["log.err", "log.out"]
    # Of the worker that was killed; the other one deleted what it wrote.
    assert len(list((runs.folder / "tmp").glob("fer-tl-worker-1-*"))) == 1


def test_the_chief_is_heard_bit_for_bit_and_other_settings_are_refused(server: Server):
    folder = server.folder
    workers = [f"localhost:{port}" for port in free_ports(2)]
    tasks = [
        {
            "name": "agree",
            "arguments": {"workers": workers, "worker": worker, "out": str(folder / f"agreed-{worker}")},
            "log": str(folder / f"agree-{worker}"),
        }
        for worker in range(2)
    ]
    chief, other = server.run(*tasks)
    for worker in range(2):
        agreed = pickle.loads((folder / f"agreed-{worker}").read_bytes())
        assert agreed["chief"] == (worker == 0)
        assert agreed["bytes"] == [payload(0, length) for length in LENGTHS]
        for ours, theirs in zip(agreed["values"], arrays(0), strict=True):
            assert (ours.shape, ours.dtype, ours.tobytes()) == (theirs.shape, theirs.dtype, theirs.tobytes())
    # The chief may be at its end, or waiting for the other one to come to its own, as JAX does, when it hears of it.
    assert chief.status in (0, 2) and other.status == 2, chief.err
    assert other.err == "'folds' is 5 on this worker, but 4 on the chief: start the same command on every machine\n"


@pytest.mark.parametrize("name", ["cpu", "mirrored"])
def test_one_worker_hears_itself(name: str):
    strategy = choose_devices(name)
    assert is_chief(strategy)
    assert share_bytes(strategy, b"abc") == b"abc"
    values = arrays(1)
    assert share_values(strategy, values) is values


@pytest.mark.parametrize("first", ["who trains", "who watches"])
@pytest.mark.skipif(import_backend() != "jax", reason="TensorFlow's watch says nothing by itself")
def test_of_two_threads_that_miss_a_worker_one_says_so(tmp_path: Path, first: str):
    script = tmp_path / "both.py"
    script.write_text(
        "import sys, threading, time\n"
        "from fer_tl.devices import jax_devices as devices\n"
        "late = 0.2 if sys.argv[1] == 'who trains' else 0.0\n"
        "devices._SECONDS_TO_BE_NAMED = 0.2 - late\n"
        "threading.Thread(target=lambda: (time.sleep(late), devices.abort(1)), daemon=True).start()\n"
        "devices.lost_workers(RuntimeError())\n"
        "time.sleep(0.5)\n"
        "sys.exit('fer-tl: one stopped responding')\n"
    )
    told = {"cluster": {"worker": ["localhost:1", "localhost:2"]}, "task": {"type": "worker", "index": 0}}
    environment = {**os.environ, "TF_CONFIG": json.dumps(told)}
    ended = subprocess.run([sys.executable, str(script), first], capture_output=True, text=True, env=environment)
    assert ended.stderr.count("stopped responding") == 1
    assert ended.returncode == (1 if first == "who trains" else 2)
