"""All trackers of a run together: none that fails stops a training."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import warnings
from collections.abc import Callable, Sequence
from types import TracebackType

from fer_tl.core.config import Experiment
from fer_tl.core.errors import Terminated, UserError, one_line
from fer_tl.core.say import Say, say_line
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.history import known_history
from fer_tl.training.trackers.client import describe_run
from fer_tl.training.trackers.mlflow_tracker import MLflow
from fer_tl.training.trackers.tensorboard import TensorBoard
from fer_tl.training.trackers.tracker import Outcome, Record, Tracker
from fer_tl.training.trackers.wandb_tracker import WeightsAndBiases

SERVER = "MLFLOW_TRACKING_URI"


def refuse_missing_clients(experiment: Experiment) -> None:
    """Make sure that the clients of an experiment's trackers are installed, without importing them.

    Raises:
        UserError: naming what is missing.
    """
    # MLflow writes its file on this machine by SQLAlchemy, and needs neither for a server.
    of_mlflow = ("mlflow",) if os.environ.get(SERVER) else ("mlflow", "sqlalchemy", "alembic")
    needed = {"mlflow": of_mlflow, "wandb": ("wandb",)}
    for name in experiment.trackers:
        if missing := [package for package in needed.get(name, ()) if not _is_installed(package)]:
            raise UserError(f"--track {name} needs {', '.join(missing)}: pip install 'fer-tl[track]'")


def _is_installed(package: str) -> bool:
    """Whether a package is there. A folder ``wandb`` where the command is given looks like one without an origin."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


class Tracking:
    """Tells all trackers that an experiment names; a context, at whose end they are told how it was left.

    A tracker that fails is left out from then on, with a warning. What it has not been told, the run's command tells it
    when it is given again.

    Args:
        experiment: of the run.
        run: its folder.
        say: prints a line.
        silent: whether nothing is told: by a worker whose chief tells it, or where the run cannot be written.
    """

    def __init__(self, experiment: Experiment, run: RunFolder, say: Say = say_line, silent: bool = False):
        self._run, self._say = run, say
        # Processes that train one fold each, at the same time, have an entry each: W&B takes one process an entry.
        self._part = "" if experiment.fold is None else f"fold-{experiment.fold}"
        self._begun: set[str] = set()
        self._trackers = {} if silent else {name: self._make(name, experiment) for name in experiment.trackers}

    def _make(self, name: str, experiment: Experiment) -> Tracker:
        if name == "tensorboard":
            return TensorBoard(self._run, experiment)
        kind = {"mlflow": MLflow, "wandb": WeightsAndBiases}[name]
        folder = self._run.part(self._part) if self._part else self._run.path
        return kind(folder, lambda: describe_run(self._run, experiment, self._part), whole=not self._part)

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        interrupted = isinstance(error, KeyboardInterrupt | Terminated)
        status = "interrupted" if interrupted else "failed" if error else "finished"
        self._tell(lambda tracker: tracker.close(status))

    def open(self) -> None:
        """Reach all trackers before anything is trained.

        Raises:
            UserError: one cannot be reached.
        """
        for name, tracker in self._trackers.items():
            try:
                with _own_warnings_hidden():
                    tracker.open()
                if tracker.where:
                    self._say(tracker.where)
            except Exception as error:
                raise UserError(
                    f"--track {name}: nothing can be told to it ({_brief(error)}); mend that, or give the command "
                    f"without --track {name}. Nothing was trained"
                ) from error

    def begin(self, part: str, history: Sequence[Record], seconds: Sequence[float] = ()) -> None:
        """See ``Tracker.begin``."""
        self._begun.add(part)
        self._tell(lambda tracker: tracker.begin(part, history, seconds))

    def epoch(self, part: str, record: Record) -> None:
        """See ``Tracker.epoch``."""
        self._tell(lambda tracker: tracker.epoch(part, record))

    def outcome(self, outcome: Outcome) -> None:
        """See ``Tracker.outcome``. Of parts that were done before, what was not told yet is told."""
        if not self._trackers:
            return
        for part in [self._part] if self._part else self._run.done:
            if part not in self._begun:
                self.begin(part, known_history(self._run.part(part), lambda line: None))
        self._tell(lambda tracker: tracker.outcome(outcome))

    def _tell(self, tell: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                with _own_warnings_hidden():
                    tell(tracker)
            except Exception as error:  # whatever a library, a network or a full disk raises
                del self._trackers[name]
                with contextlib.suppress(Exception):
                    tracker.abandon()
                self._say(
                    f"Warning: {name} is told no more of {self._run.path} ({_brief(error)}): the run goes on without; "
                    "its command, given again, tells the rest"
                )


def _own_warnings_hidden() -> warnings.catch_warnings:
    """Hides what libraries warn of their own insides, of which no user can do anything."""
    return warnings.catch_warnings(action="ignore")


def _brief(error: Exception) -> str:
    """An error in a line, without a name and password that an address may hold."""
    return re.sub(r"//[^/@\s]*@", "//", one_line(error)) or type(error).__name__
