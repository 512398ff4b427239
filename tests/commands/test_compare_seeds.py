"""Trainings of one recipe under several seeds: one row, with the spread over them, tested over images and trainings."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from hand_made_runs import COUNT, FOLDS, GROUPS, LABELS, build_data, logits_of, make_run
from scipy import stats

from fer_tl import UserError, compare
from fer_tl.commands.compare import CompareResult
from fer_tl.evaluation.intervals import bootstrap_intervals
from fer_tl.evaluation.two_sources import of_difference


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build_data()


def train(name: str, seed: int, skill: float = 1.5, **settings: object) -> Path:
    """A run of a recipe called ``name``, its luck by the seed."""
    draw = 100 * seed + sum(map(ord, name))
    return make_run(Path(f"{name}-{seed}"), logits_of(draw, skill), seed=seed, fold_seed=0, **settings)


def run_compare(*runs: Path | str, **options: object) -> CompareResult:
    return compare(runs, say=lambda line: None, **options)  # type: ignore[arg-type]


def right(logits: np.ndarray) -> np.ndarray:
    return logits.argmax(axis=1) == LABELS


def accuracies(name: str, seeds: range, skill: float = 1.5) -> np.ndarray:
    return np.array([right(logits_of(100 * seed + sum(map(ord, name)), skill)).mean() for seed in seeds])


def words(text: str) -> str:
    return " ".join(text.split())


def test_runs_that_differ_in_their_seed_alone_are_one_row_with_mean_and_spread():
    runs = [train("good", seed, 2.0) for seed in range(3)]
    result = run_compare(*runs, train("bad", 0, 1.0, epochs=2), train("bad", 1, 1.0, epochs=2))
    good, bad = result.rows
    assert (good.run.name, bad.run.name, good.images) == ("good", "bad", COUNT)
    expected = accuracies("good", range(3), 2.0)
    assert good.scores["accuracy"] == pytest.approx(expected.mean())
    assert good.spread["accuracy"] == pytest.approx(expected.std(ddof=1))
    rows = list(csv.DictReader((result.out_dir / "table.csv").open()))
    assert [row["trainings"] for row in rows] == ["3", "2"]
    assert float(rows[0]["accuracy_sd"]) == pytest.approx(expected.std(ddof=1))
    assert rows[0]["path"] == "good-0 good-1 good-2"
    for file in ("table.md", "table.tex", "index.html"):
        text = (result.out_dir / file).read_text()
        assert f"{100 * expected.std(ddof=1):.1f}" in text and "Cameron" in text
    text = words(result.text)
    assert "5 runs on folder/mine" in text
    assert "good of good-0, good-1, good-2; bad of bad-0, bad-1" in text
    assert "Power: with 2 trainings per row, a true difference of" in text
    assert "The t-test over 4 folds has 3 degrees of freedom" in text


def test_the_test_is_over_trainings_and_groups_of_images_and_so_is_the_interval():
    runs = [*(train("good", seed, 2.0) for seed in range(3)), *(train("bad", seed, epochs=2) for seed in range(2))]
    (pair,) = run_compare(*runs).pairs
    sides = [
        np.stack([right(logits_of(100 * seed + sum(map(ord, name)), skill)) for seed in range(number)])
        for name, number, skill in (("good", 3, 2.0), ("bad", 2, 1.5))
    ]
    if sides[1].mean() > sides[0].mean():
        sides.reverse()
    expected = of_difference(*sides, GROUPS)
    assert pair.difference == pytest.approx(sides[0].mean() - sides[1].mean())
    assert pair.trainings == pytest.approx(expected.p_value(pair.difference))
    assert pair.interval == pytest.approx(expected.interval(pair.difference, 1, (-1, 1)))
    # The t-test over folds takes each fold's mean over trainings.
    by_fold = [[side[:, fold == FOLDS].mean() for fold in range(4)] for side in sides]
    differences = np.subtract(*by_fold)
    t = differences.mean() / np.sqrt((1 / 4 + 1 / 3) * differences.var(ddof=1))
    assert pair.t_test == pytest.approx(2 * stats.t.sf(abs(t), 3))


def test_an_interval_over_trainings_is_longer_where_they_differ():
    runs = [train("r", seed, skill) for seed, skill in enumerate((0.5, 1.5, 3.0))]
    row = run_compare(*runs, train("other", 0, epochs=2)).rows[0]
    low, high = row.intervals["accuracy"]
    ends = bootstrap_intervals(row.run.trainings[1].predictions, GROUPS, ["accuracy"])["accuracy"]
    assert high - low > 2 * (ends[1] - ends[0])
    assert set(row.intervals) == {"accuracy", "balanced_accuracy", "macro_f1"}
    assert all(0 <= low <= row.scores[name] <= high <= 1 for name, (low, high) in row.intervals.items())


def test_a_single_training_has_no_test_over_trainings_and_the_notes_ask_for_more():
    several = [train("several", seed) for seed in range(2)]
    result = run_compare(*several, train("one", 0, epochs=2))
    assert result.pairs[0].trainings is None and result.pairs[0].detectable is None
    assert "over trainings p" not in result.text
    alone = run_compare(several[0], train("two", 0, epochs=3))
    assert "Each row is a single training: nothing here says what another seed would give." in words(alone.text)


def test_apart_shows_each_training():
    runs = [train("good", seed) for seed in range(2)]
    assert [row.run.name for row in run_compare(*runs, seeds="apart").rows] == ["good-0", "good-1"]
    with pytest.raises(UserError, match="--seeds aparte: no such way; did you mean 'apart'"):
        run_compare(*runs, seeds="aparte")


def test_what_is_no_other_training_is_not_counted_as_one():
    first, second = train("good", 0), train("good", 1)
    shutil.copytree(first, "copy")  # the same seed
    twin = make_run(Path("twin"), logits_of(sum(map(ord, "good"))), seed=7, fold_seed=0)  # the same answers
    other_folds = make_run(Path("folds"), logits_of(5), folds=(FOLDS + 1) % 4, seed=3, fold_seed=1)
    result = run_compare(first, second, Path("copy"), twin, other_folds, unpaired=True)
    assert [row.run.name for row in result.rows] == ["good", "copy", "twin", "folds"]
    assert len(result.rows[0].run.trainings) == 2
    text = words(result.text)
    assert "copy and good-0 predict the same to the last digit" in text
    assert "twin and good-0 predict the same to the last digit" in text
    elsewhere = make_run(Path("elsewhere"), logits_of(77), seed=0, fold_seed=0)  # the same seed on another machine
    assert [row.run.name for row in run_compare(first, second, elsewhere).rows] == ["good", "elsewhere"]
    half = make_run(Path("good-8"), logits_of(8), seed=8, fold_seed=0, done=[0])
    assert [row.run.name for row in run_compare(first, second, half).rows] == ["good", "good-8"]


def test_a_sweep_stands_for_its_cells():
    for seed in (2, 10):
        for name, epochs in (("long", 3), ("short", 2)):
            run = train(name, seed, epochs=epochs)
            shutil.move(run, f"sweep/{name}-{seed}")
    result = run_compare("sweep")
    assert [row.run.name for row in result.rows] == ["long", "short"]
    assert [[each.name for each in row.run.trainings] for row in result.rows] == [
        ["long-2", "long-10"],
        ["short-2", "short-10"],
    ]
    rows = run_compare("sweep", train("alone", 1, epochs=9)).rows
    assert [row.run.name for row in rows] == ["long", "short", "alone-1"]
    with pytest.raises(UserError, match=r"run\.json is missing"):
        run_compare("data", "sweep")
