"""Files of a run: what is written where, and read back without TensorFlow."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.config import Experiment, dump_yaml, identity
from fer_tl.data.folds import read_folds
from fer_tl.errors import UserError
from fer_tl.files import BROKEN_ARRAYS, read_json, write_atomically, write_json, write_text
from fer_tl.options import load_experiment


@dataclass(frozen=True)
class Predictions:
    """Logits of a set of examples, with what is needed to score them later.

    Attributes:
        ids: text ``[N]``, unique.
        labels: int64 ``[N]``, indices into ``class_names``.
        logits: float32 ``[N, K]``, before softmax.
        class_names: the K class names, in the order of the logits' columns.
    """

    ids: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        n, k = len(self.ids), len(self.class_names)
        if self.labels.shape != (n,) or self.logits.shape != (n, k):
            shapes = f"{n} ids, labels {self.labels.shape}, logits {self.logits.shape}, {k} classes"
            raise ValueError(f"predictions do not fit together: {shapes}")

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits: float64 ``[N, K]``, rows sum to 1."""
        z = self.logits.astype(np.float64)
        z = np.exp(z - z.max(axis=1, keepdims=True))
        return z / z.sum(axis=1, keepdims=True)


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions as a compressed ``.npz`` without pickled objects, atomically."""

    def write(temporary: Path) -> None:
        np.savez_compressed(
            temporary,
            ids=predictions.ids.astype(str),
            labels=predictions.labels.astype(np.int64),
            logits=predictions.logits.astype(np.float32),
            class_names=np.asarray(predictions.class_names, dtype=str),
        )

    write_atomically(path, write)


def load_predictions(path: Path) -> Predictions:
    """Read what ``save_predictions`` wrote; anything else is a ``UserError``."""
    try:
        # Opened here: NumPy leaves a file that is no archive open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            return Predictions(
                ids=data["ids"],
                labels=data["labels"],
                logits=data["logits"],
                class_names=tuple(str(name) for name in data["class_names"]),
            )
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the run is unfinished; run its command again to continue it") from None
    except BROKEN_ARRAYS as error:
        raise UserError(f"{path} is not a predictions file of fer-tl ({error})") from None


PART_FILES = ("predictions.npz", "history.csv", "model.keras", "result.json")


@dataclass(frozen=True)
class RunFolder:
    """One run: a folder that says what was asked, on what data, and what came out.

    ``config.yaml``, ``run.json`` and ``folds.csv`` are written when the run starts; each part (``fold-0`` ..., or
    ``model`` for a single fit) holds its checkpoint while it is in work and, when it is done, ``model.keras``,
    ``predictions.npz``, ``history.csv`` and ``result.json``, the last one last.
    """

    path: Path

    def part(self, name: str) -> Path:
        """Folder of one part."""
        return self.path / name

    def is_done(self, name: str) -> bool:
        """Whether a part is finished and all its files are there."""
        return all((self.part(name) / file).is_file() for file in PART_FILES)

    @property
    def is_finished(self) -> bool:
        """Whether a run is here and all its parts are done."""
        return (self.path / "run.json").is_file() and all(self.is_done(name) for name in self.parts)

    @property
    def parts(self) -> list[str]:
        """Names of the parts that the run consists of, done or not."""
        return list(self.read_run()["parts"])

    @property
    def seconds(self) -> float:
        """What its done parts took to train and predict."""
        return sum(read_json(self.part(name) / "result.json")["seconds"] for name in self.parts if self.is_done(name))

    def read_run(self) -> dict[str, Any]:
        """What ``start`` wrote."""
        if not (self.path / "run.json").exists():
            cells = sorted(path.parent.name for path in self.path.glob("*/run.json"))
            if cells:
                raise UserError(f"{self.path} holds several runs: name one of them ({', '.join(cells[:6])})")
        run: dict[str, Any] = read_json(self.path / "run.json")
        if not isinstance(run, dict) or "parts" not in run:
            raise UserError(f"{self.path / 'run.json'} was not written by fer-tl: {self.path} is no run")
        return run

    def read_experiment(self) -> Experiment:
        """The resolved configuration of the run."""
        return load_experiment(self.path / "config.yaml")

    def refuse_others(self, experiment: Experiment, kind: str) -> None:
        """Make sure that a run which is here, if any, was begun with these settings by ``fer-tl kind``.

        Raises:
            UserError: another run is here, with the difference.
        """
        if not (self.path / "run.json").exists():
            return
        before, now = identity(self.read_experiment()), identity(experiment)
        changed = [f"{key} {before[key]} -> {now[key]}" for key in now if before[key] != now[key]]
        found = self.read_run()["kind"]
        if found != kind:
            changed.insert(0, f"fer-tl {found} -> fer-tl {kind}")
        if changed:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(changed)}): give another --run-dir"
            )

    def start(self, experiment: Experiment, run: dict[str, Any]) -> None:
        """Begin a run here, or make sure that what is here is the same run.

        Args:
            experiment: written to ``config.yaml``.
            run: JSON-ready: kind, parts, dataset, fingerprint, class names.

        Raises:
            UserError: another run is here, with the difference; or the data has changed since.
        """
        if not (self.path / "run.json").exists():
            if self.path.is_dir() and any(self.path.iterdir()) and not (self.path / "config.yaml").exists():
                raise UserError(f"{self.path} holds other files and is no run: give another --run-dir")
            try:
                write_text(self.path / "config.yaml", dump_yaml(experiment))
                write_json(self.path / "run.json", run)
            except OSError as error:
                raise UserError(f"{self.path} cannot be written ({error.strerror}): give another --run-dir") from None
            return
        self.refuse_others(experiment, run["kind"])
        self.refuse_another_build(run["dataset"], run["fingerprint"])

    def refuse_another_build(self, dataset: str, fingerprint: str) -> None:
        """Make sure that a run which is here, if any, was begun on this build of its dataset.

        Raises:
            UserError: on another one.
        """
        if not (self.path / "run.json").exists():
            return
        before = self.read_run()["fingerprint"]
        if before != fingerprint:
            raise UserError(
                f"{self.path} was begun on another build of '{dataset}' (fingerprint {before[:12]}, now "
                f"{fingerprint[:12]}): give another --run-dir"
            )


def load_fold_predictions(run: RunFolder, ids: np.ndarray) -> tuple[Predictions, ...]:
    """Out-of-fold predictions of every fold, each checked against the fold table.

    Args:
        run: a finished cross validation.
        ids: text ``[N]``, of all images that were cross-validated.

    Raises:
        UserError: predictions of other images than the table gives to the fold.
    """
    folds = tuple(load_predictions(run.part(name) / "predictions.npz") for name in run.parts)
    assigned = read_folds(run.path / "folds.csv", ids)
    for fold, (name, predictions) in enumerate(zip(run.parts, folds, strict=True)):
        if not np.array_equal(np.sort(predictions.ids), np.sort(ids[assigned == fold])):
            raise UserError(
                f"{run.part(name) / 'predictions.npz'} does not hold the images that folds.csv gives to {name}: "
                f"one of them was changed; delete {run.part(name)} to train that fold again"
            )
    return folds


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write a history, one row an epoch, as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(
        out, fieldnames=list(dict.fromkeys(key for row in history for key in row)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(history)
    write_text(path, out.getvalue())


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read what ``write_history`` wrote, numbers as numbers."""
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        return [
            {
                key: value if key == "stage" else int(value) if key == "epoch" else float(value)
                for key, value in row.items()
            }
            for row in rows
        ]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read as a history ({error})") from None


def default_run_dir(experiment: Experiment, kind: str) -> Path:
    """``runs/<data>-<backbone>-<hash>``: the same settings find the same folder, others another one."""
    settings = json.dumps([kind, identity(experiment)], sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return Path("runs") / f"{experiment.data.replace('/', '-')}-{experiment.backbone}-{digest}"
