"""Repetitions score the same images again: they make no interval narrower and no test surer by their number."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fer_tl.evaluation.comparison import compare_pairs
from fer_tl.evaluation.intervals import bootstrap_intervals, class_intervals
from fer_tl.evaluation.metrics import score
from fer_tl.evaluation.summary import summarize
from fer_tl.runs.predictions import Predictions, join_predictions

NAMES = ("angry", "disgust", "fear")
COUNT, FOLDS = 240, 4
RNG = np.random.default_rng(0)
LABELS = np.arange(COUNT) % 3
IDS = np.array([f"face-{row:03d}" for row in range(COUNT)])
LOGITS = (RNG.normal(size=(3, COUNT, 3)) + np.eye(3)[LABELS]).astype(np.float32)  # of three repetitions
OF = np.stack([RNG.permutation(np.arange(COUNT) % FOLDS) for _ in range(3)])  # [R, N]
GROUPS = {i: f"person-{row // 4}" for row, i in enumerate(IDS.tolist())}


def folds_of(repetition: int, logits: np.ndarray) -> list[Predictions]:
    rows = [np.flatnonzero(OF[repetition] == fold) for fold in range(FOLDS)]
    return [Predictions(IDS[each], LABELS[each], logits[each], NAMES) for each in rows]


def test_the_same_answers_again_are_no_news():
    once = summarize(folds_of(0, LOGITS[0]), GROUPS)
    thrice = summarize([fold for r in range(3) for fold in folds_of(r, LOGITS[0])], GROUPS, repeats=3)
    assert thrice.images == once.images == COUNT
    assert thrice.pooled.values == pytest.approx(once.pooled.values)
    for name, ends in once.intervals.items():
        assert thrice.intervals[name] == pytest.approx(ends, abs=1e-9), name
    assert {name: sd for name, (_, sd) in thrice.repetition_spread.items()} == pytest.approx(
        dict.fromkeys(once.sd, 0), abs=1e-12
    )
    # What it would be with three times as many images: narrower by the root of 3.
    pooled = join_predictions([fold for r in range(3) for fold in folds_of(r, LOGITS[0])])
    naive = bootstrap_intervals(pooled, np.arange(3 * COUNT).astype(str), ["accuracy"])["accuracy"]
    width = thrice.intervals["accuracy"][1] - thrice.intervals["accuracy"][0]
    assert naive[1] - naive[0] < 0.75 * width
    one, three = (
        class_intervals(each, np.array([GROUPS[i] for i in each.ids.tolist()]))
        for each in (join_predictions(folds_of(0, LOGITS[0])), pooled)
    )
    np.testing.assert_allclose(three["recall"], one["recall"], atol=1e-9)


def test_pooled_is_the_mean_of_the_repetitions_and_no_vote_of_them():
    summary = summarize([fold for r in range(3) for fold in folds_of(r, LOGITS[r])], GROUPS, repeats=3)
    each = [score(Predictions(IDS, LABELS, logits, NAMES)) for logits in LOGITS]
    assert [found.accuracy for found in summary.repetitions.values()] == [found.accuracy for found in each]
    assert summary.pooled.accuracy == pytest.approx(np.mean([found.accuracy for found in each]))
    assert summary.pooled.loss == pytest.approx(np.mean([found.loss for found in each]))
    mean, sd = summary.repetition_spread["accuracy"]
    assert (mean, sd) == pytest.approx((summary.pooled.accuracy, np.std([e.accuracy for e in each], ddof=1)))
    assert [summary.repetition_of(fold) for fold in (0, 3, 4, 11)] == [0, 0, 1, 2]
    saved = summary.to_dict()
    assert (saved["repeats"], saved["images"], len(saved["repetitions"])) == (3, COUNT, 3)
    assert "repeats" not in summarize(folds_of(0, LOGITS[0]), GROUPS).to_dict()


def test_an_image_twice_in_a_repetition_is_refused():
    folds = [*folds_of(0, LOGITS[0]), *folds_of(0, LOGITS[0])]
    with pytest.raises(ValueError, match="240 ids occur again"):
        summarize(folds, GROUPS)
    assert summarize(folds, GROUPS, repeats=2).images == COUNT


def test_a_failed_fold_leaves_the_others_in_their_repetitions():
    folds = [fold for r in range(2) for fold in folds_of(r, LOGITS[r])]
    summary = summarize([*folds[:5], *folds[6:]], GROUPS, failed={5: "the loss is nan"}, repeats=2)
    assert (summary.numbers, summary.parts) == ((0, 1, 2, 3, 4, 6, 7), 8)
    assert [found.images for found in summary.repetitions.values()] == [COUNT, COUNT - len(folds[5].ids)]


def test_tests_of_the_same_answers_again_say_the_same():
    right = LOGITS[:2].argmax(axis=2) == LABELS  # [2, N]
    groups = np.array([GROUPS[i] for i in IDS.tolist()])
    (once,) = compare_pairs(right, groups, OF[0])
    table = np.concatenate([FOLDS * r + OF[0] for r in range(3)])
    (thrice,) = compare_pairs(np.tile(right, 3), np.tile(groups, 3), table, repeats=3)
    assert thrice.difference == pytest.approx(once.difference)
    assert thrice.sign_flip == pytest.approx(once.sign_flip)
    assert thrice.interval == pytest.approx(once.interval)


def test_the_t_test_is_that_of_bouckaert_and_frank():
    right = np.stack(
        [np.concatenate([LOGITS[r].argmax(axis=1) == LABELS for r in order]) for order in ((0, 1), (2, 0))]
    )
    table = np.concatenate([OF[0], FOLDS + OF[1]])
    (pair,) = compare_pairs(right, np.tile(IDS, 2), table, repeats=2)
    x = np.array([right[0][table == fold].mean() - right[1][table == fold].mean() for fold in range(2 * FOLDS)])
    t = x.mean() / np.sqrt((1 / (2 * FOLDS) + 1 / (FOLDS - 1)) * x.var(ddof=1))
    assert pair.t_test == pytest.approx(2 * stats.t.sf(abs(t), 2 * FOLDS - 1))
