"""Which images of runs belong together, for intervals and tests."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from fer_tl.data.dataset import cached_groups
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.evaluation.compared_runs import ComparedRun


def find_groups(
    ids: np.ndarray,
    places: Iterable[tuple[str, str]],
    splits: tuple[str, ...],
    read: Callable[[str, str, tuple[str, ...]], dict[str, str]] = cached_groups,
) -> dict[str, str] | None:
    """Group of each example by id, from the first built dataset that has them all; None if none has.

    Args:
        ids: text ``[N]``.
        places: datasets and the data folders that they may be in.
        splits: that the examples may be of.
        read: ``cached_groups``, or what remembers its answers.
    """
    found = (read(name, data_dir, splits) for name, data_dir in places)
    return next((groups for groups in found if all(each in groups for each in ids.tolist())), None)


def groups_of_runs(
    runs: Sequence[ComparedRun], split: str | None, data_dir: Path | str | None
) -> tuple[np.ndarray | None, ...]:
    """The group of each example that a run predicted, text ``[N]``, from the built datasets.

    Args:
        runs: from ``open_runs``.
        split: as there.
        data_dir: where the datasets are now; None for where the runs found them.

    Returns:
        Of each run; None where a dataset is not at hand, or nothing was predicted.
    """
    read = functools.cache(cached_groups)

    def groups_of(run: ComparedRun) -> np.ndarray | None:
        if run.predictions is None:
            return None
        name, ids = run.about["dataset"], run.predictions.ids
        splits = (split,) if split else FIT_SPLITS[: 1 if run.about["kind"] == "cv" else 2]
        # One after the other: to read the configuration of a run takes 0.07 s.
        alike = (each.run for each in runs if each.about["dataset"] == name)
        groups = find_groups(
            ids, ((name, str(data_dir or each.read_experiment().data_dir)) for each in alike), splits, read
        )
        return None if groups is None else np.array([groups[each] for each in ids.tolist()])

    return tuple(map(groups_of, runs))
