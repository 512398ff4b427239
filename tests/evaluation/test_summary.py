"""Summary of a cross validation: folds, pooled, spread, and what it refuses."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from fer_tl.evaluation.intervals import bootstrap_intervals
from fer_tl.evaluation.measures import MEASURES
from fer_tl.evaluation.metrics import score
from fer_tl.evaluation.summary import summarize
from fer_tl.runs.predictions import Predictions

NAMES = ("angry", "disgust", "fear")


def make_fold(k: int, size: int, never: tuple[int, ...] = ()) -> Predictions:
    """A fold of random predictions whose classes in ``never`` are never predicted."""
    rng = np.random.default_rng(k)
    labels = np.arange(size) % 3
    logits = (rng.normal(size=(size, 3)) + np.eye(3)[labels]).astype(np.float32)
    logits[:, list(never)] = -20
    return Predictions(np.array([f"{k}/{i}" for i in range(size)]), labels, logits, NAMES)


def own_groups(folds: list[Predictions]) -> dict[str, str]:
    return {str(i): str(i) for fold in folds for i in fold.ids}


def test_pooled_is_the_folds_weighted_by_their_size():
    folds = [make_fold(0, 60), make_fold(1, 90), make_fold(2, 30)]
    summary = summarize(folds, own_groups(folds))
    sizes = [fold.images for fold in summary.folds]
    assert sizes == [60, 90, 30]
    for name in ("accuracy", "loss"):
        weighted = np.average([getattr(fold, name) for fold in summary.folds], weights=sizes)
        assert getattr(summary.pooled, name) == pytest.approx(weighted)
    np.testing.assert_array_equal(summary.pooled.confusion, sum(fold.confusion for fold in summary.folds))


def test_mean_and_sd_are_over_the_folds_unweighted():
    folds = [make_fold(0, 60), make_fold(1, 90), make_fold(2, 30)]
    summary = summarize(folds, own_groups(folds))
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "loss"):
        values = [getattr(score(fold), name) for fold in folds]
        assert summary.mean[name] == pytest.approx(sum(values) / 3)
        assert summary.sd[name] == pytest.approx(np.std(values, ddof=1))


def test_intervals_are_of_the_pooled_predictions_over_groups():
    folds = [make_fold(0, 60), make_fold(1, 90)]
    twins = {str(i): f"{k}/{int(i.split('/')[1]) // 3}" for k, fold in enumerate(folds) for i in fold.ids}
    summary = summarize(folds, twins, seed=5)
    pooled = Predictions(*(np.concatenate([getattr(f, a) for f in folds]) for a in ("ids", "labels", "logits")), NAMES)
    groups = np.array([twins[i] for i in pooled.ids])
    assert set(summary.intervals) == set(MEASURES)
    for name, (low, high) in summary.intervals.items():
        assert low < high, f"{name}: it has one value in every resample of these folds of three classes"
        if name != "calibration_error":  # which leans upwards once more
            assert low < getattr(summary.pooled, name) < high
        assert (low, high) == bootstrap_intervals(pooled, groups, (name,), seed=5)[name]


def test_zero_recall_is_told_for_all_folds_and_for_each():
    folds = [make_fold(0, 60, never=(1, 2)), make_fold(1, 60, never=(1,))]
    summary = summarize(folds, own_groups(folds))
    assert summary.zero_recall == ("disgust",)
    assert summary.fold_zero_recall == (("disgust", "fear"), ("disgust",))


def test_failed_folds_are_named_and_in_no_figure():
    folds = [make_fold(0, 60), make_fold(2, 30)]
    whole, rest = summarize(folds, own_groups(folds)), summarize(folds, own_groups(folds), failed={1: "nan", 3: "inf"})
    assert (rest.numbers, rest.failed) == ((0, 2), {1: "nan", 3: "inf"})
    assert (rest.mean, rest.sd, rest.intervals) == (whole.mean, whole.sd, whole.intervals)
    value = rest.to_dict()
    assert [fold["fold"] for fold in value["folds"]] == [0, 2]
    assert value["failed"] == [{"fold": 1, "why": "nan"}, {"fold": 3, "why": "inf"}]
    alone = summarize(folds[1:], own_groups(folds), failed={0: "nan"})
    assert (alone.numbers, alone.sd) == ((1,), {})
    assert alone.mean["accuracy"] == alone.pooled.accuracy


def test_to_dict_is_json_with_raw_fractions():
    folds = [make_fold(0, 60, never=(1,)), make_fold(1, 90)]
    summary = summarize(folds, own_groups(folds))
    value = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert value["class_names"] == list(NAMES)
    assert value["mean"] == summary.mean
    assert value["sd"] == summary.sd
    assert value["pooled"]["accuracy"] == summary.pooled.accuracy
    assert tuple(value["pooled_interval_95"]["macro_f1"]) == summary.intervals["macro_f1"]
    assert [(fold["fold"], fold["zero_recall"]) for fold in value["folds"]] == [(0, ["disgust"]), (1, [])]


def test_folds_that_do_not_belong_together_are_refused():
    folds = [make_fold(0, 30), make_fold(1, 30)]
    groups = own_groups(folds)
    with pytest.raises(ValueError, match="no fold"):
        summarize([], groups)
    with pytest.raises(ValueError, match="30 ids occur again, the first is '0/0'"):
        summarize([folds[0], folds[0]], groups)
    with pytest.raises(ValueError, match="fold 1 has the classes"):
        summarize([folds[0], dataclasses.replace(folds[1], class_names=("fear", "angry", "disgust"))], groups)
    del groups["1/7"]
    with pytest.raises(ValueError, match="1 ids have no group, the first is '1/7'"):
        summarize(folds, groups)
