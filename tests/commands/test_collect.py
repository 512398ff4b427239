"""Folds trained in several places become the run that a single place would have made, or a clear word why not."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fer_tl
from fer_tl.commands import collect as command
from fer_tl.commands._report_folds import CvResult, report_folds
from fer_tl.core.config import Experiment, Schedule
from fer_tl.core.config_keys import dump_yaml, identity
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json, write_text
from fer_tl.data.folds import write_folds
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.history import write_history
from fer_tl.runs.part import CLASSES_MEMBER, PART_FILES, TIMING, describe_files
from fer_tl.runs.predictions import Predictions, save_predictions

pytestmark = pytest.mark.usefixtures("light_figures")

COUNT = 24
IDS = np.array([f"image-{k:02d}" for k in range(COUNT)])
FOLDS = np.arange(COUNT) % 3
EXPERIMENT = Experiment(data="folder/mine", data_dir="nowhere", backbone="shallow_cnn", weights="none", folds=3)
NAMES = ["fold-0", "fold-1", "fold-2"]
FILES = {TIMING, *PART_FILES}


def make_run(path: Path, *done: int, experiment: Experiment = EXPERIMENT, **changed: object) -> Path:
    """A cross validation with some of its folds; two of the same folds are bit-equal."""
    run = RunFolder(path)
    about = {"kind": "cv", "parts": NAMES, "dataset": "folder/mine", "fingerprint": "f" * 64}
    about |= {"class_names": ["happy", "sad"], "settings": identity(experiment), "backend": "tensorflow"}
    about |= {"precision": "float32"}
    run.start(replace(experiment, run_dir=str(path)), about | changed)
    write_folds(path / "folds.csv", IDS, FOLDS)
    date, weights = f"2026-01-0{1 + sum(done)}", "w.h5" if experiment.backbone == "vgg16" else "none"
    write_json(path / "environment.json", [{"date": date, "weights": weights, "kernel_checksum": path.name}])
    for fold in done:
        add_fold(run, fold)
    return path


def add_fold(run: RunFolder, fold: int, seed: int = 0) -> None:
    part, rows = run.part(NAMES[fold]), np.flatnonzero(fold == FOLDS)
    logits = np.random.default_rng([seed, fold]).normal(size=(len(rows), 2)).astype(np.float32)
    save_predictions(part / "predictions.npz", Predictions(IDS[rows], rows % 2, logits, ("happy", "sad")))
    history = {"stage": "main", "epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
    write_history(part / "history.csv", [history])
    with zipfile.ZipFile(part / "model.keras", "w") as archive:
        archive.writestr(zipfile.ZipInfo("weights"), bytes(200 + fold))
        archive.writestr(zipfile.ZipInfo(CLASSES_MEMBER), "{}")
    write_json(part / TIMING, {"seconds": 1.0 + fold})
    write_json(part / "result.json", {"kept_epoch": 1, "epochs": 1, "files": describe_files(part)})


def make_old(part: Path) -> None:
    """As version 0.1.0 wrote it: times in the result, no checksums."""
    write_json(part / "result.json", {"kept_epoch": 1, "epochs": 1, **read_json(part / TIMING)})
    (part / TIMING).unlink()


def collect(*runs: Path, out: Path) -> CvResult:
    return fer_tl.collect(runs, out, say=lambda line: None)


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_joined_folds_are_the_run_that_one_place_makes(tmp_path: Path) -> None:
    whole = RunFolder(make_run(tmp_path / "whole", 0, 1, 2))
    own = {example_id: example_id for example_id in IDS.tolist()}
    remark = " The intervals resample images, not groups: the dataset is not where the runs found it."
    expected = report_folds(whole, IDS, own, lambda line: None, remark)
    one, other = make_run(tmp_path / "one", 0, 2), make_run(tmp_path / "other", 1)
    write_text(other / "fold-0" / "checkpoint-000003.npz", "in work")
    before = {path: bytes_below(path) for path in (one, other)}
    joined = collect(one, other, out=tmp_path / "deep" / "all")
    assert {path: bytes_below(path) for path in (one, other)} == before
    assert joined.text == expected.text
    result, single = bytes_below(tmp_path / "deep" / "all"), bytes_below(whole.path)
    assert result.keys() == single.keys()
    assert {name for name in result if result[name] != single[name]} == {"config.yaml", "environment.json"}
    environment = read_json(tmp_path / "deep" / "all" / "environment.json")
    assert [(entry["date"], entry["kernel_checksum"]) for entry in environment] == [
        ("2026-01-02", "other"),
        ("2026-01-03", "one"),
    ]
    assert RunFolder(tmp_path / "deep" / "all").read_experiment() == replace(
        EXPERIMENT, run_dir=str(tmp_path / "deep" / "all")
    )


def test_a_call_that_dies_at_any_file_is_continued_by_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = make_run(tmp_path / "one", 0, 2), make_run(tmp_path / "other", 1)
    copy, left, out = shutil.copyfile, [0], RunFolder(tmp_path / "all")

    def die_at_last(source: Path, target: Path) -> None:
        if not left[0]:
            Path(target).write_text("half")
            raise KeyboardInterrupt
        left[0] -= 1
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", die_at_last)
    monkeypatch.setattr(command, "report_folds", lambda *given: None)
    deaths, dead = 0, True
    while dead:
        left[0] = deaths  # files that it lives for: the fold table, each file of a fold, and so on
        try:
            collect(one, other, out=out.path)
            dead = False
        except KeyboardInterrupt:
            deaths += 1
        for name in out.done:
            source = one if (one / name).exists() else other
            assert bytes_below(out.part(name)) == bytes_below(source / name)
    assert deaths > 1 + len(FILES)
    monkeypatch.setattr(shutil, "copyfile", copy)
    collect(one, other, out=tmp_path / "at once")
    first, second = bytes_below(out.path), bytes_below(tmp_path / "at once")
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} == {"config.yaml"}


def test_folds_are_added_to_one_of_the_runs(tmp_path: Path) -> None:
    one, other = make_run(tmp_path / "one", 0, 2), make_run(tmp_path / "other", 1, 2)
    write_text(one / "fold-1" / "checkpoint-000003.npz", "in work")
    openings = [{"date": f"2026-03-0{day}", "split": "test"} for day in (1, 2, 3)]
    write_json(one / "evaluations.json", openings[1:])
    write_json(other / "evaluations.json", openings[:2])
    collect(one, other, out=one)
    assert {path.name for path in (one / "fold-1").iterdir()} == FILES
    assert (one / "fold-1" / "model.keras").read_bytes() == (other / "fold-1" / "model.keras").read_bytes()
    assert read_json(one / "evaluations.json") == openings


def edit(path: Path) -> None:
    write_text(path / "config.yaml", dump_yaml(replace(EXPERIMENT, epochs=77)))


def fail(path: Path) -> None:
    shutil.rmtree(path / "fold-1")
    write_json(path / "fold-1" / "failed.json", {"message": "the loss is nan in epoch 3", "epoch": 3, "step": 1})


def other_folds(path: Path) -> None:
    write_folds(path / "folds.csv", IDS, (FOLDS + (np.arange(COUNT) == 0)) % 3)


def flip(path: Path, file: str = "model.keras", old: bool = False) -> None:
    part = path / "fold-1"
    content = bytearray((part / file).read_bytes())
    content[60] ^= 1
    (part / file).write_bytes(bytes(content))
    if old:
        make_old(part)


def cut(path: Path, file: str, old: bool = False) -> None:
    part = path / "fold-1"
    if old:
        make_old(part)
    (part / file).write_bytes((part / file).read_bytes()[:12])


STEPPED = replace(EXPERIMENT, epochs=9, schedule=Schedule(kind="step"))
VGG = replace(EXPERIMENT, backbone="vgg16")
REFUSED: dict[str, tuple[dict[str, object], Callable[[Path], object] | None, str]] = {
    "settings": ({"experiment": STEPPED}, None, r"other settings \(epochs 8 -> 9; schedule.kind \w+ -> step\)"),
    "build": ({"fingerprint": "e" * 64}, None, r"other builds of 'folder/mine' \(fingerprint e{12}, f{12}\)"),
    "classes": ({"class_names": ["happy", "grim"]}, None, r"differ in 'class_names': \['happy', 'grim'\]"),
    "a single model": (
        {"kind": "train", "parts": ["model"], "held_out": "fold 0"},
        None,
        "other is a run of fer-tl train",
    ),
    "folds": ({}, other_folds, "have other folds: 1 of 25 rows of folds.csv differ, such as image-00,1"),
    "another framework": ({"backend": "jax"}, None, "differ in 'backend': jax, tensorflow"),
    "another precision": (
        {"precision": "mixed_bfloat16"},
        None,
        "differ in 'precision': mixed_bfloat16, float32: train both with --precision float32",
    ),
    "no table": ({}, lambda path: (path / "folds.csv").unlink(), r"folds\.csv cannot be read"),
    "edited": ({}, edit, r"config\.yaml was changed since the run began \(epochs 8 -> 77\)"),
    "missing": (
        {},
        lambda path: shutil.rmtree(path / "fold-1"),
        "fold-1 is done in none of the runs: train .*--fold 1",
    ),
    "failed": ({}, fail, r"fold-1 is done in none .*\(fold-1 failed in .*other: the loss is nan in epoch 3\)"),
    "two trainings": ({}, lambda path: add_fold(RunFolder(path), 2, seed=1), "fold-2 of .* are two trainings"),
    "other images": (
        {},
        lambda path: shutil.copytree(path / "fold-2", path / "fold-1", dirs_exist_ok=True),
        "folds.csv",
    ),
    "damaged model": ({}, flip, r"other/fold-1/model\.keras is not .*\(its checksum is another\): move .*fold-1"),
    "damaged history": (
        {},
        lambda path: flip(path, "history.csv"),
        r"other/fold-1/history\.csv is not what was written",
    ),
    "old damaged model": ({}, lambda path: flip(path, old=True), r"fold-1/model\.keras is damaged .*: copy that fold"),
    "old cut model": ({}, lambda path: cut(path, "model.keras", True), r"model\.keras is not a whole model"),
    "old cut history": ({}, lambda path: cut(path, "history.csv", True), r"history\.csv cannot be read .* move"),
    "cut model": ({}, lambda path: cut(path, "model.keras"), r"model\.keras is not what was written \(12 of \d+ bytes"),
    "cut predictions": ({}, lambda path: cut(path, "predictions.npz"), r"other/fold-1/predictions\.npz is not"),
    "cut result": ({}, lambda path: cut(path, "result.json"), r"other/fold-1/result\.json .* move .*other/fold-1"),
    "cut openings": ({}, lambda path: write_text(path / "evaluations.json", "["), r"evaluations\.json .*: put it back"),
    "run of nothing": (
        {},
        lambda path: write_text(path / "run.json", '{"parts": 3}'),
        r"run\.json is damaged .*'kind'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_one_line_and_nothing_is_written(tmp_path: Path, case: str) -> None:
    changed, damage, message = REFUSED[case]
    one = make_run(tmp_path / "one", 0, 2)
    other = make_run(tmp_path / "other", 1, 2, **changed)  # type: ignore[arg-type]
    if damage:
        damage(other)
    with pytest.raises(UserError, match=message) as caught:
        collect(one, other, out=tmp_path / "all")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "all").exists()


def test_pretrained_weights_must_be_the_same_and_random_ones_come_of_the_seed(tmp_path: Path) -> None:
    one, other = (make_run(tmp_path / name, fold, experiment=VGG) for name, fold in (("one", 0), ("other", 1)))
    with pytest.raises(UserError, match=r"started from other weights \(kernels other and one\)"):
        collect(one, other, out=tmp_path / "all")


def test_another_run_is_not_joined_into(tmp_path: Path) -> None:
    one, other = make_run(tmp_path / "one", 0, 2), make_run(tmp_path / "other", 1)
    there = make_run(tmp_path / "all", 1, experiment=STEPPED)
    before = bytes_below(there)
    with pytest.raises(UserError, match=r"all and .*one are runs with other settings"):
        collect(one, other, out=there)
    assert bytes_below(there) == before


@pytest.mark.parametrize("file", PART_FILES)
@pytest.mark.parametrize("given", [False, True])
def test_a_damaged_fold_of_the_target_is_replaced_by_a_whole_one(
    tmp_path: Path, file: str, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "report_folds", lambda *given: None)
    one, other = make_run(tmp_path / "one", 0, 2), make_run(tmp_path / "other", 1)
    there = make_run(tmp_path / "all", 0, 1, 2)
    flip(there, file)
    cut(there, file)
    collect(*([one, there] if given else [one]), other, out=there)
    for name in NAMES:
        assert bytes_below(there / name) == bytes_below((other if name == "fold-1" else one) / name)
    cut(there, file)
    with pytest.raises(UserError, match=f"all/fold-1/{file}"):
        collect(one, there, out=there)


def test_folds_of_version_0_1_0_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "report_folds", lambda *given: None)
    one, other = make_run(tmp_path / "one", 0, 2), make_run(tmp_path / "other", 1)
    make_old(other / "fold-1")
    collect(one, other, out=tmp_path / "all")
    assert bytes_below(tmp_path / "all" / "fold-1") == bytes_below(other / "fold-1")
    assert RunFolder(tmp_path / "all").seconds == 1 + 2 + 3


def test_a_damaged_list_of_machines_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "report_folds", lambda *given: None)
    one, other = make_run(tmp_path / "one", 0, 2), make_run(tmp_path / "other", 1)
    (other / "environment.json").write_text("[{")
    lines: list[str] = []
    fer_tl.collect([one, other], tmp_path / "all", say=lines.append)
    assert sum("other/environment.json cannot be read" in line for line in lines) == 1
    assert read_json(tmp_path / "all" / "environment.json") == read_json(one / "environment.json")


def test_a_target_without_its_run_file_is_not_written_into(tmp_path: Path) -> None:
    one, other, there = make_run(tmp_path / "one", 0, 2), make_run(tmp_path / "other", 1), make_run(tmp_path / "all", 1)
    (there / "run.json").unlink()
    before = bytes_below(there)
    with pytest.raises(UserError, match=r"all has parts of a run but no run\.json: give another --out, or put it back"):
        collect(one, other, out=there)
    assert bytes_below(there) == before
