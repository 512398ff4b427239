"""What a run's models have learnt is not scored, whatever the dataset, the file format and the size it is found in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.commands.evaluate import EvaluationResult
from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json
from fer_tl.data.digests import digest_images
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import read_manifest
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.lineage import Lineage, lineage_of
from fer_tl.runs.part import PART_FILES
from fer_tl.runs.saved_model import save_model
from fer_tl.sources.toyfaces.drawing import draw_faces

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FACES, LABELS = draw_faces(140, 3)  # 48x48 in grey
TRAIN, TEST, NEW = np.arange(60), np.arange(60, 100), np.arange(100, 140)

pytestmark = pytest.mark.usefixtures("light_figures")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def store(name: str, rows: dict[str, np.ndarray], change: Callable[[np.ndarray], np.ndarray] = np.array, **how: Any):
    """A dataset of some of the faces, each changed; ids and names of their own."""
    splits = {}
    for split, chosen in rows.items():
        ids = np.array([f"{name}-{split}-{row}" for row in chosen])
        splits[split] = Stored(np.stack([change(FACES[row]) for row in chosen]), LABELS[chosen], ids, ids)
    store_dataset(Path("data"), name, CLASSES, splits, **how)


def make_run(
    name: str = "run", learnt: tuple[np.ndarray, ...] | None = (TRAIN[:30], TRAIN[30:]), **options: Any
) -> Path:
    """A finished cross validation of ``folder/own`` whose two models have learnt some faces each; None for models that
    do not say."""
    if not Path("data/folder/own").exists():
        store("folder/own", {"train": TRAIN, "test": TEST})
    run, parts = RunFolder(Path(name)), ["fold-0", "fold-1"]
    fingerprint = read_manifest(dataset_directory("data", "folder/own")).fingerprints["train"]
    settings = {"data": "folder/own", "data_dir": "data", "backbone": "shallow_cnn", "weights": "none"} | options
    about = {"kind": "cv", "parts": parts, "dataset": "folder/own", "fingerprint": fingerprint}
    run.start(Experiment(**settings), about | {"class_names": list(CLASSES), "split_over_folds": 0})
    for number, part in enumerate(parts):
        inputs = keras.Input((48, 48, 1))
        keras.utils.set_random_seed(number + len(name))
        dense = keras.layers.Dense(len(CLASSES))(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs)))
        lineage = None if learnt is None else lineage_of(digest_images(FACES[learnt[number]]))
        save_model(keras.Model(inputs, dense), CLASSES, run.part(part) / "model.keras", lineage=lineage)
        for file in set(PART_FILES) - {"model.keras"}:
            (run.part(part) / file).write_text('{"epochs": 1, "kept_epoch": 1}')
    return run.path


def score(run: Path, **options: Any) -> EvaluationResult:
    return fer_tl.evaluate(run, say=lambda line: None, **options)


def note(found: EvaluationResult) -> str:
    return " ".join(found.text.split())


def larger(image: np.ndarray) -> np.ndarray:
    """In colour, 80x80."""
    shown = Image.fromarray(image[..., 0]).convert("RGB").resize((80, 80), Image.Resampling.BICUBIC)
    return np.asarray(shown)


@pytest.mark.parametrize(
    ("change", "encoding"), [(np.array, "png"), (lambda image: image[:, ::-1], "jpeg"), (larger, "jpeg")]
)
def test_the_same_pictures_under_another_name_are_left_out(change: Callable[..., np.ndarray], encoding: str):
    run = make_run()
    store("table/other", {"train": np.concatenate([TRAIN[::2], NEW])}, change, encoding=encoding)
    found = score(run, data="table/other")
    ids = [f"table/other-train-{row}" for row in NEW]
    assert [sorted(each.ids.tolist()) for each in found.predictions.values()] == 3 * [sorted(ids)]  # of all models
    told = (
        "30 of the 70 images are among those that the run's models, or what they come from, learnt: they are left out"
    )
    assert told in note(found)
    folder = run / "evaluate-table-other-train"
    lines = (folder / "left-out.csv").read_text().split()
    assert lines == ["id", *(f"table/other-train-{row}" for row in TRAIN[::2])]
    assert told in " ".join((folder / "table.md").read_text().split())
    assert read_json(run / "evaluations.json")[-1]["left_out"] == 30
    assert read_json(run / "evaluations.json")[-1]["images"] == 40


def test_what_is_new_is_scored_whole_and_an_old_list_goes():
    run = make_run()
    store("folder/new", {"test": NEW})
    stale = run / "evaluate-folder-new-test" / "left-out.csv"
    stale.parent.mkdir()
    stale.write_text("id\nsome\n")
    found = score(run, data="folder/new")
    assert len(found.predictions["ensemble"].ids) == 40
    assert "learnt" not in note(found) and not stale.exists()
    assert "left_out" not in read_json(run / "evaluations.json")[-1]


@pytest.mark.parametrize("new", [0, 9])
def test_where_next_to_nothing_is_new_the_split_stays_closed(new: int):
    run = make_run()
    store("folder/other", {"test": np.concatenate([TRAIN, NEW[:new]])})
    with pytest.raises(
        UserError, match=rf"^split 'test' of folder/other: 60 of the {60 + new} images .*; the {new} oth"
    ):
        score(run, data="folder/other")
    assert not (run / "evaluations.json").exists()


def test_an_official_split_stays_whole_up_to_what_may_be_chance_and_starts_count():
    few, many = TEST[:2], TEST[:3]
    found = score(make_run("few", (TRAIN, np.append(TRAIN, few))), split="test")
    assert len(found.predictions["ensemble"].ids) == len(TEST)
    assert "2 of its 40 images look like ones that the models learnt: few enough to be chance." in note(found)
    found = score(make_run("many", (TRAIN, np.append(TRAIN, many))), split="test")
    assert len(found.predictions["ensemble"].ids) == len(TEST) - 3


def test_models_that_do_not_say_are_told_where_it_matters():
    store("folder/other", {"test": np.concatenate([TRAIN[:5], NEW])})
    run = make_run("older", None)
    doubt = "It is not known which images older learnt"
    assert doubt in note(score(run, data="folder/other"))
    assert doubt not in note(score(run, split="test"))  # the build says what it was trained on
    started = make_run("started", None, weights="some.keras")
    assert "It is not known which images started learnt" in note(score(started, split="test"))


def test_an_ensemble_scores_no_member_on_what_another_has_learnt():
    runs = [make_run("one", (TRAIN, TEST[:4])), make_run("three", (TEST[2:8], TRAIN))]
    for run in runs:
        score(run, split="test")
    found = fer_tl.ensemble(runs, split="test", say=lambda line: None)
    for predictions in found.predictions.values():
        assert sorted(predictions.ids.tolist()) == sorted(f"folder/own-test-{row}" for row in TEST[8:])
    assert "8 images that a member was trained on left out for all of them" in " ".join(found.text.split())


def test_an_ancestor_of_which_nobody_knows_is_told_too():
    run = make_run()
    path = run / "fold-0" / "model.keras"
    model, names = keras.models.load_model(path, compile=False), CLASSES
    save_model(model, names, path, lineage=Lineage(unknown=("weights.h5",)))
    assert "It is not known which images weights.h5 learnt" in note(score(run, split="test"))
