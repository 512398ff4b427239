"""Which images of compared runs belong together, for intervals and tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_tl.data.dataset import cached_groups
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.evaluation.compared_runs import ComparedRun


def find_groups(
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
    known: dict[tuple[str, str, tuple[str, ...]], dict[str, str]] = {}  # by dataset, place and splits
    found: list[tuple[str, np.ndarray, np.ndarray]] = []  # dataset, ids and groups: most runs predict the same images
    for run in runs:
        if run.predictions is not None and _groups_in(found, known, run) is None:
            # Read once, and the configuration of a run, 0.07 s, only where no other run's place serves.
            place = str(data_dir or run.run.read_experiment().data_dir)
            key = (str(run.about["dataset"]), place, _splits_of(run, split))
            if key not in known:
                known[key] = cached_groups(*key)
    return tuple(_groups_in(found, known, run) for run in runs)


def _groups_in(
    found: list[tuple[str, np.ndarray, np.ndarray]],
    known: dict[tuple[str, str, tuple[str, ...]], dict[str, str]],
    run: ComparedRun,
) -> np.ndarray | None:
    """The groups of a run's examples as found before, or from the first of its datasets that has them all."""
    if run.predictions is None:
        return None
    dataset, ids = run.about["dataset"], run.predictions.ids
    for name, same_ids, groups in found:
        if name == dataset and np.array_equal(same_ids, ids):
            return groups
    for (name, *_), by_id in known.items():
        groups_by_row = [by_id.get(example_id) for example_id in ids.tolist()] if name == dataset else [None]
        if None not in groups_by_row:
            found.append((dataset, ids, np.array(groups_by_row)))
            return found[-1][2]
    return None


def _splits_of(run: ComparedRun, split: str | None) -> tuple[str, ...]:
    if split:
        return (split,)
    return FIT_SPLITS[:1] if run.about["kind"] == "cv" else FIT_SPLITS
