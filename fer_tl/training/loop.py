"""The loop of one fold: stages, epochs, Keras callbacks, checkpoints and progress. It knows no backend."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil

from fer_tl.data.randomness import key_of
from fer_tl.errors import UserError
from fer_tl.training.checkpoint import Values, assign_values, load_checkpoint, save_checkpoint
from fer_tl.training.plan import EpochPlan, adjustment, balanced_weights, plan_epoch, sample_evenly, steps_per_epoch
from fer_tl.training.progress import Clock, Progress
from fer_tl.training.schedules import rate_factors
from fer_tl.training.session import CompiledStage, Session

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
            ``val_loss`` and ``watched_loss`` are plain cross-entropy.
        kept_epoch: whose weights the model holds.
        seconds_to_first_step: until the first call of the engine was back; None where no epoch was left to train.
        memory_mb: resident memory of the process at the end of the fold, in millions of bytes.
    """

    history: list[dict[str, Any]]
    kept_epoch: int
    seconds_to_first_step: float | None
    memory_mb: int


class Loop:
    """Trains one fold to its end, from wherever its checkpoint stands.

    Args:
        session: the model and its compiled stages.
        fold: number, part of the key of all randomness.
        rows: see ``FoldRows``.
        folder: where the checkpoint is kept while the fold is in work.
        progress: shared by the folds of a run.
        name: shown in front of the progress line.
        idle: runs since the start of the run or the end of the fold before.
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
    ):
        self.session = session
        self.fold = fold
        self.rows = rows
        self.progress = progress
        self.name = name
        self.history: list[dict[str, Any]] = []
        self._checkpoint = folder / "checkpoint.npz"
        self._best = folder / "best.npz"
        experiment = session.experiment
        labels, classes = session.dataset.labels[rows.train], len(session.dataset.class_names)
        balanced, tau = experiment.class_weights == "balanced", experiment.loss.logit_adjustment
        self._weights = balanced_weights(labels, classes) if balanced else np.ones(len(labels))
        self._offsets = adjustment(labels, classes, tau) if tau else None
        self._steps_per_call = 4
        self._idle = idle
        self._seconds_to_first_step: float | None = None

    def run(self) -> Fitted:
        """Train all stages; the model holds the kept weights afterwards."""
        self.session.reset(self.rows.train)
        resume = load_checkpoint(self._checkpoint)
        if resume:
            self.history = resume[1]["history"]
        for stage in self.session.stages:
            done = [epoch for epoch in self.history if epoch["stage"] == stage.name]
            compiled = self.session.start(stage)
            callbacks = self._callbacks(compiled)
            # Callbacks are functions of the logs: showing them the recorded ones brings their state back.
            for epoch in done:
                callbacks.on_epoch_end(epoch["epoch"], epoch)
            if resume and resume[1]["stage"] == stage.name:
                self._restore(compiled, resume[0])
            self.progress.skip(len(done) * len(self.rows.train))
            for _ in self._epochs(compiled, callbacks, len(done)):
                save_checkpoint(
                    self._checkpoint,
                    {"model": self.session.model.variables, "optimizer": compiled.optimizer.variables},
                    {"stage": stage.name, "history": self.history},
                )
        kept = len(self.history)
        if self.session.experiment.early_stopping:
            kept = self._best_epoch()
            best = load_checkpoint(self._best)
            assert best is not None
            assign_values(self.session.model.variables, best[0]["model"])
        memory = round(psutil.Process().memory_info().rss / 1e6)
        return Fitted(self.history, kept, self._seconds_to_first_step, memory)

    def forget(self) -> None:
        """Delete the checkpoints, once the fold's results are saved."""
        self._checkpoint.unlink(missing_ok=True)
        self._best.unlink(missing_ok=True)

    def _restore(self, compiled: CompiledStage, values: dict[str, Values]) -> None:
        assign_values(self.session.model.variables, values["model"])
        assign_values(compiled.optimizer.variables, values["optimizer"])

    def _best_epoch(self) -> int:
        return 1 + int(np.argmin([epoch["watched_loss"] for epoch in self.history]))

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

    def _epochs(self, compiled: CompiledStage, callbacks: Any, first: int) -> Iterator[None]:
        """Run the epochs of a stage that are left, yielding after each, when its state is whole."""
        stage = compiled.stage
        for epoch in range(first, stage.epochs):
            if self.session.model.stop_training:
                self.progress.skip((stage.epochs - epoch) * len(self.rows.train))
                return
            # Epochs count through the stages, so that no stage repeats another's randomness.
            number = len(self.history) + 1
            logs = self._train_epoch(compiled, epoch, number)
            logs |= self._measure(number)
            record = {"stage": stage.name, "epoch": number, **logs}
            self.history.append(record)
            callbacks.on_epoch_end(number, record)
            if self.session.experiment.early_stopping and self._best_epoch() == number:
                save_checkpoint(self._best, {"model": self.session.model.variables}, {"epoch": number})
            self.progress.line(
                f"{self.name}  epoch {number}  loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.3f}  "
                f"held-out loss {logs['val_loss']:.4f}  accuracy {logs['val_accuracy']:.3f}  {self.progress.rate()}"
            )
            yield

    def _train_epoch(self, compiled: CompiledStage, epoch: int, number: int) -> dict[str, float]:
        experiment = self.session.experiment
        plan = self._plan(compiled, epoch, number)
        self.session.engine.reseed(key_of("dropout", experiment.seed, self.fold, number))
        sums = np.zeros(3)
        step, clock, spent = 0, Clock(), 0.0
        while step < len(plan):
            part = plan.part(step, step + self._steps_per_call)
            new = compiled.train(part)
            if self._seconds_to_first_step is None:
                self._seconds_to_first_step = round(self._idle.lap(), 2)
                self.progress.line(f"{self.name}  first steps after {self._seconds_to_first_step:.1f} s of preparation")
            if not math.isfinite(new[0]):
                raise UserError(
                    f"{self.name}: the loss is {new[0]} in epoch {number}, "
                    f"steps {step + 1} to {step + len(part)}; {self._advice()}"
                )
            sums += new
            step += len(part)
            seconds = clock.lap()
            spent += seconds
            # Neither the numbers nor the trace depend on how the steps are cut into calls.
            self._steps_per_call = max(1, min(1024, round(len(part) * SECONDS_PER_CALL / max(seconds, 1e-3))))
            self.progress.step(int(new[2]), seconds, f"{self.name}  epoch {number}  step {step}/{len(plan)}")
        return {
            "loss": sums[0] / sums[2],
            "accuracy": sums[1] / sums[2],
            "learning_rate": float(plan.rates[-1]),
            "seconds": round(spent, 3),
        }

    def _advice(self) -> str:
        rate = self.session.experiment.optimizer.rate
        return f"lower --optimizer.rate (now {rate:g}) or set --optimizer.clip 1"

    def _plan(self, compiled: CompiledStage, epoch: int, number: int) -> EpochPlan:
        experiment, stage, rows = self.session.experiment, compiled.stage, self.rows.train
        steps = steps_per_epoch(len(rows), experiment.batch_size)
        # The plateau callback moves the optimizer's own rate; the other schedules are functions of the step.
        peak = (
            float(compiled.optimizer.learning_rate) if stage.schedule.kind == "plateau" else experiment.optimizer.rate
        )
        rates = peak * rate_factors(stage.schedule, epoch * steps, steps, steps, stage.epochs)
        stream = (experiment.seed, self.fold, number)
        keys, weights = self.session.keys[rows], self._weights
        if experiment.sampling == "balanced":
            chosen, keys = sample_evenly(self.session.dataset.labels[rows], keys, *stream)
            rows, weights = rows[chosen], weights[chosen]
        return plan_epoch(
            rows,
            keys,
            weights,
            experiment.batch_size,
            experiment.augment,
            self.session.dataset.image_shape[:2],
            np.maximum(rates, min(stage.schedule.floor, peak)),
            *stream,
            offsets=self._offsets,
        )

    def _measure(self, number: int) -> dict[str, float]:
        loss, accuracy, _ = self.session.evaluate(self.rows.held_out)
        if not math.isfinite(loss):
            raise UserError(
                f"{self.name}: training diverged, the held-out loss is {loss} after epoch {number}; {self._advice()}"
            )
        logs = {"val_loss": loss, "val_accuracy": accuracy}
        if len(self.rows.watched):
            loss, accuracy, _ = self.session.evaluate(self.rows.watched)
            logs |= {"watched_loss": loss, "watched_accuracy": accuracy}
        return logs
