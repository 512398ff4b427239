"""The mistakes that a report shows: the surest of the most frequent confusions, one of each group."""

from __future__ import annotations

import numpy as np
import pytest

from fer_tl.evaluation.mistakes import worst_confusions
from fer_tl.runs.predictions import Predictions

CLASSES = ("a", "b", "c")


def predict(pairs: list[tuple[int, int]], sure: list[float]) -> Predictions:
    """An image for each pair of true and predicted class, with this margin of the predicted logit."""
    labels, predicted = np.array(pairs).T
    logits = (np.eye(3)[predicted] * np.array(sure)[:, None]).astype(np.float32)
    return Predictions(np.array([f"i{row}" for row in range(len(pairs))]), labels, logits, CLASSES)


def test_frequent_confusions_come_first_each_with_its_surest_images():
    pairs = [(0, 1)] * 5 + [(1, 2)] * 2 + [(2, 0)] * 4 + [(0, 0)] * 3
    sure = [1.0, 5.0, 2.0, 4.0, 3.0, 1.0, 2.0, 9.0, 1.0, 2.0, 3.0, 9.0, 9.0, 9.0]
    predictions = predict(pairs, sure)
    found = worst_confusions(predictions, predictions.ids, 6)
    assert [(each.label, each.predicted, each.count) for each in found] == [(0, 1, 5), (2, 0, 4)]
    assert [[mistake.id for mistake in each.mistakes] for each in found] == [["i1", "i3", "i4"], ["i7", "i10", "i9"]]
    assert found[0].mistakes[0].probability == pytest.approx(np.exp(5) / (np.exp(5) + 2))


def test_what_one_confusion_has_not_another_gives():
    pairs = [(0, 1)] * 7 + [(1, 2)]
    predictions = predict(pairs, [1.0] * 8)
    found = worst_confusions(predictions, predictions.ids, 6)
    assert [len(each.mistakes) for each in found] == [5, 1]
    assert [mistake.id for mistake in found[0].mistakes] == ["i0", "i1", "i2", "i3", "i4"]  # equally sure: by id
    assert sum(len(each.mistakes) for each in worst_confusions(predictions, predictions.ids, 99)) == 8


def test_of_a_group_only_the_surest_mistake_is_shown_and_all_are_counted():
    pairs = [(0, 1), (0, 1), (0, 2), (0, 1)]
    predictions = predict(pairs, [1.0, 3.0, 2.0, 2.5])
    groups = np.array(["g", "g", "g", "h"])
    (found,) = worst_confusions(predictions, groups, 9)
    assert (found.count, [mistake.id for mistake in found.mistakes]) == (3, ["i1", "i3"])


def test_no_mistakes_are_a_result_too():
    predictions = predict([(0, 0), (1, 1)], [1.0, 1.0])
    assert worst_confusions(predictions, predictions.ids, 5) == ()
