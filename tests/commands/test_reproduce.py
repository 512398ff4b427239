"""The verb ``reproduce``: a run is trained again on the same data and compared; what cannot be the same is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_run import DATA, make_faces, make_run
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.cli import main
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.core.framework import version_of
from fer_tl.evaluation.run_contents import open_contents
from fer_tl.reports.run_facts import recipes
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import describe_files
from fer_tl.runs.predictions import Predictions, load_predictions, save_predictions

pytestmark = pytest.mark.usefixtures("thin_backbone", "light_figures")

FACES = make_faces()
SMALL = ["--data", DATA, "--backbone", "shallow_cnn", "--weights", "none", "--image-size", "16", "--batch-size", "16"]
SMALL += ["--epochs", "1", "--augment.flip", "false", "--augment.rotation", "0", "--augment.zoom", "0"]
SMALL += ["--augment.shift", "0"]


def store(seed: int = 0) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (2, len(FACES.ids), 8, 8, 1)).astype(np.uint8)
    new = np.char.add("new-", FACES.ids)
    splits = {
        "train": Stored(noise[0], FACES.labels, FACES.ids, FACES.groups),
        "validation": Stored(noise[1], FACES.labels, new, new),
    }
    prints = {"train": f"{seed}" * 64, "validation": "e" * 64}
    store_dataset(Path("data"), DATA, FACES.class_names, splits, fingerprints=prints)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, thin_backbone: None) -> Path:
    """Holds ``run``, a repeated cross validation, its ``student``, both trained again, and their data."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        store()
        assert main(["cv", *SMALL, "--folds", "2", "--repeats", "2", "--run-dir", "run"]) == 0
        before = bits("run")
        assert main(["reproduce", "run", "--within", "0"]) == 0
        assert bits("run") == before and len(before) == 4
        assert main(["distill", "run", *SMALL, "--run-dir", "student"]) == 0
        assert fer_tl.reproduce("student", within=0, say=lambda line: None).agrees
    return folder


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> None:
    """The same in the current folder, to be changed."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def bits(folder: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(Path(folder).rglob("predictions.npz"))]


def replace_answers(part: Path, change: Callable[[Predictions], np.ndarray]) -> None:
    """Other logits of a part, as if it had been trained to them."""
    found = load_predictions(part / "predictions.npz")
    save_predictions(part / "predictions.npz", replace(found, logits=change(found).astype(np.float32)))
    write_json(part / "result.json", read_json(part / "result.json") | {"files": describe_files(part)})


@pytest.mark.usefixtures("copied")
def test_a_repeated_cross_validation_and_its_student_come_out_the_same():
    for name, parts in (("run", 4), ("student", 1)):
        assert bits(f"{name}-again") == bits(name) and len(bits(name)) == parts
        assert read_json(Path(f"{name}-again/reproduction.json"))["agrees"] is True
        page = recipes(open_contents(RunFolder(Path(name)), "data"))
        assert page["reproduce"] == f"fer-tl reproduce {name}"
        assert page["made_by"].startswith(f"fer-tl {version_of('fer-tl')}")


@pytest.mark.usefixtures("copied")
def test_what_does_not_agree_ends_with_code_1_and_says_how_far(capsys: pytest.CaptureFixture[str]):
    for part in Path("run").glob("fold-*"):
        replace_answers(part, lambda found: 5 * np.eye(3)[(found.labels + 1) % 3])
    # What is trained already is only compared.
    again = ["reproduce", "run", "--data-dir", "data", "--run-dir", "run-again"]
    assert main(again) == 1
    shown = capsys.readouterr()
    assert "It does not agree: accuracy 0.00 % before" in shown.out
    assert shown.err.splitlines()[-1] == "fer-tl: run-again does not agree with the run that it was to reproduce"
    assert main([*again, "--within", "100"]) == 0
    assert main([*again, "--within", "0"]) == 1


@pytest.mark.usefixtures("copied")
def test_the_folder_of_several_seeds_stands_for_its_runs(capsys: pytest.CaptureFixture[str]):
    for seed in (0, 1):  # trained already, so that they are compared alone
        shutil.copytree("run", f"seeds/seed-{seed}")
        shutil.copytree("run-again", f"seeds-again/seed-{seed}")
    found = fer_tl.reproduce("seeds", data_dir="data", within=0, say=lambda line: None)
    assert found.agrees
    assert [line.split(": ")[0] for line in found.text.splitlines()] == ["seed-0", "seed-1"]
    for part in Path("seeds/seed-1").glob("fold-*"):
        replace_answers(part, lambda found: found.logits + 1)
    assert main(["reproduce", "seeds", "--data-dir", "data", "--within", "0"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"fer-tl: {Path('seeds-again').absolute()} does not agree with the runs that it was to reproduce"


@pytest.mark.usefixtures("copied")
def test_teachers_have_to_answer_as_they_did():
    shutil.rmtree("student-again")
    config = Path("student/config.yaml")
    config.write_text(config.read_text().replace(str(Path("run").absolute()), "run"))
    replace_answers(Path("run/fold-0"), lambda found: found.logits + 1)
    with pytest.raises(UserError, match="the teacher run answers otherwise than when it taught student"):
        fer_tl.reproduce("student", data_dir="data", say=lambda line: None)
    assert not Path("student-again").exists()


def test_what_cannot_be_the_same_is_refused_before_anything_is_trained():
    store()
    run = make_run(Path("run"), FACES, dataset=DATA)
    for options, why in (
        ({}, "another build of 'folder/mine' than run was trained on"),
        ({"data_dir": "nowhere"}, "nowhere"),
        ({"target": "run"}, "run is the run itself: give another --run-dir"),
        ({"within": -1.0}, "--within -1: give points from 0 to 100"),
    ):
        with pytest.raises(UserError, match=why):
            fer_tl.reproduce("run", **options)
    shutil.rmtree("data")
    with pytest.raises(UserError, match="run `fer-tl build folder/mine --source PATH"):
        fer_tl.reproduce("run")
    write_json(run.path / "run.json", run.read_run() | {"backend": "jax"})
    with pytest.raises(UserError, match="run was trained with jax: set KERAS_BACKEND=jax to train it again"):
        fer_tl.reproduce("run")
    (run.path / "fold-1" / "result.json").unlink()
    with pytest.raises(UserError, match="fold-1"):
        fer_tl.reproduce("run")
    assert not Path("run-again").exists()


def test_a_soup_names_the_run_that_can_be_reproduced():
    run = make_run(Path("run"), FACES, "train")
    soup = {"run": "of-these", "models": "x", "ingredients": ["fold-0"], "left_out": []}
    write_json(run.path / "run.json", run.read_run() | {"kind": "soup", "soup": soup})
    with pytest.raises(UserError, match=r"run is a soup of of-these: .*fer-tl reproduce of-these"):
        fer_tl.reproduce("run")
