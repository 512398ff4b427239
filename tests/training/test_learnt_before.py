"""Nothing is scored that the start or a teacher has learnt; what a model has learnt goes on with its weights."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json
from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset
from fer_tl.reports.run_report import selection_note
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.lineage import DIGESTS_MEMBER, Lineage, lineage_of, read_lineage
from fer_tl.training.cross_validation import train_folds, train_one
from fer_tl.training.learnt_before import Before, refuse_learnt

pytestmark = pytest.mark.usefixtures("thin_backbone")

TRAIN, HELD_OUT = 56, 14


def experiment(**options: Any) -> Experiment:
    small = {"backbone": "shallow_cnn", "weights": "none", "alpha": 0.5, "image_size": 16, "batch_size": 28}
    return load_experiment(**{**small, "epochs": 1, "folds": 2, **options})


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Dataset]) -> Dataset:
    """Training and validation images."""
    dataset = make_faces(TRAIN + HELD_OUT, side=16)
    return replace(dataset, splits=np.repeat(["train", "validation"], [TRAIN, HELD_OUT]))


@pytest.fixture(scope="module")
def others(make_faces: Callable[..., Dataset]) -> Dataset:
    dataset = make_faces(TRAIN + HELD_OUT, seed=2, side=16)
    return replace(dataset, splits=np.repeat(["train", "validation"], [TRAIN, HELD_OUT]))


def fit(dataset: Dataset, path: Path, **options: Any) -> list[str]:
    """What the training of one model says."""
    lines: list[str] = []
    train_one(experiment(**options), dataset, RunFolder(path), lines.append)
    return lines


def model_of(path: Path) -> Path:
    return path / "model" / "model.keras"


@pytest.fixture(scope="module")
def start(faces: Dataset, thin_backbone: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose model has learnt the training images."""
    path = tmp_path_factory.mktemp("start") / "run"
    said = fit(faces, path)
    assert not any("learnt" in line for line in said)
    return path


@pytest.fixture(scope="module")
def following(start: Path, faces: Dataset) -> tuple[Path, list[str]]:
    """A run on the same images that begins with that model, and what it said."""
    path = start.parent / "next"
    return path, fit(faces, path, weights=str(model_of(start)))


def test_a_model_knows_what_it_was_trained_on_and_no_more(start: Path, faces: Dataset):
    lineage = read_lineage(model_of(start), "start")
    assert lineage.unknown == ()
    np.testing.assert_array_equal(lineage.knows(faces.digests), faces.splits == "train")
    assert "learnt_before" not in read_json(start / "model" / "result.json")


def test_a_cross_validation_from_weights_that_have_learnt_its_images_is_refused(
    start: Path, faces: Dataset, tmp_path: Path
):
    training = faces.select(np.flatnonzero(faces.splits == "train"))
    renamed = replace(training, name="folder/copies", images=training.images[:, :, ::-1], fingerprint="c" * 64)
    for dataset in (training, renamed):
        with pytest.raises(UserError) as refused:
            train_folds(experiment(weights=str(model_of(start))), dataset, RunFolder(tmp_path / "cv"), print)
        message = str(refused.value)
        assert message.startswith(
            f"{TRAIN} of the {TRAIN} images that would be scored are among those that the weights"
        )
        assert "--weights none" in message and "\n" not in message
    assert not (tmp_path / "cv").exists()


def test_an_official_validation_split_that_is_new_to_the_start_is_scored(
    following: tuple[Path, list[str]], start: Path, faces: Dataset, tmp_path: Path
):
    assert not any("learnt" in line for line in following[1])
    swapped = replace(faces, splits=np.where(faces.splits == "train", "validation", "train"))
    with pytest.raises(UserError, match=rf"{TRAIN} of the {TRAIN} images .* whose validation split is new to them"):
        fit(swapped, tmp_path / "swapped", weights=str(model_of(start)))


def test_a_drawn_part_is_refused_unless_the_start_held_it_out_as_well(start: Path, faces: Dataset, tmp_path: Path):
    training = faces.select(np.flatnonzero(faces.splits == "train"))
    with pytest.raises(UserError, match=r"use fer-tl train with a dataset that has an official validation split"):
        fit(training, tmp_path / "drawn", weights=str(model_of(start)))
    fit(training, tmp_path / "first")
    fit(training, tmp_path / "second", weights=str(model_of(tmp_path / "first")))


def test_what_was_learnt_goes_on_through_trainings_on_other_images(
    start: Path, faces: Dataset, others: Dataset, tmp_path: Path
):
    fit(others, tmp_path / "second", weights=str(model_of(start)))
    lineage = read_lineage(model_of(tmp_path / "second"), "second")
    for dataset in (faces, others):
        np.testing.assert_array_equal(lineage.knows(dataset.digests), dataset.splits == "train")
    training = faces.select(np.flatnonzero(faces.splits == "train"))
    with pytest.raises(UserError, match=rf"{TRAIN} of the {TRAIN} images"):
        train_folds(experiment(weights=str(model_of(tmp_path / "second"))), training, RunFolder(tmp_path / "cv"), print)


def test_watched_images_that_were_learnt_are_told_and_recorded(start: Path, faces: Dataset, tmp_path: Path):
    said = fit(faces, tmp_path / "run", weights=str(model_of(start)), early_stopping=1, holdout=0.5)
    assert any("images that are watched look like ones that the weights" in line for line in said)
    recorded = read_json(tmp_path / "run" / "model" / "result.json")["learnt_before"]
    assert recorded == {"held_out": 0, "watched": 28, "unknown": []}
    assert "28 of those that were watched had been learnt before" in selection_note(RunFolder(tmp_path / "run"))


def test_a_start_that_does_not_say_is_told_and_changes_no_number(
    following: tuple[Path, list[str]], start: Path, faces: Dataset, tmp_path: Path
):
    old = tmp_path / "old.keras"
    with zipfile.ZipFile(model_of(start)) as source, zipfile.ZipFile(old, "w") as copy:
        for name in source.namelist():
            if name != DIGESTS_MEMBER:
                data = source.read(name)
                copy.writestr(name, b'{"class_names": ["a"]}' if name == "fer_tl.json" else data)
    said = fit(faces, tmp_path / "old", weights=str(old))
    assert any(line.startswith("it is not known what old.keras learnt") for line in said)
    assert read_lineage(model_of(tmp_path / "old"), "old").unknown == ("old.keras",)
    assert "It is not known what old.keras" in selection_note(RunFolder(tmp_path / "old"))
    files = [(run / "model" / "predictions.npz").read_bytes() for run in (tmp_path / "old", following[0])]
    assert files[0] == files[1]


def test_what_teachers_have_learnt_is_not_scored_either(faces: Dataset):
    held_out = np.flatnonzero(faces.splits == "validation")
    settings = replace(experiment(), distill=replace(experiment().distill, teachers=("runs/one",)))
    refuse_learnt(Before(settings, Lineage(), lineage_of(faces.digests[:TRAIN])), faces, held_out)
    with pytest.raises(UserError, match=r"14 of the 14 images .* that the teachers runs/one were trained on"):
        refuse_learnt(Before(settings, Lineage(), lineage_of(faces.digests)), faces, held_out)
