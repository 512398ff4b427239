"""The rows of a comparison tested against each other, single trainings and several."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fer_tl.evaluation.compared_runs import ComparedRun
from fer_tl.evaluation.comparison import Pair, compare_pairs
from fer_tl.evaluation.trainings import right_answers
from fer_tl.evaluation.two_sources import of_difference


def pairs_of_rows(
    runs: Mapping[int, ComparedRun], groups: Mapping[int, np.ndarray | None], split: str | None
) -> tuple[Pair, ...]:
    """All pairs of rows that are scored on the same images.

    Two rows of several trainings each are tested over trainings and images besides, and their interval is of both.

    Args:
        runs: by the number of their row, all with predictions of the same images.
        groups: of the answers of each, text; None where they are not known.
        split: that is scored; None for held-out images, whose folds are tested too.
    """
    if len(runs) < 2:
        return ()
    numbers = list(runs)
    right = {number: right_answers(run) for number, run in runs.items()}  # [S, N] each
    answers = math.lcm(*map(len, right.values()))
    counts = np.stack([each.sum(axis=0) * (answers // len(each)) for each in right.values()])  # [R, N]
    first, images = runs[numbers[0]], counts.shape[1]
    assert first.predictions is not None
    found = groups[numbers[0]]
    units = (first.predictions.ids if found is None else found)[:images]
    folds = first.folds[:images] if not split and len(first.done) > 1 else None
    pairs = compare_pairs(counts, units, folds, repeats=1 if split else first.repeats, answers=answers)
    named = [replace(pair, better=numbers[pair.better], other=numbers[pair.other]) for pair in pairs]
    return tuple(_over_trainings(pair, right, units, len(pairs)) for pair in named)


def _over_trainings(pair: Pair, right: Mapping[int, np.ndarray], groups: np.ndarray, tests: int) -> Pair:
    one, other = right[pair.better], right[pair.other]
    if min(len(one), len(other)) < 2:
        return pair
    found = of_difference(one, other, groups)
    p = found.p_value(pair.difference)
    return replace(
        pair,
        interval=found.interval(pair.difference, tests, (-1.0, 1.0)),
        trainings=p,
        trainings_adjusted=min(1.0, tests * p),
        detectable=found.detectable(tests),
    )
