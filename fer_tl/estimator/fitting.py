"""The training of an estimator: that of ``fer-tl train`` on all images it is given, in a folder that is kept or not."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fer_tl.core.config import Experiment
from fer_tl.core.lock import hold
from fer_tl.core.randomness import kept_states
from fer_tl.core.say import quiet, say_line
from fer_tl.data.dataset import Dataset
from fer_tl.devices.choose import claim_devices
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.history import known_history
from fer_tl.runs.part import NEEDED, check_part
from fer_tl.training.cross_validation import train_all

_TURN = threading.Lock()  # the seed and the policy of precision are of the process


@dataclass(frozen=True, eq=False)
class Trained:
    """A model and how it came about.

    Attributes:
        content: of its ``.keras`` file.
        history: a dictionary an epoch, as in ``history.csv``.
    """

    content: bytes
    history: list[dict[str, Any]]


def train_arrays(experiment: Experiment, dataset: Dataset, run_dir: Path | None, verbose: bool) -> Trained:
    """Train one model on all of a dataset in memory.

    Args:
        experiment: what to train.
        dataset: from ``fer_tl.estimator.arrays.as_dataset``.
        run_dir: folder of the run, which goes on with what is in it; None leaves nothing on the disk.
        verbose: whether lines and progress are printed.

    Raises:
        UserError: settings that do not fit the images, missing weights, another run in the folder; or the training
            failed.
    """
    spec = resolve_model(experiment)  # before a framework is imported
    spec.channels_for(dataset.image_shape[2])
    find_weights(spec, experiment.weights, experiment.accept_licence)
    say = say_line if verbose else _say_nothing
    with _TURN, kept_states(), nullcontext() if verbose else quiet(), _folder(run_dir) as folder:
        run = RunFolder(folder)
        with hold(folder, say=say):
            claim_devices(experiment.strategy)
            settings = replace(experiment, run_dir=str(folder))
            train_all(settings, dataset, run, None, say, keeps_features=False)
            part = run.part("model")
            check_part(part, NEEDED)
            return Trained((part / "model.keras").read_bytes(), known_history(part, say))


@contextmanager
def _folder(run_dir: Path | None) -> Iterator[Path]:
    if run_dir is not None:
        yield run_dir
        return
    with tempfile.TemporaryDirectory(prefix="fer-tl-") as folder:
        yield Path(folder) / "run"


def _say_nothing(line: str) -> None:
    pass
