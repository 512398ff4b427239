"""The session of a run: on features where nothing but the head learns, and in the precision that is faster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.environment import processor_features
from fer_tl.core.errors import OutOfMemory
from fer_tl.core.progress import seconds_by_turns
from fer_tl.core.say import Say
from fer_tl.data.dataset import Dataset
from fer_tl.training.epoch_plans import EpochPlans
from fer_tl.training.frozen import FrozenSession, uses_features
from fer_tl.training.session import Session

# bfloat16 keeps 8 bits of float32's 24: it has to be worth something.
LEAST_GAIN = 1.05

# The two take turns, so that other work on the machine slows both down.
ROUNDS = 5
SECONDS_PER_ROUND = 0.2

# Trains so many steps.
Trial = Callable[[int], None]


def open_session(
    experiment: Experiment,
    dataset: Dataset,
    weights_file: Path | None,
    rows: np.ndarray,
    begun_in: str | None,
    say: Say,
) -> Session:
    """Build the model on its devices.

    Where ``precision`` is ``auto``, both float32 and bfloat16 train a few steps, and the faster one stays, or the only
    one whose steps fit into memory; it has the initial weights, and its stages are still to start.

    Args:
        experiment: what to build.
        dataset: all images of the run.
        weights_file: from ``fer_tl.models.weights.find_weights``.
        rows: those of the dataset that may be tried on, int64 ``[N]``.
        begun_in: the precision that the run was begun in, which it keeps; None for a run that begins.
        say: prints a line: what was chosen and why.

    Raises:
        OutOfMemory: the steps of neither fit.
    """
    kind = FrozenSession if uses_features(experiment) else Session

    def open_in(precision: str) -> Session:
        return kind(replace(experiment, precision=precision), dataset, weights_file)  # type: ignore[arg-type]

    if experiment.precision != "auto" or begun_in:
        return open_in(begun_in or experiment.precision)
    session = open_in("float32")
    if reason := _reason_for_float32(session):
        say(f"precision: float32, since {reason}")
        return session
    tried: list[tuple[Session, Trial]] = []
    problem = ""
    for precision in ("float32", "mixed_bfloat16"):
        session = session if precision == "float32" else open_in(precision)
        try:
            tried.append((session, _trial(session, rows)))
        except OutOfMemory as error:
            problem = str(error)
    if not tried:
        raise OutOfMemory(problem)
    chosen, why = tried[0][0], "the only one whose trial fits into memory"
    if len(tried) == 2:
        rates = _measure(tried)
        chosen = tried[bool(rates[1] > LEAST_GAIN * rates[0])][0]
        why = f"tried: {rates[0]:,.0f} images/s in float32, {rates[1]:,.0f} in mixed_bfloat16"
    chosen.reset(rows)  # what a run starts from is recorded before its first fold
    say(f"precision: {chosen.experiment.precision}, {why}")
    return chosen


def _reason_for_float32(session: Session) -> str:
    """Why bfloat16 cannot be faster, without trying; "" where it may be."""
    features = processor_features()
    if session.experiment.unfreeze == "none":
        return "the backbone does not learn"
    if session.devices.kind == "CPU" and features is not None and "bfloat16" not in features:
        return "this processor has no instructions for bfloat16"
    return ""


def _measure(tried: list[tuple[Session, Trial]]) -> list[float]:
    """Images a second of each session."""
    longest = min(session.engine.steps_at_once for session, _ in tried)
    one = max(seconds_by_turns([partial(run, 1) for _, run in tried], 1))
    steps = max(1, min(longest, round(SECONDS_PER_ROUND / one)))
    images = steps * tried[0][0].experiment.batch_size
    return [images / seconds for seconds in seconds_by_turns([partial(run, steps) for _, run in tried], ROUNDS)]


def _trial(session: Session, rows: np.ndarray) -> Trial:
    """Train the first step of the main stage, so that it is traced.

    Raises:
        OutOfMemory: it does not fit.
    """
    session.reset(rows)
    compiled = session.start(session.stages[-1])
    plan = EpochPlans(session, 0, rows).plan(compiled, 0, 1)

    def run(steps: int) -> None:
        for start in range(0, steps, len(plan)):
            compiled.train(plan, 0, min(len(plan), steps - start))

    run(1)
    return run
