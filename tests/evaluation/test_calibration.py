"""Reliability against hand-counted bins; temperatures against drawn labels whose temperature is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_run import make_faces, make_run

from fer_tl.core.errors import UserError
from fer_tl.core.files import write_json
from fer_tl.evaluation.calibration import (
    BINS,
    HIGHEST,
    LOWEST,
    calibrate,
    choose_scaling,
    fit_mean_temperature,
    fit_temperature,
    reliability,
)
from fer_tl.evaluation.metrics import score
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions, load_predictions, save_predictions, softmax

NAMES = ("angry", "disgust", "fear")


def drawn(temperature: float, count: int = 20_000, seed: int = 0) -> Predictions:
    """Logits that are ``temperature`` times too large for the chances by which the labels were drawn."""
    rng = np.random.default_rng(seed)
    honest = 1.5 * rng.normal(size=(count, 3))
    chances = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    labels = (rng.random((count, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    return Predictions(np.arange(count).astype(str), labels, (temperature * honest).astype(np.float32), NAMES)


def test_reliability_of_hand_counted_bins():
    # Bins of 1/15: 0.5 in (7/15, 8/15], 0.6 exactly the upper end of (8/15, 9/15], 1.0 in the last.
    found = reliability(np.array([0.5, 0.52, 0.6, 1.0]), np.array([True, False, True, True]))
    assert found.count.tolist() == [0] * 7 + [2, 1] + [0] * 5 + [1]
    assert (found.confidence[7], found.accuracy[7]) == (pytest.approx(0.51), 0.5)
    assert (found.confidence[8], found.accuracy[8]) == (0.6, 1.0)
    assert found.error == pytest.approx((2 * 0.01 + 1 * 0.4 + 1 * 0.0) / 4)
    assert len(found.count) == BINS


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_labels_were_drawn_by_is_found(temperature: float):
    predictions = drawn(temperature)
    assert fit_temperature(predictions.logits, predictions.labels) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_has_a_smaller_loss():
    predictions = drawn(2.0, count=300)
    best = fit_temperature(predictions.logits, predictions.labels)

    def loss(temperature: float) -> float:
        scaled = (predictions.logits / temperature).astype(np.float32)
        return score(Predictions(predictions.ids, predictions.labels, scaled, NAMES)).loss

    assert loss(best) <= min(loss(best * factor) for factor in (0.97, 0.99, 1.01, 1.03))


def test_scaling_mends_confidence_and_changes_no_answer():
    predictions = drawn(3.0)
    before = score(predictions)
    found = calibrate(predictions, np.arange(len(predictions.ids)) % 4, predictions.ids)
    assert found is not None
    after = score(found.scaled)
    assert after.confusion.tolist() == before.confusion.tolist()
    assert before.calibration_error > 0.1
    assert after.calibration_error < 0.02
    assert after.loss < before.loss and after.brier < before.brier
    assert found.part_temperatures == pytest.approx([3.0] * 4, rel=0.08)


def test_no_image_has_a_say_in_how_it_is_scaled():
    """Groups of ten: other labels in one of them change how others are scaled, and nothing of its own."""
    predictions = drawn(1.0, count=400)
    parts, groups = np.arange(400) // 200, (np.arange(400) // 10).astype(str)
    here = groups == "7"
    labels = np.where(here, (predictions.labels + 1) % 3, predictions.labels)
    altered = calibrate(Predictions(predictions.ids, labels, predictions.logits, NAMES), parts, groups)
    plain = calibrate(predictions, parts, groups)
    assert altered is not None and plain is not None
    np.testing.assert_array_equal(altered.scaled.logits[here], plain.scaled.logits[here])
    changed = (altered.scaled.logits != plain.scaled.logits).any(axis=1)
    assert changed[parts == 0].mean() > 0.5 and not changed[parts == 1].any()


def test_each_part_is_scaled_by_what_its_own_model_says():
    """One of two models is three times too sure, the other is honest: a temperature for both is wrong for each."""
    both = [drawn(1.0, seed=1), drawn(3.0, seed=2)]
    ids = np.arange(len(both[0].ids) * 2).astype(str)
    logits, labels = (np.concatenate([getattr(each, name) for each in both]) for name in ("logits", "labels"))
    found = calibrate(Predictions(ids, labels, logits, NAMES), np.repeat([0, 1], len(both[0].ids)), ids)
    assert found is not None
    assert found.part_temperatures == pytest.approx([1.0, 3.0], rel=0.05)
    assert score(found.scaled).calibration_error < 0.02


def test_of_too_few_groups_nothing_is_told():
    predictions = drawn(1.0, count=20)
    assert calibrate(predictions, np.zeros(20, int), np.full(20, "one")) is None


def test_answers_that_are_all_right_or_all_chance_end_at_the_bounds():
    right = np.eye(3, dtype=np.float32)
    assert LOWEST <= fit_temperature(right, np.arange(3)) < 2 * LOWEST  # where the loss is 0 to the last digit
    assert fit_temperature(right, (np.arange(3) + 1) % 3) == pytest.approx(HIGHEST, rel=0.01)


MODELS, SURE = 4, 2.0


def several(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Four models, each twice too sure of what it sees and with noise of its own: logits ``[4, N, 3]``, labels."""
    rng = np.random.default_rng(seed)
    seen = 1.5 * rng.normal(size=(count, 3))
    labels = (rng.random((count, 1)) > softmax(seen).cumsum(axis=1)).sum(axis=1)
    logits = SURE * (seen + 1.5 * rng.normal(size=(MODELS, count, 3)))
    return logits.astype(np.float32), labels


def mean_error(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Calibration error of the mean of models."""
    p = softmax(logits / temperature).mean(axis=0)
    return reliability(p.max(axis=1), p.argmax(axis=1) == labels).error


def made_cv(tmp_path: Path) -> tuple[RunFolder, np.ndarray, np.ndarray]:
    """A cross validation of such models; their logits and the labels of its validation split."""
    logits, labels = several(4000, 2)
    folds = np.arange(4000) % MODELS
    faces = replace(make_faces(count=4000), labels=labels, logits=logits[folds, np.arange(4000)], folds=folds)
    make_run(tmp_path / "run", faces)
    return RunFolder(tmp_path / "run"), *several(3000, 3)


def save_validation(run: RunFolder, logits: np.ndarray, labels: np.ndarray) -> None:
    """As ``fer-tl evaluate RUN --split validation`` saves what each model says."""
    for part, each in zip(run.parts, logits, strict=True):
        ids = np.char.add("validation-", np.arange(len(labels)).astype(str))
        names = load_predictions(run.part(part) / "predictions.npz").class_names
        save_predictions(run.path / "evaluate-validation" / f"{part}.npz", Predictions(ids, labels, each, names))


def test_a_single_model_is_scaled_by_what_it_held_out(tmp_path: Path):
    run, *_ = made_cv(tmp_path)
    for number, part in enumerate(run.parts):
        found, held = choose_scaling(run, [part]), load_predictions(run.part(part) / "predictions.npz")
        assert found.temperature == fit_temperature(held.logits, held.labels) != 1
        assert f"fitted to the {len(held.ids):,} images that its training held out" in found.note
        new = several(20_000, 9)
        assert mean_error(new[0][number : number + 1], new[1], found.temperature) < 0.03
        assert mean_error(new[0][number : number + 1], new[1], 1.0) > 0.15


def test_the_mean_of_models_is_not_scaled_by_what_single_ones_need(tmp_path: Path):
    """Without a validation split that was predicted it is left as it is, and that is said."""
    run, *_ = made_cv(tmp_path)
    found = choose_scaling(run, run.parts)
    assert found.temperature == 1
    assert "not calibrated: the mean of 4 models has seen every image of the training" in found.note
    assert "--split validation" in found.note


def test_the_mean_of_models_is_calibrated_on_the_validation_split(tmp_path: Path):
    run, logits, labels = made_cv(tmp_path)
    save_validation(run, logits, labels)
    found = choose_scaling(run, run.parts)
    assert "fitted to the 3,000 images of split validation, which no model was trained on" in found.note
    unseen = several(20_000, 4)
    single = np.mean([choose_scaling(run, [part]).temperature for part in run.parts])
    assert mean_error(*unseen, found.temperature) < 0.03
    assert mean_error(*unseen, single) > 0.08  # as it was done before
    assert choose_scaling(run, run.parts[:1]).temperature != found.temperature
    ids = np.char.add("other-", np.arange(len(labels)).astype(str))
    save_predictions(
        run.path / "evaluate-validation" / "fold-1.npz", Predictions(ids, labels, logits[1], ("angry", "happy", "sad"))
    )
    with pytest.raises(UserError, match=r"fold-1\.npz is not of the same images"):
        choose_scaling(run, run.parts)


def test_a_validation_split_that_may_have_been_trained_on_calibrates_nothing(tmp_path: Path):
    run, logits, labels = made_cv(tmp_path)
    save_validation(run, logits, labels)
    opening = {"split": "validation", "fingerprint": "f" * 64, "tta": "none", "same_build": False}
    for entry, is_fitted in ((opening, False), ({**opening, "same_build": True}, True)):
        write_json(run.path / "evaluations.json", [{**opening, "same_build": not is_fitted}, entry])
        found = choose_scaling(run, run.parts)
        assert (found.temperature != 1) == is_fitted
        assert ("in another build of the dataset than the run was trained on" in found.note) != is_fitted


def test_no_other_temperature_of_the_mean_has_a_smaller_loss():
    logits, labels = several(500, 5)
    best = fit_mean_temperature(logits, labels)

    def loss(temperature: float) -> float:
        return -float(np.log(softmax(logits / temperature).mean(axis=0)[np.arange(500), labels]).mean())

    assert loss(best) <= min(loss(best * factor) for factor in (0.9, 0.97, 1.03, 1.1))
    assert fit_mean_temperature(logits[:1], labels) == pytest.approx(fit_temperature(logits[0], labels), rel=1e-3)


def test_images_that_cannot_set_a_temperature_set_none(tmp_path: Path):
    faces = make_faces()
    sure = replace(faces, logits=(9 * np.eye(3)[faces.labels]).astype(np.float32))
    make_run(tmp_path / "sure", sure, "train")
    found = choose_scaling(RunFolder(tmp_path / "sure"), ["model"])
    assert found.temperature == 1
    assert "not calibrated" in found.note and "all are answered rightly" in found.note
    logits = faces.logits.copy()
    logits[7, 1] = np.nan
    make_run(tmp_path / "lost", replace(faces, logits=logits), "train")
    found = choose_scaling(RunFolder(tmp_path / "lost"), ["model"])
    assert found.temperature == 1 and "not finite" in found.note
