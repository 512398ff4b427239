"""Metrics against hand-computed cases, scikit-learn's definitions and what must not change them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import (  # type: ignore[import-untyped]
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from fer_tl.core.errors import UserError
from fer_tl.evaluation.metrics import score, zero_recall
from fer_tl.runs.predictions import Predictions

NAMES = ("angry", "disgust", "fear")


def from_pairs(pairs: list[tuple[int, int]], class_names: tuple[str, ...] = NAMES) -> Predictions:
    """Predictions with the given (true, predicted) classes."""
    true, predicted = np.array(pairs, np.int64).T
    logits = 3 * np.eye(len(class_names), dtype=np.float32)[predicted]  # [N, K]
    return Predictions(np.arange(len(pairs)).astype(str), true, logits, class_names)


def random_predictions(n: int = 400, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    logits = (rng.normal(size=(n, 3)) + np.eye(3)[labels]).astype(np.float32)
    return Predictions(np.arange(n).astype(str), labels, logits, NAMES)


def test_hand_computed_confusion():
    #  true 0: two right, one taken for 1; true 1: one right; true 2: both taken for 0.
    metrics = score(from_pairs([(0, 0), (0, 0), (0, 1), (1, 1), (2, 0), (2, 0)]))
    assert metrics.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [2, 0, 0]]
    assert metrics.confusion.dtype == np.int64
    assert metrics.images == 6
    assert metrics.accuracy == pytest.approx(3 / 6)
    assert metrics.balanced_accuracy == pytest.approx((2 / 3 + 1 + 0) / 3)
    np.testing.assert_allclose(metrics.precision, [2 / 4, 1 / 2, 0])
    np.testing.assert_allclose(metrics.recall, [2 / 3, 1, 0])
    np.testing.assert_allclose(metrics.f1, [4 / 7, 2 / 3, 0])
    assert metrics.macro_f1 == pytest.approx((4 / 7 + 2 / 3) / 3)
    assert metrics.support.tolist() == [3, 1, 2]
    # Logits are 3 for the predicted class and 0 for two others.
    right, wrong = np.log(1 + 2 * np.exp(-3)), np.log(np.exp(3) + 2)
    assert metrics.loss == pytest.approx((right + wrong) / 2)


def test_a_class_without_examples_keeps_its_row_and_does_not_count_in_balanced_accuracy():
    metrics = score(from_pairs([(0, 0), (0, 1), (2, 2), (2, 2)]))  # disgust is predicted once, never true
    assert metrics.confusion.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 2]]
    assert metrics.support.tolist() == [2, 0, 2]
    assert metrics.balanced_accuracy == pytest.approx(0.75)
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 0 + 1) / 3)  # the false alarm counts
    never_seen = score(from_pairs([(0, 0), (2, 2)]))
    assert never_seen.macro_f1 == 1.0
    assert zero_recall(never_seen) == []


def test_zero_recall_names_the_classes_with_examples_only():
    assert zero_recall(score(from_pairs([(0, 0), (1, 0), (0, 2)]))) == ["disgust"]
    assert zero_recall(score(from_pairs([(0, 1), (1, 0)]))) == ["angry", "disgust"]


def with_classes_missing() -> Predictions:
    """Of five classes two have no example, and one of those is predicted."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(50, 5)).astype(np.float32)
    logits[:, 4] = -9
    return Predictions(np.arange(50).astype(str), rng.integers(0, 3, 50), logits, tuple("abcde"))


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("predictions", [random_predictions(), with_classes_missing()])
def test_agrees_with_scikit_learn(predictions: Predictions):
    labels, classes = predictions.labels, range(len(predictions.class_names))
    metrics, predicted = score(predictions), predictions.logits.argmax(axis=1)
    assert metrics.accuracy == accuracy_score(labels, predicted)
    assert metrics.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert metrics.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert metrics.loss == pytest.approx(log_loss(labels, predictions.probabilities, labels=classes))
    assert metrics.kappa == cohen_kappa_score(labels, predicted)
    np.testing.assert_array_equal(metrics.confusion, confusion_matrix(labels, predicted, labels=classes))
    of_classes = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    for found, expected in zip((metrics.precision, metrics.recall, metrics.f1), of_classes, strict=False):
        np.testing.assert_allclose(found, expected)


def test_order_of_examples_and_of_classes_does_not_matter():
    predictions = random_predictions()
    metrics = score(predictions)
    order, swap = np.random.default_rng(1).permutation(len(predictions.ids)), np.array([2, 0, 1])
    other = score(
        Predictions(
            predictions.ids[order],
            np.argsort(swap)[predictions.labels[order]],
            predictions.logits[order][:, swap],
            tuple(NAMES[k] for k in swap),
        )
    )
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "loss"):
        assert getattr(other, name) == pytest.approx(getattr(metrics, name), rel=1e-12)
    np.testing.assert_array_equal(other.confusion, metrics.confusion[np.ix_(swap, swap)])
    np.testing.assert_allclose(other.recall, metrics.recall[swap])


def test_a_confident_mistake_costs_what_its_logits_say():
    logits = np.array([[1000.0, 0.0, 0.0]], np.float32)
    assert score(Predictions(np.array(["a"]), np.array([1]), logits, NAMES)).loss == pytest.approx(1000.0)


def test_many_classes_and_few_examples_warn_of_nothing():
    names = tuple(f"class {k}" for k in range(30))
    assert score(from_pairs([(k, k) for k in range(30)], names)).accuracy == 1.0


def test_to_dict_is_json_with_the_same_numbers():
    metrics = score(random_predictions())
    value = json.loads(json.dumps(metrics.to_dict()))
    assert value["images"] == 400
    assert value["macro_f1"] == metrics.macro_f1
    assert value["confusion"]["counts"] == metrics.confusion.tolist()
    assert [value["per_class"][name]["recall"] for name in NAMES] == metrics.recall.tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_of_a_diverged_training_are_refused(bad: float):
    predictions = random_predictions()
    predictions.logits[:7, 1] = bad
    with pytest.raises(UserError, match=r"7 of 400 predictions .* diverged"):
        score(predictions)


def test_nothing_to_score_and_labels_out_of_range_are_refused():
    with pytest.raises(ValueError, match="no predictions"):
        score(Predictions(np.array([], str), np.array([], np.int64), np.zeros((0, 3), np.float32), NAMES))
    with pytest.raises(ValueError, match=r"0\.\.2"):
        score(Predictions(np.array(["a"]), np.array([3]), np.zeros((1, 3), np.float32), NAMES))


def test_the_other_measures_of_a_hand_computed_case():
    #  probabilities by hand: softmax of (ln 6, ln 3, ln 1) is 0.6, 0.3, 0.1
    logits = np.log(np.array([[6, 3, 1], [3, 6, 1], [1, 6, 3], [6, 1, 3]], np.float32))
    metrics = score(Predictions(np.arange(4).astype(str), np.array([0, 0, 0, 1]), logits, NAMES))
    assert metrics.top2_accuracy == pytest.approx(2 / 4)
    brier = [0.16 + 0.09 + 0.01, 0.49 + 0.36 + 0.01, 0.81 + 0.36 + 0.09, 0.36 + 0.81 + 0.09]
    assert metrics.brier == pytest.approx(np.mean(brier), abs=1e-6)
    assert metrics.calibration_error == pytest.approx(0.6 - 0.25, abs=1e-6)
    # observed 1/4; by chance 3/4 * 2/4 + 1/4 * 2/4 = 1/2
    assert metrics.kappa == pytest.approx((0.25 - 0.5) / (1 - 0.5))


def test_the_other_measures_agree_with_scikit_learn():
    predictions = random_predictions()
    metrics = score(predictions)
    top2 = top_k_accuracy_score(predictions.labels, predictions.probabilities, k=2, labels=range(3))
    assert metrics.top2_accuracy == pytest.approx(top2)
    one_vs_rest = [brier_score_loss(predictions.labels == k, predictions.probabilities[:, k]) for k in range(3)]
    assert metrics.brier == pytest.approx(sum(one_vs_rest))


def test_kappa_of_one_class_is_none_and_the_first_of_equal_logits_counts():
    assert score(from_pairs([(0, 0), (0, 0)])).kappa == 0.0
    flat = Predictions(np.array(["a", "b"]), np.array([1, 2]), np.zeros((2, 3), np.float32), NAMES)
    assert score(flat).top2_accuracy == 0.5
