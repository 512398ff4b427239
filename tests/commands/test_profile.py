"""A profile measures the parts of a run, adds them up to what the run will take, and leaves nothing behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from differentiation import value_and_gradients

import fer_tl
from fer_tl.cli import parse
from fer_tl.commands import profile as command
from fer_tl.commands.profile import UNREAD, ProfileResult, Timed, profile
from fer_tl.core import progress
from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import dump_yaml
from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset, load_dataset
from fer_tl.reports.profile_table import Costs, advice, profile_text
from fer_tl.sources.toyfaces import source as toyfaces
from fer_tl.training.checkpoint import read_values
from fer_tl.training.session import Session
from fer_tl.training.step_profile import StepParts

IMAGES = 210
PARTS = ["plan", "input", "forward", "backward", "update"]
# What is timed takes so long by the clock of these tests, a step of each; machines are never asked for theirs.
SECONDS = {"step": 0.01, "plan": 0.0005, "input": 0.02, "forward": 0.003, "gradients": 0.008, "update": 0.002}
SECONDS |= {"evaluation": 0.004, "checkpoint": 0.04, "features": 0.006}
READING = 2.0


class Clock:
    """Goes forward by what is done, and by nothing else."""

    now = 0.0

    def __init__(self) -> None:
        self._last = Clock.now

    def lap(self) -> float:
        passed, self._last = self.look(), Clock.now
        return passed

    def look(self) -> float:
        return Clock.now - self._last


def invented(timed: dict[str, Timed]) -> dict[str, float]:
    """Does what is to be timed, by that clock; each takes much longer in one of its rounds."""
    done = dict.fromkeys(timed, 0)

    def ticking(name: str, run: Callable[[int], object]) -> Callable[[int], None]:
        def tick(steps: int) -> None:
            run(steps)
            done[name] += 1
            Clock.now += SECONDS[name] * steps + 5.0 * (done[name] == 4)

        return tick

    return measure({name: (ticking(name, run), most) for name, (run, most) in timed.items()})


def read_slowly(*given: Any) -> Dataset:
    Clock.now += READING
    return load_dataset(*given)


measure = command._time


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder to work in, with one for temporary files; few faces, and short measurements."""
    root = tmp_path_factory.mktemp("profile")
    (root / "work").mkdir()
    (root / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toyfaces, "COUNTS", {"train": IMAGES, "validation": 14, "test": 14})
        patch.setattr(command, "SECONDS_PER_CALL", 0.03)
        patch.setattr(command, "ROUNDS", 3)
        patch.setattr(command, "Clock", Clock)
        patch.setattr(progress, "Clock", Clock)
        patch.setattr(command, "_time", invented)
        patch.setattr(command, "load_dataset", read_slowly)
        patch.chdir(root / "work")
        fer_tl.build("toyfaces", say=lambda line: None)
        patch.setattr(tempfile, "tempdir", str(root / "temporary"))
        yield root


def settings(**others: object) -> Experiment:
    tiny = {"backbone": "liu_3conv", "weights": "none", "image_size": 24, "batch_size": 16, "strategy": "cpu"}
    return load_experiment(**{**tiny, **others})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def result(place: Path) -> ProfileResult:
    return profile(settings(folds=3, epochs=5, head_epochs=2), say=lambda line: None)


def test_the_parts_of_a_step_are_those_of_a_whole_step(result: ProfileResult):
    assert list(result.costs.parts) == PARTS
    assert result.costs.parts == pytest.approx(
        {"plan": 0.0005, "input": 0.02, "forward": 0.003, "backward": 0.005, "update": 0.002}
    )
    assert result.costs.step == pytest.approx(SECONDS["step"] + SECONDS["plan"])
    assert result.costs.rest == pytest.approx(-0.02)
    assert result.costs.evaluation == pytest.approx(SECONDS["evaluation"] / 16)
    assert result.costs.checkpoint == pytest.approx(SECONDS["checkpoint"])


def test_each_part_does_of_a_step_what_its_name_says(place: Path):
    """So often as it is asked to: answers, gradients and changes of the weights are those of plain Keras."""
    experiment = settings(
        optimizer={"name": "sgd", "rate": 1.0, "momentum": 0.0}, head={"dropout": [0.0, 0.0]}, loss={"l2": 0.01}
    )
    session = Session(experiment, load_dataset("toyfaces", "data", "train"), None)
    compiled = session.start(session.stages[-1])
    parts = StepParts(session, compiled)
    model, variables = session.engine.trunk, session.model.trainable_variables
    kernels = [v for v in variables if len(v.shape) > 1]
    first = read_values(variables)
    np.testing.assert_allclose(
        parts.forward(3), sum(np.sum(model(parts._pixels[turn])) for turn in (0, 1, 0)), rtol=1e-4, atol=1e-3
    )

    def gradients(turn: int) -> list[np.ndarray]:
        def loss() -> Any:
            data = keras.losses.categorical_crossentropy(parts._targets, model(parts._pixels[turn]), from_logits=True)
            return keras.ops.mean(data) + 0.01 * sum(keras.ops.sum(kernel**2) for kernel in kernels)

        return [np.asarray(gradient) for gradient in value_and_gradients(variables, loss)[1]]

    one, other = gradients(0), gradients(1)
    np.testing.assert_allclose(
        parts.gradients(3), sum(each.sum() for each in [*one, *other, *one]), rtol=1e-3, atol=1e-3
    )
    for left, right in zip(read_values(variables), first, strict=True):
        np.testing.assert_array_equal(left, right)
    parts.update(4)
    for left, right in zip(read_values(variables), first, strict=True):
        np.testing.assert_allclose(left, right - 4e-6, rtol=0, atol=5e-7)
    assert int(compiled.optimizer.iterations) == 4


def test_the_whole_run_is_its_folds_epochs_and_start(result: ProfileResult):
    costs = result.costs
    assert (costs.folds, costs.epochs, costs.trained_on, costs.scored, costs.steps) == (3, 7, 140, 70, 9)
    once = {"imports": 0, "data": READING, "model and weights": 0, "first step": 0}
    assert list(costs.once.items()) == list(once.items())
    assert costs.features == 0
    start = sum(costs.once.values())
    assert costs.run > start + 3 * 7 * 9 * costs.step
    longer = replace(costs, epochs=14)
    assert longer.fold["training steps"] == pytest.approx(2 * costs.fold["training steps"])
    assert replace(costs, folds=6).run - start == pytest.approx(2 * (costs.run - start))
    for words in ("forward", "images/s", "3 folds of 7 epochs", "whole run"):
        assert words in result.text
    assert result.text == profile_text(costs)


def test_nothing_is_left_behind(result: ProfileResult, place: Path):
    assert [path.name for path in (place / "work").iterdir()] == ["data"]
    assert list((place / "temporary").iterdir()) == []


def test_streamed_images_are_read_while_a_step_is_computed(result: ProfileResult, place: Path):
    """The slower of the two is what a step takes; the input of images in memory is a part of the step."""
    streamed = profile(settings(input="stream"), say=lambda line: None).costs
    assert streamed.streamed and not result.costs.streamed
    assert streamed.parts == pytest.approx(result.costs.parts)
    assert streamed.step == pytest.approx(SECONDS["input"] + SECONDS["plan"])
    assert result.costs.step == pytest.approx(SECONDS["step"] + SECONDS["plan"])


def test_a_frozen_backbone_costs_its_features_once_and_then_only_its_head(place: Path, monkeypatch: pytest.MonkeyPatch):
    profiled, timed = [], command._timed
    monkeypatch.setattr(
        command, "_timed", lambda session, *given: (profiled.append(session), timed(session, *given))[1]
    )
    frozen = profile(settings(unfreeze="none", views=3, epochs=5), say=lambda line: None).costs
    assert frozen.features == pytest.approx(4 * IMAGES * SECONDS["features"] / 16)
    assert profiled[0].engine.trunk.input_shape == (None, 3 * 3 * 128)
    assert frozen.trained_on == IMAGES * 3 // 4
    assert replace(frozen, folds=8).run - frozen.run == pytest.approx(4 * sum(frozen.fold.values()))


def test_settings_that_it_does_not_read_are_refused_and_those_of_a_config_file_left_out(tmp_path: Path):
    with pytest.raises(UserError, match="a profile has no setting 'jobs': leave it out"):
        profile(data="toyfaces", jobs=2)
    config = tmp_path / "run.yaml"
    config.write_text(dump_yaml(Experiment(data="toyfaces", track="mlflow", run_dir="runs/one", jobs=2)))
    values = parse(["profile", "--config", str(config)])[1]
    assert not set(UNREAD) & set(values) and values["data"] == "toyfaces"


def test_what_cannot_run_is_refused(place: Path):
    with pytest.raises(UserError, match="one machine"):
        profile(settings(strategy="multiworker"))
    with pytest.raises(UserError, match="nowhere"):
        profile(settings(data="nowhere"))
    assert list((place / "temporary").iterdir()) == []


def costs_of(**changes: object) -> Costs:
    """A run of a network that takes a second a step."""
    parts = {"plan": 0.001, "input": 0.009, "forward": 0.3, "backward": 0.6, "update": 0.05}
    given = Costs(
        once={"imports": 5.0},
        features=0.0,
        parts=parts,
        step=1.0,
        evaluation=0.001,
        checkpoint=0.2,
        batch_size=64,
        trained_on=64_000,
        scored=16_000,
        folds=4,
        epochs=8,
        seconds_between_checkpoints=30.0,
        streamed=False,
        freezable=True,
    )
    return replace(given, **changes)


def test_the_advice_names_what_takes_the_time():
    parts = costs_of().parts
    small = {"plan": 0.001, "input": 0.5, "forward": 0.1, "backward": 0.2, "update": 0.05}
    cases = {
        "95 % of a step is the model itself": costs_of(),
        "the device waits": costs_of(streamed=True, parts={**parts, "input": 2.0}, step=2.1),
        "--batch-size": costs_of(parts=dict.fromkeys(PARTS, 0.08)),
        "augmentation counts": costs_of(parts=small),
        "scoring": costs_of(evaluation=0.1),
        "its start": costs_of(epochs=1, trained_on=128, scored=1, folds=1, once={"imports": 60.0}),
        "features of the frozen backbone": costs_of(features=1e6),
    }
    for words, costs in cases.items():
        assert words in advice(costs)
    assert "--unfreeze none" in advice(costs_of())
    assert "--unfreeze" not in advice(costs_of(freezable=False))
