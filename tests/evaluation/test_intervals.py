"""The bootstrap against a plain loop its known width, and the memory it takes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from fer_tl.evaluation.intervals import Interval, bootstrap_intervals, class_intervals, mean_sd
from fer_tl.evaluation.measures import MEASURES
from fer_tl.evaluation.metrics import Metrics, score
from fer_tl.runs.predictions import Predictions


def bootstrap_interval(
    predictions: Predictions, groups: np.ndarray, name: str = "accuracy", **options: float
) -> Interval:
    return bootstrap_intervals(predictions, groups, (name,), **options)[name]  # type: ignore[arg-type]


def predictions_of(true: np.ndarray, predicted: np.ndarray, classes: int) -> Predictions:
    return Predictions(
        np.arange(len(true)).astype(str),
        true.astype(np.int64),
        np.eye(classes, dtype=np.float32)[predicted],
        tuple(f"class {k}" for k in range(classes)),
    )


def clustered(groups: int, per_group: int, right: float, seed: int) -> tuple[Predictions, np.ndarray]:
    """Every group has one class and is right or wrong as a whole."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, groups)
    predicted = np.where(rng.random(groups) < right, true, (true + 1) % 3)
    names = np.repeat([f"group {g}" for g in range(groups)], per_group)
    return predictions_of(np.repeat(true, per_group), np.repeat(predicted, per_group), 3), names


@pytest.fixture(scope="module")
def looped() -> tuple[Predictions, np.ndarray, list[Metrics]]:
    """Predictions, without an example of the last class, their groups, and the metrics of groups drawn one by one."""
    rng = np.random.default_rng(0)
    true = rng.choice(4, 240, p=[0.6, 0.3, 0.1, 0.0])
    predicted = np.where(rng.random(240) < 0.6, true, rng.integers(0, 4, 240))
    group_index = rng.integers(0, 60, 240)  # of different sizes
    members = [np.flatnonzero(group_index == g) for g in np.unique(group_index)]
    resamples = []
    for _ in range(400):
        drawn = np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))])
        resamples.append(score(predictions_of(true[drawn], predicted[drawn], 4)))
    return predictions_of(true, predicted, 4), group_index.astype(str), resamples


def test_agrees_with_a_plain_loop_over_drawn_groups(looped: tuple[Predictions, np.ndarray, list[Metrics]]):
    predictions, groups, resamples = looped
    for statistic, interval in bootstrap_intervals(predictions, groups, resamples=4000).items():
        expected = np.quantile([getattr(metrics, statistic) for metrics in resamples], [0.025, 0.975])
        np.testing.assert_allclose(interval, expected, atol=0.02)


def test_class_intervals_agree_with_a_plain_loop(looped: tuple[Predictions, np.ndarray, list[Metrics]]):
    predictions, groups, resamples = looped
    found = class_intervals(predictions, groups)
    for name in ("precision", "recall", "f1"):
        expected = np.quantile([getattr(metrics, name) for metrics in resamples], [0.025, 0.975], axis=0).T  # [K, 2]
        np.testing.assert_allclose(found[name][:3], expected[:3], atol=0.04)
    assert np.isnan(found["recall"][3]).all()
    # Predicted in so many groups and never right: in 95 of 100 such samples the share is below where that has 2.5 %.
    wrong = len(np.unique(groups[predictions.logits.argmax(axis=1) == 3]))
    assert found["precision"][3] == pytest.approx((0, 1 - 0.025 ** (1 / wrong)))
    assert np.isnan(found["f1"][3]).all()


def test_a_class_that_is_always_right_is_not_certain():
    true = np.repeat([0, 1], 12)
    found = class_intervals(predictions_of(true, true, 2), np.repeat(np.arange(8), 3).astype(str))
    assert found["recall"][0] == pytest.approx((0.025 ** (1 / 4), 1))


def test_width_is_that_of_the_binomial_when_every_image_is_a_group():
    predictions, _ = clustered(2000, 1, right=0.7, seed=3)
    low, high = bootstrap_interval(predictions, predictions.ids)
    accuracy = score(predictions).accuracy
    error = np.sqrt(accuracy * (1 - accuracy) / 2000)
    assert low == pytest.approx(accuracy - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(accuracy + 1.96 * error, abs=0.15 * error)


def test_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        low, high = bootstrap_interval(*clustered(80, 4, right=0.7, seed=seed), resamples=400)
        covered += low <= 0.7 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_is_wider_by_the_root_of_the_group_size_when_images_are_clustered():
    predictions, groups = clustered(500, 4, right=0.7, seed=0)
    low, high = bootstrap_interval(predictions, groups)
    low_alone, high_alone = bootstrap_interval(predictions, predictions.ids)
    assert (high - low) / (high_alone - low_alone) == pytest.approx(2, rel=0.1)


def test_a_higher_level_is_wider_and_the_seed_decides():
    predictions, groups = clustered(100, 3, right=0.6, seed=1)
    low90, high90 = bootstrap_interval(predictions, groups, level=0.9)
    low99, high99 = bootstrap_interval(predictions, groups, level=0.99)
    assert low99 < low90 < high90 < high99
    assert bootstrap_interval(predictions, groups) == bootstrap_interval(predictions, groups)
    assert bootstrap_interval(predictions, groups, resamples=50) != bootstrap_interval(
        predictions, groups, resamples=50, seed=1
    )


def test_order_of_examples_and_names_of_groups_do_not_matter():
    rng = np.random.default_rng(0)
    predictions = predictions_of(rng.integers(0, 3, 300), rng.integers(0, 3, 300), 3)
    groups = np.repeat([f"group {g}" for g in range(100)], 3)
    order = rng.permutation(300)
    shuffled = Predictions(
        predictions.ids[order], predictions.labels[order], predictions.logits[order], predictions.class_names
    )
    renamed = np.array([name[::-1] for name in groups[order]])
    for statistic in MEASURES:
        assert bootstrap_interval(shuffled, renamed, statistic) == bootstrap_interval(predictions, groups, statistic)


def test_results_saved_before_come_out_again():
    """Of a model that gives few different answers: groups tie in some columns, and the others decide what is drawn."""
    rng = np.random.default_rng(0)
    answers = rng.normal(size=(4, 3)).astype(np.float32)
    labels, logits = rng.integers(0, 3, 90), answers[rng.integers(0, 4, 90)]
    predictions = Predictions(np.arange(90).astype(str), labels, logits, ("a", "b", "c"))
    found = bootstrap_intervals(predictions, predictions.ids, resamples=50)
    assert found["kappa"] == pytest.approx((-0.014630446486303446, 0.14146458289240638), rel=1e-12)
    assert found["loss"] == pytest.approx((1.0946925633166367, 1.3061714018588537), rel=1e-12)
    assert found["brier"] == pytest.approx((0.6537633766773931, 0.7782484939182684), rel=1e-12)
    assert found["top2_accuracy"] == pytest.approx((0.5519444444444445, 0.7197222222222222), rel=1e-12)


def overconfident(count: int, by: float, seed: int) -> Predictions:
    """Two classes; of answers with a confidence c, c - ``by`` are right, which is the true calibration error."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.6, 0.95, count)
    right = rng.random(count) < confidence - by
    log_odds = np.log(confidence / (1 - confidence))
    logits = np.stack([log_odds, np.zeros(count)], axis=1).astype(np.float32)
    return Predictions(np.arange(count).astype(str), np.where(right, 0, 1), logits, ("a", "b"))


def test_a_calibration_error_is_in_its_interval_and_so_is_the_truth():
    covered = 0
    for seed in range(60):
        predictions = overconfident(2000, 0.02, seed)
        (low, high), value = (
            bootstrap_interval(predictions, predictions.ids, "calibration_error", resamples=200),
            MEASURES["calibration_error"].value(predictions),
        )
        assert 0 <= low <= value <= high
        covered += low <= 0.02 <= high
    assert covered >= 48


def test_resamples_without_a_rare_class_are_scored_over_those_they_have():
    true = np.array([0] * 50 + [1])
    low, high = bootstrap_interval(predictions_of(true, true, 3), np.arange(51).astype(str), "balanced_accuracy")
    assert (low, high) == (1.0, 1.0)


def test_many_resamples_come_in_chunks_of_the_same_draw():
    # Groups all different, so that the weights of 60,000 resamples do not fit into one chunk.
    rng = np.random.default_rng(0)
    predictions = predictions_of(rng.integers(0, 3, 900), rng.integers(0, 3, 900), 3)
    groups = np.repeat(np.arange(100), 9).astype(str)
    few, many = (bootstrap_interval(predictions, groups, resamples=n) for n in (2000, 60000))
    np.testing.assert_allclose(few, many, atol=0.005)


def test_all_of_fer2013_is_resampled_without_a_table_of_images_by_resamples():
    """Images that are answered alike count as one, so that the work does not grow with their number."""
    predictions, groups = clustered(28709, 1, right=0.7, seed=0)
    tracemalloc.start()
    bootstrap_interval(predictions, groups)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 28709 * 2000  # a byte for each


def test_arguments_out_of_range_are_refused():
    predictions, groups = clustered(10, 2, right=0.5, seed=0)
    with pytest.raises(ValueError, match="statistic"):
        bootstrap_interval(predictions, groups, "r2")
    with pytest.raises(ValueError, match="level"):
        bootstrap_interval(predictions, groups, level=95)
    with pytest.raises(ValueError, match="resamples"):
        bootstrap_interval(predictions, groups, resamples=0)
    with pytest.raises(ValueError, match="do not fit"):
        bootstrap_interval(predictions, groups[1:])
    with pytest.raises(ValueError, match="two groups"):
        bootstrap_interval(predictions, np.full(20, "one"))


def test_mean_and_sample_sd():
    assert mean_sd([0.6, 0.7, 0.8]) == pytest.approx((0.7, 0.1))
    with pytest.raises(ValueError, match="two values"):
        mean_sd([0.7])
