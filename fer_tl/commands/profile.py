"""Show where the time of a run goes: start, steps, input, scoring, files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_tl.augment.geometry import IDENTITY
from fer_tl.commands._command import Command
from fer_tl.commands._settings import settle
from fer_tl.commands._shown import Shown
from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import alone
from fer_tl.core.errors import UserError
from fer_tl.core.framework import choose_backend, import_backend
from fer_tl.core.progress import Clock, seconds_by_turns
from fer_tl.core.say import Say, say_line
from fer_tl.data.dataset import Dataset, load_dataset
from fer_tl.data.merging import take_classes
from fer_tl.engines.plan import EpochPlan, steps_per_epoch
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights
from fer_tl.reports.profile_table import Costs, profile_text
from fer_tl.training.prepare_run import prepare

if TYPE_CHECKING:
    from fer_tl.engines.base import Train
    from fer_tl.training.session import Session


# Every part is called once a round, with as many steps as take about so long.
ROUNDS = 5
SECONDS_PER_CALL = 0.7
MOST_STEPS = 10_000
# Of so many images the features are computed, of a frozen backbone.
MOST_FEATURES = 512
# More than a processor's caches hold.
MOST_BYTES = 1 << 28
# Settings of where a run is kept and told of, and of who trains its parts: a profile leaves none, on one machine.
UNREAD = (
    "run_dir", "seeds", "workers", "worker", "cluster_secret", "jobs", "executor", "executor_options", "track",
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class ProfileResult(Shown):
    """What the parts of a run cost, and the tables as the terminal shows them."""

    costs: Costs
    text: str


def profile(experiment: Experiment | None = None, say: Say = say_line, **settings: Any) -> ProfileResult:
    """Measure what the parts of a cross validation cost, and what the whole of it is expected to take.

    It trains a few steps on the real data and leaves no run behind. Where a stage for the head comes first, its epochs
    are counted like those of the main stage, which is what they cost at most.

    Args:
        experiment: from ``fer_tl.load_experiment``; none for the defaults.
        say: prints a line.
        settings: in place of those of the experiment, or of the defaults: ``data="fer2013", backbone="facevgg"``, as
            ``fer_tl.load_experiment`` takes them, but none of ``UNREAD``.

    Raises:
        UserError: bad settings, missing data or weights, several machines, or another framework.
    """
    if unread := next((name for name in settings if name in UNREAD), ""):
        raise UserError(f"a profile has no setting '{unread}': leave it out")
    experiment = settle(experiment, settings, say) or Experiment()
    if choose_backend() != "tensorflow":
        raise UserError("a profile takes the steps of TensorFlow apart: on JAX, see benchmarks/accelerator.py")
    with tempfile.TemporaryDirectory(prefix="fer-tl-profile-") as folder:
        if isinstance(experiment, Experiment):
            if experiment.strategy == "multiworker" or experiment.workers:
                raise UserError("a profile is of one machine: use another --strategy than multiworker")
            experiment = replace(alone(experiment), run_dir=folder)
        with prepare(experiment, "cv", lambda line: None) as work:
            costs = _measure(work.experiment, Path(folder), say)
    text = profile_text(costs)
    say(f"\n{text}")
    return ProfileResult(costs, text)


def _measure(experiment: Experiment, folder: Path, say: Say) -> Costs:
    """Do all that a run does, once or for a few steps, and time it; checkpoints go to ``folder``."""
    weights_file = find_weights(resolve_model(experiment), experiment.weights, experiment.accept_licence)
    clock, once = Clock(), {}
    import_backend()
    from fer_tl.training.fold_checkpoints import LONGEST_BETWEEN_CHECKPOINTS, SECONDS_PER_CHECKPOINT, WRITING_SHARE
    from fer_tl.training.frozen import FrozenSession, uses_features
    from fer_tl.training.open_session import open_session

    once["imports"] = clock.lap()
    dataset = load_dataset(experiment.data, experiment.data_dir, "train", experiment.input)
    dataset = take_classes(dataset, experiment.classes, say)
    once["data"] = clock.lap()
    on_features, features = uses_features(experiment), 0.0
    split = _split(experiment, dataset)
    session = open_session(experiment, dataset, weights_file, split[0], None, say)
    once["model and weights"] = clock.lap()
    say(f"model: {session.describe()}; {dataset.name}, {len(dataset):,} images")
    if on_features:
        views = experiment.views if experiment.augment.changes else 0
        features = (1 + views) * len(dataset) * _feature_seconds(session)
        some = dataset.select(np.arange(len(dataset))[:: -(-len(dataset) // MOST_FEATURES)])
        some = replace(some, images=some.images[:])  # in memory
        session = FrozenSession(session.experiment, some, weights_file)
        session.prepare(None)
        clock.lap()
    trained_on, held_out, watched = map(len, split)
    seconds = _time(_timed(session, once, clock, folder))
    streamed = not isinstance(session.dataset.images, np.ndarray)
    # What is read ahead between two calls seems to cost nothing.
    step = max(seconds["step"], seconds["input"]) if streamed else seconds["step"]
    return Costs(
        once=once,
        features=features,
        parts={
            "plan": seconds["plan"],
            "input": seconds["input"],
            "forward": seconds["forward"],
            "backward": max(seconds["gradients"] - seconds["forward"], 0.0),
            "update": seconds["update"],
        },
        step=step + seconds["plan"],
        evaluation=seconds["evaluation"] / experiment.batch_size,
        checkpoint=seconds["checkpoint"],
        batch_size=experiment.batch_size,
        trained_on=trained_on,
        scored=held_out + watched,
        folds=experiment.folds * experiment.repeats if experiment.fold is None else 1,
        epochs=sum(stage.trained for stage in session.stages),
        seconds_between_checkpoints=min(
            max(SECONDS_PER_CHECKPOINT, seconds["checkpoint"] / WRITING_SHARE), LONGEST_BETWEEN_CHECKPOINTS
        ),
        streamed=streamed,
        freezable=weights_file is not None and experiment.unfreeze != "none",
    )


def _feature_seconds(session: Session) -> float:
    """Seconds an image that its features take: what the whole model takes, whose head is next to nothing."""
    batch_size, count = session.experiment.batch_size, len(session.dataset)
    transforms = np.tile(np.array(IDENTITY, np.float32), (count, 1))  # moved or not, it costs the same

    def predict(steps: int) -> object:
        rows = np.arange(min(steps * batch_size, count))
        return session.engine.predict(rows, transforms[rows])

    most = steps_per_epoch(count, batch_size)
    return _time({"features": (predict, most)})["features"] / batch_size


def _split(experiment: Experiment, dataset: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to train on, to score and to watch, as many as of a fold; which ones does not matter here."""
    rows = np.arange(len(dataset))
    held_out = rows[:: experiment.folds]
    train = np.setdiff1d(rows, held_out)
    watched = train[: round(len(train) * experiment.holdout)] if experiment.watches else train[:0]
    return np.setdiff1d(train, watched), held_out, watched


# A function of a number of steps, and the largest number that it takes at once.
Timed = tuple[Callable[[int], object], int]


def _timed(session: Session, once: dict[str, float], clock: Clock, folder: Path) -> dict[str, Timed]:
    """What is to be timed, by name; of it the first step is made here, for which ``clock`` was started."""
    from fer_tl.training.checkpoint import Checkpoints, read_values
    from fer_tl.training.epoch_plans import EpochPlans
    from fer_tl.training.step_profile import StepParts

    batch_size, dataset = session.experiment.batch_size, session.dataset
    train, held_out, _ = _split(session.experiment, dataset)
    session.reset(train)
    compiled = session.start(session.stages[-1])

    def plan_for(rows: np.ndarray) -> EpochPlan:
        return EpochPlans(session, 0, rows).plan(compiled, 0, 1)

    plan = plan_for(train)
    compiled.train(plan, 0, 1)
    once["first step"] = clock.lap()
    parts, checkpoints = StepParts(session, compiled), Checkpoints(folder, 0, say_line)
    kinds = {"model": session.model.variables, "optimizer": compiled.optimizer.variables}
    if compiled.averages:
        kinds["averages"] = compiled.averages.variables
    streamed = not isinstance(dataset.images, np.ndarray)
    at_once = min(session.engine.steps_at_once, len(plan))
    return {
        "step": (_walk(compiled.train, plan, calls=4 if streamed else 1), at_once),
        "plan": (lambda steps: plan_for(np.resize(train, steps * batch_size)), len(plan)),
        "input": (_walk(*_input(session, plan, parts.shape)), at_once),
        "forward": (parts.forward, MOST_STEPS),
        "gradients": (parts.gradients, MOST_STEPS),
        "update": (parts.update, MOST_STEPS),
        "evaluation": (
            lambda steps: session.evaluate(np.resize(held_out, steps * batch_size)),
            steps_per_epoch(len(held_out), batch_size),
        ),
        "checkpoint": (
            lambda _: checkpoints.save({kind: read_values(variables) for kind, variables in kinds.items()}, {}),
            1,
        ),
    }


def _input(session: Session, plan: EpochPlan, shape: tuple[int, ...]) -> tuple[Train, EpochPlan]:
    """What runs the input of a plan alone, and the plan over the images that it has: of many in memory, some."""
    from fer_tl.training.step_profile import compile_input

    images = session.dataset.images
    if len(shape) == 1:  # features
        images = np.zeros((plan.rows.max() + 1, *shape), np.float32)
    if not isinstance(images, np.ndarray):
        return compile_input(session, images), plan
    images = images[: max(1, MOST_BYTES * len(images) // images.nbytes)]
    mixing = plan.mixing and replace(plan.mixing, partners=plan.mixing.partners % len(images))
    return compile_input(session, images), replace(plan, rows=plan.rows % len(images), mixing=mixing)


def _walk(train: Train, plan: EpochPlan, calls: int = 1) -> Callable[[int], object]:
    """A function that runs the next steps of a plan in some calls; in several, what is streamed is read ahead."""
    at = 0

    def run(steps: int) -> None:
        nonlocal at
        at = at if at + steps <= len(plan) else 0
        part = plan.part(at, at + steps)
        for start, stop in pairwise(np.linspace(0, steps, min(calls, steps) + 1).astype(int).tolist()):
            train(part, start, stop)
        at += steps

    return run


def _time(timed: dict[str, Timed]) -> dict[str, float]:
    """Seconds a step of each, by turns. The first call, which traces, does not count."""
    clock = Clock()
    steps = {}
    for name, (run, most) in timed.items():
        run(1)
        clock.lap()
        run(1)
        steps[name] = max(1, min(round(SECONDS_PER_CALL / max(clock.lap(), 1e-6)), most))
    taken = seconds_by_turns([partial(run, steps[name]) for name, (run, _) in timed.items()], ROUNDS)
    return {name: seconds / steps[name] for name, seconds in zip(timed, taken, strict=True)}


COMMAND = Command(profile, words=("--data",), takes_experiment=True, without=UNREAD)
