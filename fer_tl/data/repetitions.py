"""Folds of a cross validation that is repeated: the same images divided in other ways."""

from __future__ import annotations

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.data.folds import check_folds, make_folds

# How often folds are drawn for a repetition that has other ones than those before it.
_DRAWS = 20


def make_repetitions(
    ids: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    class_names: tuple[str, ...],
    folds: int,
    seed: int,
    repeats: int,
) -> np.ndarray:
    """Draw the folds of a repeated cross validation: of the first repetition those of ``make_folds``, then others.

    Arguments and errors as of ``make_folds``.

    Args:
        repeats: how often, 1 or more; the first repetitions are the same however many there are.

    Returns:
        int64 ``[R, N]``: fold f of repetition r, both from 0, is numbered ``r * folds + f``.

    Raises:
        UserError: besides, too few groups to be divided in so many ways.
    """
    found = [make_folds(ids, labels, groups, class_names, folds, seed)]
    for repetition in range(1, repeats):
        refused: UserError | None = None
        for draw in range(_DRAWS):
            try:
                drawn = make_folds(ids, labels, groups, class_names, folds, seed, (repetition, draw))
            except UserError as error:  # a fold without a class, by this draw
                refused = error
                continue
            if not any(_same_division(drawn, other, folds) for other in found):
                found.append(drawn)
                break
        else:
            raise refused or UserError(
                f"'repeats' {repeats}: {len(np.unique(groups)):,} groups of images were divided into {folds} folds in "
                f"only {repetition} way{'s' * (repetition > 1)}, {_DRAWS} more draws gave none that is new: use "
                f"--repeats {repetition}"
            )
    return np.stack([folds * repetition + assigned for repetition, assigned in enumerate(found)])


def _same_division(one: np.ndarray, other: np.ndarray, folds: int) -> bool:
    """Whether two tables have the same folds, whatever their numbers."""
    return len(np.unique(one * folds + other)) == folds


def check_repetitions(
    assigned: np.ndarray, labels: np.ndarray, groups: np.ndarray, class_names: tuple[str, ...], folds: int
) -> None:
    """As ``check_folds``, of int ``[R, N]`` numbered as by ``make_repetitions``; two with the same folds are refused.

    Raises:
        UserError: besides, naming the repetition.
    """
    for repetition, row in enumerate(assigned):
        of_its_own = row - folds * repetition  # [N]
        try:
            check_folds(of_its_own, labels, groups, class_names, folds)
        except UserError as error:
            if not repetition:
                raise
            where = f"repetition {repetition} (column fold_{repetition}, folds {folds * repetition} and up)"
            raise UserError(f"{where}, counted from 0: {error}") from None
        for before in range(repetition):
            if _same_division(of_its_own, assigned[before] - folds * before, folds):
                raise UserError(f"repetitions {before} and {repetition} have the same folds: nothing is repeated")
