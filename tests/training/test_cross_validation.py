"""Folds keep groups together, so that a number is not the memory of a twin; predictions find their classes by name."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json
from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset
from fer_tl.data.folds import write_folds
from fer_tl.models.backbones import find_backbone
from fer_tl.models.record import Variant
from fer_tl.models.weights import kernel_checksum
from fer_tl.reports.run_report import selection_note
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import EVENTS, RECORDED, check_part
from fer_tl.runs.predictions import Predictions, load_predictions
from fer_tl.runs.saved_model import load_model, predict_saved, save_model
from fer_tl.training import train_parts
from fer_tl.training.cross_validation import train_folds, train_one

pytestmark = pytest.mark.usefixtures("thin_backbone")

CLASSES = ("angry", "happy", "sad", "neutral")
PHOTOS, COPIES = 32, 4


def experiment(**options: object) -> Experiment:
    small = {"backbone": "shallow_cnn", "weights": "none", "alpha": 0.5, "image_size": 16, "batch_size": 16, "folds": 2}
    return load_experiment(**small, **options)


def fold_table(run: RunFolder) -> dict[str, int]:
    with (run.path / "folds.csv").open(newline="") as lines:
        return {row["id"]: int(row["fold"]) for row in csv.DictReader(lines)}


def out_of_fold(run: RunFolder) -> list[Predictions]:
    return [load_predictions(run.part(name) / "predictions.npz") for name in run.parts]


def accuracy(folds: list[Predictions]) -> float:
    return float(np.concatenate([fold.logits.argmax(axis=1) == fold.labels for fold in folds]).mean())


@pytest.fixture(scope="module")
def copies() -> Dataset:
    """Four copies of each of 32 random patterns, whose labels mean nothing: there is nothing to learn but twins."""
    patterns = np.random.default_rng(0).integers(0, 256, (PHOTOS, 4, 4, 1)).astype(np.uint8)
    images = np.repeat(patterns.repeat(4, axis=1).repeat(4, axis=2), COPIES, axis=0)
    labels = np.repeat(np.arange(PHOTOS) % len(CLASSES), COPIES)
    groups = np.array([f"photo-{row // COPIES}" for row in range(len(labels))])
    ids = np.array([f"{group}#{row}" for row, group in enumerate(groups)])
    return Dataset("copies", np.full(len(ids), "train"), images, labels, ids, groups, CLASSES, "f" * 64)


@pytest.fixture(scope="module")
def trained(copies: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RunFolder]:
    """Both cross validations: with the copies of a picture as a group, and as if they were strangers."""
    still = {"rotation": 0, "zoom": 0, "shift": 0, "flip": False}
    settings = experiment(epochs=30, augment=still, batch_norm_momentum=0.5, optimizer={"rate": 0.003})
    runs = {}
    for name, kept in (("grouped", True), ("strangers", False)):
        runs[name] = RunFolder(tmp_path_factory.mktemp("leak") / name)
        train_folds(replace(settings, group_folds=kept), copies, runs[name], lambda line: None)
    return lambda name: runs[name]


def test_twins_over_folds_would_pass_for_knowledge_and_groups_prevent_it(trained: Callable[[str], RunFolder]):
    assert accuracy(out_of_fold(trained("strangers"))) > 0.7
    # Chance is 0.25; the standard error of 32 independent pictures is 0.08.
    assert accuracy(out_of_fold(trained("grouped"))) < 0.5


def test_folds_that_leak_say_so(trained: Callable[[str], RunFolder], copies: Dataset):
    split = {name: trained(name).read_run()["split_over_folds"] for name in ("grouped", "strangers")}
    folds = fold_table(trained("strangers"))
    photos = {group: {folds[i] for i in copies.ids[copies.groups == group]} for group in np.unique(copies.groups)}
    assert split == {"grouped": 0, "strangers": COPIES * sum(len(found) > 1 for found in photos.values())}
    assert split["strangers"] > 0
    assert "leak" not in selection_note(trained("grouped"))
    assert f"The folds leak: {split['strangers']} images have a duplicate" in selection_note(trained("strangers"))


def test_a_given_table_is_used_checked_and_not_changed_under_a_run(copies: Dataset, tmp_path: Path):
    table, run = tmp_path / "table.csv", RunFolder(tmp_path / "run")
    settings = experiment(epochs=1, fold_table=str(table))
    given = np.arange(len(copies)) // COPIES // len(CLASSES) % 2
    write_folds(table, np.append(copies.ids, "left out"), np.append(given, 1))
    train_folds(settings, copies, run, lambda line: None)
    assert fold_table(run) == dict(zip(copies.ids, given, strict=True))
    write_folds(table, copies.ids, 1 - given)
    with pytest.raises(UserError, match=r"table\.csv holds other folds than the run was begun with"):
        train_folds(settings, copies, run, lambda line: None)
    write_folds(table, copies.ids, np.arange(len(copies)) % 2)
    with pytest.raises(UserError, match="group 'photo-0' is split over several folds"):
        train_folds(settings, copies, RunFolder(tmp_path / "other"), lambda line: None)


def test_the_folds_have_a_seed_of_their_own(copies: Dataset, tmp_path: Path):
    tables, answers = [], []
    for seed, fold_seed in ((1, None), (2, 1), (1, 2)):
        run = RunFolder(tmp_path / f"{seed}-{fold_seed}")
        train_folds(experiment(epochs=1, seed=seed, fold_seed=fold_seed), copies, run, lambda line: None)
        tables.append(fold_table(run))
        answers.append(out_of_fold(run)[0].logits)
    assert tables[0] == tables[1]  # of another training
    assert not np.array_equal(answers[0], answers[1])
    assert tables[2] != tables[0]
    # One whose folds are drawn by its own seed anyway is the run that does not say so.
    train_folds(experiment(epochs=1, seed=1, fold_seed=1), copies, RunFolder(tmp_path / "1-None"), lambda line: None)


def test_what_a_single_fit_holds_out_is_drawn_by_the_seed_of_the_folds(copies: Dataset, tmp_path: Path):
    held_out = []
    for seed, fold_seed in ((1, None), (2, 1), (1, 2)):
        run = RunFolder(tmp_path / f"{seed}-{fold_seed}")
        train_one(experiment(epochs=1, seed=seed, fold_seed=fold_seed), copies, run, lambda line: None)
        held_out.append(sorted(load_predictions(run.part("model") / "predictions.npz").ids))
    assert held_out[0] == held_out[1] != held_out[2]


def test_every_image_is_held_out_once_in_the_fold_of_the_table(trained: Callable[[str], RunFolder], copies: Dataset):
    run = trained("grouped")
    table = fold_table(run)
    assert sorted(table) == sorted(copies.ids)
    for number, fold in enumerate(out_of_fold(run)):
        assert sorted(fold.ids) == sorted(i for i, of in table.items() if of == number)
        labels = dict(zip(copies.ids, copies.labels, strict=True))
        np.testing.assert_array_equal(fold.labels, [labels[i] for i in fold.ids])
        result = read_json(run.part(f"fold-{number}") / "result.json")
        assert (result["held_out"], result["trained_on"]) == (len(fold.ids), len(copies) - len(fold.ids))


def test_repetitions_divide_the_images_again_and_each_image_is_held_out_once_in_each(copies: Dataset, tmp_path: Path):
    run, settings = RunFolder(tmp_path / "run"), experiment(epochs=1, repeats=2)
    train_folds(replace(settings, fold=2), copies, run, lambda line: None)
    assert (run.done, run.repeats) == (["fold-2"], 2)
    train_folds(settings, copies, run, lambda line: None)
    assigned = run.read_fold_table(copies.ids)  # [R, N]
    for number, fold in enumerate(out_of_fold(run)):
        assert sorted(fold.ids) == sorted(copies.ids[assigned[number // 2] == number])
        assert read_json(run.part(f"fold-{number}") / "result.json")["trained_on"] == len(copies) - len(fold.ids)
    once = RunFolder(tmp_path / "once")
    train_folds(replace(settings, repeats=1), copies, once, lambda line: None)
    for name in ("fold-0", "fold-1"):  # more repetitions change nothing of the first
        assert read_json(run.part(name) / "result.json") == read_json(once.part(name) / "result.json")
    with pytest.raises(UserError, match=r"holds a run with other settings \(repeats 2 -> 3\): give another --run-dir"):
        train_folds(replace(settings, repeats=3), copies, run, lambda line: None)
    given = tmp_path / "given.csv"
    write_folds(given, copies.ids, assigned[0])
    with pytest.raises(UserError, match=r"given\.csv.*fold_1"):
        train_folds(replace(settings, fold_table=str(given)), copies, RunFolder(tmp_path / "x"), lambda line: None)
    assert not (tmp_path / "x").exists()


def test_a_run_says_and_records_which_weights_it_started_from(copies: Dataset, tmp_path: Path):
    source = find_backbone("shallow_cnn").build(keras.Input((16, 16, 1)), Variant(alpha=0.5))
    source.save_weights(tmp_path / "mine.weights.h5")
    settings = experiment(epochs=1)
    lines: list[str] = []
    for name, weights in (("with", str(tmp_path / "mine.weights.h5")), ("without", "none")):
        train_one(replace(settings, weights=weights), copies, RunFolder(tmp_path / name), lines.append)
    said = [line.partition("weights: ")[2] for line in lines if line.startswith("model: ")]
    environments = [read_json(tmp_path / name / "environment.json")[0] for name in ("with", "without")]
    recorded = [(about["weights"], about["kernel_checksum"]) for about in environments]
    assert recorded[0] == ("mine.weights.h5", kernel_checksum(source.layers))
    assert recorded[1][0] == "none" and recorded[1][1] != recorded[0][1]
    assert said == [f"{weights}, kernels {checksum}" for weights, checksum in recorded]


def test_saved_models_give_the_saved_predictions(trained: Callable[[str], RunFolder], copies: Dataset):
    run = trained("grouped")
    fold = load_predictions(run.part("fold-1") / "predictions.npz")
    logits = predict_saved(run.part("fold-1") / "model.keras", copies)[0]
    rows = [list(copies.ids).index(i) for i in fold.ids]
    np.testing.assert_allclose(logits[rows], fold.logits, rtol=0, atol=1e-4)


def test_several_devices_predict_with_a_saved_model_as_one(trained: Callable[[str], RunFolder], copies: Dataset):
    path = trained("grouped").part("fold-0") / "model.keras"
    one, two = (predict_saved(path, copies, batch_size=3, strategy=strategy) for strategy in ("cpu", "mirrored"))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)


def test_class_names_are_saved_and_matched_by_name(trained: Callable[[str], RunFolder], copies: Dataset):
    path = trained("grouped").part("fold-0") / "model.keras"
    assert load_model(path)[1] == CLASSES
    turned = replace(copies, class_names=CLASSES[::-1], labels=3 - copies.labels)
    np.testing.assert_array_equal(predict_saved(path, turned), predict_saved(path, copies)[..., ::-1])


def test_data_that_does_not_fit_a_saved_model_is_one_clear_line(trained: Callable[[str], RunFolder], copies: Dataset):
    path = trained("grouped").part("fold-0") / "model.keras"
    with pytest.raises(UserError, match="knows the classes angry, happy, sad, neutral, but copies has a, b, c, d"):
        predict_saved(path, replace(copies, class_names=tuple("abcd")))
    with pytest.raises(UserError, match="takes images of 16x16x1, but those of copies are 16x16x3"):
        predict_saved(path, replace(copies, images=np.repeat(copies.images, 3, axis=3)))


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"text"])
def test_a_damaged_model_is_one_clear_line(damage: Callable[[bytes], bytes], tmp_path: Path):
    inputs = keras.Input((4, 4, 1))
    path = tmp_path / "model.keras"
    save_model(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs)), ("one",), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="cannot be loaded as a model of fer-tl") as error:
        load_model(path)
    assert "\n" not in str(error.value)


def test_a_model_of_other_makers_is_one_clear_line(tmp_path: Path):
    inputs = keras.Input((4, 4, 1))
    keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs)).save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="cannot be loaded as a model of fer-tl"):
        load_model(tmp_path / "model.keras")


def test_too_few_groups_of_a_class_are_refused_before_anything_is_written(copies: Dataset, tmp_path: Path):
    one_photo = replace(copies, groups=np.array([f"photo-of-{CLASSES[label]}" for label in copies.labels]))
    for train in (train_folds, train_one):
        with pytest.raises(UserError, match="class 'angry'"):
            train(experiment(epochs=1), one_photo, RunFolder(tmp_path / "run"), lambda line: None)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_others_is_refused_before_anything_is_deleted_or_tensorflow_imported(
    copies: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(train_parts, "import_backend", lambda: pytest.fail("imported"))
    for train, name in ((train_folds, "fold-0"), (train_one, "model")):
        place = tmp_path / name / name
        place.mkdir(parents=True)
        for file in ("result.json", ".4711.notes"):
            (place / file).write_text("mine")
        with pytest.raises(UserError, match="holds other files and is not a run"):
            train(experiment(epochs=1), copies, RunFolder(tmp_path / name), lambda line: None)
        assert {path.name: path.read_text() for path in place.iterdir()} == {
            "result.json": "mine",
            ".4711.notes": "mine",
        }


def test_damaged_records_of_a_run_stop_nothing_that_can_be_made_again(copies: Dataset, tmp_path: Path):
    run, lines, settings = RunFolder(tmp_path / "run"), list[str](), experiment(epochs=1)
    train_folds(settings, copies, run, lines.append)
    before = {path.name: path.read_bytes() for path in [run.path / "folds.csv", *run.part("fold-1").iterdir()]}
    shutil.rmtree(run.part("fold-1"))
    (run.path / "environment.json").write_text("[{")
    table = run.path / "folds.csv"
    table.write_bytes(table.read_bytes()[:100])
    with pytest.raises(UserError, match=r"folds\.csv.*delete it and .*: it is drawn again"):
        train_folds(settings, copies, run, lines.append)
    table.unlink()
    train_folds(settings, copies, run, lines.append)
    after = {path.name: path.read_bytes() for path in [table, *run.part("fold-1").iterdir()]}
    assert {name for name in after if after[name] != before[name]} <= {"timing.json", EVENTS}
    assert len(read_json(run.path / "environment.json")) == 1
    assert sum("environment.json cannot be read" in line and "begun anew" in line for line in lines) == 1
    for name in run.parts:
        check_part(run.part(name))
        assert set(read_json(run.part(name) / "result.json")["files"]) == set(RECORDED)
