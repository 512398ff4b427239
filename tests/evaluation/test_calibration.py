"""Reliability against hand-counted bins; temperatures against drawn labels whose temperature is known."""

from __future__ import annotations

import numpy as np
import pytest

from fer_tl.evaluation.calibration import BINS, HIGHEST, LOWEST, calibrate, fit_temperature, reliability
from fer_tl.evaluation.metrics import score
from fer_tl.training.predictions import Predictions

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
    found = calibrate(predictions, np.arange(len(predictions.ids)) % 4)
    after = score(found.scaled)
    assert after.confusion.tolist() == before.confusion.tolist()
    assert before.calibration_error > 0.1
    assert after.calibration_error < 0.02
    assert after.loss < before.loss and after.brier < before.brier
    assert found.temperature == pytest.approx(3.0, rel=0.05)
    assert found.part_temperatures.shape == (4,)


def test_no_image_has_a_say_in_how_it_is_scaled():
    predictions = drawn(1.0, count=400)
    parts = np.arange(400) % 4
    labels = np.where(parts == 2, (predictions.labels + 1) % 3, predictions.labels)
    altered = calibrate(Predictions(predictions.ids, labels, predictions.logits, NAMES), parts)
    plain = calibrate(predictions, parts)
    np.testing.assert_array_equal(altered.scaled.logits[parts == 2], plain.scaled.logits[parts == 2])
    assert (altered.part_temperatures[[0, 1, 3]] > 1.1 * plain.part_temperatures[[0, 1, 3]]).all()


def test_answers_that_are_all_right_or_all_chance_end_at_the_bounds():
    right = np.eye(3, dtype=np.float32)
    assert LOWEST <= fit_temperature(right, np.arange(3)) < 2 * LOWEST  # where the loss is 0 to the last digit
    assert fit_temperature(right, (np.arange(3) + 1) % 3) == pytest.approx(HIGHEST, rel=0.01)
