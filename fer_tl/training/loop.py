"""The loop of one fold: stages, epochs, Keras callbacks, checkpoints and progress. It knows no backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil

from fer_tl.core.errors import TrainingFailed
from fer_tl.core.interrupts import deferred
from fer_tl.core.progress import Clock, Progress
from fer_tl.core.randomness import key_of
from fer_tl.devices.broadcast import share_bytes
from fer_tl.engines.plan import EpochPlan, steps_per_epoch
from fer_tl.runs.history import write_history
from fer_tl.training.checkpoint import assign_values, read_values
from fer_tl.training.epoch_plans import EpochPlans
from fer_tl.training.fold_checkpoints import SECONDS_PER_CHECKPOINT, Keeper, Position, advice
from fer_tl.training.session import CompiledStage, Session
from fer_tl.training.stages import Stage
from fer_tl.training.trackers.tracking import Tracking

Asked = Callable[[], type[BaseException] | None]

# One call of the engine should last about this long: short enough for a live line and for Ctrl-C, long enough that
# the call itself (under 1 ms) does not count.
SECONDS_PER_CALL = 2.0


@dataclass(frozen=True)
class FoldRows:
    """Rows of the session's dataset: what is trained on, what is held out to be scored, and what early stopping and
    plateau may watch (empty where neither is used)."""

    train: np.ndarray
    held_out: np.ndarray
    watched: np.ndarray


@dataclass(frozen=True)
class Fitted:
    """What training a fold left behind.

    Attributes:
        history: one dictionary an epoch. Its ``loss`` is the mean over images of what was minimized: smoothed, focal,
            adjusted, mixed and weighted where the experiment says so, but without the penalty on the weights.
            ``accuracy`` is over the augmented images; of a mixed one it counts the share that was right.
            ``val_loss`` and ``watched_loss`` are plain cross-entropy. Where the weights are averaged, or a share of the
            start is kept, ``val_...`` and ``watched_...`` are of what would be saved, and the others of the weights.
        kept_epoch: whose weights the model holds.
        timing: what no two runs have in common: ``seconds`` of training over all sessions that worked on the fold,
            ``epoch_seconds`` of each epoch, ``seconds_to_first_step`` until the first call of the engine was back (None
            where nothing was left to train), ``memory_mb``, resident memory of the process at the end of the fold in
            millions of bytes.
    """

    history: list[dict[str, Any]]
    kept_epoch: int
    timing: dict[str, Any]


class Loop:
    """Trains one fold to its end, from wherever its checkpoint stands.

    Args:
        session: the model and its compiled stages.
        fold: number, part of the key of all randomness.
        rows: see ``FoldRows``.
        folder: of the fold: its checkpoints while it is in work, and its history.
        progress: shared by the folds of a run.
        name: of the fold, shown in front of the progress line.
        idle: runs since the start of the run or the end of the fold before.
        tracking: is told of each epoch; None where nobody is.
    """

    def __init__(
        self,
        session: Session,
        fold: int,
        rows: FoldRows,
        folder: Path,
        progress: Progress,
        name: str,
        idle: Clock,
        tracking: Tracking | None = None,
    ):
        self.session = session
        self.fold = fold
        self.rows = rows
        self.progress = progress
        self.name = name
        self._at = Position()
        self._history, self._tracking = folder / "history.csv", tracking
        self._keeper = Keeper(session, folder, name, rows.train, progress.line)
        self._plans = EpochPlans(session, fold, rows.train)
        # The first call traces and compiles: one step of it is enough.
        self._steps_per_call = 1
        self._idle = idle
        self._seconds_to_first_step: float | None = None

    def run(self) -> Fitted:
        """Train all stages; the model holds what is to be saved afterwards, see ``Session.put_scored_in_place``.

        Raises:
            TrainingFailed: the loss is not finite any more.
            KeyboardInterrupt, Terminated: asked for from outside; a checkpoint of the present step is written first.
        """
        self.session.reset(self.rows.train)
        self._at = self._keeper.resume()
        self._say_where()
        if self._tracking:
            self._tracking.begin(self.name, self._at.history, self._at.epoch_seconds)
        with deferred(self.progress.line) as asked:
            for stage in self.session.stages:
                self._run_stage(stage, asked)
            self._keeper.save(self._at)
            if interruption := asked():
                raise interruption
        if self.session.experiment.early_stopping:
            assign_values(self.session.model.variables, self._keeper.best)
        else:
            self.session.put_scored_in_place()
        kept = self._at.best or len(self._at.history)
        timing = {
            "seconds": round(sum(self._at.epoch_seconds), 3),
            "seconds_to_first_step": self._seconds_to_first_step,
            "memory_mb": round(psutil.Process().memory_info().rss / 1e6),
            "epoch_seconds": [round(seconds, 3) for seconds in self._at.epoch_seconds[:-1]],
        }
        return Fitted(self._at.history, kept, timing)

    def _say_where(self) -> None:
        """Say where a fold goes on that was begun before."""
        at, experiment = self._at, self.session.experiment
        if (at.history or at.step) and at.epoch <= sum(stage.trained for stage in self.session.stages):
            steps = steps_per_epoch(len(self.rows.train), experiment.batch_size)
            step = f", step {at.step:,} of {steps:,}" if at.step else ""
            self.progress.line(f"{self.name}  continuing at epoch {at.epoch}{step}")

    def forget(self) -> None:
        """Delete the checkpoints, once the fold's results are saved."""
        self._keeper.forget()

    def _run_stage(self, stage: Stage, asked: Asked) -> None:
        done = [epoch for epoch in self._at.history if epoch["stage"] == stage.name]
        compiled = self.session.start(stage)
        callbacks = self._callbacks(compiled)
        # Callbacks are functions of the logs: showing them the recorded ones brings their state back.
        for epoch in done:
            callbacks.on_epoch_end(epoch["epoch"], epoch)
        if self._at.stage == stage.name:
            self._keeper.restore(self._at, compiled.optimizer)
        self.progress.skip(len(done) * len(self.rows.train))
        for index in range(len(done), stage.trained):
            if self.session.model.stop_training:
                self.progress.skip((stage.trained - index) * len(self.rows.train))
                return
            self._at.stage = stage.name
            record = self._epoch(compiled, index, asked)
            # Plateau changes the optimizer here: a checkpoint between this and the end of the epoch would lack it.
            callbacks.on_epoch_end(record["epoch"], record)
            self._leave_if(asked)

    def _callbacks(self, compiled: CompiledStage) -> Any:
        experiment = self.session.experiment
        schedule = compiled.stage.schedule
        callbacks: list[Any] = []
        # Keras tells the direction by the name for its own "val_loss" only, hence the mode.
        if experiment.early_stopping:
            callbacks.append(
                keras.callbacks.EarlyStopping("watched_loss", patience=experiment.early_stopping, mode="min")
            )
        if schedule.kind == "plateau":
            callbacks.append(
                keras.callbacks.ReduceLROnPlateau(
                    "watched_loss",
                    factor=schedule.factor,
                    patience=schedule.patience,
                    min_lr=schedule.floor,
                    mode="min",
                )
            )
        listed = keras.callbacks.CallbackList(callbacks, model=self.session.model)
        listed.on_train_begin()
        return listed

    def _epoch(self, compiled: CompiledStage, index: int, asked: Asked) -> dict[str, Any]:
        """Train what is left of an epoch and measure it; its entry in the history."""
        at, number = self._at, self._at.epoch
        plan = self._plans.plan(compiled, index, number)
        if not at.step:  # else the checkpoint has the state of the dropout layers
            self.session.engine.reseed(key_of("dropout", self.session.experiment.seed, self.fold, number))
        self._train(compiled, plan, asked)
        with self.session.scored():
            record = {
                "stage": at.stage,
                "epoch": number,
                "loss": at.sums[0] / at.sums[2],
                "accuracy": at.sums[1] / at.sums[2],
                "learning_rate": float(plan.rates[-1]),
                **self._measure(number),
            }
            at.history.append(record)
            if self.session.experiment.early_stopping:
                best = 1 + int(np.argmin([epoch["watched_loss"] for epoch in at.history]))
                if best == number:
                    at.best, self._keeper.best = best, read_values(self.session.model.variables)
        at.step, at.sums = 0, [0.0, 0.0, 0.0]
        at.epoch_seconds.append(0.0)
        write_history(self._history, at.history)
        held_out = ""
        if "val_loss" in record:
            held_out = f"held-out loss {record['val_loss']:.4f}  accuracy {record['val_accuracy']:.3f}  "
        self.progress.line(
            f"{self.name}  epoch {number}  loss {record['loss']:.4f}  accuracy {record['accuracy']:.3f}  "
            f"{held_out}{self.progress.rate()}"
        )
        if self._tracking:
            self._tracking.epoch(self.name, record)
        return record

    def _train(self, compiled: CompiledStage, plan: EpochPlan, asked: Asked) -> None:
        """Run the steps of an epoch that are left."""
        at, clock = self._at, Clock()
        if at.step:
            self.progress.skip(int(plan.counts[: at.step].sum()))
        while at.step < len(plan):
            stop = min(at.step + self._steps_per_call, len(plan))
            new = compiled.train(plan, at.step, stop)  # [S, 3]
            seconds = clock.lap()
            if self._seconds_to_first_step is None:
                self._seconds_to_first_step = round(self._idle.lap(), 2)
                self.progress.line(f"{self.name}  first step after {self._seconds_to_first_step:.1f} s of preparation")
            self._refuse_infinite(new)
            for row in new.astype(np.float64).tolist():  # one by one: the sum does not depend on where calls are cut
                at.sums = [before + value for before, value in zip(at.sums, row, strict=True)]
            at.epoch_seconds[-1] += seconds
            where = f"{self.name}  epoch {at.epoch}  step {stop}/{len(plan)}"
            self.progress.step(int(new[:, 2].sum()), seconds, where)
            self._set_steps_per_call(stop - at.step, seconds)
            at.step = stop
            self._keeper.save_if_due(at, SECONDS_PER_CHECKPOINT)
            self._leave_if(asked)
            clock.lap()
        # Measuring a slow model takes a while: what is trained should not be lost in it.
        self._keeper.save_if_due(at, SECONDS_PER_CHECKPOINT / 6)

    def _set_steps_per_call(self, steps: int, seconds: float) -> None:
        # Neither the numbers nor the trace depend on how the steps are cut into calls.
        fitting = round(steps * SECONDS_PER_CALL / max(seconds, 1e-3))
        # At most eightfold at once: the first call is no measure of the next.
        steps = max(1, min(self.session.engine.steps_at_once, 8 * steps, fitting))
        # As the chief on all workers: TensorFlow knows a sum over them by the number of its step in the call.
        self._steps_per_call = int(share_bytes(self.session.devices, str(steps).encode()))

    def _refuse_infinite(self, new: np.ndarray) -> None:
        bad = np.flatnonzero(~np.isfinite(new[:, 0]))
        if len(bad):
            epoch, step = self._at.epoch, self._at.step + int(bad[0]) + 1
            told = f"{self.name}: the loss is {new[bad[0], 0]} in epoch {epoch}, step {step}"
            raise TrainingFailed(f"{told}; {advice(self.session.experiment)}", epoch, step)

    def _leave_if(self, asked: Asked) -> None:
        interruption = asked()
        if interruption is not None:
            self._keeper.save(self._at)
            raise interruption

    def _measure(self, number: int) -> dict[str, float]:
        logs: dict[str, float] = {}
        for name, called, rows in (
            ("val", "held-out", self.rows.held_out),
            ("watched", "watched", self.rows.watched),
        ):
            if not len(rows):
                continue
            loss, accuracy, _ = self.session.evaluate(rows)
            if not math.isfinite(loss):
                raise TrainingFailed(
                    f"{self.name}: the {called} loss is {loss} after epoch {number}; {advice(self.session.experiment)}",
                    number,
                    None,
                )
            logs |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy}
        return logs
