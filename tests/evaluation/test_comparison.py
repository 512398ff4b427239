"""The tests between rows: equal to published formulas and to scipy, fair where nothing differs, blind to order."""

from __future__ import annotations

import itertools
import math
from dataclasses import astuple

import numpy as np
import pytest
from scipy import stats

from fer_tl.evaluation.comparison import compare_pairs, corrected_resampled_t, holm, sign_flip

RNG = np.random.default_rng(0)


def discordant(only_one: int, only_other: int, both: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right answers of two classifiers, and groups of one example each."""
    one = np.repeat([True, False, True], [only_one, only_other, both])
    other = np.repeat([False, True, True], [only_one, only_other, both])
    return one, other, np.arange(len(one)).astype(str)


@pytest.mark.parametrize(("wins", "losses"), [(6, 16), (16, 6), (0, 5), (59, 121), (1, 1), (1900, 2100)])
def test_the_sign_flip_test_of_single_examples_is_the_exact_test_of_mcnemar(wins: int, losses: int):
    few, total = min(wins, losses), wins + losses
    by_hand = min(1.0, 2 * sum(math.comb(total, i) for i in range(few + 1)) / 2**total)
    found = sign_flip(*discordant(wins, losses))
    assert found == pytest.approx(by_hand, rel=1e-9)
    assert found == pytest.approx(stats.binomtest(wins, total).pvalue)


def grouped(gains: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two classifiers that differ by that many right answers in each group."""
    one = np.concatenate([np.full(max(1, abs(gain)), gain > 0) for gain in gains])
    other = np.concatenate([np.full(max(1, abs(gain)), gain < 0) for gain in gains])
    return one, other, np.repeat(np.arange(len(gains)), [max(1, abs(gain)) for gain in gains]).astype(str)


@pytest.mark.parametrize(
    "gains",
    [[1, 1, 1, -1, 2], [5, -1, -1, -1], [3, 3, -2, 7, 1, -4, 0, 6, 2, 2], [12, -1, 4, 4, -9, 3, 3, 3, 1, 8, 30]],
)
def test_the_sign_flip_test_counts_every_choice_of_signs(gains: list[int]):
    signs = np.array(list(itertools.product([-1, 1], repeat=len(gains))))
    by_hand = np.mean(np.abs(signs @ gains) >= abs(sum(gains)))
    assert sign_flip(*grouped(gains)) == pytest.approx(by_hand, rel=1e-12)
    assert sign_flip(*grouped([-gain for gain in gains])) == pytest.approx(by_hand, rel=1e-12)


def test_the_test_never_speaks_against_the_difference_that_is_shown():
    """One is better on 20 groups of nine, the other on 60 of two: a count of groups gave p = 9e-6 for the other."""
    one, other, groups = grouped([9] * 20 + [-2] * 60)
    pair = compare_pairs(np.stack([one, other]), groups, None)[0]
    assert (pair.better, pair.difference) == (0, pytest.approx(60 / 300))
    assert pair.sign_flip > 0.1
    assert pair.interval[0] < 0 < pair.interval[1]
    level = grouped([8] * 15 + [-2] * 60)
    assert sign_flip(*level) == 1


def test_a_group_of_copies_counts_once():
    one, other, groups = discordant(3, 12)
    copied = [np.repeat(part, 4) for part in (one, other, groups)]
    assert sign_flip(*copied) == pytest.approx(sign_flip(one, other, groups))
    assert sign_flip(*copied[:2], np.arange(len(copied[0])).astype(str)) < sign_flip(*copied) / 100


def test_without_any_difference_the_test_says_nothing():
    one, _, groups = discordant(4, 0)
    assert sign_flip(one, one, groups) == 1


@pytest.mark.parametrize("sizes", [[1] * 60, [5] * 60, [1] * 40 + [2] * 15 + [40] * 5], ids=["alone", "five", "unlike"])
def test_equal_classifiers_are_told_apart_no_more_often_than_p_says(sizes: list[int]):
    """400 data sets of 60 groups, each of which succeeds and fails as one."""
    rng, groups = np.random.default_rng(3), np.repeat(np.arange(60), sizes).astype(str)
    found = np.array(
        [sign_flip(*(np.repeat(rng.random(60) < 0.6, sizes) for _ in range(2)), groups) for _ in range(400)]
    )
    for level in (0.05, 0.2):
        assert level / 4 < np.mean(found <= level) <= level + 2.33 * math.sqrt(level * (1 - level) / 400)


def test_intervals_and_adjusted_p_hold_for_all_pairs_at_once():
    """80 data sets, five equal rows, ten pairs: one or more of the single intervals would miss 0 in some 28 %."""
    rng, groups, missed, found, single = np.random.default_rng(4), np.arange(300).astype(str), 0, 0, 0
    for _ in range(80):
        easy = rng.random(300)
        pairs = compare_pairs(easy + 0.4 * rng.normal(size=(5, 300)) < 0.6, groups, None)
        missed += any(pair.interval[0] > 0 for pair in pairs)
        found += any(pair.sign_flip_adjusted <= 0.05 for pair in pairs)
        single += any(pair.sign_flip <= 0.05 for pair in pairs)
    assert missed / 80 <= 0.05 + 2.33 * math.sqrt(0.05 * 0.95 / 80)
    assert 0 < found / 80 <= 0.05 + 2.33 * math.sqrt(0.05 * 0.95 / 80)
    assert single / 80 > 0.15


def test_an_interval_and_its_p_say_the_same():
    """Of 40 data sets with rows better and worse; also where groups are few."""
    rng = np.random.default_rng(5)
    for images, groups in ((400, 400), (400, 25), (40, 5)):
        for _ in range(40):
            right = rng.random((4, images)) < rng.uniform(0.55, 0.75, (4, 1))
            for pair in compare_pairs(right, (np.arange(images) % groups).astype(str), None):
                if pair.sign_flip_adjusted > 0.05:
                    assert pair.interval[0] <= 0
                if pair.sign_flip_adjusted < 0.03:
                    assert pair.interval[0] > 0
                assert pair.sign_flip <= pair.sign_flip_adjusted <= min(1, 6 * pair.sign_flip)


def test_corrected_t_is_that_of_the_formula():
    differences = [0.02, 0.04, 0.03, 0.05]
    t, p = corrected_resampled_t(differences, 1 / 3)
    # Mean 0.035, variance 0.0005 / 3; the distribution function of t with 3 degrees of freedom is elementary.
    assert t == pytest.approx(0.035 / math.sqrt((1 / 4 + 1 / 3) * 0.0005 / 3))
    x = t / math.sqrt(3)
    assert p == pytest.approx(1 - 2 / math.pi * (math.atan(x) + x / (1 + x * x)))
    assert p > corrected_resampled_t(differences, 0)[1]


def test_without_overlap_the_corrected_t_is_the_plain_one():
    differences = RNG.normal(0.01, 0.02, 7)
    expected = stats.ttest_1samp(differences, 0)
    assert corrected_resampled_t(differences, 0) == pytest.approx((expected.statistic, expected.pvalue))
    assert corrected_resampled_t(-differences, 0) == pytest.approx((-expected.statistic, expected.pvalue))


@pytest.mark.parametrize(("value", "expected"), [(0.0, (0.0, 1.0)), (0.1, (np.inf, 0.0)), (-0.1, (-np.inf, 0.0))])
def test_corrected_t_of_differences_without_spread(value: float, expected: tuple[float, float]):
    assert corrected_resampled_t([value] * 3, 0.5) == expected


def test_corrected_t_needs_two_folds():
    with pytest.raises(ValueError, match="two folds"):
        corrected_resampled_t([0.1], 1)


def test_holm_steps_down_and_never_falls_back():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.4, 0.9]), [1, 1, 1])
    np.testing.assert_allclose(holm([0.03]), [0.03])
    assert holm([]).shape == (0,)


def planted(count: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right answers ``[4, N]`` of a good row, its equal, a slightly and a much worse one; groups of two; four folds."""
    rng = np.random.default_rng(1)
    good = rng.random(count) < 0.7
    slightly = good ^ (rng.random(count) < 0.1)
    worse = good & (rng.random(count) < 0.75)
    return (
        np.stack([worse, good, good, slightly]),
        np.repeat(np.arange(count // 2), 2).astype(str),
        np.arange(count) % 4,
    )


def test_pairs_find_what_was_planted():
    right, groups, folds = planted()
    pairs = {(pair.better, pair.other): pair for pair in compare_pairs(right, groups, folds)}
    assert set(pairs) == {(1, 0), (2, 0), (3, 0), (1, 2), (1, 3), (2, 3)}  # of equal ones the earlier is first
    same, clear = pairs[1, 2], pairs[1, 0]
    assert astuple(same)[2:8] == (0, (0, 0), 1, 1, 1, 1)
    assert clear.difference == pytest.approx(right[1].mean() - right[0].mean())
    assert clear.sign_flip_adjusted < 1e-6
    assert clear.t_test is not None
    assert clear.t_test < 0.05
    assert clear.interval[0] > 0.1
    assert clear.sign_flip == sign_flip(right[1], right[0], groups)
    by_fold = [right[1][folds == k].mean() - right[0][folds == k].mean() for k in range(4)]
    assert clear.t_test == pytest.approx(corrected_resampled_t(by_fold, 1 / 3)[1])


def test_the_t_tests_are_adjusted_over_all_pairs():
    right, groups, folds = planted()
    pairs = compare_pairs(right, groups, folds)
    expected = holm([pair.t_test for pair in pairs if pair.t_test is not None])
    np.testing.assert_array_equal([pair.t_test_adjusted for pair in pairs], expected)


def test_folds_that_all_show_the_same_difference_to_less_than_an_image_say_nothing():
    """Their spread is 0 because images are counted: two folds of 40 images with 3 more right would give a p of 0."""
    folds, number = np.arange(81) % 2, np.arange(81) // 2  # 41 and 40 images
    good = np.ones(81, bool)
    three, uneven = number >= 3, number >= np.array([3, 4])[folds]
    pairs = compare_pairs(np.stack([good, three, good, uneven]), np.arange(81).astype(str), folds)
    found = {(pair.better, pair.other): pair for pair in pairs}
    assert found[0, 1].t_test is None and found[0, 1].t_test_adjusted is None
    assert found[0, 2].t_test == 1
    known = found[0, 3].t_test
    assert known is not None and known == pytest.approx(corrected_resampled_t([3 / 41, 4 / 40], 1)[1])
    assert found[0, 3].t_test_adjusted == min(1, 6 * known)  # six pairs were tested, whatever they said


def test_pairs_do_not_depend_on_the_order_of_examples_or_the_names_of_groups():
    right, groups, folds = planted()
    order = np.random.default_rng(2).permutation(len(groups))
    renamed = np.char.add("photo ", np.char.zfill(groups[order], 9))
    assert compare_pairs(right[:, order], renamed, folds[order]) == compare_pairs(right, groups, folds)


def test_the_interval_of_a_difference_is_paired():
    """As wide as the differences of single images say, not as wide as two separate accuracies would be."""
    right, _, _ = planted(4000)
    pair = compare_pairs(right[[1, 3]], np.arange(4000).astype(str), None)[0]
    deviation = (right[1].astype(float) - right[3]).std() / math.sqrt(4000)
    low, high = pair.interval
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.08)
    assert low < pair.difference < high
    assert pair.t_test is None and pair.t_test_adjusted is None


def test_intervals_of_several_pairs_hold_at_once():
    """Of four rows that err apart they reach as far as Tukey's test says: 2.569 standard errors, not 1.960."""
    right = np.random.default_rng(6).random((4, 4000)) < 0.6
    ids = np.arange(4000).astype(str)
    found = {(pair.better, pair.other): pair.interval for pair in compare_pairs(right, ids, None)}
    for (better, other), (_, high) in found.items():
        pair = compare_pairs(right[[better, other]], ids, None)[0]
        assert (high - pair.difference) / (pair.interval[1] - pair.difference) == pytest.approx(2.569 / 1.960, rel=0.06)


@pytest.mark.parametrize("groups", [4, 8])
def test_few_groups_make_wide_intervals(groups: int):
    """As wide as the t distribution says of so many means."""
    size = 5000
    shares = 0.5 + np.random.default_rng(groups).uniform(0, 0.2, groups)
    one = (np.arange(size) < size * shares[:, None]).ravel()
    other = np.tile(np.arange(size) < size // 2, groups)
    pair = compare_pairs(np.stack([one, other]), np.repeat(np.arange(groups), size).astype(str), None)[0]
    expected = stats.t.ppf(0.975, groups - 1) * (shares - 0.5).std(ddof=1) / math.sqrt(groups)
    assert pair.interval[1] - pair.difference == pytest.approx(expected, rel=0.12)


def test_a_single_group_cannot_be_resampled():
    with pytest.raises(ValueError, match="two groups"):
        compare_pairs(np.ones((2, 3), bool), np.array(["a", "a", "a"]), None)


def test_the_interval_of_one_difference_is_that_of_students_t_also_with_few_groups():
    rng = np.random.default_rng(5)
    for count in (8, 40):
        one, other = rng.random((2, 50 * count)) < np.array([[0.8], [0.6]])
        groups = np.repeat(np.arange(count), 50).astype(str)
        (pair,) = compare_pairs(np.stack([one, other]), groups, None)
        gains = (one.astype(float) - other).reshape(count, 50).mean(axis=1)  # as many images in each group
        low, high = stats.t.interval(0.95, count - 1, gains.mean(), stats.sem(gains))
        assert pair.interval[1] - pair.interval[0] == pytest.approx(high - low, rel=0.08)
        assert pair.difference == pytest.approx(gains.mean())
