"""Soft voting against averages by hand, and fitted weights against a grid over all weights."""

from __future__ import annotations

import numpy as np
import pytest

from fer_tl.evaluation.soft_voting import cross_fitted_weights, mixture_weights, soft_vote, true_class_probabilities
from fer_tl.runs.predictions import Predictions

CLASSES = ("angry", "happy", "sad")


def predictions(probabilities: np.ndarray, labels: np.ndarray | None = None) -> Predictions:
    count = len(probabilities)
    labels = np.zeros(count, np.int64) if labels is None else labels
    ids = np.array([f"image-{row}" for row in range(count)])
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log(probabilities), -1e4).astype(np.float32)
    return Predictions(ids, labels, logits, CLASSES)


def test_probabilities_are_averaged_and_not_logits():
    sure, unsure = (np.array([row, [0.2, 0.3, 0.5]]) for row in ([1.0, 0.0, 0.0], [0.3, 0.6, 0.1]))
    vote = soft_vote([predictions(sure), predictions(unsure)])
    np.testing.assert_allclose(vote.probabilities, [[0.65, 0.3, 0.05], [0.2, 0.3, 0.5]], atol=1e-6)
    assert np.isfinite(vote.logits).all()


def test_weights_are_of_a_member_or_of_a_member_and_an_example():
    one, two = np.array([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2]]), np.array([[0.2, 0.7, 0.1], [0.0, 0.0, 1.0]])
    members = [predictions(one), predictions(two)]
    np.testing.assert_allclose(soft_vote(members, np.array([0.75, 0.25])).probabilities, 0.75 * one + 0.25 * two)
    mixed = soft_vote(members, np.array([[1.0, 0.5], [0.0, 0.5]])).probabilities
    np.testing.assert_allclose(mixed, [one[0], (one[1] + two[1]) / 2], atol=1e-6)


def test_a_member_of_other_examples_or_classes_is_refused():
    one = predictions(np.full((2, 3), 1 / 3))
    for other in (
        Predictions(one.ids[::-1], one.labels, one.logits, CLASSES),
        Predictions(one.ids, one.labels, one.logits, CLASSES[::-1]),
    ):
        with pytest.raises(ValueError, match="same examples and classes"):
            soft_vote([one, other])


def test_what_is_fitted_on_is_what_each_member_gives_to_the_true_class():
    labels = np.array([1, 2])
    members = [predictions(np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]), labels)] * 2
    np.testing.assert_allclose(true_class_probabilities(members), [[0.3, 0.7]] * 2, atol=1e-6)


def draw_truth(seed: int, members: int = 3, count: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).beta(
        *(np.array([[2.0, 3.0, 1.5], [1.0, 2.0, 0.7]])[:, :members, None]), (members, count)
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fitted_weights_are_the_best_of_a_grid(seed: int):
    truth = draw_truth(seed)
    weights = mixture_weights(truth)
    steps = np.linspace(0, 1, 101)
    grid = np.array([(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1 + 1e-9]).clip(0)  # [G, 3]
    likelihood = np.log(grid @ truth).mean(axis=1)
    best = grid[likelihood.argmax()]
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights, best, atol=0.02)
    # No point of the grid is better, and the best is at most one step of it away.
    assert likelihood.max() - 1e-6 <= np.log(weights @ truth).mean() <= likelihood.max() + 1e-3


def test_members_that_complement_each_other_share_and_a_dominated_one_gets_nothing():
    half = np.repeat([0.9, 0.1], 100)
    np.testing.assert_allclose(mixture_weights(np.stack([half, half[::-1]])), [0.5, 0.5], atol=1e-3)
    weights = mixture_weights(np.stack([half, 0.8 * half, half[::-1]]))
    assert weights[1] < 1e-3
    np.testing.assert_allclose(weights[[0, 2]], 0.5, atol=1e-3)


def test_an_image_that_every_member_gets_wholly_wrong_does_not_break_the_fit():
    truth = np.array([[0.9, 0.8, 0.0], [0.2, 0.1, 0.0]])
    np.testing.assert_allclose(mixture_weights(truth), [1, 0], atol=1e-3)


def test_an_image_has_no_say_in_the_weights_it_gets():
    folds = np.repeat([0, 1, 2], 50)
    rng = np.random.default_rng(0)
    steady = rng.uniform(0.1, 0.3, 150)
    brilliant_on_fold_1 = np.where(folds == 1, 1.0, 0.05)
    truth = np.stack([steady, brilliant_on_fold_1])
    weights = cross_fitted_weights(truth, folds)
    assert weights.shape == (3, 2)
    # The fold where the second shines is scored with weights that never saw it shine; the others profit.
    assert weights[1, 1] < 1e-3
    assert (weights[[0, 2], 1] > 0.1).all()
    changed = np.where(folds == 1, rng.uniform(0.01, 1, truth.shape), truth)
    np.testing.assert_array_equal(cross_fitted_weights(changed, folds)[1], weights[1])
    for fold in range(3):
        np.testing.assert_array_equal(weights[fold], mixture_weights(truth[:, folds != fold]))
