"""A profile measures the parts of a run, adds them up to what the run will take, and leaves nothing behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import fer_tl
from fer_tl.commands import profile as command
from fer_tl.commands.profile import ProfileResult, profile
from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.reports.profile_table import Costs, advice, profile_text
from fer_tl.sources.toyfaces import source as toyfaces

IMAGES = 210
PARTS = ["plan", "input", "forward", "backward", "update"]


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


def test_the_parts_of_a_step_add_up_to_a_step(result: ProfileResult):
    costs = result.costs
    assert list(costs.parts) == PARTS
    assert all(seconds > 0 for name, seconds in costs.parts.items() if name != "backward")
    # Measured one by one, on a machine with other work.
    assert 0.4 < sum(costs.parts.values()) / costs.step < 2.5
    assert costs.parts["forward"] + costs.parts["backward"] > 5 * costs.parts["plan"]


def test_the_whole_run_is_its_folds_epochs_and_start(result: ProfileResult):
    costs = result.costs
    assert (costs.folds, costs.epochs, costs.trained_on, costs.scored, costs.steps) == (3, 7, 140, 70, 9)
    assert list(costs.once) == ["imports", "data", "model and weights", "first step"]
    assert min(costs.once.values()) >= 0 and costs.features == 0
    start = sum(costs.once.values())
    assert costs.run > start + 3 * 7 * 9 * costs.step
    longer = replace(costs, epochs=14)
    assert longer.fold["training steps"] == pytest.approx(2 * costs.fold["training steps"])
    assert replace(costs, folds=6).run - start == pytest.approx(2 * (costs.run - start))
    assert costs.evaluation > 0 and costs.checkpoint > 0
    for words in ("forward", "images/s", "3 folds of 7 epochs", "whole run"):
        assert words in result.text
    assert result.text == profile_text(costs)


def test_nothing_is_left_behind(result: ProfileResult, place: Path):
    assert [path.name for path in (place / "work").iterdir()] == ["data"]
    assert list((place / "temporary").iterdir()) == []


def test_streamed_images_cost_their_reading(result: ProfileResult, place: Path):
    streamed = profile(settings(input="stream"), say=lambda line: None).costs
    assert streamed.streamed and not result.costs.streamed
    assert streamed.parts["input"] > 1.5 * result.costs.parts["input"]  # about four times
    assert streamed.step >= streamed.parts["input"] + streamed.parts["plan"]


def test_a_frozen_backbone_costs_its_features_once_and_then_only_its_head(result: ProfileResult, place: Path):
    frozen = profile(settings(unfreeze="none", views=3, epochs=5), say=lambda line: None).costs
    assert frozen.features > 4 * IMAGES * 1e-6
    assert frozen.step < result.costs.step
    assert frozen.trained_on == IMAGES * 3 // 4
    assert replace(frozen, folds=8).run - frozen.run == pytest.approx(4 * sum(frozen.fold.values()))


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
