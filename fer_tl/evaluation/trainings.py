"""Several trainings of one recipe, which differ in their seed alone, as one row of a comparison."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_tl.core.errors import UserError, suggest
from fer_tl.evaluation.compared_runs import ComparedRun
from fer_tl.evaluation.intervals import Interval, bootstrap_scores, mean_sd
from fer_tl.evaluation.measures import MEASURES
from fer_tl.evaluation.metrics import score
from fer_tl.evaluation.two_sources import from_scores, of_mean
from fer_tl.runs.predictions import Predictions, join_predictions

TOGETHER = ("together", "apart")
"""How runs that differ in their seed alone are shown."""


def check_seeds(seeds: str) -> None:
    """Refuse a way of showing trainings that there is not.

    Raises:
        UserError: naming those that there are.
    """
    if seeds not in TOGETHER:
        raise UserError(f"--seeds {seeds}: no such way{suggest(seeds, TOGETHER)}")


def group_trainings(runs: Sequence[ComparedRun]) -> tuple[ComparedRun, ...]:
    """Runs in their order, those that differ in their seed alone as one, in the place of the first.

    They are trainings of one recipe if all their settings but the seed are the same, they are whole, are scored on the
    same images in the same folds, and answer otherwise: the same answers under two seeds are one training, counted
    twice.

    Args:
        runs: from ``pair_runs``: the examples of those that do not differ are in the same order.
    """
    groups: dict[str, list[ComparedRun]] = {}
    for number, run in enumerate(runs):
        key = _recipe(run) or f"alone {number}"
        found = groups.setdefault(key, [])
        if any(not _is_another_training(run, other) for other in found):
            groups[f"alone {number}"] = [run]
        else:
            found.append(run)
    named = {run.name for run in runs}
    merged = []
    for found in groups.values():
        merged.append(_merge(found, named) if len(found) > 1 else found[0])
        named.add(merged[-1].name)
    place = {run.name: number for number, run in enumerate(runs)}
    return tuple(sorted(merged, key=lambda run: place[(run.trainings or (run,))[0].name]))


def _recipe(run: ComparedRun) -> str:
    """What runs must share to be trainings of one recipe; empty for a run that is none."""
    if run.imported or run.differs or not run.is_whole or run.predictions is None or "soup" in run.about:
        return ""
    settings = {key: value for key, value in run.settings.items() if key != "seed"}
    kept = [run.about[key] for key in ("kind", "dataset", "parts")]
    kept += [run.about.get("precision"), run.about.get("backend"), run.fingerprint]
    return json.dumps([settings, *kept], sort_keys=True)


def _is_another_training(run: ComparedRun, other: ComparedRun) -> bool:
    if run.predictions is None or other.predictions is None or run.settings["seed"] == other.settings["seed"]:
        return False
    same = np.array_equal(run.keys, other.keys) and np.array_equal(run.folds, other.folds)
    return same and not np.array_equal(run.predictions.logits, other.predictions.logits)


def _merge(runs: Sequence[ComparedRun], taken: set[str]) -> ComparedRun:
    first = runs[0]
    return replace(
        first,
        name=_common_name(runs, taken),
        path=" ".join(run.path for run in runs),
        settings={**first.settings, "seed": [run.settings["seed"] for run in runs]},
        predictions=join_predictions([run.predictions for run in runs if run.predictions]),
        folds=np.concatenate([run.folds for run in runs]),
        keys=np.concatenate([np.char.add(run.keys, f"\n\n{number}") for number, run in enumerate(runs)]),
        trainings=tuple(runs),
    )


def _common_name(runs: Sequence[ComparedRun], taken: set[str]) -> str:
    """What names have in common, such as "frozen" of "frozen-seed-0" and "frozen-1"; else the folder that the runs are
    in; the name of the first where that is nothing, or another row's."""
    names = [run.name for run in runs]
    start = os.path.commonprefix(names)  # noqa: RUF071
    start = re.sub(r"(?:[\W_]+|(?<![A-Za-z])(?:seeds?|s))+$", "", start)
    rest = os.path.commonprefix([name[len(start) :][::-1] for name in names])[::-1]  # noqa: RUF071
    end = re.match(r"[\d]*[\W_]+(.+)", rest)
    name = "-".join(filter(None, [start, end[1] if end else ""]))
    folders = {Path(run.path).resolve().parent.name for run in runs}
    name = name or (folders.pop() if len(folders) == 1 else "")
    return name if name and name not in taken else names[0]


def right_answers(run: ComparedRun) -> np.ndarray:
    """Whether each training of a row, one or more, is right: bool ``[S, N]``, examples in the order of their keys."""
    found = [each.predictions for each in run.trainings or (run,)]
    return np.stack([each.logits.argmax(axis=1) == each.labels for each in found if each is not None])


def score_trainings(
    run: ComparedRun, groups: np.ndarray, measures: Sequence[str]
) -> tuple[dict[str, float], dict[str, float], dict[str, Interval]]:
    """Mean and standard deviation over the trainings of every measure, and intervals over trainings and images.

    Args:
        run: from ``group_trainings``, of two trainings or more.
        groups: text ``[S N]`` of its answers, training after training.
        measures: that have an interval, of ``MEASURES``.

    Raises:
        ValueError: fewer than two groups.
    """
    each: list[Predictions] = [one.predictions for one in run.trainings if one.predictions is not None]
    scores = [score(one).values for one in each]
    spread = {name: mean_sd([values[name] for values in scores]) for name in scores[0]}
    of_one = groups[: len(groups) // len(each)]
    number = len(np.unique(of_one))
    intervals = {}
    for name in measures:
        mean = spread[name][0]
        if name == "accuracy":
            found = of_mean(right_answers(run), of_one)
        else:
            alone = [float(np.var(bootstrap_scores(one, of_one, [name])[name], ddof=1)) for one in each]
            assert run.predictions is not None
            together = float(np.var(bootstrap_scores(run.predictions, groups, [name])[name], ddof=1))
            found = from_scores([values[name] for values in scores], alone, together, number)
        limits = (0.0, 1.0) if MEASURES[name].is_share else (-np.inf, np.inf)
        intervals[name] = found.interval(mean, limits=limits)
    return {name: mean for name, (mean, _) in spread.items()}, {name: sd for name, (_, sd) in spread.items()}, intervals
