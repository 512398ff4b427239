"""What a process of `engine.py` is asked to measure, and the means to do it."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from fer_tl.core.config import Augment, Experiment
from fer_tl.core.options import load_experiment

BATCH = 64
SIDE = 96
SIDES = (48, 96, 128)
FOLDS = 4
COUNTS = (1_000, 10_000, 100_000, 1_000_000)
AUGMENT = Augment(rotation=10, shear=10, zoom=0.1, shift=0.1, flip=True)


@dataclass(frozen=True)
class Task:
    """One measurement of one system.

    Attributes:
        what: "input", "fit", "frozen" or one of the table of scale.
        system: whose.
        folder: class folders of images, for the peers.
        data: name of the built dataset, in ``data_dir``.
        seconds: how long a rate is measured.
        began: when the process was started, as ``time.time()``.
    """

    what: str
    system: str
    folder: str
    data: str
    data_dir: str
    seconds: float
    began: float

    def run(self) -> dict[str, float]:
        """Measure in a process of its own and return what it printed last."""
        import subprocess

        script = {"keras": "engine_peers.py", "generator": "engine_peers.py"}.get(self.system, "engine_ours.py")
        path = Path(__file__).with_name("engine_scale.py" if self.what.startswith("scale") else script)
        done = subprocess.run(
            [sys.executable, str(path), json.dumps(asdict(self))], stdout=subprocess.PIPE, text=True, check=True
        )
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found


def fit_experiment(frozen: bool, **settings: Any) -> Experiment:
    """The experiment that all systems train."""
    return load_experiment(
        backbone="mobilenetv2",
        image_size=SIDE,
        batch_size=BATCH,
        unfreeze="none" if frozen else "all",
        augment={name: getattr(AUGMENT, name) for name in ("rotation", "shear", "zoom", "shift", "flip")},
        **settings,
    )


def given_task() -> Task:
    """The task that this process was started for."""
    return Task(**json.loads(sys.argv[1]))


def images_per_second(call: Callable[[], int], seconds: float, warm: int = 3) -> float:
    """Rate of a call that returns how many images it handled, after ``warm`` calls that do not count."""
    for _ in range(warm):
        call()
    began, images, passed = time.perf_counter(), 0, 0.0
    while passed < seconds:
        images += call()
        passed = time.perf_counter() - began
    return images / passed


def seconds_of(call: Callable[[], object]) -> float:
    """What a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def memory_mb() -> float:
    """Resident memory of this process, in millions of bytes."""
    return float(psutil.Process().memory_info().rss / 1e6)


def peak_mb() -> float:
    """The most that it ever was."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
