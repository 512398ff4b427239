"""TensorBoard: files in the run's folder, written without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Sequence

from fer_tl.core.config import Experiment
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import EVENTS
from fer_tl.training.event_log import EventLog, write_summary
from fer_tl.training.trackers.client import describe_run
from fer_tl.training.trackers.tracker import Outcome, Record, Tracker


class TensorBoard(Tracker):
    """Scalars of each part in its folder, settings and results in the run's; ``tensorboard --logdir RUN`` shows both.

    Args:
        run: its folder.
        experiment: its settings.
    """

    def __init__(self, run: RunFolder, experiment: Experiment):
        self._run, self._experiment = run, experiment
        self._logs: dict[str, EventLog] = {}

    def open(self) -> None:
        """There is nobody to reach."""

    def begin(self, part: str, history: Sequence[Record], seconds: Sequence[float]) -> None:
        """See ``Tracker.begin``. The file of a part that is done stays as it is: its times are true."""
        path = self._run.part(part) / EVENTS
        log = self._logs[part] = EventLog(path)
        if not (self._run.is_done(part) and path.exists()):
            log.begin(history, seconds)

    def epoch(self, part: str, record: Record) -> None:
        """See ``Tracker.epoch``."""
        self._logs[part].add(record)

    def outcome(self, outcome: Outcome) -> None:
        """See ``Tracker.outcome``."""
        settings = describe_run(self._run, self._experiment).settings
        lines = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in settings.items())
        texts = {"settings": f"```\n{lines}```", "files": f"```\n{outcome.file_list()}```"}
        write_summary(self._run.path / EVENTS, outcome.numbers(), texts, outcome.pictures)

    def close(self, status: str) -> None:
        """Every record is on the disk already."""

    def abandon(self) -> None:
        """Every record that could be written is on the disk."""
