"""Runs side by side: what is paired and tested, what is only shown, what is refused, and all without TensorFlow."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hand_made_runs import CLASSES, COUNT, FOLDS, GROUPS, IDS, LABELS, build_data, logits_of, make_run

from fer_tl.commands.compare import CompareResult, compare
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_json
from fer_tl.evaluation.comparison import sign_flip
from fer_tl.evaluation.intervals import bootstrap_intervals
from fer_tl.runs.predictions import Predictions, load_predictions, save_predictions

FORMS = ("csv", "md", "tex")
QUICK = """
import sys
from fer_tl.commands.compare import compare
compare(sys.argv[1:])
sys.exit(str(sorted({"tensorflow", "keras"} & set(sys.modules))) if {"tensorflow", "keras"} & set(sys.modules) else 0)
"""


def run_compare(*runs: Path, **options: object) -> CompareResult:
    return compare(runs, say=lambda line: None, **options)  # type: ignore[arg-type]


def lines_of(result: CompareResult, name: str = "table.csv") -> dict[str, dict[str, str]]:
    """Lines of a CSV file by their first cell."""
    with (result.out_dir / name).open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return {row[next(iter(row))]: row for row in rows}


def words(text: str) -> str:
    """The text without its line ends."""
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def trio() -> tuple[Path, Path, Path]:
    """A good run, its equal with other examples and classes in front, and a clearly worse one; their data are there."""
    build_data()
    good = make_run(Path("good"), logits_of(0, 3.0))
    equal = make_run(Path("equal"), logits_of(0, 3.0), order=5, classes=("sad", "angry", "happy"))
    return good, equal, make_run(Path("worse"), logits_of(1, 0.6), early_stopping=2)


def test_planted_runs_are_told_apart(trio: tuple[Path, Path, Path]):
    result = run_compare(*trio)
    pairs = {(pair.better, pair.other): pair for pair in result.pairs}
    assert set(pairs) == {(0, 1), (0, 2), (1, 2)}
    same, clear = pairs[0, 1], pairs[0, 2]
    assert (same.difference, same.sign_flip, same.t_test_adjusted) == (0, 1, 1)
    right = [logits_of(*args).argmax(axis=1) == LABELS for args in ((0, 3.0), (1, 0.6))]
    assert clear.sign_flip == sign_flip(*right, GROUPS) < 1e-4
    assert clear.difference == pytest.approx(right[0].mean() - right[1].mean())
    assert clear.sign_flip_adjusted > clear.sign_flip
    assert clear.t_test is not None and clear.t_test < 0.05


def test_a_t_test_that_says_nothing_is_no_number(tmp_path: Path):
    build_data()
    right = 9 * np.eye(3, dtype=np.float32)[LABELS]
    wrong = np.where((np.arange(COUNT) % 6 == 0)[:, None], np.roll(right, 1, axis=1), right)  # 5 of 30 in each fold
    result = run_compare(make_run(Path("right"), right), make_run(Path("wrong"), wrong))
    assert lines_of(result, "pairs.csv")["right"]["t_test_p"] == ""
    row = next(line for line in (result.out_dir / "table.md").read_text().splitlines() if line.startswith("| wrong"))
    assert row.split("|")[-2].strip() == "–" and row.split("|")[-3].strip() in ("<0.001", "&lt;0.001")
    assert "it says nothing (–) where all folds show the same difference to less than an image" in words(result.text)


def test_a_line_has_all_that_is_known_of_a_run(trio: tuple[Path, Path, Path]):
    result = run_compare(*trio)
    good, worse = (lines_of(result)[name] for name in ("good", "worse"))
    assert (good["backbone"], good["dataset"], good["scored"]) == ("shallow_cnn", "folder/mine", "out of fold")
    assert (good["images"], good["done"], good["parts"]) == (str(COUNT), "4", "4")
    assert (good["parameters"], good["macs"], good["seconds"]) == ("195", "192", "180.0")
    assert float(good["images_per_second"]) == 2 * 90 / 1.5
    intervals = bootstrap_intervals(Predictions(IDS, LABELS, logits_of(0, 3.0), CLASSES), GROUPS, ("macro_f1",))
    assert (float(good["macro_f1_low"]), float(good["macro_f1_high"])) == pytest.approx(intervals["macro_f1"])
    assert good["best"] == "" and worse["best"] == "good"
    assert float(worse["difference"]) == pytest.approx(float(worse["accuracy"]) - float(good["accuracy"]))
    assert float(worse["difference_low"]) < float(worse["difference"]) < float(worse["difference_high"]) < 0
    assert list(lines_of(result, "pairs.csv")) == ["good", "equal"]
    assert "last epoch; no choice was made on the images scored here (good, equal)" in words(result.text)
    assert "set aside from the training part, not on those scored here (worse)" in words(result.text)


def test_the_order_of_examples_and_classes_changes_nothing(trio: tuple[Path, Path, Path]):
    good, equal, _ = (lines_of(run_compare(*trio))[name] for name in ("good", "equal", "worse"))
    own = ("row", "path", "best", "difference", "difference_low", "difference_high")
    tests = ("sign_flip_p", "sign_flip_p_adjusted", "t_test_p", "t_test_p_adjusted")
    assert {key: good[key] for key in good if key not in own + tests} == {
        key: equal[key] for key in equal if key not in own + tests
    }


def test_without_the_dataset_images_are_taken_for_themselves_and_it_says_so(trio: tuple[Path, Path, Path]):
    grouped = run_compare(*trio)
    alone = run_compare(*trio, data_dir="elsewhere")
    assert "the dataset is not at hand" in words(alone.text)
    assert "the dataset is not at hand" not in words(grouped.text)
    right = [logits_of(*args).argmax(axis=1) == LABELS for args in ((0, 3.0), (1, 0.6))]
    assert alone.pairs[1].sign_flip == sign_flip(*right, IDS) != grouped.pairs[1].sign_flip


UNLIKE = {
    "folds": ({"folds": FOLDS[::-1].copy()}, "it has other folds"),
    "fewer": ({"folds": FOLDS % 2}, "it has 2 folds, good 4"),
    "build": ({"fingerprint": "e" * 64}, r"another build of folder/mine \(fingerprint eeeeeeeeeeee"),
    "data": ({"dataset": "folder/other", "fingerprint": "e" * 64}, "it is of folder/other, good of folder/mine"),
    "labels": ({"labels": np.where(np.arange(COUNT) == 7, 0, LABELS)}, "other labels for 1 of 120 images.*face-007"),
    "classes": ({"classes": ("angry", "happy", "calm")}, "it lacks sad and it has calm of the classes"),
    "images": (
        {"ids": np.char.add("x", IDS)},
        r"it predicts other images \(120 of good's are missing, 120 are its own\)",
    ),
    "kind": ({"kind": "train"}, "it is scored on split validation, good scored out of fold"),
}


def make_unlike(what: str) -> tuple[Path, Path, str]:
    """A run, one that cannot be paired with it, and why."""
    changes, why = UNLIKE[what]
    good = make_run(Path("good"), logits_of(0))
    if what == "classes":
        other = make_run(Path("other"), logits_of(1))
        for path in other.glob("fold-*/predictions.npz"):
            found = load_predictions(path)
            save_predictions(path, Predictions(found.ids, found.labels, found.logits, ("angry", "happy", "calm")))
            (path.parent / "result.json").write_text('{"epochs": 1, "kept_epoch": 1}')
        about = json.loads((other / "run.json").read_text())
        (other / "run.json").write_text(json.dumps(about | {"class_names": ["angry", "happy", "calm"]}))
        return good, other, why
    return good, make_run(Path("other"), logits_of(1), **changes), why  # type: ignore[arg-type]


@pytest.mark.parametrize("what", sorted(UNLIKE))
def test_runs_that_are_not_paired_are_refused_or_marked_and_not_tested(what: str):
    good, other, why = make_unlike(what)
    with pytest.raises(UserError, match=f"other cannot be compared with good: .*{why}.*--unpaired"):
        run_compare(good, other)
    assert not Path("runs").exists()
    fair = make_run(Path("fair"), logits_of(2))
    result = run_compare(good, other, fair, unpaired=True)
    assert [(pair.better, pair.other) for pair in result.pairs] in ([(0, 2)], [(2, 0)])
    assert re.search(why, lines_of(result)["other"]["differs"])
    assert lines_of(result)["other"]["sign_flip_p"] == ""
    for name in ("table.md", "table.tex", "index.html"):
        text = (result.out_dir / name).read_text(encoding="utf-8").replace(r"\dag{}", "†")
        assert "other †" in text and "neither tested nor marked as best" in text
    assert "other †" in result.text


def test_the_advice_for_other_folds_is_the_test_split_and_for_other_data_it_is_not():
    with pytest.raises(UserError, match="--split test compares them"):
        run_compare(*make_unlike("folds")[:2])
    with pytest.raises(UserError) as refused:
        run_compare(Path("good"), make_run(Path("far"), logits_of(1), dataset="folder/far", fingerprint="e" * 64))
    assert "--split" not in str(refused.value)


def test_a_run_that_is_not_finished_is_shown_with_what_there_is():
    best, fair = make_run(Path("best"), logits_of(0, 2.0)), make_run(Path("fair"), logits_of(1, 1.0))
    half = make_run(Path("half"), logits_of(2, 9.0), done=[0, 2], failed=[3])
    none = make_run(Path("none"), logits_of(3), done=[])
    result = run_compare(half, none, best, fair)
    assert [(pair.better, pair.other) for pair in result.pairs] == [(2, 3)]
    line = lines_of(result)["half"]
    assert (line["done"], line["parts"], line["images"], line["accuracy"]) == ("2", "4", str(COUNT // 2), "1.0")
    assert line["difference"] == ""
    assert "half (2 of 4 folds, 1 failed)" in result.text and "none (0 of 4 folds)" in result.text
    assert "2 of 4 folds, 1 failed; fold-3 failed: the loss is not finite; scored on these alone" in words(result.text)
    markdown = (result.out_dir / "table.md").read_text(encoding="utf-8")
    assert not re.search(r"\| half.*\*\*", markdown) and re.search(r"\| best.*\*\*", markdown)


def test_single_fits_are_tested_by_the_sign_flip_test_alone():
    result = run_compare(*(make_run(Path(name), logits_of(seed), "train") for seed, name in enumerate("ab")))
    assert result.pairs[0].t_test is None
    assert "t-test" not in result.text and "sign-flip" in result.text


def evaluate(run: Path, logits: np.ndarray, fingerprint: str = "a" * 64) -> Path:
    ids = np.char.add("test-", IDS)
    save_predictions(run / "evaluate-test" / "ensemble.npz", Predictions(ids, LABELS, logits, CLASSES))
    write_json(run / "evaluations.json", [{"split": "test", "fingerprint": fingerprint, "date": "2026-01-01"}])
    return run


def test_a_split_is_compared_by_what_evaluate_saved_whatever_the_folds():
    one = evaluate(make_run(Path("one"), logits_of(0)), logits_of(4, 3.0))
    other = make_run(Path("other"), logits_of(1), folds=FOLDS % 2)
    with pytest.raises(UserError, match="fer-tl evaluate other --split test"):
        run_compare(one, other, split="test")
    result = run_compare(one, evaluate(other, logits_of(5, 0.5)), split="test")
    accuracy = (logits_of(4, 3.0).argmax(axis=1) == LABELS).mean()
    assert float(lines_of(result)["one"]["accuracy"]) == pytest.approx(accuracy)
    assert result.pairs[0].sign_flip < 1e-3 and result.pairs[0].t_test is None
    assert "split test" in result.text.splitlines()[0]
    assert "Split test was opened for each run: do not choose anything by it" in words(result.text)
    opening = {"run": "x", "dataset": "folder/mine", "split": "test", "date": "2026-01-02"}
    Path("data").mkdir()
    Path("data/openings.jsonl").write_text(json.dumps(opening) + "\n")
    told = words(run_compare(one, other, split="test").text)
    assert "opened for each run, and for 1 other model of this data folder: do not choose anything by it" in told
    evaluate(other, logits_of(5), fingerprint="b" * 64)
    with pytest.raises(UserError, match="another build"):
        run_compare(one, other, split="test")
    with pytest.raises(UserError, match="unfinished"):
        run_compare(one, make_run(Path("half"), logits_of(2), done=[0]), split="test")


def test_edited_predictions_are_refused():
    runs = [make_run(Path(name), logits_of(seed)) for seed, name in enumerate("ab")]
    path = runs[1] / "fold-2" / "predictions.npz"
    found = load_predictions(path)
    save_predictions(path, Predictions(found.ids, found.labels, 2 * found.logits, found.class_names))
    with pytest.raises(UserError, match=r"fold-2.predictions\.npz is not what was written"):
        run_compare(*runs)


def test_a_fold_of_another_run_is_refused():
    runs = [make_run(Path("a"), logits_of(0)), make_run(Path("b"), logits_of(1), folds=FOLDS[::-1].copy())]
    for path in (runs[1] / "fold-0").iterdir():
        path.write_bytes((runs[0] / "fold-0" / path.name).read_bytes())
    with pytest.raises(UserError, match=r"b predicts 'face-.*' twice"):
        run_compare(*runs)


def test_one_line_says_what_is_wrong(trio: tuple[Path, Path, Path]):
    good, equal, _ = trio
    Path("photos").mkdir()
    Path("photos/face.png").touch()
    for runs, options, why in (
        ([good], {}, "two runs, or one and a --paper"),
        ([good, Path("./equal/../good")], {}, "given twice"),
        ([good, Path("photos")], {}, r"photos.run\.json is missing: not a fer-tl run"),
        ([good, equal], {"paper": ["sikich"]}, "did you mean 'sikic'"),
        ([good, equal], {"split": "train"}, "the models were trained on it"),
        ([good, equal], {"tta": "flip"}, "--tta flip needs --split"),
        ([good, equal], {"out": "photos"}, "photos holds other files and is no comparison"),
    ):
        with pytest.raises(UserError, match=why):
            run_compare(*runs, **options)
    with pytest.raises(UserError, match="takes a list"):
        compare("good")  # type: ignore[arg-type]
    diverged = make_run(Path("diverged"), np.full((COUNT, 3), np.nan, np.float32))
    with pytest.raises(UserError, match="diverged predicts numbers that are not finite"):
        run_compare(good, diverged)


def test_the_same_command_writes_the_same_files_into_the_same_folder(trio: tuple[Path, Path, Path]):
    first = run_compare(*trio, paper=["du"])
    files = {path.name: path.read_bytes() for path in first.out_dir.iterdir()}
    assert re.fullmatch(r"runs/comparison-[0-9a-f]{8}", first.out_dir.as_posix())
    forms = {f"{name}.{end}" for name in ("table", "settings", "classes", "confusion", "pairs") for end in FORMS}
    assert set(files) == {"compare.json", "paper.tex", "index.html"} | forms
    assert run_compare(*trio, paper=["du"]).out_dir == first.out_dir
    assert {path.name: path.read_bytes() for path in first.out_dir.iterdir()} == files
    with pytest.raises(UserError, match="holds another comparison"):
        run_compare(*trio, out=first.out_dir)


def test_it_needs_no_tensorflow(trio: tuple[Path, Path, Path]):
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", QUICK, *map(str, trio)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(next(Path("runs").glob("comparison-*/compare.json")).read_text())["runs"] == [
        "equal",
        "good",
        "worse",
    ]


def test_what_was_asked_for_otherwise_is_told(trio: tuple[Path, Path, Path]):
    result = run_compare(*trio)
    assert "run early_stopping" in words(result.text) and "worse 2" in words(result.text)
    assert lines_of(result, "settings.csv")["worse"] == {"run": "worse", "early_stopping": "2"}
    assert "early_stopping" not in run_compare(*trio[:2]).text


def test_trainings_on_the_same_folds_differ_in_their_seed_alone():
    make_run(Path("a"), logits_of(1), seed=1)
    make_run(Path("b"), logits_of(2), seed=2, fold_seed=1)
    make_run(Path("c"), logits_of(3), seed=3, fold_table="folds.csv")
    assert lines_of(run_compare(Path("a"), Path("b"), seeds="apart", out="ab"), "settings.csv") == {
        "a": {"run": "a", "seed": "1"},
        "b": {"run": "b", "seed": "2"},
    }
    lines = lines_of(run_compare(Path("b"), Path("c"), out="bc"), "settings.csv")
    assert {name: (line["b"], line["c"]) for name, line in lines.items()} == {
        "fold_table": ("default", "folds.csv"),
        "seed": ("2", "3"),
        "fold_seed": ("1", "default"),
    }


def test_the_precision_that_a_trial_chose_is_told_where_runs_differ_in_it():
    chosen = {"auto-one": "mixed_bfloat16", "auto-two": "float32", "named": "mixed_bfloat16"}
    for number, (name, found) in enumerate(chosen.items()):
        path = make_run(Path(name), logits_of(number), precision="auto" if "auto" in name else found)
        write_json(path / "run.json", {**json.loads((path / "run.json").read_text()), "precision": found})
    lines = lines_of(run_compare(Path("auto-one"), Path("auto-two"), out="two"), "settings.csv")
    assert {name: line["precision"] for name, line in lines.items()} == {
        "auto-one": "mixed_bfloat16",
        "auto-two": "float32",
    }
    assert "precision" not in lines_of(run_compare(Path("auto-one"), Path("named"), out="same"), "settings.csv")
    assert "precision mixed_bfloat16" in (Path("same") / "settings.md").read_text()


def test_without_its_times_a_run_is_compared_all_the_same(trio: tuple[Path, Path, Path]):
    good, equal, _ = trio
    for part in good.glob("fold-*"):
        (part / "timing.json").unlink()
    for part in equal.glob("fold-*"):
        (part / "timing.json").write_text("{}")
    for name, line in lines_of(run_compare(good, equal)).items():
        assert (line["seconds"], line["images_per_second"]) == ("", ""), name
        assert line["accuracy"]


def test_without_its_models_a_run_is_compared_all_the_same(trio: tuple[Path, Path, Path]):
    good, equal, _ = trio
    before = lines_of(run_compare(good, equal))["good"]
    for path in good.glob("fold-*/model.keras"):
        path.unlink()
    result = run_compare(good, equal)
    after = lines_of(result)["good"]
    assert (after["parameters"], after["macs"]) == ("", "")
    assert "model.keras no longer exists" in words(result.text)
    assert {key: after[key] for key in before} == before | {"parameters": "", "macs": ""}


def test_one_run_under_two_paths_is_noticed(trio: tuple[Path, Path, Path]):
    good, equal, worse = trio
    shutil.copytree(worse, "copy")
    text = words(run_compare(good, equal, worse, Path("copy")).text)
    assert (
        "equal and good predict the same to the last digit: it is one run under two paths, which counts once." in text
    )
    assert "copy and worse predict the same to the last digit" in text
    assert text.count("to the last digit") == 2
    loud = make_run(Path("loud"), 2 * logits_of(0, 3.0))
    assert "loud and good give the same answer for every image." in words(run_compare(good, loud, worse).text)
