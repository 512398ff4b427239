"""Exported models beside the run that they were made of, paired, on images that its training held out."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from small_run import FOLDS, IDS, make_model, make_run, seal

from fer_tl import UserError, compare, evaluate, export
from fer_tl.core.checksums import checksum
from fer_tl.core.files import read_json, write_json
from fer_tl.evaluation.comparison import sign_flip
from fer_tl.evaluation.openings import read_ledger
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import load_predictions
from fer_tl.runs.saved_model import save_model

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated:UserWarning")


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a cross validation with exports of its second fold and of all, and a single fit; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_run("run")
        make_run("other")
        for number, part in enumerate(RunFolder(Path("other")).parts):  # other models on the same folds
            save_model(make_model(10 + number, 3), ("angry", "happy", "sad"), Path("other") / part / "model.keras")
            seal(RunFolder(Path("other")), part)
        export("run", "tflite", int8=True, fold=1, say=quiet)
        export("run", "keras", fold="all", say=quiet)
    return folder


@pytest.fixture(autouse=True)
def _here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def test_an_export_of_a_fold_is_a_row_on_the_images_that_this_fold_held_out():
    said: list[str] = []
    found = evaluate("run", export="tflite-int8", say=said.append)
    answers = found.predictions["tflite-int8"]
    held = FOLDS == 1
    assert sorted(answers.ids.tolist()) == sorted(IDS[held].tolist())
    assert "fer-tl compare run run/exported-tflite-int8" in said[-1]
    result = compare(["run", "run/export/tflite-int8", "other"], say=quiet)  # the export, or its answers
    assert [row.run.name for row in result.rows] == ["run", "run tflite-int8", "other"]
    assert [row.images for row in result.rows] == [held.sum()] * 3
    assert "3 runs on folder/own, fold 1 of 3" in result.text
    saved = load_predictions(Path("run/fold-1/predictions.npz"))
    assert result.rows[0].scores["accuracy"] == (saved.logits.argmax(axis=1) == saved.labels).mean()
    assert result.rows[1].scores["accuracy"] == (answers.logits.argmax(axis=1) == answers.labels).mean()
    right = [each.in_order_of(saved.ids).logits.argmax(axis=1) == saved.labels for each in (saved, answers)]
    pair = next(pair for pair in result.pairs if {pair.better, pair.other} == {0, 1})
    assert pair.sign_flip == sign_flip(*right, saved.ids)
    assert result.rows[1].costs == result.rows[0].costs
    assert list(result.rows[1].milliseconds) == ["tflite-int8"]
    digest = read_json(Path("run/export/tflite-int8/export.json"))["files"]["model.tflite"]["sha256"]
    assert f"the tflite-int8 export of run, fold-1 (SHA-256 {digest[:12]})" in " ".join(result.text.split())


def test_what_was_answered_is_read_again_and_not_predicted(monkeypatch: pytest.MonkeyPatch):
    first = evaluate("run", export="run/export/tflite-int8/model.tflite", say=quiet)
    monkeypatch.setattr("fer_tl.inference.export.network.open_exported", None)
    said: list[str] = []
    again = evaluate("run", export="run/export/tflite-int8", say=said.append)
    assert again.text == first.text
    assert "answers of this file were saved before" in said[0]


def test_a_split_is_opened_for_the_file_and_counted_in_the_ledger():
    for _ in range(2):
        evaluate("run", "test", export="keras", say=quiet)
    evaluate("run", "test", say=quiet)
    ledger = read_ledger(Path("data"))
    assert [Path(entry["path"]).name for entry in ledger] == ["exported-keras", "run"]
    assert len({entry["run"] for entry in ledger}) == 2
    result = compare(["run", "run/export/keras"], "test", say=quiet)
    ensemble, mean = (row.run.predictions for row in result.rows)
    assert ensemble is not None
    assert mean is not None
    np.testing.assert_allclose(
        mean.probabilities, ensemble.probabilities, atol=1e-5
    )  # too few images for a temperature
    assert "give the same answer for every image" in " ".join(result.text.split())
    with pytest.raises(UserError, match=r"exported-keras holds predictions of split test alone: compare it with"):
        compare(["run", "run/export/keras"], say=quiet)


def retrain() -> None:
    save_model(make_model(99, 3), ("angry", "happy", "sad"), Path("run/fold-1/model.keras"))
    seal(RunFolder(Path("run")), "fold-1")


def change_file() -> None:
    path = Path("run/export/tflite-int8/model.tflite")
    path.write_bytes(path.read_bytes() + b" ")


def forget_models() -> None:
    path = Path("run/export/tflite-int8/export.json")
    record = read_json(path)
    del record["models"]
    write_json(path, record)


def export_anew() -> None:
    """As if the same folder had been exported to again, another file."""
    evaluate("run", export="tflite-int8", say=quiet)
    change_file()
    path = Path("run/export/tflite-int8/export.json")
    record = read_json(path)
    record["files"]["model.tflite"] = asdict(checksum(path.with_name("model.tflite")))
    write_json(path, record)


def export_another_fold() -> None:
    """As if the first fold had been exported too."""
    evaluate("run", export="tflite-int8", say=quiet)
    shutil.copytree("run/export/tflite-int8", "run/export/tflite")
    path, model = Path("run/export/tflite/export.json"), Path("run/fold-0/model.keras")
    write_json(path, read_json(path) | {"parts": ["fold-0"], "models": {"fold-0": checksum(model).sha256}})
    evaluate("run", export="tflite", say=quiet)


REFUSED = {
    "another training": (retrain, {}, r"tflite-int8 is not made of the model that run has as fold-1"),
    "another run": (None, {"run_dir": "other"}, r"is not made of the model that other has as fold-1"),
    "a file that was changed": (change_file, {}, r"model\.tflite was changed since it was exported"),
    "an export of before": (forget_models, {}, r"of before exports said which models they are made of: export"),
    "the mean of all": (None, {"export": "keras"}, r"each image is in the training of some: score it on a split"),
    "another file": (export_anew, {}, r"exported-tflite-int8 holds the answers of another file"),
    "no export": (None, {"export": "onnx"}, r"onnx is not an export: of run there are keras, tflite-int8"),
    "views": (None, {"tta": "flip"}, r"--export goes with --split alone"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_export_that_may_have_learnt_what_it_is_scored_on_is_refused_in_one_line(name: str):
    spoil, options, message = REFUSED[name]
    if spoil:
        spoil()
    before = sorted(Path().rglob("*"))
    with pytest.raises(UserError, match=message) as caught:
        evaluate(**{"run_dir": "run", "export": "run/export/tflite-int8", "say": quiet, **options})
    assert "\n" not in str(caught.value)
    assert sorted(path for path in Path().rglob("*") if path.name != ".lock") == [
        p for p in before if p.name != ".lock"
    ]


def test_exports_of_two_folds_share_no_image():
    export_another_fold()
    with pytest.raises(UserError, match=r"answers for fold 1 of 3, .* for fold 0 of 3, and they share no image"):
        compare(["run/export/tflite-int8", "run/export/tflite"], say=quiet)
    with pytest.raises(UserError, match=r"run/export/keras is an exported model: `fer-tl evaluate RUN --export"):
        compare(["run", "run/export/keras"], say=quiet)
