"""The verb ``distill``: a student learns what its teachers say, is scored as any run, and tells who taught it."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_run import DATA, FINGERPRINT, Faces, make_faces, make_run
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.cli import main, parse
from fer_tl.core.config import Experiment
from fer_tl.core.options import from_flat
from fer_tl.evaluation.run_contents import open_contents
from fer_tl.reports.run_facts import recipes
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import load_predictions
from fer_tl.training import fold_checkpoints, loop

pytestmark = pytest.mark.usefixtures("thin_backbone", "light_figures")

FACES = make_faces()
NEXT = (FACES.labels + 1) % 3  # what the teacher says of each image: never its label
SMALL = ["--data", DATA, "--backbone", "shallow_cnn", "--weights", "none", "--image-size", "16", "--batch-size", "16"]
SMALL += ["--optimizer.rate", "0.02", "--batch-norm-momentum", "0.5", "--augment.flip", "false"]
STILL = ["--augment.rotation", "0", "--augment.zoom", "0", "--augment.shift", "0"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset whose classes are told by where the image is bright, and a teacher that takes each for the next."""
    monkeypatch.chdir(tmp_path)
    images = np.zeros((len(FACES.ids), 8, 8, 1), np.uint8)
    for label in range(3):
        images[FACES.labels == label, 2 * label : 2 * label + 3] = 180
    noise = np.random.default_rng(0).integers(0, 75, (2, *images.shape)).astype(np.uint8)  # no two are one picture
    new = np.char.add("new-", FACES.ids)
    splits = {
        "train": Stored(images + noise[0], FACES.labels, FACES.ids, FACES.groups),
        "validation": Stored(images + noise[1], FACES.labels, new, new),
    }
    prints = {"train": FINGERPRINT, "validation": "e" * 64}
    store_dataset(Path("data"), DATA, FACES.class_names, splits, fingerprints=prints)
    make_run(Path("teacher"), teaching(8.0))


def teaching(certainty: float) -> Faces:
    return replace(FACES, logits=(certainty * np.eye(3)[NEXT]).astype(np.float32))


def answers(run: str) -> np.ndarray:
    """The classes that a student gives to the validation images, in the order of ``FACES``."""
    found = load_predictions(Path(run) / "model" / "predictions.npz")
    return found.logits.argmax(axis=1)[np.argsort(found.ids)]


def test_a_student_says_what_its_teacher_said_of_images_that_neither_has_seen():
    assert main(["distill", "teacher", *SMALL, *STILL, "--share", "1", "--epochs", "15", "--run-dir", "student"]) == 0
    assert (answers("student") == NEXT).mean() > 0.9
    assert main(["distill", "teacher", *SMALL, *STILL, "--share", "0", "--epochs", "15", "--run-dir", "plain"]) == 0
    assert (answers("plain") == FACES.labels).mean() > 0.9
    found = fer_tl.evaluate("student", split="validation", say=lambda line: None)
    assert found.result.rows[0][1].accuracy < 0.1


class Killed(BaseException):
    """A kill, after which nothing is tidied up."""


@contextmanager
def killed_in(epoch: int) -> Iterator[None]:
    save = fold_checkpoints.Keeper.save

    def ending(self: fold_checkpoints.Keeper, at: fold_checkpoints.Position) -> None:
        save(self, at)
        if at.epoch == epoch:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_checkpoints, "WRITING_SHARE", math.inf)
        patch.setattr(loop, "SECONDS_PER_CHECKPOINT", 0.0)
        patch.setattr(fold_checkpoints.Keeper, "save", ending)
        with pytest.raises(Killed):
            yield


def test_a_killed_student_ends_as_one_that_was_not_and_not_with_another_teacher(capfd: pytest.CaptureFixture[str]):
    mixed = ["--epochs", "3", "--augment.mixup", "0.4", "--loss.smoothing", "0.1", "--class-weights", "balanced"]
    command = ["distill", "teacher", *SMALL, *mixed, "--temperature", "3"]
    assert main([*command, "--run-dir", "whole"]) == 0
    with killed_in(2):
        main([*command, "--run-dir", "killed"])
    shutil.move("teacher", "first")
    make_run(Path("teacher"), teaching(7.0))
    assert main([*command, "--run-dir", "killed"]) == 2
    assert "killed was begun with other answers of its teacher teacher" in capfd.readouterr().err
    shutil.rmtree("teacher")
    shutil.move("first", "teacher")
    assert main([*command, "--run-dir", "killed"]) == 0
    for name in ("model.keras", "predictions.npz", "history.csv", "result.json"):
        assert Path("killed/model", name).read_bytes() == Path("whole/model", name).read_bytes(), name


def student(path: str, *teachers: str, **settings: float) -> RunFolder:
    """A finished one, of which nothing was trained."""
    distill = fer_tl.load_experiment(distill={"teachers": list(teachers), **settings}).distill
    run = make_run(Path(path), FACES, "train", distill=distill)
    recorded = [{"run": name, "backbone": "resnet50", "predictions": "a" * 64} for name in teachers]
    about = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps(about | {"teachers": recorded}))
    return run


def test_the_teachers_stand_in_every_result_and_the_printed_commands_name_them():
    run = student("taught", "one", "other run", share=0.4, temperature=2.0)
    contents = open_contents(run, None, print)
    commands = recipes(contents)
    assert commands["without_files"].startswith("fer-tl distill one 'other run' --data folder/mine --backbone ")
    assert commands["again"].startswith("fer-tl distill --config taught/config.yaml ")
    page = fer_tl.report("taught", say=lambda line: None).path.read_text().replace("&nbsp;", " ")
    said = "40 % of each target is what one (resnet50), other run (resnet50) answered out of fold at temperature 2"
    assert said in page and "distill.teachers" in page


def test_a_printed_command_asks_for_the_same_student():
    run = student("taught", "one", "other run", share=0.4)
    words = shlex.split(recipes(open_contents(run, None, print))["without_files"])[1:]
    name, values = parse(words)
    values.pop("config")
    given = tuple(values.pop("run_dirs"))
    found = from_flat(values)
    assert name == "distill" and given == run.read_experiment().distill.teachers
    assert replace(found.distill, teachers=given) == run.read_experiment().distill


def test_a_student_without_a_teacher_or_with_two_sayings_is_refused(capfd: pytest.CaptureFixture[str]):
    assert main(["distill", *SMALL]) == 2
    assert capfd.readouterr().err.endswith(
        "fer-tl: a student needs a teacher: fer-tl distill RUN, a finished cross validation\n"
    )
    Path("config.yaml").write_text("distill: {teachers: [teacher]}\n")
    assert main(["distill", "nobody", "--config", "config.yaml"]) == 2
    assert "the teachers nobody are not those of 'distill.teachers', teacher" in capfd.readouterr().err
    with pytest.raises(fer_tl.UserError, match="a student needs a teacher"):
        fer_tl.distill((), Experiment())
