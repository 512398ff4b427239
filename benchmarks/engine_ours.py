"""What `engine.py` measures of fer-tl itself, and the limit: its training step on constant pixels."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from engine_task import (
    AUGMENT,
    BATCH,
    SIDES,
    Task,
    fit_experiment,
    given_task,
    images_per_second,
    memory_mb,
    peak_mb,
    seconds_of,
)

from fer_tl.core.options import load_experiment
from fer_tl.core.quiet import import_tensorflow
from fer_tl.data.dataset import Dataset, load_dataset
from fer_tl.engines.plan import EpochPlan
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights

ROUNDS = 5


def main() -> None:
    """Measure what is asked and print it as JSON."""
    task = given_task()
    import_tensorflow()
    import keras  # noqa: F401

    idle = memory_mb()
    dataset = load_dataset(task.data, task.data_dir, "train")
    found = measure_input(task, dataset) if task.what == "input" else measure_fit(task, dataset, idle)
    print("\n" + json.dumps(found))


def measure_input(task: Task, dataset: Dataset) -> dict[str, float]:
    """Augmented images a second by side, on their way into a model that only averages them."""
    return {str(side): images_per_second(input_call(dataset, side), task.seconds) for side in SIDES}


def input_call(dataset: Dataset, side: int) -> Callable[[], int]:
    """A call that augments an epoch, planning included, and returns its length."""
    from fer_tl.training.session import Session
    from fer_tl.training.step_profile import compile_input

    settings = {"backbone": "liu_3conv", "weights": "none", "image_size": side, "batch_size": BATCH}
    session = Session(load_experiment(**settings, augment=vars(AUGMENT)), dataset, None)
    train, rows = compile_input(session, dataset.images), np.arange(len(dataset))
    return lambda: int(train(plan_of(session, rows))[:, 2].sum())


def plan_of(session: Any, rows: np.ndarray) -> EpochPlan:
    """The plan of an epoch of these images."""
    rates = np.full(-(-len(rows) // BATCH), 1e-3)
    return session.plan(rows, session.keys[rows], np.ones(len(rows)), rates, 0, 0, 1, offsets=None)


def measure_fit(task: Task, dataset: Dataset, idle: float) -> dict[str, float]:
    """Fine-tune for a while.

    Returns:
        ``loop``: images/s of an epoch as the run's own loop trains it; ``fold``: seconds that a further fold costs
        besides its steps; ``evaluate``: images/s; ``memory``: MB at the peak over those after the imports; ``train``
        and ``limit``: images/s of the step and of the same on constant pixels, by turns.
    """
    from fer_tl.training.session import Session
    from fer_tl.training.step_profile import StepParts

    experiment = fit_experiment(frozen=False, epochs=1)
    session = Session(experiment, dataset, find_weights(resolve_model(experiment), experiment.weights))
    rows = np.arange(len(dataset))
    run_fold(session, 0, rows[: 4 * BATCH])
    step = session.start(session.stages[0])
    plan = plan_of(session, rows)
    seconds = seconds_of(lambda: step.train(plan, 0, 4)) / 4
    enough = max(4, round(task.seconds / seconds))
    found = run_fold(session, 1, rows[: enough * BATCH], seconds)
    found["evaluate"] = images_per_second(
        lambda: len(session.evaluate(rows[: 16 * BATCH])[2]), task.seconds / 2, warm=1
    )
    found["memory"] = peak_mb() - idle

    step = session.start(session.stages[0])
    limit = StepParts(session, step).model
    limit(1)
    steps = max(1, round(task.seconds / ROUNDS / seconds))
    few = rows[: steps * BATCH]
    pairs = []
    for _ in range(ROUNDS):
        ours = seconds_of(lambda: step.train(plan_of(session, few)))
        pairs.append((ours, seconds_of(lambda: limit(steps))))
    train, alone = np.median(pairs, axis=0)
    return {**found, "train": len(few) / train, "limit": steps * BATCH / alone}


def run_fold(session: Any, fold: int, rows: np.ndarray, step: float = 0.0) -> dict[str, float]:
    """Train a fold of one epoch on all but the last images, with checkpoints; ``step`` is what a step takes."""
    from fer_tl.core.progress import Clock, Progress
    from fer_tl.training.loop import FoldRows, Loop

    train, held_out = rows[:-BATCH], rows[-BATCH:]
    with tempfile.TemporaryDirectory() as folder:
        parts, progress = FoldRows(train, held_out, rows[:0]), Progress(len(train))
        timing = Loop(session, fold, parts, Path(folder), progress, f"fold-{fold}", Clock()).run().timing
    return {"loop": len(train) / timing["epoch_seconds"][0], "fold": max(0.0, timing["seconds_to_first_step"] - step)}


if __name__ == "__main__":
    main()
