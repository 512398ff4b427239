"""Planted label errors are found, first on the list, by networks that are well or badly calibrated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fer_tl.core.errors import UserError
from fer_tl.evaluation.label_errors import LabelErrors, find_label_errors
from fer_tl.runs.predictions import Predictions

NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SHARES = np.array([0.14, 0.015, 0.14, 0.25, 0.175, 0.11, 0.17])  # about FER-2013's
COUNT = 6000


def simulate(confidence: float = 1.0, seed: int = 0) -> tuple[Predictions, np.ndarray]:
    """A classifier of seven classes, right 4 times of 5, with the prior of its training data.

    Args:
        confidence: its logits are multiplied by this; at 1 its mean confidence is its accuracy.

    Returns:
        Its predictions with the true labels, and these with 5 % of them replaced by another class.
    """
    rng = np.random.default_rng(seed)
    true = rng.choice(7, COUNT, p=SHARES / SHARES.sum())
    evidence = rng.normal(size=(COUNT, 7))
    evidence[np.arange(COUNT), true] += rng.uniform(0.8, 4.0, COUNT)  # easy images and hard ones
    logits = (confidence * (2 * evidence + np.log(SHARES))).astype(np.float32)
    given = true.copy()
    wrong = rng.permutation(COUNT)[: COUNT // 20]
    given[wrong] = (given[wrong] + rng.integers(1, 7, len(wrong))) % 7
    return Predictions(np.array([f"face-{row:04d}" for row in range(COUNT)]), true, logits, NAMES), given


def find(predictions: Predictions, given: np.ndarray, **options: dict[str, str]) -> LabelErrors:
    return find_label_errors(replace(predictions, labels=given), np.arange(COUNT) % 4, **options)


@pytest.mark.parametrize("confidence", [0.4, 1.0, 3.0], ids=["unsure", "calibrated", "too sure"])
def test_planted_errors_are_found_and_come_first(confidence: float):
    predictions, given = simulate(confidence)
    found = find(predictions, given)
    wrong = set(predictions.ids[given != predictions.labels].tolist())
    hits = np.array([suspect.id in wrong for suspect in found.suspects])
    assert hits.sum() / len(wrong) >= 0.65  # recall
    assert hits.mean() >= 0.2  # precision; a random list would have 0.05
    assert hits[:60].mean() >= 0.9
    assert hits[: len(wrong)].mean() >= 0.6
    true = dict(zip(predictions.ids.tolist(), np.array(NAMES)[predictions.labels].tolist(), strict=True))
    assert np.mean([s.suggested == true[s.id] for s in found.suspects if s.id in wrong]) >= 0.75


def test_right_labels_of_a_rare_class_that_is_never_sure_are_left_alone():
    predictions, given = simulate(0.4)
    predictions.logits[:] += 0.4 * np.log(SHARES).astype(np.float32)  # leans towards the frequent classes
    is_rare = given == NAMES.index("disgust")
    right = set(predictions.ids[is_rare & (predictions.labels == given)].tolist())
    wrong = set(predictions.ids[is_rare & (predictions.labels != given)].tolist())
    listed = {suspect.id for suspect in find(predictions, given).suspects}
    assert len(listed & right) <= 0.1 * len(right)
    assert len(listed & wrong) >= 0.5 * len(wrong)


def test_more_errors_are_estimated_and_listed_where_more_are_planted():
    predictions, given = simulate()
    happy, sad = NAMES.index("happy"), NAMES.index("sad")
    clean = find(predictions, predictions.labels)
    one_way = predictions.labels.copy()
    flipped = np.flatnonzero(one_way == happy)[::10]
    one_way[flipped] = sad
    found = find(predictions, one_way)
    gained = {name: getattr(found, name) - getattr(clean, name) for name in ("joint", "listed")}
    for gain in gained.values():
        assert gain[sad, happy] >= 0.6 * len(flipped)  # row: label; column: what it is
        assert np.abs(gain[happy, sad]) <= 0.1 * len(flipped)
    assert len(clean.suspects) < len(find(predictions, given).suspects)


def test_counts_are_of_all_images():
    predictions, given = simulate()
    found = find(predictions, given)
    assert found.joint.sum(axis=1).tolist() == np.bincount(given, minlength=7).tolist()
    assert found.images == COUNT
    assert found.estimated == found.joint.sum() - found.joint.diagonal().sum()
    assert found.listed.sum() == len(found.suspects)
    assert found.listed.diagonal().sum() == 0
    assert found.agreement == np.mean(predictions.logits.argmax(axis=1) == given)


def test_suspects_say_what_was_predicted_in_an_order_that_the_images_do_not_change():
    predictions, given = simulate()
    found = find(predictions, given, groups={"face-0000": "photo"})
    assert [s.p_given for s in found.suspects] == sorted(s.p_given for s in found.suspects)
    for suspect in found.suspects[::50]:
        row = int(suspect.id.removeprefix("face-"))
        probabilities = predictions.probabilities[row]
        assert suspect.given == NAMES[given[row]]
        assert suspect.suggested == NAMES[probabilities.argmax()]
        assert (suspect.p_given, suspect.p_suggested) == (probabilities[given[row]], probabilities.max())
        assert suspect.fold == row % 4
    order = np.random.default_rng(1).permutation(COUNT)
    shuffled = Predictions(predictions.ids[order], given[order], predictions.logits[order], NAMES)
    again = find_label_errors(shuffled, order % 4, groups={"face-0000": "photo"})
    assert again.suspects == found.suspects
    np.testing.assert_array_equal(again.joint, found.joint)


def test_duplicates_with_another_label_are_noted():
    predictions, given = simulate()
    first, second = (int(s.id.removeprefix("face-")) for s in find(predictions, given).suspects[:2])
    others = [row for row in range(COUNT) if row not in (first, second)]
    unlike = next(row for row in others if given[row] != given[first])
    like = next(row for row in others if given[row] == given[second])
    ids = predictions.ids
    clusters = {ids[first]: "a", ids[unlike]: "a", ids[second]: "b", ids[like]: "b"}
    suspects = {s.id: s for s in find(predictions, given, clusters=clusters).suspects}
    both = tuple(NAMES[k] for k in sorted((given[first], given[unlike])))
    assert (suspects[ids[first]].cluster, suspects[ids[first]].cluster_labels) == ("a", both)
    assert (suspects[ids[second]].cluster, suspects[ids[second]].cluster_labels) == ("b", ())
    assert sum(bool(s.cluster) for s in suspects.values()) <= 4


def test_labels_are_not_judged_by_a_diverged_run_or_by_one_class():
    predictions, given = simulate()
    predictions.logits[7, 3] = np.nan
    with pytest.raises(UserError, match="not finite: the training diverged"):
        find(predictions, given)
    predictions, given = simulate()
    with pytest.raises(UserError, match="one class only"):
        find(predictions, np.full(COUNT, 3))
