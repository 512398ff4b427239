"""Where a fold stands, put down in checkpoints as it goes on, and taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import own_settings
from fer_tl.core.errors import TrainingFailed, UserError
from fer_tl.core.progress import Clock
from fer_tl.core.randomness import key_of
from fer_tl.devices.broadcast import is_chief, share_bytes, share_values
from fer_tl.training.checkpoint import Checkpoints, Values, assign_values, read_values

if TYPE_CHECKING:
    from fer_tl.training.session import Session

# So much training a kill may cost. A large model is written less often, so that writing takes a fiftieth of the time.
SECONDS_PER_CHECKPOINT = 30.0
LONGEST_BETWEEN_CHECKPOINTS = 60.0
WRITING_SHARE = 1 / 50


@dataclass
class Position:
    """Where a fold stands: everything besides the values of variables that a checkpoint holds.

    Attributes:
        stage: name of the one in work.
        history: of the epochs that are done.
        step: steps done of the next epoch.
        sums: over those, see ``tensorflow_engine.Sums``.
        epoch_seconds: of training, one number an epoch; the last one is of the epoch in work.
        best: number of the epoch whose weights early stopping keeps, 0 before the first.
    """

    stage: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    epoch_seconds: list[float] = field(default_factory=lambda: [0.0])
    best: int = 0

    @property
    def epoch(self) -> int:
        """The one in work. Epochs count through the stages, so that no stage repeats another's randomness."""
        return len(self.history) + 1


class Keeper:
    """Writes the checkpoints of a fold and reads them back; with several workers the chief does, for all of them.

    Args:
        session: whose model is trained.
        folder: of the fold.
        name: of the fold, for messages.
        train: rows of the images that the fold learns from; a checkpoint of other ones is not taken up.
        tell: prints a line.
    """

    def __init__(self, session: Session, folder: Path, name: str, train: np.ndarray, tell: Callable[[str], None]):
        self.best: Values = []
        self._session = session
        self._name = name
        # A checkpoint that was copied into another fold has learnt from the images that are held out there.
        settings, data = own_settings(session.experiment), session.dataset
        self._checkpoints = Checkpoints(
            folder, key_of(name, settings, data.fingerprint, data.ids[train].tolist()), tell
        )
        self._values: dict[str, Values] = {}
        self._since, self._seconds = Clock(), 0.0

    def resume(self) -> Position:
        """The position of the newest checkpoint, or the start."""
        found = self._checkpoints.load()
        told = json.loads(share_bytes(self._session.devices, json.dumps(found and found[1]).encode()))
        if found:
            self._values = found[0]
        return Position(**told) if told else Position()

    def restore(self, at: Position, optimizer: Any) -> None:
        """Set all variables to those of the checkpoint.

        Raises:
            UserError: they are of another model.
        """
        model = self._session.model.variables
        try:
            assign_values(model, self._take("model", model))
            assign_values(optimizer.variables, self._take("optimizer", optimizer.variables))
            if averages := self._session.averages:
                assign_values(averages.variables, self._take("averages", averages.variables))
        except ValueError:
            raise UserError(
                f"{self._name}: its checkpoint was written for another model, perhaps by another version of fer-tl or "
                "Keras: give another --run-dir, or delete the folder of that fold to train it anew"
            ) from None
        if at.best:
            self.best = self._take("best", model)

    def _take(self, kind: str, variables: list[Any]) -> Values:
        return share_values(self._session.devices, self._values.pop(kind, []) or read_values(variables))

    def save(self, at: Position) -> None:
        """Write a checkpoint.

        Raises:
            TrainingFailed: the weights are not finite; the checkpoints before stay.
        """
        if not is_chief(self._session.devices):
            return
        model = self._session.model
        values = {"model": read_values(model.variables), "optimizer": read_values(model.optimizer.variables)}
        if averages := self._session.averages:
            values["averages"] = read_values(averages.variables)
        # A step can ruin the weights before a loss shows it: from such a checkpoint a run would fail for ever.
        if not all(np.isfinite(value).all() for value in values["model"]):
            if self._session.devices.workers > 1:
                return  # the next loss is not finite, and all workers learn it at the same point
            raise TrainingFailed(
                f"{self._name}: weights are not finite after step {at.step} of epoch {at.epoch}; "
                f"{advice(self._session.experiment)}",
                at.epoch,
                at.step,
            )
        if self.best:
            values["best"] = self.best
        clock = Clock()
        self._checkpoints.save(values, vars(at))
        self._seconds = clock.lap()
        self._since.lap()

    def save_if_due(self, at: Position, after: float) -> None:
        """Write a checkpoint if the last one is more than ``after`` seconds old, or more where writing takes long."""
        wait = min(max(after, self._seconds / WRITING_SHARE), LONGEST_BETWEEN_CHECKPOINTS)
        if self._since.look() >= wait:
            self.save(at)

    def forget(self) -> None:
        """Delete the checkpoints."""
        self._checkpoints.forget()


def advice(experiment: Experiment) -> str:
    """What to do when the loss is not finite."""
    return f"lower --optimizer.rate (now {experiment.optimizer.rate:g}) or set --optimizer.clip 1"
