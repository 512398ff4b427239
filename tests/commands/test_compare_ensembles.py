"""An ensemble is compared with its members and others, and votes itself, like any run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hand_made_runs import COUNT, FOLDS, GROUPS, IDS, LABELS, build_data, logits_of, make_run

from fer_tl import UserError, compare, ensemble, report
from fer_tl.core.files import read_json, write_json
from fer_tl.evaluation.comparison import sign_flip
from fer_tl.evaluation.open_split import results_folder
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import OPENINGS
from fer_tl.runs.predictions import Predictions, save_predictions


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build_data()


def vote(*runs: object, **options: object) -> Path:
    return ensemble([str(run) for run in runs], say=lambda line: None, **options).out_dir  # type: ignore[arg-type]


def evaluate(path: Path, logits: np.ndarray) -> Path:
    """As if the test split had been opened for a run."""
    run = RunFolder(path)
    predictions = Predictions(np.char.add(IDS, "t"), LABELS, logits, ("angry", "happy", "sad"))
    save_predictions(results_folder(run, "test", "none") / "ensemble.npz", predictions)
    write_json(path / OPENINGS, [{"split": "test", "tta": "none", "fingerprint": "a" * 64, "date": "2026-01-01"}])
    return path


def test_out_of_fold_an_ensemble_is_a_row_with_the_folds_of_its_members():
    one, other, third = (make_run(Path(name), logits_of(seed)) for seed, name in enumerate("abc"))
    folder = vote(one, other, out="both")
    result = compare([one, "both", third], say=lambda line: None)
    assert [row.run.name for row in result.rows] == ["a", "both", "c"]
    answers = ensemble([one, other], say=lambda line: None, out="both").predictions["ensemble"]
    order = np.argsort(answers.ids)
    right = answers.logits.argmax(axis=1)[order] == LABELS
    assert result.rows[1].scores["accuracy"] == right.mean()
    assert result.rows[1].run.folds.tolist() == FOLDS.tolist()
    pair = next(pair for pair in result.pairs if {pair.better, pair.other} == {0, 1})
    assert pair.sign_flip == sign_flip(right, logits_of(0).argmax(axis=1) == LABELS, GROUPS)
    assert pair.t_test is not None
    assert "both: the soft vote of a, b." in " ".join(result.text.split())
    again = ensemble([folder, third], say=lambda line: None)  # it votes itself
    assert list(again.predictions) == ["ensemble", "both", "c"]


def test_members_of_other_folds_vote_and_cannot_be_compared():
    one, other = make_run(Path("a"), logits_of(0)), make_run(Path("b"), logits_of(1), folds=np.roll(FOLDS, 1))
    said: list[str] = []
    ensemble([one, other], out="both", say=said.append)
    assert "Its members have different folds, so compare does not take it." in said[-1]
    assert not Path("both/run.json").exists()


def test_on_a_split_an_ensemble_stands_beside_the_evaluations_and_opens_nothing():
    one, other, third = (
        evaluate(make_run(Path(name), logits_of(seed)), logits_of(10 + seed)) for seed, name in enumerate("abc")
    )
    vote(one, other, split="test", out="both")
    result = compare([one, "both", third], split="test", say=lambda line: None)
    assert result.rows[1].images == COUNT and not result.rows[1].run.differs
    assert not Path("data/openings.jsonl").exists()
    assert read_json(Path("both/evaluations.json"))[0]["members"] == ["a", "b"]
    with pytest.raises(UserError, match="both holds predictions of split test alone: compare it with --split test"):
        compare(["both", one], say=lambda line: None)
    with pytest.raises(UserError, match="give `fer-tl ensemble` this --split"):
        compare(["both", one], split="validation", say=lambda line: None)


def test_single_fits_vote_and_compare_on_what_they_held_out():
    one, other = (make_run(Path(name), logits_of(seed), "train") for seed, name in enumerate("ab"))
    vote(one, other, out="both")
    result = compare([one, "both"], say=lambda line: None)
    assert result.pairs[0].t_test is None and not result.rows[1].run.differs


def test_an_ensemble_has_a_report_and_one_that_was_interrupted_is_no_run():
    one, other = (make_run(Path(name), logits_of(seed)) for seed, name in enumerate("ab"))
    folder = vote(one, other, out="both")
    page = report(folder, say=lambda line: None)
    found = compare([one, "both"], say=lambda line: None).rows[1].scores["accuracy"]
    assert f"It recognises {100 * found:.1f} % of {COUNT} images out of fold" in page.text
    assert "the soft vote of a, b" in page.path.read_text() and "was trained on" not in page.path.read_text()
    page.path.unlink()
    before = (folder / "run.json").read_bytes()
    (folder / "run.json").unlink()
    assert vote(one, other, out="both") == folder and (folder / "run.json").read_bytes() == before
