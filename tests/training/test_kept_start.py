"""A share of the start is kept in what is scored, kept and saved, of a training that goes on as without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_trainings import TRAIN, held_out_faces, small_experiment, train

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json
from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset
from fer_tl.runs.history import read_history
from fer_tl.runs.predictions import load_predictions
from fer_tl.runs.saved_model import load_model

pytestmark = pytest.mark.usefixtures("thin_backbone")


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Dataset]) -> Dataset:
    return held_out_faces(make_faces)


def experiment(**options: Any) -> Experiment:
    return small_experiment(**{"epochs": 2, **options})


def trained(settings: Experiment, faces: Dataset, path: Path) -> Path:
    train(settings, faces, path)
    return path / "model"


def weights(part: Path) -> list[np.ndarray]:
    return load_model(part / "model.keras")[0].get_weights()


@pytest.fixture(scope="module")
def start(faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(experiment(), faces, tmp_path_factory.mktemp("start"))


@pytest.mark.parametrize(
    "options", [{}, {"ema": 0.9}, {"unfreeze": "none"}, {"early_stopping": 1, "holdout": 0.2}], ids=str
)
def test_what_is_scored_and_saved_lies_between_the_start_and_the_same_training(
    options: dict[str, Any], start: Path, faces: Dataset, tmp_path: Path
):
    # Other images than the start has learnt, or the training would be refused.
    others = replace(faces, images=255 - faces.images)
    options = {**options, "weights": str(start / "model.keras")}
    # As good as all of the training.
    whole = trained(experiment(keep_start=1e-9, **options), others, tmp_path / "whole")
    mixed = trained(experiment(keep_start=0.4, **options), others, tmp_path / "mixed")
    histories = [read_history(part / "history.csv") for part in (whole, mixed)]
    for one, other in zip(*histories, strict=True):
        assert (one["loss"], one["accuracy"]) == (other["loss"], other["accuracy"])
        assert one["val_loss"] != other["val_loss"]
    result = read_json(mixed / "result.json")
    assert result["loss"] == histories[1][result["kept_epoch"] - 1]["val_loss"]
    saved = load_model(mixed / "model.keras")[0](others.images[TRAIN:])
    np.testing.assert_allclose(saved, load_predictions(mixed / "predictions.npz").logits, rtol=0, atol=1e-5)
    if result["kept_epoch"] == read_json(whole / "result.json")["kept_epoch"]:
        for before, learnt, kept in zip(weights(start), weights(whole), weights(mixed), strict=True):
            np.testing.assert_allclose(kept, 0.4 * before + 0.6 * learnt, rtol=0, atol=1e-5)


def test_the_training_begins_with_the_head_of_the_start(start: Path, faces: Dataset, tmp_path: Path):
    options = {"weights": str(start / "model.keras"), "epochs": 1, "optimizer": {"rate": 1e-9}, "batch_norm": "frozen"}
    others = replace(faces, images=255 - faces.images)
    part = trained(experiment(keep_start=0.5, **options), others, tmp_path / "run")
    for before, after in zip(weights(start), weights(part), strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


def test_what_does_not_learn_is_saved_to_the_last_bit(start: Path, faces: Dataset, tmp_path: Path):
    others = replace(faces, images=255 - faces.images)
    options = {"weights": str(start / "model.keras"), "keep_start": 0.3, "unfreeze": "none", "epochs": 1}
    part = trained(experiment(**options), others, tmp_path / "run")
    before, after = (load_model(each / "model.keras")[0].layers for each in (start, part))
    frozen = [pair for pair in zip(before, after, strict=True) if not pair[0].name.startswith(("head_", "logits"))]
    for one, other in frozen:
        for mine, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs, err_msg=one.name)


def test_a_start_that_answers_otherwise_is_refused(start: Path, faces: Dataset, tmp_path: Path):
    options = {"weights": str(start / "model.keras"), "keep_start": 0.5}
    turned = replace(faces, images=255 - faces.images, class_names=faces.class_names[::-1])
    with pytest.raises(UserError, match="knows the classes"):
        trained(experiment(**options), turned, tmp_path / "classes")
    others = replace(faces, images=255 - faces.images)
    with pytest.raises(UserError, match=r"has another head \(Dense .*, where Dense .* is asked for\)"):
        trained(experiment(head={"dense": [9], "dropout": [0.0, 0.0]}, **options), others, tmp_path / "head")


@pytest.mark.parametrize("head", [{"pooling": "max"}, {"activation": "tanh"}], ids=str)
def test_a_head_of_the_same_shapes_that_computes_otherwise_is_refused(
    head: dict[str, Any], faces: Dataset, tmp_path: Path
):
    layers = {"pooling": "avg", "dense": [9], "activation": "relu", "dropout": [0.0, 0.0], "batch_norm": False}
    start = trained(experiment(head=layers), faces, tmp_path / "start")
    options = {"weights": str(start / "model.keras"), "keep_start": 0.5}
    others = replace(faces, images=255 - faces.images)
    with pytest.raises(UserError, match="has another head"):
        trained(experiment(head={**layers, **head}, **options), others, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    trained(experiment(head={**layers, "dropout": [0.5, 0.0]}, **options), others, tmp_path / "run")


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_without_a_model_to_start_from_there_is_nothing_to_keep(weights: str):
    from fer_tl.core.check_config import check

    with pytest.raises(UserError, match="'keep_start' keeps a share of a model"):
        check(load_experiment(keep_start=0.5, weights=weights, backbone="mobilenetv2"))
