"""Averages of the weights are what is scored, kept and saved, of a training that goes on as without them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_trainings import TRAIN, held_out_faces, small_experiment, train

from fer_tl.core.config import Experiment
from fer_tl.core.files import read_json
from fer_tl.data.dataset import Dataset
from fer_tl.runs.history import read_history
from fer_tl.runs.predictions import load_predictions
from fer_tl.runs.saved_model import load_model

pytestmark = pytest.mark.usefixtures("thin_backbone")


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Dataset]) -> Dataset:
    return held_out_faces(make_faces)


def experiment(**options: Any) -> Experiment:
    return small_experiment(**{"epochs": 2, "head_epochs": 1, **options})


def trained(settings: Experiment, faces: Dataset, path: Path) -> list[dict[str, Any]]:
    train(settings, faces, path)
    return read_history(path / "model" / "history.csv")


@pytest.mark.parametrize("options", [{}, {"unfreeze": "none"}, {"early_stopping": 1, "holdout": 0.2}], ids=str)
def test_what_is_scored_and_saved_are_averages_of_the_very_same_training(
    options: dict[str, Any], faces: Dataset, tmp_path: Path
):
    plain = trained(experiment(**options), faces, tmp_path / "plain")
    history = trained(experiment(ema=0.9, **options), faces, tmp_path / "averaged")
    for one, other in zip(plain, history, strict=True):
        assert (one["loss"], one["accuracy"]) == (other["loss"], other["accuracy"])
        assert one["val_loss"] != other["val_loss"]
    part = tmp_path / "averaged" / "model"
    result = read_json(part / "result.json")
    assert result["loss"] == history[result["kept_epoch"] - 1]["val_loss"]
    saved = load_model(part / "model.keras")[0](faces.images[TRAIN:])
    np.testing.assert_allclose(saved, load_predictions(part / "predictions.npz").logits, rtol=0, atol=1e-5)
    names = {weight.path for weight in load_model(tmp_path / "plain" / "model" / "model.keras")[0].weights}
    assert {weight.path for weight in load_model(part / "model.keras")[0].weights} == names


def test_averages_begin_anew_with_each_stage(faces: Dataset, tmp_path: Path):
    """From the weights of the stage before, which go on learning as they are."""
    short = experiment(ema=0.999999, epochs=1, optimizer={"rate": 1e-9}, head_epochs=2)
    history = trained(short, faces, tmp_path / "run")
    # Nearly nothing is learnt, and BatchNorm's statistics, which move in the main stage alone, are followed at once.
    assert history[0]["val_loss"] == pytest.approx(history[1]["val_loss"], abs=1e-5)
    assert abs(history[2]["val_loss"] - history[1]["val_loss"]) > 1e-4
