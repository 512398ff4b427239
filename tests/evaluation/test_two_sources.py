"""Uncertainty over trainings and images: what it is where one source is silent, and how often it errs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fer_tl.evaluation.comparison import sign_flip
from fer_tl.evaluation.two_sources import Uncertainty, from_scores, of_difference, of_mean


def test_where_all_images_are_alike_it_is_the_test_of_welch():
    rng = np.random.default_rng(0)
    one, other = rng.random(3), rng.random(4)
    found = of_difference(np.tile(one[:, None], 50), np.tile(other[:, None], 50), np.arange(50))
    expected = stats.ttest_ind(one, other, equal_var=False)
    assert found.p_value(one.mean() - other.mean()) == pytest.approx(expected.pvalue)
    assert found.freedom == pytest.approx(expected.df)
    low, high = found.interval(one.mean() - other.mean(), limits=(-np.inf, np.inf))
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_where_all_trainings_are_alike_it_is_the_t_test_over_groups_of_images():
    rng = np.random.default_rng(1)
    values, others = (np.repeat(rng.integers(0, 2, 40), 2) for _ in range(2))
    groups = np.repeat(np.arange(40), 2)
    found = of_difference(np.tile(values, (3, 1)), np.tile(others, (2, 1)), groups)
    expected = stats.ttest_rel(values[::2], others[::2])
    assert found.p_value(values.mean() - others.mean()) == pytest.approx(expected.pvalue)
    assert found.freedom == pytest.approx(39)
    alone = of_mean(np.tile(values, (3, 1)), groups)
    assert alone.variance == pytest.approx(stats.sem(values[::2]) ** 2)


def test_groups_make_it_wider_and_their_order_changes_nothing():
    rng = np.random.default_rng(2)
    right = np.repeat(rng.random((3, 60)) < 0.6, 3, axis=1)
    groups = np.repeat(np.arange(60), 3)
    together, apart = of_mean(right, groups), of_mean(right, np.arange(180))
    assert together.variance > 2 * apart.variance
    order = rng.permutation(180)
    assert of_mean(right[:, order], groups[order]).variance == pytest.approx(together.variance)


def test_without_any_spread_nothing_is_in_doubt():
    found = of_difference(np.ones((2, 10)), np.zeros((2, 10)), np.arange(10))
    assert found == Uncertainty(0.0, 1.0)
    assert found.p_value(0.0) == 1.0 and 0 < found.p_value(1.0) < 1e-300
    assert found.interval(1.0, limits=(-1, 1)) == (1.0, 1.0)


def test_several_tests_make_intervals_longer_and_what_is_detectable_larger():
    found = Uncertainty(1e-4, 4.0)
    assert found.interval(0.5, 3)[1] > found.interval(0.5)[1]
    assert found.interval(0.999)[1] == 1.0
    # A t that is shifted by what is detectable exceeds the critical value four times of five.
    critical = stats.t.ppf(0.975, 4)
    assert found.detectable() == pytest.approx((critical + stats.t.ppf(0.8, 4)) * 0.01)
    assert found.detectable(3) > found.detectable()


def test_scores_of_resamples_give_what_the_formula_for_accuracies_gives():
    rng = np.random.default_rng(3)
    right, groups = rng.random((4, 500)) < 0.7, np.arange(500) // 2
    exact = of_mean(right, groups)
    draws = rng.integers(0, 250, (4000, 250))
    by_group = right.reshape(4, 250, 2).mean(axis=2)  # [S, G]
    resampled = by_group[:, draws].mean(axis=2)  # [S, resamples]
    alone, together = resampled.var(axis=1, ddof=1), resampled.mean(axis=0).var(ddof=1)
    found = from_scores(right.mean(axis=1).tolist(), alone.tolist(), float(together), 250)
    assert found.variance == pytest.approx(exact.variance, rel=0.1)
    assert found.freedom == pytest.approx(exact.freedom, rel=0.2)


def _recipe(
    rng: np.random.Generator, base: np.ndarray, groups: np.ndarray, trainings: int, spread: float
) -> np.ndarray:
    """Right answers of trainings of a recipe: each group is easy or hard, for this recipe more or less so, and each
    training is better or worse for all images."""
    own = rng.normal(0, 0.6, len(base))
    skill = (base + own)[groups] + rng.normal(0, spread, (trainings, 1)) + rng.normal(0, 0.4, (trainings, len(groups)))
    return skill > rng.normal(0, 0.3, len(groups))


@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_equal_recipes_are_found_to_differ_as_rarely_as_is_said(spread: float):
    rng, trials, found, images_alone, covered = np.random.default_rng(4), 800, 0, 0, 0
    for _ in range(trials):
        groups = np.repeat(np.arange(150), rng.integers(1, 4, 150))
        base = rng.normal(0.3, 1, 150)
        one, other = (_recipe(rng, base, groups, 3, spread) for _ in range(2))
        difference = one.mean() - other.mean()
        uncertainty = of_difference(one, other, groups)
        found += uncertainty.p_value(difference) < 0.05
        low, high = uncertainty.interval(difference, limits=(-1, 1))
        covered += low <= 0 <= high
        images_alone += sign_flip(one[0], other[0], groups.astype(str)) < 0.05
    assert 0.025 < found / trials < 0.08  # 5 %, give or take; two standard errors of the simulation are 1.5 points
    assert covered == trials - found
    # The test over images alone takes the luck of one training for a difference of the recipes.
    assert (images_alone / trials > 0.2) == (spread > 0)


def test_what_both_sources_share_is_counted_once():
    rng = np.random.default_rng(5)
    right = (rng.random((3, 400)) < np.array([[0.5], [0.7], [0.9]])).astype(float)
    images = right.mean(axis=0).var(ddof=1) / 400
    trainings = right.mean(axis=1).var(ddof=1) / 3
    # Of a training alone the images' variance is b + e, of the mean of three b + e / 3, over 400.
    rest = (right.var(axis=1, ddof=1).mean() / 400 - images) / 2
    found = of_mean(right, np.arange(400))
    assert found.variance == pytest.approx(images + trainings - rest)
    assert found.freedom == pytest.approx(found.variance**2 / (images**2 / 399 + trainings**2 / 2))
    same = of_mean(rng.random((3, 400)) < 0.5, np.arange(400))  # chance alone: never less than of the images
    assert same.variance >= images * 0.5
