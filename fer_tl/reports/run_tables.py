"""Tables of a run besides its result table: every measure, every class, every part, its settings and where it ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import PLACES, flatten, to_dict
from fer_tl.core.counting import counted
from fer_tl.evaluation.calibration import BINS, Reliability
from fer_tl.evaluation.intervals import mean_sd
from fer_tl.evaluation.measures import MEASURES
from fer_tl.evaluation.metrics import Metrics
from fer_tl.evaluation.run_contents import PartContents
from fer_tl.reports.rendering import Table, per_cent

Intervals = Mapping[str, tuple[float, float]]


def spell_metric(name: str, *values: float, between: str = "") -> str:
    """Numbers of a measure as people read them, or of a class: its precision, recall and F1 are shares."""
    if name in MEASURES and not MEASURES[name].is_share:
        return between.join(f"{value:.3f}" for value in values)
    return f"{between.join(f'{100 * value:.1f}' for value in values)} %"


def spell_interval(name: str, interval: tuple[float, float] | np.ndarray) -> str:
    """Both ends of an interval of a metric; a dash where there is none."""
    return spell_metric(name, *interval, between="–") if np.isfinite(interval).all() else "–"


def spell_spread(name: str, mean: float, sd: float) -> str:
    """A mean with its standard deviation."""
    return spell_metric(name, mean, sd, between=" ± ")


def measure_table(metrics: Metrics, intervals: Intervals, folds: Sequence[Metrics] = ()) -> Table:
    """Every metric that is one number, with its interval, its spread over the folds and what it means.

    Args:
        metrics: of all images.
        intervals: of 95 %, by metric name.
        folds: metrics of each fold; the spread is left out where there are fewer than two.
    """
    rows = []
    for name, measure in MEASURES.items():
        cells = [measure.title, spell_metric(name, metrics.values[name]), spell_interval(name, intervals[name])]
        if len(folds) > 1:
            cells.append(spell_spread(name, *mean_sd([fold.values[name] for fold in folds])))
        better = "" if measure.higher_is_better else "; lower is better"
        rows.append([*cells, f"{measure.meaning}{better}"])
    spread = ["folds, mean ± sd"] if len(folds) > 1 else []
    header = ["measure", "all images", "95 % interval", *spread, "what it is"]
    return Table(header, [rows], left=frozenset({0, len(header) - 1}))


def class_table(metrics: Metrics, intervals: Mapping[str, np.ndarray], repeats: int = 1) -> Table:
    """Every class: images, precision, recall and F1 with intervals, and what it is most often taken for.

    Args:
        metrics: of all images.
        intervals: of 95 %, float64 ``[K, 2]`` of ``precision``, ``recall`` and ``f1``.
        repeats: answers of an image: where they are several, it is they that are counted.
    """
    rows = []
    predicted = metrics.confusion.sum(axis=0)  # [K]
    for k, name in enumerate(metrics.class_names):
        defined = {"precision": predicted[k], "recall": metrics.support[k], "f1": metrics.support[k] + predicted[k]}
        cells = [name, f"{metrics.support[k]:,}"]
        for key, over in defined.items():
            value = per_cent(getattr(metrics, key)[k]) if over else "–"
            cells += [value, spell_interval(key, intervals[key][k])]
        rows.append([*cells, _most_frequent_confusion(metrics, k)])
    header = ["class", "images" if repeats == 1 else "answers"]
    for title in ("precision", "recall", "F1"):
        header += [title, "95 %"]
    return Table([*header, "most often taken for"], [rows], left=frozenset({0, 8}))


def _most_frequent_confusion(metrics: Metrics, k: int) -> str:
    others = metrics.confusion[k].copy()
    others[k] = 0
    if not others.any():
        return "–"
    to = int(others.argmax())
    return f"{metrics.class_names[to]} ({per_cent(others[to] / metrics.support[k])})"


def count_table(labels: np.ndarray, parts: np.ndarray, class_names: Sequence[str], part_names: Sequence[str]) -> Table:
    """Images by class and by the part that held them out.

    Args:
        labels: int ``[N]``.
        parts: int ``[N]``, indices into ``part_names``.
        class_names: the K names.
        part_names: of the parts that have images here, by their numbers; a single one has no column of its own.
    """
    numbers = np.unique(parts).tolist()
    counts = np.stack([np.bincount(labels[parts == n], minlength=len(class_names)) for n in numbers], axis=1)  # [K, P]
    columns = [part_names[number] for number in numbers] if len(part_names) > 1 else []

    def row(name: str, held: np.ndarray) -> list[str]:
        total = int(held.sum())
        return [name, f"{total:,}", per_cent(total / len(labels)), *(f"{n:,}" for n in held[: len(columns)])]

    rows = [row(name, held) for name, held in zip(class_names, counts, strict=True)]
    return Table(["class", "images", "share", *columns], [rows, [row("all", counts.sum(axis=0))]])


def reliability_table(before: Reliability, after: Reliability | None) -> Table:
    """The bins of a reliability diagram that hold images."""
    rows = []
    for b in range(BINS):
        cells = [f"{100 * b / BINS:.0f} to {100 * (b + 1) / BINS:.0f} %"]
        for each in (before, after) if after else (before,):
            filled = each.count[b] > 0
            shares = [per_cent(share[b]) if filled else "–" for share in (each.confidence, each.accuracy)]
            cells += [f"{each.count[b]:,}", *shares]
        rows.append(cells)
    scaled = ["images, scaled", "mean confidence", "right"] if after else []
    return Table(["confidence", "images", "mean confidence", "right", *scaled], [rows])


def part_table(parts: Sequence[PartContents]) -> Table:
    """What each part was trained on and what it took, and how long all took together."""
    rows = []
    for part in parts:
        counts = [
            f"{part.result[key]:,}" if key in part.result else "" for key in ("trained_on", "watched", "held_out")
        ]
        epochs = [str(part.result.get(key, "")) for key in ("epochs", "kept_epoch")]
        rows.append([part.name, _state(part), *counts, *epochs, "" if part.seconds is None else f"{part.seconds:,.1f}"])
    together = ["all", *[""] * 6, f"{sum(part.seconds or 0 for part in parts):,.1f}"]
    header = ["part", "state", "trained on", "watched", "held out", "epochs", "weights of epoch", "seconds"]
    return Table(header, [rows, [together]] if len(rows) > 1 else [rows], left=frozenset({0, 1}))


def _state(part: PartContents) -> str:
    if part.is_done or part.failure:
        return "done" if part.is_done else "failed"
    return f"in work, {counted(len(part.history), 'epoch')}" if part.history else "not begun"


def setting_tables(experiment: Experiment) -> tuple[Table, Table]:
    """The settings that are not the defaults, beside them, and all others. Places on the machine are in neither."""
    defaults = _spelled_settings(Experiment())
    settings = _spelled_settings(experiment)
    changed = [[name, value, defaults[name]] for name, value in settings.items() if value != defaults[name]]
    same = [[name, value] for name, value in settings.items() if value == defaults[name]]
    return (
        Table(["setting", "value", "default"], [changed], left=frozenset({0, 1, 2})),
        Table(["setting", "value"], [same], left=frozenset({0, 1})),
    )


def environment_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Where a run was trained: a column each time that it was begun or continued."""
    rows: dict[str, list[str]] = {}
    for column, entry in enumerate(entries):
        versions = entry.get("versions")
        plain = {key: value for key, value in entry.items() if key not in ("date", "versions")}
        for key, value in (plain | (versions if isinstance(versions, dict) else {})).items():
            rows.setdefault(key.replace("_", " "), [""] * len(entries))[column] = str(value)
    header = ["begun", *(spell_date(entry["date"]) for entry in entries)]
    return Table(header, [[[key, *cells] for key, cells in rows.items()]], left=frozenset(range(len(header))))


def spell_date(date: str) -> str:
    """A date as runs record it, ``2026-11-21T17:04:03+00:00``, for people."""
    return date.replace("T", " ").replace("+00:00", " UTC")


def _spelled_settings(experiment: Experiment) -> dict[str, str]:
    return {name: spell_setting(value) for name, value in flatten(to_dict(experiment)).items() if name not in PLACES}


def spell_setting(value: Any) -> str:
    """A value of a configuration as YAML and the command line have it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(spell_setting, value))}]"
    return str(value)
