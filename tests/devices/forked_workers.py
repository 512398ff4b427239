"""Runs several workers at once, in children of a process that has imported everything, so that each starts quickly.

Reads lists of tasks as lines of JSON; prints when all of a list have ended, for each its status and its moment of end.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np

from fer_tl import cli
from fer_tl.commands import cv
from fer_tl.core.errors import UserError
from fer_tl.core.framework import import_backend
from fer_tl.core.options import load_experiment
from fer_tl.core.progress import Progress
from fer_tl.devices.broadcast import is_chief, share_bytes, share_values
from fer_tl.devices.choose import choose_devices
from fer_tl.devices.cluster import configure_cluster
from fer_tl.devices.workers import joined_workers
from fer_tl.models.backbones import BACKBONES
from fer_tl.models.record import Variant
from fer_tl.reports import run_report
from fer_tl.training import fold_checkpoints, loop, session, train_parts

assert keras and cv and train_parts and session
if import_backend() == "jax":
    from fer_tl.devices import jax_devices
    from fer_tl.engines import jax_engine

    assert jax_devices and jax_engine

LONGEST = 60.0  # seconds that a list of tasks may take: what hangs is killed
LENGTHS = (0, 1, 8, 9, 8_500_000)  # of payloads: nothing, parts of a number of 8 bytes, and more than one sum takes


def one_layer(images: Any, variant: Variant) -> Any:
    """In place of a backbone: what workers have to agree on does not hang on how many layers there are."""
    x = keras.layers.Conv2D(16, 4, strides=4, activation="relu")(images)
    return keras.Model(keras.utils.get_source_inputs(images), x)


def train(arguments: list[str], seconds_per_call: float, dies_at: str) -> int:
    """A command with a checkpoint after each call of the engine and no pictures; killed from outside where the progress
    says so."""
    run_report.save_figure = lambda figure, path: None
    BACKBONES["liu_3conv"] = replace(BACKBONES["liu_3conv"], build=one_layer, features=16)
    fold_checkpoints.WRITING_SHARE = np.inf
    loop.SECONDS_PER_CHECKPOINT = 0.0
    loop.SECONDS_PER_CALL = seconds_per_call
    step = Progress.step

    def fatal(self: Progress, images: int, seconds: float, where: str) -> None:
        step(self, images, seconds, where)
        if dies_at and dies_at in where:
            os.kill(os.getpid(), signal.SIGKILL)

    Progress.step = fatal
    return cli.main(arguments)


def payload(worker: int, length: int) -> bytes:
    """What a worker would share."""
    return np.random.default_rng([worker, length]).bytes(length)


def arrays(worker: int) -> list[np.ndarray]:
    """Shapes and dtypes that all know; the bits differ."""
    bits = np.frombuffer(payload(worker, 96), np.uint32).copy()
    bits[:3] = 0x80000000, 0x7FA00001, 0x00000001  # -0.0, a signalling NaN, the smallest number
    return [bits.view(np.float32).reshape(4, 6), np.array(worker), np.empty((0, 3), np.float16), bits[:5] % 2 == 1]


def agree(workers: list[str], worker: int, out: str) -> int:
    """Write down what the chief shares with this worker, then start another run with other settings than the chief."""
    experiment = configure_cluster(load_experiment(workers=workers, worker=worker))
    other = replace(experiment, folds=4 + worker)
    with joined_workers(experiment, print):
        strategy = choose_devices(experiment.strategy)
        shared = [share_bytes(strategy, payload(worker, length)) for length in LENGTHS]
        result = {"chief": is_chief(strategy), "bytes": shared, "values": share_values(strategy, arrays(worker))}
    Path(out).write_bytes(pickle.dumps(result))
    try:
        with joined_workers(other, print):
            pass
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


TASKS = {"train": train, "agree": agree}


def start(task: dict[str, Any]) -> int:
    """Number of a child that does a task; what it prints goes to the files ``log``.out and ``log``.err."""
    child = os.fork()
    if child:
        return child
    for descriptor, kind in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{task['log']}.{kind}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.exit(TASKS[task["name"]](**task["arguments"]))  # through the framework's own end


def wait(children: list[int]) -> list[tuple[int, float]]:
    """Status, negative for a signal, and moment of the end of each."""
    ends: dict[int, tuple[int, float]] = {}
    until = time.monotonic() + LONGEST
    while len(ends) < len(children):
        for child in children:
            if child not in ends:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    ends[child] = os.waitstatus_to_exitcode(status), time.monotonic()
                elif time.monotonic() > until:
                    os.kill(child, signal.SIGKILL)
        time.sleep(0.02)
    return [ends[child] for child in children]


def main() -> None:
    """Until the end of the input."""
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(wait([start(task) for task in json.loads(line)])), flush=True)


if __name__ == "__main__":
    main()
