"""A cross validation that is repeated goes through every command that takes one, and no image counts twice."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import AGAIN, CLASSES, COUNT, FOLDS, IDS, LABELS, make_run, seal

import fer_tl
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.evaluation.finished_runs import open_member
from fer_tl.evaluation.run_dataset import find_dataset
from fer_tl.inference.export.images import held_out_images
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions, load_predictions, save_predictions

pytestmark = pytest.mark.usefixtures("light_figures")

PARTS = [f"fold-{number}" for number in range(6)]
Call = Callable[..., Any]


def quiet(verb: Call, *arguments: Any, **options: Any) -> Any:
    return verb(*arguments, say=lambda line: None, **options)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the run ``run``, twice three folds, and its dataset, not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_run("run", repeats=2)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A copy of it, in the current folder."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return RunFolder(Path("run"))


def answers(run: RunFolder) -> tuple[np.ndarray, np.ndarray]:
    """What both repetitions answered, probabilities [2, N, K] in the order of ``IDS``, and whether rightly, [2, N]."""
    found = np.zeros((2, COUNT, len(CLASSES)))
    for number, part in enumerate(PARTS):
        predictions = load_predictions(run.part(part) / "predictions.npz")
        found[number // 3, np.searchsorted(IDS, predictions.ids)] = predictions.probabilities
    return found, found.argmax(axis=2) == LABELS


def change(run: RunFolder, part: str, how: Callable[[np.ndarray], np.ndarray]) -> None:
    path = run.part(part) / "predictions.npz"
    before = load_predictions(path)
    save_predictions(path, Predictions(before.ids, before.labels, how(before.logits), before.class_names))
    seal(run, part)


def test_the_report_counts_images_once_and_gives_the_mean_of_the_repetitions(run: RunFolder):
    result = quiet(fer_tl.report, "run")
    _, right = answers(run)
    mean, ends = right.mean(), result.contents.held_out.summary.intervals["accuracy"]
    assert "3-fold cross validation, 2 times" in result.text
    assert f"{100 * mean:.1f} % of {COUNT} images" in result.text and "mean of 2 repetitions" in result.text
    tables = result.path.read_text()
    assert all(f"repetition {number} ({3 * number}–{3 * number + 2})" in tables for number in range(2))
    assert f"score the same {COUNT} images" in re.sub(r"<[^>]*>|\s+", " ", tables).replace("scores", "score")
    # As wide as the bootstrap of 60 means of two answers.
    drawn = np.random.default_rng(0).integers(0, COUNT, (4000, COUNT))
    expected = np.quantile(right.mean(axis=0)[drawn].mean(axis=1), [0.025, 0.975])
    np.testing.assert_allclose(ends, expected, atol=0.015)


def test_runs_are_compared_answer_by_answer_and_not_with_one_that_is_not_repeated(run: RunFolder):
    shutil.copytree("run", "other")
    other = RunFolder(Path("other"))
    change(other, "fold-4", lambda logits: logits[:, [1, 2, 0]])
    result = quiet(fer_tl.compare, ["run", "other"])
    _, ours = answers(run)
    _, theirs = answers(other)
    (pair,) = result.pairs
    assert pair.difference == pytest.approx(abs(ours.mean() - theirs.mean()))
    assert result.rows[0].images == COUNT
    text = result.text.replace("\n", " ")
    assert "all of 2 repetitions" in text and "count it once" in text
    make_run("once")
    with pytest.raises(UserError, match="it has 3 folds, run 2 times 3 folds"):
        quiet(fer_tl.compare, ["run", "once"])
    with pytest.raises(UserError, match="it has 2 times 3 folds, once 3 folds"):
        quiet(fer_tl.compare, ["once", "run"])


def test_a_run_with_other_folds_in_its_second_repetition_is_not_paired(run: RunFolder):
    shutil.copytree("run", "other")
    other, (one, two) = RunFolder(Path("other")), ("fold-3", "fold-4")
    found = [load_predictions(other.part(part) / "predictions.npz") for part in (one, two)]
    for part, predictions in zip((two, one), found, strict=True):
        save_predictions(other.part(part) / "predictions.npz", predictions)
        seal(other, part)
    with pytest.raises(UserError, match="it has other folds"):
        quiet(fer_tl.compare, ["run", "other"])


def test_labels_are_judged_by_the_mean_of_the_repetitions(run: RunFolder):
    probabilities, _ = answers(run)
    predictions, folds = open_member("run", run.path).own_predictions()
    rows = np.searchsorted(IDS, predictions.ids)
    np.testing.assert_allclose(predictions.probabilities, probabilities.mean(axis=0)[rows], atol=1e-6)
    np.testing.assert_array_equal(folds, FOLDS[rows])
    result = quiet(fer_tl.audit, "run")
    assert result.found.images == COUNT
    assert "mean of 2 networks" in result.text.replace("\n", " ")


def test_an_ensemble_says_that_a_repeated_run_votes_itself(run: RunFolder):
    make_run("once")
    change(RunFolder(Path("once")), "fold-0", lambda logits: logits[:, [2, 0, 1]])
    said: list[str] = []
    fer_tl.ensemble(["run", "once"], say=said.append)
    assert "run votes itself: the mean of 2 models" in "\n".join(said)


def test_folds_of_both_repetitions_are_collected(run: RunFolder):
    for name, kept in (("a", PARTS[:2]), ("b", PARTS[2:])):
        shutil.copytree("run", name)
        for part in set(PARTS) - set(kept):
            shutil.rmtree(f"{name}/{part}")
    for part in PARTS:  # those of the fixture are no histories
        for name in ("a", "b"):
            if Path(name, part).is_dir():
                Path(name, part, "history.csv").write_text("stage,epoch,loss\nmain,1,1.0\n")
                seal(RunFolder(Path(name)), part)
    result = quiet(fer_tl.collect, ["a", "b"], "all")
    assert result.summary.images == COUNT and result.summary.repeats == 2
    _, right = answers(run)
    with Path("all/table.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["repetition"] for row in rows] == list("000111")
    pooled = read_json(Path("all/result.json"))
    assert pooled["pooled"]["accuracy"] == pytest.approx(right.mean())
    assert [each["accuracy"] for each in pooled["repetitions"]] == pytest.approx(right.mean(axis=1).tolist())
    Path("b", "fold-5", "result.json").unlink()
    with pytest.raises(UserError, match=r"fold-5 is done in none of the runs.*--fold 5"):
        quiet(fer_tl.collect, ["a", "b"], "none")


def test_a_mistake_is_shown_once_by_a_model_that_had_not_seen_the_image(run: RunFolder):
    _, right = answers(run)
    result = quiet(fer_tl.explain, "run", errors=200, method="gradcam")
    shown = {each.picture.id: each.picture.part for each in result.explanations}
    assert len(shown) == len(result.explanations) == int((~right).any(axis=0).sum())
    for name, part in shown.items():
        row, number = int(np.flatnonzero(name == IDS)[0]), int(part.removeprefix("fold-"))
        assert number == (FOLDS[row] if number < 3 else 3 + AGAIN[row])
    assert f"of {(~right).sum()} mistakes on {2 * COUNT} held-out images" in result.text.replace("\n", " ")


def test_all_models_answer_a_split_together(run: RunFolder):
    result = quiet(fer_tl.evaluate, "run")
    assert list(result.predictions) == ["ensemble", *PARTS]
    mean = np.mean([result.predictions[part].probabilities for part in PARTS], axis=0)
    np.testing.assert_allclose(result.predictions["ensemble"].probabilities, mean, atol=1e-6)


def test_images_of_an_exported_fold_are_those_of_its_repetition(run: RunFolder):
    source, _ = find_dataset(run, None)
    assert source
    held_out = held_out_images(run, ["fold-4"], source)
    assert sorted(held_out.predictions.ids) == sorted(IDS[AGAIN == 1])
    result = quiet(fer_tl.export, "run", fold=4, format="keras", out="exported")
    card = next(result.out_dir.glob("*.md")).read_text()
    assert "3 folds, repeated 2 times" in card and "of repetition 1, not on those of fold-4" in card


def test_a_folder_that_says_another_number_of_repetitions_is_refused(run: RunFolder):
    about = read_json(run.path / "run.json")
    for repeats in (0, 4, 6):
        write_json(run.path / "run.json", about | {"repeats": repeats})
        with pytest.raises(UserError, match=f"'repeats' {repeats} does not go with 6 folds"):
            quiet(fer_tl.report, "run")
    write_json(run.path / "run.json", {key: value for key, value in about.items() if key != "repeats"})
    with pytest.raises(UserError):
        quiet(fer_tl.report, "run")
