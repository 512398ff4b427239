"""A run's folder: what is written reads back, what is broken is named, and another run is not written over."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_tl.core.config import Experiment, Head
from fer_tl.core.config_keys import identity
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_atomically, write_json, write_text
from fer_tl.runs.folder import RunFolder, default_run_dir
from fer_tl.runs.history import read_history, write_history
from fer_tl.runs.part import PART_FILES, check_model, check_part, describe_files, read_failure
from fer_tl.runs.predictions import Predictions, load_predictions, save_predictions

CLASSES = ("angry", "happy", "überrascht")
RUN = {"kind": "cv", "parts": ["fold-0", "fold-1"], "dataset": "folder/mine", "fingerprint": "a" * 64}


def make_predictions(count: int = 5) -> Predictions:
    rng = np.random.default_rng(0)
    ids = np.array([f"straße/{i}, 'x'.png" for i in range(count)])
    return Predictions(ids, rng.integers(0, 3, count), rng.normal(0, 30, (count, 3)).astype(np.float32), CLASSES)


def started(path: Path, experiment: Experiment | None = None, **changed: Any) -> RunFolder:
    run = RunFolder(path)
    run.start(experiment or Experiment(), RUN | changed)
    return run


@pytest.mark.parametrize("count", [5, 0])
def test_predictions_read_back_bit_for_bit(tmp_path: Path, count: int) -> None:
    saved = make_predictions(count)
    save_predictions(tmp_path / "new" / "predictions.npz", saved)
    loaded = load_predictions(tmp_path / "new" / "predictions.npz")
    for name in ("ids", "labels", "logits"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
    assert loaded.logits.dtype == np.float32
    assert loaded.class_names == CLASSES


def test_predictions_are_not_pickled(tmp_path: Path) -> None:
    saved = make_predictions()
    save_predictions(tmp_path / "p.npz", replace(saved, ids=saved.ids.astype(object)))
    np.testing.assert_array_equal(load_predictions(tmp_path / "p.npz").ids, saved.ids)


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    parts = make_predictions()
    np.savez(tmp_path / "p.npz", ids=np.array([Trap()]), labels=parts.labels, logits=parts.logits)
    (tmp_path / "q.npz").write_bytes(pickle.dumps(Trap()))
    for name in ("p.npz", "q.npz"):
        with pytest.raises(UserError):
            load_predictions(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def flip(content: bytes) -> bytes:
    return content[:120] + bytes(255 - byte for byte in content[120:300]) + content[300:]


@pytest.mark.parametrize(
    "damage",
    [lambda b: b"", lambda b: b[:60], lambda b: b[: len(b) // 2], lambda b: b[:-1], flip, lambda b: b"PK\x03\x04"],
    ids=["empty", "beginning", "half", "one byte less", "flipped", "signature only"],
)
def test_damaged_predictions_are_named_in_one_line(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "predictions.npz"
    save_predictions(path, make_predictions())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"predictions\.npz is not a predictions file .*: move ") as caught:
        load_predictions(path)
    assert "\n" not in str(caught.value)


def test_other_arrays_are_not_taken_for_predictions(tmp_path: Path) -> None:
    parts = make_predictions()
    np.savez(tmp_path / "a.npz", ids=parts.ids)
    np.savez(
        tmp_path / "b.npz", ids=parts.ids, labels=parts.labels[:2], logits=parts.logits, class_names=np.array(CLASSES)
    )
    np.save(tmp_path / "c.npy", parts.logits)
    for name in ("a.npz", "b.npz", "c.npy"):
        with pytest.raises(UserError, match=name):
            load_predictions(tmp_path / name)
    with pytest.raises(UserError, match="unfinished"):
        load_predictions(tmp_path / "none.npz")


def test_probabilities_sum_to_one_for_any_logits() -> None:
    logits = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [0, np.log(2), np.log(5)]], np.float32)
    probabilities = Predictions(np.array(["a", "b", "c"]), np.zeros(3, int), logits, CLASSES).probabilities
    np.testing.assert_allclose(probabilities, [[1, 0, 0], [1 / 3] * 3, [1 / 8, 2 / 8, 5 / 8]], atol=1e-7)


def test_history_reads_back(tmp_path: Path) -> None:
    history = [
        {"stage": "head", "epoch": 1, "loss": 1.9459101, "learning_rate": 1e-3},
        {"stage": "main", "epoch": 2, "loss": 1e-300, "learning_rate": 1 / 3},
    ]
    write_history(tmp_path / "history.csv", history)
    loaded = read_history(tmp_path / "history.csv")
    assert loaded == history
    assert isinstance(loaded[0]["epoch"], int)


@pytest.mark.parametrize(
    "text", [b"", b"stage,epo", b"stage,epoch,loss\nmain,1,x\n", b"stage,epoch,loss\nmain,1\n", b"a,b\n\xff,1\n"]
)
def test_a_broken_history_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "history.csv").write_bytes(text)
    with pytest.raises(UserError, match=rf"history\.csv .*: move {tmp_path} away and rerun the command"):
        read_history(tmp_path / "history.csv")
    with pytest.raises(UserError, match=r"none\.csv"):
        read_history(tmp_path / "none.csv")


def test_a_started_run_reads_back_and_starts_again(tmp_path: Path) -> None:
    experiment = Experiment(backbone="shallow_cnn", weights="none", head=Head(dense=(64, 32), dropout=(0, 0.5, 0.1)))
    run = started(tmp_path / "deep" / "run", experiment)
    assert run.read_experiment() == experiment
    assert run.read_run() == RUN
    assert run.parts == ["fold-0", "fold-1"]
    before = {path: path.stat().st_mtime_ns for path in run.path.iterdir()}
    started(run.path, experiment)
    # Elsewhere, on other devices, it is still the same run.
    started(run.path, replace(experiment, data_dir="/moved", run_dir=str(run.path), strategy="cpu", fold=1))
    assert {path: path.stat().st_mtime_ns for path in run.path.iterdir()} == before


def test_another_experiment_is_refused_with_the_difference(tmp_path: Path) -> None:
    started(tmp_path)
    other = replace(Experiment(), folds=5, head=Head(dense=(8,)))
    with pytest.raises(UserError, match=r"folds 4 -> 5.*--run-dir") as caught:
        started(tmp_path, other)
    assert "head.dense None -> [8]" in str(caught.value)
    assert "seed" not in str(caught.value)
    assert RunFolder(tmp_path).read_experiment() == Experiment()


def test_another_command_or_build_is_refused(tmp_path: Path) -> None:
    started(tmp_path)
    with pytest.raises(UserError, match="fer-tl cv -> fer-tl train"):
        started(tmp_path, kind="train")
    with pytest.raises(UserError, match=r"another build of 'folder/mine' .*aaaaaaaaaaaa.*bbbbbbbbbbbb"):
        started(tmp_path, fingerprint="b" * 64)


def test_whichever_fold_comes_first_begins_the_same_run(tmp_path: Path) -> None:
    """Not even a lock or what a killed process was writing makes its folder another's."""
    for fold in (None, 1):
        (tmp_path / f"{fold}" / "fold-1").mkdir(parents=True)
        for name in (".lock", ".4711.config.yaml", "fold-1/.lock"):
            (tmp_path / f"{fold}" / name).touch()
        started(tmp_path / f"{fold}", replace(Experiment(), fold=fold))
    for name in ("config.yaml", "run.json"):
        assert (tmp_path / "None" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()


def test_a_configuration_that_was_edited_is_refused_with_the_difference(tmp_path: Path) -> None:
    run = started(tmp_path, settings=identity(Experiment()))
    run.refuse_edited()
    text = (tmp_path / "config.yaml").read_text()
    write_text(
        tmp_path / "config.yaml", text.replace("epochs: 8", "epochs: 9").replace("data_dir: data", "data_dir: d")
    )
    with pytest.raises(UserError, match=r"config\.yaml was changed since the run began \(epochs 8 -> 9\)"):
        run.refuse_others(run.read_experiment(), "cv")


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        started(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_a_file_where_the_run_should_be_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot be written") as caught:
        started(tmp_path / place)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


PLACES = ["fold-0/result.json", "fold-1/checkpoint-000003.npz", "folds.csv", "environment.json", "table.md"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("configured", [False, True])
def test_a_folder_without_its_run_file_is_not_begun_again(tmp_path: Path, place: str, configured: bool) -> None:
    if configured:
        started(tmp_path)
        (tmp_path / "run.json").unlink()
    write_text(tmp_path / place, "mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    parts = configured or place in ("folds.csv", "environment.json")
    message = "has parts of a run but no run.json: give another --run-dir" if parts else "holds other files"
    for attempt in (started, lambda path: RunFolder(path).refuse_others(Experiment(), "cv")):
        with pytest.raises(UserError, match=message):
            attempt(tmp_path)
    if parts:
        with pytest.raises(UserError, match=r"has parts of a run but no run\.json: put it back"):
            RunFolder(tmp_path).read_run()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


SHAPES: dict[str, Any] = {
    "no kind": {"parts": ["fold-0", "fold-1"]},
    "a number": RUN | {"parts": 3},
    "no part": RUN | {"parts": []},
    "numbers": RUN | {"parts": [1, 2]},
    "no text": RUN | {"fingerprint": None},
    "no names": RUN | {"class_names": [1]},
    "no number": RUN | {"split_over_folds": True},
    "settings": RUN | {"settings": []},
    "train": RUN | {"kind": "train"},
}


@pytest.mark.parametrize("case", SHAPES)
def test_a_run_file_of_another_shape_is_one_line(tmp_path: Path, case: str) -> None:
    write_json(started(tmp_path).path / "run.json", SHAPES[case])
    with pytest.raises(UserError, match=r"run\.json is damaged \(.*\): put back the file") as caught:
        started(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_run_file_must_say_what_is_asked_for_and_name_the_same_parts(tmp_path: Path) -> None:
    run = started(tmp_path)
    with pytest.raises(UserError, match="it has no 'class_names'"):
        run.read_run("class_names")
    with pytest.raises(UserError, match=r"run\.json was changed .*\(parts fold-0, fold-1 -> fold-0\)"):
        started(tmp_path, parts=["fold-0"])


def add_part(folder: Path) -> None:
    save_predictions(folder / "predictions.npz", make_predictions())
    write_history(folder / "history.csv", [{"stage": "main", "epoch": 1, "loss": 1.0}])
    write_text(folder / "model.keras", "weights")
    write_json(folder / "timing.json", {"seconds": 1.0})
    write_json(folder / "result.json", {"epochs": 1, "kept_epoch": 1, "files": describe_files(folder)})


DAMAGE = {
    "predictions.npz": flip,
    "history.csv": lambda content: content.replace(b"1.0", b"2.0"),
    "model.keras": lambda content: content + b"x",
    "result.json": lambda content: content.replace(b"sha256", b"sha512"),
}


@pytest.mark.parametrize("file", DAMAGE)
def test_a_damaged_part_is_one_line_with_what_to_do(tmp_path: Path, file: str) -> None:
    add_part(tmp_path)
    check_part(tmp_path)
    (tmp_path / file).write_bytes(DAMAGE[file]((tmp_path / file).read_bytes()))
    with pytest.raises(UserError, match=rf"/{file} is .*\): move {tmp_path} away, and the run's command") as caught:
        check_part(tmp_path)
    assert "\n" not in str(caught.value)
    if file != "result.json":
        check_part(tmp_path, [name for name in ("predictions.npz", "history.csv") if name != file])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seconds": "2", "epochs": 1, "kept_epoch": "1"}', None])
def test_results_of_another_shape_are_one_line(tmp_path: Path, text: str | None) -> None:
    add_part(tmp_path)
    if text is None:
        (tmp_path / "result.json").unlink()
    else:
        (tmp_path / "result.json").write_text(text)
    with pytest.raises(UserError, match=rf"/result.json .*move {tmp_path} away, and") as caught:
        check_part(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seconds": "2"}', None])
def test_times_on_which_nothing_depends_cost_no_fold(tmp_path: Path, text: str | None) -> None:
    run = started(tmp_path)
    for name in run.parts:
        add_part(run.part(name))
    assert run.seconds == 2.0
    times = run.part("fold-1") / "timing.json"
    times.unlink() if text is None else times.write_text(text)
    check_part(run.part("fold-1"))
    assert run.is_done("fold-1")
    assert run.seconds is None


READERS = {
    "result.json": check_part,
    "predictions.npz": check_part,
    "history.csv": check_part,
    "model.keras": check_part,
    "predictions.npz alone": lambda folder: load_predictions(folder / "predictions.npz"),
    "history.csv alone": lambda folder: read_history(folder / "history.csv"),
    "model.keras alone": lambda folder: check_model(folder / "model.keras", "delete the fold"),
}


@pytest.mark.parametrize("case", READERS)
def test_what_the_system_does_not_let_be_read_is_not_to_be_deleted(tmp_path: Path, case: str) -> None:
    """A folder in its place: to read it fails as where permissions or a disk do."""
    add_part(tmp_path)
    path = tmp_path / case.partition(" ")[0]
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError) as caught:
        READERS[case](tmp_path)
    told = str(caught.value)
    assert told.startswith(f"{path} cannot be read (Is a directory): make it readable")
    assert "delete" not in told and "\n" not in told


def test_permission_is_no_damage_of_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: object, **options: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    run = started(tmp_path)
    write_json(run.part("fold-0") / "failed.json", {"message": "no"})
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(
        UserError, match=r"failed\.json cannot be read \(Permission denied\): make it readable"
    ) as caught:
        read_failure(run.part("fold-0"))
    assert "delete" not in str(caught.value)


def test_a_part_of_version_0_1_0_is_taken_as_it_is(tmp_path: Path) -> None:
    add_part(tmp_path)
    write_json(tmp_path / "result.json", {"epochs": 1, "kept_epoch": 1, "seconds": 2.0})
    (tmp_path / "timing.json").unlink()
    (tmp_path / "model.keras").write_text("other weights")
    check_part(tmp_path)


def test_a_damaged_fold_table_says_how_to_get_it_again(tmp_path: Path) -> None:
    ids = np.array(["a", "b"])
    for name, given, remedy in (("one", None, "drawn again"), ("two", "t.csv", r"written again from t\.csv")):
        run = started(tmp_path / name, replace(Experiment(), fold_table=given))
        for text in ("", "id,fold\na,0\nb", "id,fold\na,0\n"):
            write_text(run.path / "folds.csv", text)
            with pytest.raises(UserError, match=rf"{name}/folds\.csv.*delete it and .*: it is {remedy}"):
                run.read_fold_table(ids)


def test_a_start_that_was_killed_can_be_repeated(tmp_path: Path) -> None:
    started(tmp_path)
    (tmp_path / "run.json").unlink()  # it is written last
    assert started(tmp_path, replace(Experiment(), folds=3)).read_experiment().folds == 3


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3"])
def test_a_folder_that_is_no_run_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"run\.json is missing"):
        RunFolder(tmp_path).read_run()
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json"):
        RunFolder(tmp_path).read_run()


@pytest.mark.parametrize("lost", PART_FILES)
def test_a_part_is_done_when_all_its_files_are_there(tmp_path: Path, lost: str) -> None:
    run = started(tmp_path)
    assert not run.is_done("fold-0")
    for file in PART_FILES:
        write_text(run.part("fold-0") / file, "{}")
    assert run.is_done("fold-0")
    (run.part("fold-0") / lost).unlink()
    assert not run.is_done("fold-0")
    assert not run.is_done("fold-1")


def test_what_an_interruption_left_is_known_and_what_a_run_consists_of_is_not_touched(tmp_path: Path) -> None:
    run = started(tmp_path)
    files = [*PART_FILES, "timing.json", "failed.json", "checkpoint-000007.npz", ".4711.model.keras", "notes.txt"]
    for name in ("fold-0", "fold-1"):
        for file in files:
            write_text(run.part(name) / file, "{}")
    (run.part("fold-1") / "history.csv").unlink()
    assert {path.name for path in run.leftovers("fold-0")} == {
        "failed.json",
        "checkpoint-000007.npz",
        ".4711.model.keras",
    }
    # Half of the files of a part that has to be written again could be older than the other half.
    assert {path.name for path in run.leftovers("fold-1")} == {"result.json", ".4711.model.keras"}


def test_a_failed_part_says_why_until_it_is_done(tmp_path: Path) -> None:
    run = started(tmp_path)
    write_json(run.part("fold-1") / "failed.json", {"message": "the loss is nan", "epoch": 1, "step": 2})
    assert (run.failures, run.done) == ({"fold-1": "the loss is nan"}, [])
    for file in PART_FILES:
        write_text(run.part("fold-1") / file, "{}")
    assert (run.failures, run.done) == ({}, ["fold-1"])
    for text in ("{}", "[]", ""):
        write_text(run.part("fold-0") / "failed.json", text)
        with pytest.raises(UserError, match=r"failed\.json .*: delete .*failed\.json, and the part is trained again"):
            run.failures  # noqa: B018


def test_seconds_are_of_the_done_parts_also_of_older_runs(tmp_path: Path) -> None:
    run = started(tmp_path)
    for name in ("fold-0", "fold-1"):
        for file in PART_FILES:
            write_json(run.part(name) / file, {"seconds": 3.0, "epochs": 1, "kept_epoch": 1})
    write_json(run.part("fold-1") / "timing.json", {"seconds": 0.5})
    assert run.seconds == 3.5


def test_settings_choose_the_default_folder_and_places_do_not() -> None:
    same = [Experiment(), replace(Experiment(), data_dir="/d", run_dir="/r", strategy="gpu")]
    other = [replace(Experiment(), seed=1), replace(Experiment(), head=Head(dense=())), replace(Experiment(), epochs=9)]
    assert len({default_run_dir(e, "cv") for e in same}) == 1
    assert len({default_run_dir(e, kind) for e in [*same, *other] for kind in ("cv", "train")}) == 2 * 4
    assert len(default_run_dir(replace(Experiment(), data="folder/mine"), "cv").parts) == 2


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_text(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError

    for target in (path, tmp_path / "new.json"):
        with pytest.raises(RuntimeError):
            write_atomically(target, fail)
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff{")
    for path in (tmp_path / "a.json", tmp_path / "b.json", tmp_path):
        with pytest.raises(UserError, match=path.name):
            read_json(path)
