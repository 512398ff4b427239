"""Repetitions: the same images divided again, each time otherwise, never a group in two folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_tl.core.errors import UserError
from fer_tl.data.folds import count_split, make_folds, read_folds, read_repetitions, write_folds
from fer_tl.data.repetitions import check_repetitions, make_repetitions

CLASSES = ("angry", "happy", "sad")
Examples = tuple[np.ndarray, np.ndarray, np.ndarray]


def make_persons(sizes: list[int]) -> Examples:
    """Ids, labels and groups of persons with so many images of each class."""
    groups = np.repeat([f"person-{number:02d}" for number in range(len(sizes))], [3 * size for size in sizes])
    labels = np.concatenate([np.arange(3 * size) % 3 for size in sizes])
    return np.array([f"{row:04d}.png" for row in range(len(labels))]), labels, groups


ALIKE, UNLIKE = make_persons([4] * 20), make_persons([2 + number for number in range(20)])


@pytest.mark.parametrize("examples", [ALIKE, UNLIKE], ids=["persons of one size", "no two of one size"])
def test_each_repetition_is_a_good_division_and_no_two_are_the_same(examples: Examples) -> None:
    ids, labels, groups = examples
    assigned = make_repetitions(*examples, CLASSES, 4, seed=0, repeats=5)
    assert assigned.shape == (5, len(ids))
    check_repetitions(assigned, labels, groups, CLASSES, 4)
    together = [row[:, None] == row[None, :] for row in assigned]  # [N, N], whatever the numbers of the folds
    assert all((one != other).mean() > 0.1 for n, one in enumerate(together) for other in together[:n])
    for repetition, row in enumerate(assigned):
        counts = np.array([np.bincount(row[labels == label] - 4 * repetition, minlength=4) for label in range(3)])
        assert counts.max() <= 1.25 * counts.min()


def test_the_first_repetition_is_what_one_draws_and_more_change_none_before() -> None:
    three = make_repetitions(*UNLIKE, CLASSES, 4, seed=7, repeats=3)
    np.testing.assert_array_equal(three[0], make_folds(*UNLIKE, CLASSES, 4, seed=7))
    np.testing.assert_array_equal(make_repetitions(*UNLIKE, CLASSES, 4, seed=7, repeats=2), three[:2])


def test_the_order_of_rows_changes_nothing() -> None:
    order = np.random.default_rng(0).permutation(len(ALIKE[0]))
    shuffled = make_repetitions(*(each[order] for each in ALIKE), CLASSES, 4, seed=0, repeats=3)
    np.testing.assert_array_equal(shuffled, make_repetitions(*ALIKE, CLASSES, 4, seed=0, repeats=3)[:, order])


def test_groups_that_can_be_divided_in_one_way_only_are_refused() -> None:
    with pytest.raises(UserError, match=r"4 groups of images were divided into 4 folds in only 1 way, .*--repeats 1"):
        make_repetitions(*make_persons([5] * 4), CLASSES, 4, seed=0, repeats=2)


def test_a_table_holds_a_column_for_each_and_its_first_is_that_of_one(tmp_path: Path) -> None:
    assigned = make_repetitions(*ALIKE, CLASSES, 4, seed=0, repeats=3)
    write_folds(tmp_path / "folds.csv", ALIKE[0], assigned)
    assert (tmp_path / "folds.csv").read_text().splitlines()[0] == "id,fold,fold_1,fold_2"
    np.testing.assert_array_equal(read_repetitions(tmp_path / "folds.csv", ALIKE[0], 3), assigned)
    np.testing.assert_array_equal(read_folds(tmp_path / "folds.csv", ALIKE[0][::-1]), assigned[0][::-1])
    with pytest.raises(UserError, match="fold_3"):
        read_repetitions(tmp_path / "folds.csv", ALIKE[0], 4)


def test_a_given_table_is_checked_repetition_by_repetition() -> None:
    _, labels, groups = ALIKE
    assigned = make_repetitions(*ALIKE, CLASSES, 4, seed=0, repeats=2)
    turned = np.stack([assigned[0], 4 + (assigned[0] + 1) % 4])
    with pytest.raises(UserError, match="repetitions 0 and 1 have the same folds"):
        check_repetitions(turned, labels, groups, CLASSES, 4)
    split = assigned.copy()
    split[1, 0] = 4 + (split[1, 0] - 3) % 4
    with pytest.raises(UserError, match=r"repetition 1 \(column fold_1.*group 'person-00' is split"):
        check_repetitions(split, labels, groups, CLASSES, 4)
    with pytest.raises(UserError, match=r"repetition 1 .*should hold the folds 0 to 3"):
        check_repetitions(assigned - np.array([[0], [4]]), labels, groups, CLASSES, 4)
    assert (count_split(assigned, groups), count_split(split, groups)) == (0, 12)
