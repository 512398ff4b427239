"""A student aims at what the folds that had not seen an image answered, and learns from no run that has seen it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_run import DATA, FINGERPRINT, Faces, make_faces, make_run
from stored_dataset import Stored, store_dataset

from fer_tl.core.config import Distill, Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.data.dataset import Dataset, load_dataset
from fer_tl.data.folds import write_folds
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import RESULT, describe_files
from fer_tl.runs.predictions import Predictions, load_predictions, save_predictions
from fer_tl.training.cross_validation import train_one
from fer_tl.training.prepare_run import check_ready
from fer_tl.training.teachers import read_teachers, refuse_other_teachers, teach

FACES = make_faces()
SEEN = 6  # images of the validation split


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def store(votes: bool = False, validation: bool = True) -> Dataset:
    """The training split in an order of its own, and a validation split; both as a student loads them."""
    order = np.random.default_rng(3).permutation(len(FACES.ids))
    images = np.zeros((len(order), 8, 8, 1), np.uint8)
    soft = np.random.default_rng(5).dirichlet([1, 1, 1], len(order)).astype(np.float32) if votes else None
    splits = {
        "train": Stored(images, FACES.labels[order], FACES.ids[order], FACES.groups[order], soft),
        "validation": Stored(
            images[:SEEN],
            FACES.labels[:SEEN],
            np.char.add("new-", FACES.ids[:SEEN]),
            np.char.add("new-", FACES.ids[:SEEN]),
            None if soft is None else soft[:SEEN],
        ),
    }
    if not validation:
        del splits["validation"]
    prints = dict(zip(splits, [FINGERPRINT, "e" * 64], strict=False))
    store_dataset(Path("data"), DATA, FACES.class_names, splits, fingerprints=prints)
    return load_dataset(DATA, "data", tuple(splits))


def student(*teachers: str, **settings: Any) -> Experiment:
    distill = Distill(teachers or None, **settings)
    return Experiment(data=DATA, data_dir="data", backbone="shallow_cnn", weights="none", distill=distill)


def taught(dataset: Dataset, *teachers: str, **settings: Any) -> Dataset:
    experiment = student(*teachers, **settings)
    return teach(dataset, read_teachers(experiment, dataset), experiment.distill)


def shifted(by: float) -> Faces:
    """The same images, answered otherwise."""
    return replace(FACES, logits=np.roll(FACES.logits, 1, axis=1) + np.float32([by, 0, 0]))


def softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    p = np.exp(logits.astype(np.float64) / temperature)
    return p / p.sum(axis=1, keepdims=True)


def of_dataset(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Rows of ``FACES`` in the order of the training split."""
    row_of = {name: row for row, name in enumerate(FACES.ids.tolist())}
    return values[[row_of[name] for name in dataset.ids[dataset.splits == "train"].tolist()]]


def test_the_target_of_an_image_is_what_its_own_fold_answered_mixed_with_its_label():
    dataset = store()
    make_run(Path("teacher"), FACES)
    found = taught(dataset, "teacher", share=0.6, temperature=2.0)
    one_hot = np.eye(3)[dataset.labels]
    expected = 0.6 * softened(of_dataset(FACES.logits, dataset), 2.0) + 0.4 * one_hot[dataset.splits == "train"]
    np.testing.assert_allclose(found.targets[dataset.splits == "train"], expected, atol=1e-6)
    np.testing.assert_array_equal(found.targets[dataset.splits == "validation"], one_hot[-SEEN:])
    assert found.targets.dtype == np.float32
    np.testing.assert_array_equal(found.labels, dataset.labels)  # what accuracy and class weights go by


def test_share_is_between_the_labels_and_the_teacher_alone():
    dataset = store()
    make_run(Path("teacher"), FACES)
    training = dataset.splits == "train"
    np.testing.assert_array_equal(taught(dataset, "teacher", share=0.0).targets, np.eye(3)[dataset.labels])
    alone = taught(dataset, "teacher", share=1.0).targets[training]
    np.testing.assert_allclose(alone, softened(of_dataset(FACES.logits, dataset), 1.0), atol=1e-6)


def test_several_teachers_teach_the_mean_of_their_probabilities_whatever_their_folds():
    dataset = store()
    make_run(Path("one"), FACES)
    other = replace(shifted(0.5), folds=(FACES.folds + np.arange(len(FACES.ids)) // 60) % 3)
    make_run(Path("two"), other)
    answers = [softened(of_dataset(faces.logits, dataset), 1.5) for faces in (FACES, other)]
    found = taught(dataset, "one", "two", share=1.0, temperature=1.5).targets[dataset.splits == "train"]
    np.testing.assert_allclose(found, np.mean(answers, axis=0), atol=1e-6)


def test_the_votes_of_people_are_the_label_where_there_are_some():
    dataset = store(votes=True)
    make_run(Path("teacher"), FACES)
    training = dataset.splits == "train"
    found = taught(dataset, "teacher", share=0.25).targets
    expected = 0.25 * softened(of_dataset(FACES.logits, dataset), 1.0) + 0.75 * dataset.targets[training]
    np.testing.assert_allclose(found[training], expected, atol=1e-6)
    np.testing.assert_array_equal(found[~training], dataset.targets[~training])


def reseal(run: RunFolder, part: str) -> None:
    write_json(run.part(part) / RESULT, read_json(run.part(part) / RESULT) | {"files": describe_files(run.part(part))})


def diverge(run: RunFolder) -> None:
    path = run.part("fold-1") / "predictions.npz"
    before = load_predictions(path)
    nothing = np.full_like(before.logits, np.nan)
    save_predictions(path, Predictions(before.ids, before.labels, nothing, before.class_names))
    reseal(run, "fold-1")


def edit(run: RunFolder) -> None:
    path = run.part("fold-1") / "predictions.npz"
    before = load_predictions(path)
    save_predictions(path, Predictions(before.ids, before.labels, -before.logits, before.class_names))


def split_groups(run: RunFolder) -> None:
    """Copies apart, though the run says that its folds are grouped."""
    folds = np.arange(len(FACES.ids)) % 3
    write_folds(run.path / "folds.csv", FACES.ids, folds)
    for fold in range(3):
        part = replace(FACES, folds=folds).of_fold(fold)
        save_predictions(run.part(f"fold-{fold}") / "predictions.npz", part)
        reseal(run, f"fold-{fold}")


def leave_fold_out(run: RunFolder) -> None:
    shutil.rmtree(run.part("fold-2"))


def say(**changes: Any) -> Callable[[RunFolder], None]:
    """``run.json`` says something else."""
    return lambda run: write_json(run.path / "run.json", read_json(run.path / "run.json") | changes)


@pytest.mark.parametrize(
    ("settings", "change", "reason"),
    [
        ({"kind": "train"}, None, "is not a cross validation: its model has trained on the images"),
        ({}, leave_fold_out, r"is unfinished \(fold-2\)"),
        ({"failed": [2], "done": [0, 1]}, None, r"is unfinished \(fold-2\)"),
        ({"group_folds": False}, None, "was trained with group_folds false"),
        ({}, split_groups, "leak: 80 images have one of their group in another fold"),
        ({"dataset": "folder/other"}, None, "was trained on 'folder/other', the student's data are 'folder/mine'"),
        ({}, say(fingerprint="a" * 64), "was trained on another build of 'folder/mine'"),
        ({}, say(class_names=["angry", "happy", "fear"]), "knows the classes angry, happy, fear, the student learns"),
        ({}, diverge, "numbers that are not finite"),
        ({}, edit, r"predictions\.npz is not what was written"),
    ],
)
def test_no_other_run_teaches(settings: dict[str, Any], change: Callable[[RunFolder], None] | None, reason: str):
    dataset = store()
    run = make_run(Path("teacher"), FACES, **settings)
    if change:
        change(run)
    with pytest.raises(UserError, match=reason) as refused:
        read_teachers(student("teacher"), dataset)
    assert "\n" not in str(refused.value) and "teacher" in str(refused.value)


def test_a_teacher_is_named_once_and_is_there():
    dataset = store()
    make_run(Path("teacher"), FACES)
    with pytest.raises(UserError, match="given twice: a run teaches once"):
        read_teachers(student("teacher", "../" + Path.cwd().name + "/teacher"), dataset)
    with pytest.raises(UserError, match=r"nobody does not exist: give the folder of a run"):
        read_teachers(student("nobody"), dataset)


def test_a_student_needs_images_that_no_fold_of_its_teacher_trained_on():
    dataset = store(validation=False)
    make_run(Path("teacher"), FACES)
    with pytest.raises(UserError, match="no validation split to score a student on"):
        read_teachers(student("teacher"), dataset)


def test_a_student_is_not_cross_validated_and_has_a_teacher():
    store()
    make_run(Path("teacher"), FACES)
    with pytest.raises(UserError, match=r"'distill\.teachers' is not for fer-tl cv"):
        check_ready(student("teacher"), "cv")
    with pytest.raises(UserError, match=r"'distill\.share' and 'distill\.temperature' are for a student"):
        check_ready(student(share=0.5), "train")
    assert check_ready(student("teacher", share=0.5), "train").experiment.distill.share == 0.5


def test_a_student_that_is_done_is_shown_without_its_teacher():
    dataset = store()
    run = make_run(Path("student"), FACES, "train", distill=student("gone").distill)
    say(fingerprint=dataset.fingerprint)(run)
    experiment = replace(run.read_experiment(), run_dir="student")
    assert check_ready(experiment, "train").trained
    said: list[str] = []
    train_one(experiment, dataset, run, said.append)
    assert said == ["model: done before, student/model"]
    (run.part("model") / RESULT).unlink()
    with pytest.raises(UserError, match=r"gone does not exist: give the folder of a run"):
        check_ready(experiment, "train")
    with pytest.raises(UserError, match=r"gone does not exist: give the folder of a run"):
        train_one(experiment, dataset, run, said.append)


def test_a_student_does_not_go_on_with_a_teacher_that_was_trained_again():
    dataset = store()
    make_run(Path("teacher"), FACES)
    before = read_teachers(student("teacher"), dataset)
    run = make_run(Path("student"), FACES, "train")
    say(teachers=[each.describe() for each in before])(run)
    refuse_other_teachers(run, before)
    shutil.rmtree("teacher")
    make_run(Path("teacher"), shifted(0.1))
    with pytest.raises(UserError, match="was begun with other answers of its teacher teacher"):
        refuse_other_teachers(run, read_teachers(student("teacher"), dataset))
    shutil.rmtree("teacher")
    make_run(Path("teacher"), FACES)  # the same bytes
    refuse_other_teachers(run, read_teachers(student("teacher"), dataset))
