"""Predictions of other frameworks: matched by id and class name, compared like any other run, refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hand_made_runs import CLASSES, COUNT, FOLDS, GROUPS, IDS, LABELS, logits_of, make_run
from stored_dataset import Stored, store_dataset

from fer_tl import UserError, compare, ensemble, evaluate, import_predictions, report, reproduce
from fer_tl.commands.import_predictions import ImportResult
from fer_tl.core.files import read_json, write_json
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import read_manifest
from fer_tl.evaluation.given_predictions import FLOOR
from fer_tl.evaluation.openings import key_of_run, read_ledger
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import load_predictions, softmax

TEST = np.char.add(IDS, "-test")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 4, 1)).astype(np.uint8)
    splits = {"train": Stored(images, LABELS, IDS, GROUPS), "test": Stored(images[::-1], LABELS, TEST, GROUPS)}
    store_dataset(Path("data"), "folder/mine", CLASSES, splits)


def fingerprint(split: str) -> str:
    return read_manifest(dataset_directory(Path("data"), "folder/mine")).fingerprints[split]


def write(name: str, columns: dict[str, object], order: int = 0) -> Path:
    """A CSV of columns of one value a row, the rows in an order drawn from ``order``."""
    rows = list(zip(*(np.asarray(each, dtype=object).tolist() for each in columns.values()), strict=True))
    shuffled = np.random.default_rng(order).permutation(len(rows))
    lines = [",".join(columns), *(",".join(map(str, rows[row])) for row in shuffled)]
    Path(name).write_text("\n".join(lines) + "\n")
    return Path(name)


def probabilities(logits: np.ndarray, ids: np.ndarray = TEST, digits: int = 6, **names: str) -> dict[str, object]:
    """Columns of a table, the last class first."""
    p = softmax(logits).round(digits)
    return {"id": ids, **{names.get(name, name): p[:, k] for k, name in reversed(list(enumerate(CLASSES)))}}


def take(path: Path, split: str | None = "test", **options: object) -> ImportResult:
    return import_predictions(path, "folder/mine", split, say=lambda line: None, **options)  # type: ignore[arg-type]


def refusal(path: Path, split: str | None = "test", **options: object) -> str:
    with pytest.raises(UserError) as caught:
        take(path, split, **options)
    assert "\n" not in str(caught.value)
    assert not Path("data/openings.jsonl").exists()
    return str(caught.value)


def quiet_compare(*runs: str, **options: object) -> str:
    found = compare(runs, say=lambda line: None, **options)  # type: ignore[arg-type]
    return " ".join(found.text.split())


def test_probabilities_logits_and_labels_are_matched_by_id_and_class_name():
    logits = logits_of(1)
    right = (logits.argmax(axis=1) == LABELS).mean()
    theirs = probabilities(logits, np.char.add(np.char.add("C:\\faces\\", TEST), ".png"), angry="p_Anger")
    found = take(write("p.csv", theirs), out="runs/p")
    assert found.metrics.accuracy == right
    saved = load_predictions(Path("runs/p/evaluate-test/model.npz"))
    assert saved.ids.tolist() == TEST.tolist()
    np.testing.assert_allclose(saved.probabilities, softmax(logits), atol=2e-6)
    columns = {"id": TEST, **{f"logit_{name}": logits[:, k] for k, name in enumerate(CLASSES)}}
    found = take(write("l.csv", columns), values="logits", out="runs/l")
    assert found.metrics.values["loss"] == pytest.approx(take(Path("p.csv"), out="runs/p").metrics.values["loss"], 1e-4)
    named = np.array(["Anger", "happiness", "sad"])[logits.argmax(axis=1)]
    only = take(write("n.csv", {"id": TEST, "prediction": named}), out="runs/n")
    assert only.metrics.accuracy == right
    assert set(only.metrics.values) == {"accuracy", "balanced_accuracy", "macro_f1", "kappa"}
    assert "–" in only.text.splitlines()[4] and "Labels alone: there is no loss" in only.text


def test_numbers_stand_for_classes_once_their_order_is_told():
    answers = np.array([0, 3, 4])[logits_of(1).argmax(axis=1)]  # FER-2013's numbers of these classes
    path = write("n.csv", {"id": TEST, "prediction": answers})
    assert "whose meaning is a guess" in refusal(path)
    assert take(path, labels="fer").metrics.accuracy == (logits_of(1).argmax(axis=1) == LABELS).mean()
    columns = {"id": TEST, **{str(number): softmax(logits_of(1))[:, k] for k, number in enumerate((0, 3, 4))}}
    path = write("m.csv", columns)
    assert "whose meaning is a guess" in refusal_after_opening(path)
    assert take(path, labels="fer").metrics.accuracy == (logits_of(1).argmax(axis=1) == LABELS).mean()


def refusal_after_opening(path: Path, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        take(path, **options)
    return str(caught.value)


def test_importing_opens_the_split_once_and_the_ledger_counts_it():
    take(write("a.csv", probabilities(logits_of(1))), out="runs/a", model="theirs")
    again = take(write("a.csv", probabilities(logits_of(1)), order=5), out="runs/a", model="theirs")
    assert "The same was imported before" in again.text
    (entry,) = read_ledger(Path("data"))
    assert (entry["split"], entry["run"]) == ("test", key_of_run(RunFolder(Path("runs/a"))))
    assert [each["split"] for each in read_json(Path("runs/a/evaluations.json"))] == ["test"]
    other = take(write("b.csv", probabilities(logits_of(2))))
    assert "Split test of folder/mine: the 2nd of 2 models opened on it" in other.text
    assert "holds other predictions of split test" in refusal_after_opening(Path("b.csv"), out="runs/a", model="theirs")
    assert "not of 'b'" in refusal_after_opening(Path("b.csv"), out="runs/a")


def test_out_of_fold_predictions_are_paired_with_a_run_on_the_same_folds_and_vote_with_it():
    ours = make_run(Path("ours"), logits_of(0), fingerprint=fingerprint("train"))
    theirs = write("theirs.csv", probabilities(logits_of(1, 3.0), IDS))
    assert "--fold-table FILE" in refusal(theirs, None)
    found = take(theirs, None, fold_table=ours / "folds.csv", out="runs/theirs", model="SVM")
    assert found.metrics.accuracy == (logits_of(1, 3.0).argmax(axis=1) == LABELS).mean()
    assert not Path("data/openings.jsonl").exists()  # nothing but training images
    result = compare(["ours", "runs/theirs"], say=lambda line: None)
    assert result.pairs[0].t_test is not None and result.rows[1].run.differs == ""
    np.testing.assert_array_equal(result.rows[0].run.folds, result.rows[1].run.folds)
    assert "imported from theirs.csv (SVM)" in result.text
    trained = make_run(Path("trained"), logits_of(1, 3.0), fingerprint=fingerprint("train"))
    twin = compare(["ours", str(trained)], say=lambda line: None)  # a run of ours with these answers
    assert twin.pairs[0].sign_flip == result.pairs[0].sign_flip and twin.pairs[0].t_test == result.pairs[0].t_test
    assert twin.rows[1].intervals["accuracy"] == result.rows[1].intervals["accuracy"]
    votes = ensemble(["ours", "runs/theirs"], say=lambda line: None).predictions
    assert [*votes] == ["ensemble", "ours", "theirs"]
    other = take(theirs, None, fold_table=write("f.csv", {"id": IDS, "fold": FOLDS % 2}), out="runs/other")
    assert other.metrics.accuracy == found.metrics.accuracy
    assert "it has 2 folds" in quiet_compare("ours", "runs/other", unpaired=True)
    assert "holds predictions of other folds" in refusal_after_opening_of(theirs, "f.csv")


def refusal_after_opening_of(path: Path, table: str) -> str:
    with pytest.raises(UserError) as caught:
        take(path, None, fold_table=table, out="runs/theirs", model="SVM")
    return str(caught.value)


def test_a_split_joins_the_out_of_fold_predictions_of_the_same_model():
    table = write("f.csv", {"id": IDS, "fold": FOLDS})
    take(write("oof.csv", probabilities(logits_of(1), IDS)), None, fold_table=table, out="runs/a", model="SVM")
    take(write("test.csv", probabilities(logits_of(2, 3.0))), out="runs/a", model="SVM")
    take(write("b.csv", probabilities(logits_of(3))), out="runs/b")
    compared = compare(["runs/a", "runs/b"], split="test", say=lambda line: None)
    assert compared.rows[0].scores["accuracy"] == (logits_of(2, 3.0).argmax(axis=1) == LABELS).mean()
    assert "import those out of fold first" in refusal_after_opening_b(table)
    with pytest.raises(UserError, match="holds predictions of split test alone: compare it with --split test"):
        compare(["runs/a", "runs/b"], say=lambda line: None)
    with pytest.raises(UserError, match="split test alone"):
        ensemble(["runs/a", "runs/b"], split="test", weights="validation", say=lambda line: None)


def refusal_after_opening_b(table: Path) -> str:
    with pytest.raises(UserError) as caught:
        take(Path("oof.csv"), None, fold_table=table, out="runs/b", model="b")
    return str(caught.value)


def test_a_probability_of_0_for_the_truth_is_told_and_its_loss_is_that_of_scikit_learn():
    sure = np.eye(3)[(LABELS + (np.arange(COUNT) < 2)) % 3]
    columns = {"id": TEST, **{name: sure[:, k] for k, name in enumerate(CLASSES)}}
    found = take(write("sure.csv", columns))
    assert found.metrics.values["loss"] == pytest.approx(-np.log(FLOOR) * 2 / COUNT, rel=1e-5)
    assert "For 2 images the true class had the probability 0" in found.text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c | {"id": np.where(TEST[7] == TEST, TEST[8], TEST)}, "'face-008-test' was in theirs.csv, row "),
        (lambda c: {k: v[1:] for k, v in c.items()}, "says nothing of 1 of the 120 images of folder/mine, split test"),
        (lambda c: c | {"id": IDS}, "nothing of 120 of the 120 images of folder/mine, split test, such as"),
        (lambda c: {k: [*v, v[0]] for k, v in c.items()} | {"id": [*TEST, "x"]}, "'x' is not an image of folder/mine"),
        (lambda c: c | {"sad": np.where(LABELS == 0, np.nan, c["sad"])}, "sad 'nan' is not a number"),
        (lambda c: c | {"sad": [""] * COUNT}, "sad '' is not a number"),
        (lambda c: c | {"sad": c["sad"] * 0}, "the probabilities sum to"),
        (lambda c: c | {k: c[k] * 100 for k in CLASSES}, "divide them by 100"),
        (
            lambda c: c | {k: np.log(c[k]) for k in CLASSES},
            "is not a probability: if they are logits, say so with --values",
        ),
        (lambda c: c | {k: [float("inf")] * COUNT for k in CLASSES}, "'inf' is not a number"),
        (lambda c: {"id": TEST, "happy": c["happy"], "sad": c["sad"]}, "no column of angry"),
        (lambda c: c | {"Happiness": c["happy"]}, "the columns happy and happiness are both of 'happy'"),
        (lambda c: c | {"contempt": c["happy"]}, "the dataset has no class of the column contempt"),
        (lambda c: {"id": TEST, "label": ["sad"] * COUNT}, "a column called label may be the true class"),
        (lambda c: {"id": TEST, "prediction": ["glad"] * COUNT}, "prediction 'glad' is not a class of the dataset"),
        (lambda c: c | {"label": [CLASSES[k] for k in np.roll(LABELS, 1)]}, "120 of 120 images differ): are these"),
        (lambda c: c | {"prediction": ["sad"] * COUNT}, "are the columns of the classes named rightly"),
        (lambda c: {"name": TEST, "sad": c["sad"]}, "no column id in its first line"),
        (lambda c: c | {"id": [""] * COUNT}, "no id"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_opens_nothing(change, reason: str):
    columns = {name: np.asarray(each) for name, each in probabilities(logits_of(1)).items()}
    assert reason in refusal(write("theirs.csv", change(columns)))
    assert not Path("runs").exists()


def test_options_that_cannot_be_are_one_line(tmp_path: Path):
    good = write("good.csv", probabilities(logits_of(1)))
    assert "--values odds: no such form" in refusal(good, values="odds")
    assert "--labels mine: no such order" in refusal(good, labels="mine")
    assert "has no split 'validation'" in refusal(good, "validation")
    assert "--split tset: no such split" in refusal(good, "tset")
    assert "--fold-table is for out-of-fold predictions" in refusal(good, fold_table="f.csv")
    oof = write("oof.csv", probabilities(logits_of(1), IDS))
    assert "has the folds 1, 2, 3, 4" in refusal(oof, None, fold_table=write("f.csv", {"id": IDS, "fold": FOLDS + 1}))
    assert "none.csv does not exist" in refusal(Path("none.csv"))
    assert "a logit is too large" in refusal(
        write("l.csv", {"id": TEST, **{name: [1e300] * COUNT for name in CLASSES}}), values="logits"
    )
    ours = make_run(Path("ours"), logits_of(0))
    assert "holds a run that fer-tl trained" in refusal(good, out=ours)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["data", "f.csv", "good.csv", "l.csv", "oof.csv", "ours"]
    )


def test_rows_of_other_images_are_passed_over_on_request():
    columns = {k: [*v, v[0]] for k, v in probabilities(logits_of(1)).items()} | {"id": [*TEST, "face-left-out"]}
    assert (
        "Skipped: 1 row of images that are not in the split" in take(write("more.csv", columns), skip_others=True).text
    )


def test_what_needs_a_model_says_that_there_is_none():
    take(write("a.csv", probabilities(logits_of(1))), out="runs/a")
    take(write("n.csv", {"id": TEST, "prediction": ["sad"] * COUNT}), out="runs/n")
    with pytest.raises(UserError, match=r"runs/a holds predictions .*, and no model"):
        evaluate("runs/a")
    with pytest.raises(
        UserError, match="runs/n holds labels without probabilities: only these can be averaged; import"
    ):
        ensemble(["runs/a", "runs/n"], split="test", say=lambda line: None)
    with pytest.raises(
        UserError, match=r"runs/n holds labels without probabilities: its loss, .* compare shows the rest"
    ):
        report("runs/n")
    with pytest.raises(UserError, match=r"runs/a holds predictions .*, and no training: import the table again"):
        reproduce("runs/a")
    text = quiet_compare("runs/a", "runs/n", split="test")
    assert "n 120 33.3 %" in text and text.count("imported from") == 2


def test_the_report_of_imported_predictions_is_of_the_split_that_they_are_of():
    logits = logits_of(1)
    take(write("a.csv", probabilities(logits)), out="runs/a", model="theirs")
    found = report("runs/a", say=lambda line: None)
    assert (
        f"recognises {100 * (logits.argmax(axis=1) == LABELS).mean():.1f} % of {COUNT} images of split test"
        in found.text
    )
    page = found.path.read_text()
    assert "Imported from a.csv (theirs)" in page and "the word of whoever made it" in page
    assert "was trained on" not in page.replace("that it was trained on none", "") and "fer-tl cv" not in page
    assert "data:image/png" in page  # mistakes, as images of that split


def test_an_import_that_was_cut_short_is_completed():
    path = write("a.csv", probabilities(logits_of(1)))
    take(path, out="runs/a")
    Path("runs/a/evaluate-test/model.npz").unlink()
    assert "imported before" not in take(path, out="runs/a").text
    assert Path("runs/a/evaluate-test/model.npz").is_file()
    write("b.csv", probabilities(logits_of(2)))
    Path("runs/a/evaluate-test/model.npz").unlink()
    assert "holds other predictions" in refusal_after_opening(Path("b.csv"), out="runs/a", model="a")


def test_a_record_of_an_import_that_was_changed_is_refused():
    take(write("a.csv", probabilities(logits_of(1))), out="runs/a")
    about = read_json(Path("runs/a/run.json"))
    for damaged in ({"model": "a"}, {**about["imported"], "labels_only": 1}):
        write_json(Path("runs/a/run.json"), about | {"imported": damaged})
        with pytest.raises(UserError, match=r"run\.json is damaged"):
            RunFolder(Path("runs/a")).read_run()
    assert json.loads(Path("data/openings.jsonl").read_text())["imported"] == "a.csv"
