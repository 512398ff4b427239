"""Accuracy by a property: what is tested and what is too small, what classes explain, and how often chance is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fer_tl.evaluation.column_table import Column
from fer_tl.evaluation.subgroups import Subgroups, score_subgroups
from fer_tl.runs.predictions import Predictions

NAMES = ("a", "b", "c")


def scored(right: np.ndarray, values: np.ndarray, groups: np.ndarray, labels: np.ndarray | None = None) -> Subgroups:
    count = len(right)
    labels = np.arange(count) % 3 if labels is None else labels
    answers = np.where(right, labels, (labels + 1) % 3)
    logits = np.eye(3, dtype=np.float32)[answers]
    predictions = Predictions(np.array([f"{n:04d}" for n in range(count)]), labels, logits, NAMES)
    order = tuple(sorted(set(values.tolist()) - {""}))
    return score_subgroups(predictions, groups.astype(str), Column("x", "x.csv", values, order, False, 0, 0, 0))


def test_a_planted_difference_is_found_and_a_small_or_unknown_subgroup_is_told_apart():
    values = np.array(["old"] * 300 + ["young"] * 300 + ["rare"] * 20 + [""] * 40)
    right = np.random.default_rng(0).random(660) < np.where(values == "old", 0.5, 0.8)
    found = scored(right, values, np.arange(660))
    old, young = found.tested
    assert (old.value, old.images, young.groups) == ("old", 300, 300)
    known = values != ""
    assert old.difference == pytest.approx(right[:300].mean() - right[known][300:].mean())
    assert old.difference_interval is not None and old.difference_interval[1] < 0
    assert old.p is not None and old.p_adjusted is not None and old.p <= old.p_adjusted < 0.001
    (rare,) = found.tiny
    assert (rare.value, rare.difference, rare.p) == ("rare", None, None)
    assert found.unknown is not None and found.unknown.images == 40
    assert found.accuracy == pytest.approx(right.mean()) and found.images == 660


def test_many_images_of_few_groups_are_few():
    values = np.array(["one"] * 200 + ["two"] * 200)
    groups = np.concatenate([np.arange(200) // 25, 100 + np.arange(200)])  # eight persons, and 200
    found = scored(np.random.default_rng(1).random(400) < 0.6, values, groups)
    assert [each.value for each in found.tiny] == ["one"] and [each.value for each in found.tested] == ["two"]


def test_what_the_classes_explain_is_taken_away():
    labels = np.concatenate([np.zeros(240, int), np.ones(60, int), np.zeros(60, int), np.ones(240, int)])
    values = np.array(["first"] * 300 + ["second"] * 300)
    right = np.random.default_rng(2).random(600) < np.where(labels == 0, 0.9, 0.4)  # by the class, by nothing else
    first = scored(right, values, np.arange(600), labels).tested[0]
    assert first.difference is not None and first.difference > 0.2
    assert first.beyond is not None and first.beyond_interval is not None
    assert abs(first.beyond) < 0.1 and first.beyond_interval[0] < 0 < first.beyond_interval[1]
    recalls = [right[labels == k].mean() for k in (0, 1)]
    assert first.expected == pytest.approx(0.8 * recalls[0] + 0.2 * recalls[1])


def test_interval_and_p_of_single_images_are_those_of_textbooks():
    values = np.array(["left"] * 400 + ["right"] * 400)
    right = np.random.default_rng(3).random(800) < np.where(values == "left", 0.62, 0.7)
    left = scored(right, values, np.arange(800)).tested[0]
    exact = stats.binomtest(int(right[:400].sum()), 400).proportion_ci(method="wilson")
    assert left.interval == pytest.approx((exact.low, exact.high), abs=0.002)
    p = stats.ttest_ind(right[:400].astype(float), right[400:].astype(float)).pvalue
    assert left.p == pytest.approx(p, rel=0.2)


def test_the_order_of_images_and_the_names_of_groups_change_nothing():
    rng = np.random.default_rng(4)
    values, groups = rng.choice(["x", "y", "z"], 300), np.arange(300) // 2
    labels, right = np.arange(300) % 3, rng.random(300) < 0.6
    order = rng.permutation(300)
    one = scored(right, values, groups, labels)
    other = scored(right[order], values[order], 1000 - groups[order], labels[order])
    for a, b in zip(one.tested, other.tested, strict=True):
        assert a.p == pytest.approx(b.p) and a.difference_interval == pytest.approx(b.difference_interval)


def test_chance_is_found_as_often_as_it_may_be():
    found = []
    for seed in range(40):  # people differ, their groups do not
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 5, 150)
        people = np.repeat(np.arange(150), sizes)
        values = rng.choice(["a", "b", "c"], 150, p=[0.5, 0.3, 0.2])[people]
        right = rng.random(len(people)) < rng.beta(2, 1.2, 150)[people]
        found.append(min(each.p_adjusted or 1 for each in scored(right, values, people).tested) < 0.05)
    assert sum(found) <= 6  # 2 are expected; of more than 6 the chance is below 1 in 200
