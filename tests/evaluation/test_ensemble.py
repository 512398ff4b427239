"""Ensembles of saved runs: what is averaged, with what weights, what is refused, and that no TensorFlow is needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.cli import main
from fer_tl.commands.ensemble import EnsembleResult
from fer_tl.core.config import Experiment
from fer_tl.core.files import read_json, write_json
from fer_tl.data.dataset import load_dataset
from fer_tl.data.folds import write_folds
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import PART_FILES
from fer_tl.runs.predictions import Predictions, load_predictions, save_predictions

pytestmark = pytest.mark.usefixtures("light_figures")

CLASSES = ("angry", "happy", "sad")
COUNT = 60
IDS = np.array([f"face-{row:02d}" for row in range(COUNT)])
TEST_IDS = np.array([f"test-{row:02d}" for row in range(COUNT)])
LABELS = np.arange(COUNT) % 3
FOLDS = np.arange(COUNT) // 3 % 3
RNG = np.random.default_rng(0)
NOISE = {name: RNG.normal(size=(COUNT, 3)) for name in "abc"}


def logits_of(name: str, skill: float = 1.0) -> np.ndarray:
    return (NOISE[name] + skill * np.eye(3)[LABELS]).astype(np.float32)


def make_run(
    path: Path,
    logits: np.ndarray,
    kind: str = "cv",
    ids: np.ndarray = IDS,
    folds: np.ndarray = FOLDS,
    labels: np.ndarray = LABELS,
    classes: Sequence[str] = CLASSES,
    data_dir: str = "nowhere",
) -> Path:
    """A finished run without a model in it; columns of ``logits`` and ``labels`` are as ``CLASSES``, saved as
    ``classes``."""
    columns = [CLASSES.index(name) for name in classes]
    labels = np.argsort(columns)[labels]
    run, parts = RunFolder(path), [f"fold-{k}" for k in range(folds.max() + 1)] if kind == "cv" else ["model"]
    about = {"kind": kind, "parts": parts, "dataset": "folder/mine", "fingerprint": "f" * 64}
    run.start(
        Experiment(data="folder/mine", data_dir=data_dir, backbone="shallow_cnn", weights="none"),
        about | ({"held_out": "split validation"} if kind == "train" else {}),
    )
    write_folds(path / "folds.csv", ids, folds)
    for number, part in enumerate(parts):
        (path / part).mkdir()
        for file in PART_FILES:
            (path / part / file).write_text('{"epochs": 1, "kept_epoch": 1}')
        rows = np.flatnonzero(folds == number)[::-1] if kind == "cv" else np.arange(len(ids))
        save_predictions(
            path / part / "predictions.npz",
            Predictions(ids[rows], labels[rows], logits[rows][:, columns], tuple(classes)),
        )
    return path


def add_evaluation(run: Path, logits: np.ndarray, folder: str = "evaluate-test", ids: np.ndarray = TEST_IDS) -> Path:
    name = "ensemble" if (run / "fold-0").exists() else "model"
    save_predictions(run / folder / f"{name}.npz", Predictions(ids, LABELS, logits, CLASSES))
    openings = [{"split": folder.split("-")[1], "images": COUNT, "fingerprint": "e" * 64}]
    write_json(run / "evaluations.json", openings)
    return run


def vote(*runs: Path, **options: object) -> EnsembleResult:
    return fer_tl.ensemble(runs, say=lambda line: None, **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pair() -> tuple[Path, Path]:
    """Two cross validations on the same folds."""
    return make_run(Path("a"), logits_of("a")), make_run(Path("b"), logits_of("b"))


def softmax(logits: np.ndarray) -> np.ndarray:
    z = np.exp(logits.astype(np.float64))
    return z / z.sum(axis=1, keepdims=True)


def by_id(predictions: Predictions, ids: np.ndarray = IDS) -> np.ndarray:
    """Probabilities in the order of the ids, columns as in ``CLASSES``."""
    rows = [predictions.ids.tolist().index(i) for i in ids]
    return predictions.probabilities[rows][:, [predictions.class_names.index(name) for name in CLASSES]]


def test_out_of_fold_probabilities_are_averaged_by_id_and_class_name(pair: tuple[Path, Path]):
    other_order = make_run(
        Path("c"), logits_of("c"), folds=np.arange(COUNT) // 3 % 2, classes=("sad", "angry", "happy")
    )
    result = vote(*pair, other_order)
    expected = np.mean([softmax(logits_of(name)) for name in "abc"], axis=0)
    np.testing.assert_allclose(by_id(result.predictions["ensemble"]), expected, atol=1e-6)
    assert list(result.predictions) == ["ensemble", "a", "b", "c"]
    np.testing.assert_allclose(by_id(result.predictions["c"]), softmax(logits_of("c")), atol=1e-6)
    rows = dict(result.result.rows)
    assert list(rows) == ["ensemble", "a", "b", "c"]
    assert rows["ensemble"].accuracy == pytest.approx(np.mean(expected.argmax(axis=1) == LABELS))
    assert rows["c"].accuracy == pytest.approx(np.mean(logits_of("c").argmax(axis=1) == LABELS))
    low, high = result.result.intervals["accuracy"]
    assert low <= rows["ensemble"].accuracy <= high
    assert result.text.startswith("soft voting of 3 runs, folder/mine out of fold\n")


def test_what_is_written_says_who_voted_and_is_written_again_by_the_same_command(pair: tuple[Path, Path]):
    result = vote(*pair)
    assert re.fullmatch(r"runs/ensemble-[0-9a-f]{8}", result.out_dir.as_posix())
    names = {
        "ensemble.json",
        "predictions.npz",
        "table.md",
        "table.csv",
        "confusion.csv",
        "confusion.png",
        "confusion.pdf",
        "reliability.png",
        "reliability.pdf",
        "result.json",
        *("run.json", "config.yaml", "folds.csv", "fold-0", "fold-1", "fold-2"),  # by which it is compared
    }
    assert {path.name for path in result.out_dir.iterdir()} == names
    np.testing.assert_array_equal(
        load_predictions(result.out_dir / "predictions.npz").logits, result.predictions["ensemble"].logits
    )
    described = read_json(result.out_dir / "ensemble.json")
    assert (described["split"], described["weights"], described["fingerprint"]) == (None, "equal", "f" * 64)
    first = described["members"][0]
    assert (first["run"], first["backbone"], first["weight"]) == ("a", "shallow_cnn", 0.5)
    (result.out_dir / "table.md").unlink()
    again = vote(*pair[::-1])  # the order of the members makes no other ensemble
    assert again.out_dir == result.out_dir
    assert {path.name for path in result.out_dir.iterdir()} == names
    assert vote(*pair, weights="validation").out_dir != result.out_dir


def test_runs_of_one_name_are_told_apart(pair: tuple[Path, Path]):
    other = make_run(Path("elsewhere/a"), logits_of("c"))
    names = list(vote(pair[0], other).predictions)
    assert names == ["ensemble", f"{Path.cwd().name}/a", "elsewhere/a"]


def test_held_out_predictions_of_single_fits_are_averaged():
    runs = [make_run(Path("fits") / name, logits_of(name), kind="train") for name in "ab"]
    result = vote(*runs)
    expected = np.mean([softmax(logits_of(name)) for name in "ab"], axis=0)
    np.testing.assert_allclose(by_id(result.predictions["ensemble"]), expected, atol=1e-6)
    assert "folder/mine split validation" in result.text


def test_a_cross_validation_and_a_fit_of_the_same_images_go_together(pair: tuple[Path, Path]):
    result = vote(pair[0], make_run(Path("c"), logits_of("c"), kind="train"))
    expected = np.mean([softmax(logits_of(name)) for name in "ac"], axis=0)
    np.testing.assert_allclose(by_id(result.predictions["ensemble"]), expected, atol=1e-6)


@pytest.mark.parametrize(("tta", "folder"), [("none", "evaluate-test"), ("flip", "evaluate-test-flip")])
def test_of_a_split_the_saved_evaluations_are_averaged(pair: tuple[Path, Path], tta: str, folder: str):
    for run, name in zip(pair, "bc", strict=True):
        add_evaluation(run, logits_of(name), folder)
    result = vote(*pair, split="test", tta=tta)
    expected = np.mean([softmax(logits_of(name)) for name in "bc"], axis=0)
    np.testing.assert_allclose(by_id(result.predictions["ensemble"], TEST_IDS), expected, atol=1e-6)
    assert "split test" in result.text.splitlines()[0]
    assert ("mirror" in result.text.splitlines()[0]) == (tta == "flip")
    assert "was opened by the members' evaluations" in result.text


def best_weight(truth: np.ndarray) -> float:
    """Of the first of two members, by trying a thousand."""
    tried = np.linspace(0, 1, 1001)
    return float(tried[np.log(np.outer(tried, truth[0]) + np.outer(1 - tried, truth[1])).mean(axis=1).argmax()])


def truth_of(*logits: np.ndarray) -> np.ndarray:
    return np.stack([softmax(each)[np.arange(COUNT), LABELS] for each in logits])


def test_weights_for_a_split_are_fitted_on_out_of_fold_predictions_alone():
    own, split = [logits_of("a", 1.5), logits_of("b", 0.5)], [logits_of("b", 0.1), logits_of("c", 3.0)]
    runs = [add_evaluation(make_run(Path(name), o), s) for name, o, s in zip("ab", own, split, strict=True)]
    result = vote(*runs, split="test", weights="validation")
    assert result.weights[0] == pytest.approx(best_weight(truth_of(*own)), abs=0.01)
    assert abs(result.weights[0] - best_weight(truth_of(*split))) > 0.2
    expected = result.weights[0] * softmax(split[0]) + result.weights[1] * softmax(split[1])
    np.testing.assert_allclose(by_id(result.predictions["ensemble"], TEST_IDS), expected, atol=1e-6)
    assert f"a {result.weights[0]:.2f}, b {result.weights[1]:.2f}" in result.text


def test_out_of_fold_predictions_are_scored_with_weights_of_the_other_folds():
    logits = logits_of("b", 0.0)
    logits[FOLDS == 1] += 9 * np.eye(3, dtype=np.float32)[LABELS[FOLDS == 1]]  # right on fold 1, else nonsense
    runs = make_run(Path("a"), logits_of("a", 2.0)), make_run(Path("b"), logits)
    result = vote(*runs, weights="validation")
    assert result.weights.shape == (3, 2)
    truth = truth_of(logits_of("a", 2.0), logits)
    for fold in range(3):
        assert result.weights[fold, 0] == pytest.approx(best_weight(truth[:, fold != FOLDS]), abs=0.01)
    assert result.weights[1, 1] < result.weights[[0, 2], 1].min() - 0.1
    member = result.weights[FOLDS]  # [N, M]
    expected = member[:, :1] * softmax(logits_of("a", 2.0)) + member[:, 1:] * softmax(logits)
    np.testing.assert_allclose(by_id(result.predictions["ensemble"]), expected, atol=1e-6)
    weights = [each["weight_by_fold"] for each in read_json(result.out_dir / "ensemble.json")["members"]]
    np.testing.assert_allclose(np.transpose(weights), result.weights)


def build_groups(data_dir: Path, ids: np.ndarray, groups: np.ndarray) -> None:
    """A built dataset that was loaded before, when only ids and groups count."""
    images = np.zeros((len(ids), 4, 4, 1), np.uint8)
    store_dataset(data_dir, "folder/mine", CLASSES, {"train": Stored(images, LABELS, ids, groups)})
    load_dataset("folder/mine", data_dir)


def test_intervals_are_over_the_groups_of_the_dataset_or_it_is_said(pair: tuple[Path, Path]):
    without = vote(*pair)
    assert "resample images, not groups" in without.text
    build_groups(Path("data"), IDS, np.char.add("photo-", (np.arange(COUNT) // 15).astype(str)))
    third = make_run(Path("c"), logits_of("b"), data_dir="data")
    grouped = vote(pair[0], third)
    assert "resample images" not in grouped.text
    assert grouped.result.rows[0][1].accuracy == without.result.rows[0][1].accuracy
    assert grouped.result.intervals != without.result.intervals


Change = Callable[[], object]
# What stands in the way, the arguments after `fer-tl ensemble`, and what the one line must say.
BAD: dict[str, tuple[Change, str, str]] = {
    "one run": (lambda: None, "a", "two runs or more"),
    "the same twice": (lambda: None, "a b a/../a", "a/../a is given twice"),
    "no run": (lambda: None, "a none", "none does not exist"),
    "unfinished": (lambda: Path("b/fold-1/result.json").unlink(), "a b", "b is unfinished (fold-1)"),
    "no such split": (lambda: None, "a b --split tset", "validation or test; did you mean 'test'?"),
    "trained split": (lambda: None, "a b --split train", "--split train: the models were trained on it"),
    "no such views": (lambda: None, "a b --split test --tta flop", "did you mean 'flip'?"),
    "views of no split": (lambda: None, "a b --tta flip", "--tta flip needs --split"),
    "no such weights": (lambda: None, "a b --weights best", "--weights best: no such weighting"),
    "not evaluated": (lambda: None, "a b --split test", "run `fer-tl evaluate a --split test` first"),
    "not evaluated so": (
        lambda: [add_evaluation(Path(name), logits_of(name)) for name in "ab"],
        "a b --split test --tta ten-crop",
        "run `fer-tl evaluate a --split test --tta ten-crop` first",
    ),
    "other ids": (
        lambda: make_run(Path("c"), logits_of("c"), ids=np.append(IDS[:-2], ["new-1", "new-2"])),
        "a c",
        "other images: 2 of 60 are only in a, such as 'face-58'; 2 of 60 are only in c, such as 'new-1'",
    ),
    "other images of a fit": (
        lambda: make_run(Path("c"), logits_of("c"), kind="train", ids=TEST_IDS),
        "a c",
        "--split test scores both on the same images",
    ),
    "other labels": (
        lambda: make_run(Path("c"), logits_of("c"), labels=np.append(LABELS[:-1], 0)),
        "a c",
        "other labels for 1 of 60 images: 'face-59' is angry in the one, sad in the other",
    ),
    "diverged": (lambda: make_run(Path("c"), logits_of("c") * np.nan), "a c", "c predicts numbers that are not finite"),
    "other folds": (
        lambda: make_run(Path("c"), logits_of("c"), folds=np.roll(FOLDS, 3)),
        "a c --weights validation",
        "c and a have other folds",
    ),
    "fits fitted on what they score": (
        lambda: [make_run(Path(name), logits_of("c"), kind="train") for name in "cd"],
        "c d --weights validation",
        "(split validation): use --weights equal, or --split test",
    ),
    "fits fitted on the split they score": (
        lambda: [
            add_evaluation(
                make_run(Path(name), logits_of("c"), kind="train"), logits_of("c"), "evaluate-validation", IDS
            )
            for name in "cd"
        ],
        "c d --weights validation --split validation",
        "the very images that are scored",
    ),
    "a folder of other things": (
        lambda: [Path("thesis").mkdir(), Path("thesis/text.tex").write_text("mine")],
        "a b --out thesis",
        "thesis holds other files",
    ),
    "another ensemble": (
        lambda: vote(Path("a"), Path("b"), out="there"),
        "a b --weights validation --out there",
        "there holds another ensemble (weights equal -> validation)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_code_2_and_leaves_nothing(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str], name: str
):
    change, arguments, said = BAD[name]
    change()
    before = sorted(Path().rglob("*"))
    assert main(["ensemble", *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert sorted(Path().rglob("*")) == before


def test_other_classes_are_named(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    run = make_run(Path("c"), logits_of("c"))
    for file in run.glob("fold-*/predictions.npz"):
        saved = load_predictions(file)
        save_predictions(file, Predictions(saved.ids, saved.labels, saved.logits, ("angry", "happy", "neutral")))
    assert main(["ensemble", "a", "c"]) == 2
    assert "c and a know other classes: only a has sad; only c has neutral\n" in capsys.readouterr().err


def test_the_command_needs_no_tensorflow(pair: tuple[Path, Path]):
    code = (
        "import sys; from fer_tl.cli import main; code = main(['ensemble', 'a', 'b', '--weights', 'validation']);"
        "sys.exit(str([code, *sorted({'tensorflow', 'keras', 'tensorflow_datasets'} & set(sys.modules))]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(fer_tl.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == "[0]\n"
    assert "soft voting of 2 runs" in done.stdout
    (written,) = Path("runs").glob("ensemble-*/result.json")
    assert json.loads(written.read_text())["models"]["ensemble"]["images"] == COUNT
