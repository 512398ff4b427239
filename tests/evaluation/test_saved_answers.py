"""An evaluation that was made before is read again, and only if nothing that it depends on has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from small_run import CLASSES, make_model, make_run, seal

from fer_tl import evaluate
from fer_tl.evaluation import predict_split
from fer_tl.evaluation.openings import read_openings
from fer_tl.reports import run_report
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions, load_predictions, save_predictions
from fer_tl.runs.saved_model import even_batch, save_model


class PredictedAgain(Exception):
    """Raised in place of predicting."""


@pytest.fixture(scope="module", autouse=True)
def _step_by_step() -> Iterator[None]:
    """Runs TensorFlow without graphs: a small model predicts faster than it is traced."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """Evaluated once; from then on, whoever predicts fails."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_report, "save_figure", lambda figure, path: None)
    made = make_run("run")
    evaluate(made.path, say=lambda line: None)

    def refuse(*args: Any) -> None:
        raise PredictedAgain

    monkeypatch.setattr(predict_split, "predict_saved", refuse)
    return made


def test_the_same_evaluation_is_read_and_opens_nothing(run: RunFolder):
    saved = load_predictions(run.path / "evaluate-test" / "ensemble.npz")
    said: list[str] = []
    found = evaluate(run.path, say=said.append)
    assert "models, images and options are those of the last evaluation; what it saved is read." in said[0]
    assert list(found.predictions) == ["ensemble", "fold-0", "fold-1", "fold-2"]
    np.testing.assert_array_equal(found.predictions["ensemble"].logits, saved.logits)
    assert len(read_openings(run)) == 1
    assert len(Path("data/openings.jsonl").read_text().splitlines()) == 1


def retrain(run: RunFolder) -> None:
    save_model(make_model(9, 3), CLASSES, run.part("fold-1") / "model.keras")
    seal(run, "fold-1")


def edit_answers(run: RunFolder) -> None:
    path = run.path / "evaluate-test" / "fold-2.npz"
    found = load_predictions(path)
    save_predictions(path, Predictions(found.ids, found.labels, found.logits + 1, found.class_names))


def lose_answers(run: RunFolder) -> None:
    (run.path / "evaluate-test" / "fold-0.npz").unlink()


def damage_record(run: RunFolder) -> None:
    (run.path / "evaluate-test" / "answers.json").write_text("[]")


def change_left_out(run: RunFolder) -> None:
    (run.path / "evaluate-test" / "left-out.csv").write_text("id\nsomebody\n")


CHANGES: dict[str, tuple[Callable[[RunFolder], None] | None, dict[str, Any]]] = {
    "a model": (retrain, {}),
    "views": (None, {"tta": "flip"}),
    "classes": (None, {"classes": ["happy", "negative=angry+sad"]}),
    "the answers": (edit_answers, {}),
    "a file": (lose_answers, {}),
    "the record": (damage_record, {}),
    "what was left out": (change_left_out, {}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_changes_is_predicted_again(run: RunFolder, name: str):
    change, options = CHANGES[name]
    if change:
        change(run)
    with pytest.raises(PredictedAgain):
        evaluate(run.path, say=lambda line: None, **options)
    # It was interrupted: what lies there is of nobody knows what.
    if not options:
        with pytest.raises(PredictedAgain):
            evaluate(run.path, say=lambda line: None)


def test_steps_are_nearly_full_and_no_more_than_there_must_be():
    for images in (1, 5, 255, 256, 257, 3589, 26534):
        batch = even_batch(images, 256)
        steps = -(-images // batch)
        assert batch <= 256
        assert steps == -(-images // 256)
        assert steps * batch - images < steps
