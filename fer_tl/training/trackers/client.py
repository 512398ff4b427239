"""Trackers whose own client is told: what each was told already is kept with the run, so that nothing is told twice."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import identity
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import TRACKING
from fer_tl.training.trackers.tracker import About, Outcome, Record, Tracker

PROJECT = "fer-tl"
"""Of W&B, and the experiment of MLflow, where their own variables name no other."""
_OF_RUN = ("kind", "dataset", "fingerprint", "class_names", "images", "held_out", "backend")

_PATHS = ("weights", "fold_table", "distill.teachers")  # settings that may name a place on the machine


def describe_run(run: RunFolder, experiment: Experiment, part: str = "") -> About:
    """What a run that was begun is.

    Args:
        run: its folder.
        experiment: its settings.
        part: the only one that this process trains, else "".
    """
    about, place = run.read_run(), run.path.resolve()
    name = "/".join(filter(None, (place.parent.name, place.name, part)))
    facts = {f"run.{key}": about[key] for key in _OF_RUN if key in about}
    # What was trained in, where that was left to a trial.
    settings = {**identity(experiment), "precision": about.get("precision", experiment.precision), **facts}
    settings |= {key: _names_of(settings[key]) for key in _PATHS}
    return About(name, place.parent.name or place.name, settings, len(about["parts"]))


def _names_of(value: Any) -> Any:
    """A path, or several, without the folders that it lies in; None and single words stay."""
    return [Path(each).name for each in value] if isinstance(value, list) else value and Path(value).name


class ClientTracker(Tracker):
    """A tracker with an entry for the run, which the same command continues.

    Args:
        folder: of the run, or of the only part that the process trains: ``TRACKING`` lies in it.
        describe: what the run is; called once it is begun.
        whole: whether the entry is of the whole run, which alone has results.

    Attributes:
        name: of the tracker, as in ``--track``.
        is_sure: whether what it was told is safe at once, or not before ``close``.
    """

    name: str
    is_sure: bool

    def __init__(self, folder: Path, describe: Callable[[], About], whole: bool):
        self._path, self._describe, self._whole = folder / TRACKING, describe, whole
        self._entry: dict[str, Any] = {}
        self._parts = 1
        self._is_open = False

    def open(self) -> None:
        """See ``Tracker.open``; does nothing where it is open."""
        if self._is_open:
            return
        self._read()
        about = self._describe()
        self._parts = about.parts
        entry = self._connect(about, self._entry)
        if entry["id"] != self._entry.get("id"):
            self._entry = {}  # of one that is gone, what it was told is gone too
        self._entry |= entry
        self._write()
        self._is_open = True

    def begin(self, part: str, history: Sequence[Record], seconds: Sequence[float]) -> None:
        """See ``Tracker.begin``: what was not told of these epochs is told now."""
        self._read()
        for record in history:
            self.epoch(part, record)

    def epoch(self, part: str, record: Record) -> None:
        """See ``Tracker.epoch``; one that was told before is passed over: it is trained to the same numbers again."""
        number = int(record["epoch"])
        if number <= self._entry.get("epochs", {}).get(part, 0):
            return
        self.open()
        epochs = self._entry.get("epochs", {})
        end = f"/{part}" if self._parts > 1 else ""
        numbers = {f"{key}{end}": float(value) for key, value in record.items() if key not in ("stage", "epoch")}
        self._send_epoch(number, numbers)
        self._note(epochs={**epochs, part: number})

    def outcome(self, outcome: Outcome) -> None:
        """See ``Tracker.outcome``; the same one is told once."""
        if not self._whole:
            return
        self._read()
        said = json.dumps([outcome.numbers(), outcome.files], sort_keys=True)
        digest = hashlib.sha256(said.encode()).hexdigest()
        if self._entry.get("outcome") != digest:
            self.open()
            self._send_outcome(outcome)
            self._note(outcome=digest)

    def close(self, status: str) -> None:
        """See ``Tracker.close``."""
        if self._is_open:
            self._is_open = False
            self._finish(status)
            self._write()

    @abstractmethod
    def _connect(self, about: About, entry: dict[str, Any]) -> dict[str, Any]:
        """Continue the entry that is kept, or begin another; returns what to keep of it, its ``id`` at least."""

    @abstractmethod
    def _send_epoch(self, number: int, numbers: dict[str, float]) -> None:
        """Tell of an epoch, counted from 1."""

    @abstractmethod
    def _send_outcome(self, outcome: Outcome) -> None:
        """Tell of results, figures and names of files."""

    @abstractmethod
    def _finish(self, status: str) -> None:
        """Leave the entry in this state."""

    def _read(self) -> None:
        """Take up what is kept, unless it is known already."""
        if self._entry or not self._path.is_file():
            return
        found = read_json(self._path)
        entry = found.get(self.name, {}) if isinstance(found, dict) else None
        if not isinstance(entry, dict) or not isinstance(entry.get("epochs", {}), dict):
            raise UserError(f"{self._path} is damaged: delete it, and {self.name} gets another entry of the run")
        self._entry = entry

    def _note(self, **told: Any) -> None:
        self._entry |= told
        if self.is_sure:
            self._write()

    def _write(self) -> None:
        others = read_json(self._path) if self._path.is_file() else {}
        write_json(self._path, {**others, self.name: self._entry})
