"""Tables of a comparison for a paper: results in one table, settings that differ, classes, and what is taken for what.

Shares are in per cent with the sign in the header, so that LaTeX aligns numbers and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import identity
from fer_tl.evaluation.measures import confusion_matrix, headline_measures, margins, ratio
from fer_tl.reports.bibliography import Claim
from fer_tl.reports.compare_table import CompareRow, Comparison, best_cells, spell_p, spell_points
from fer_tl.reports.rendering import Table

CLASS_MEASURES = {"recall": "recall (%)", "precision": "precision (%)", "f1": "F1 (%)"}
# Said of all rows even where they are the defaults: nobody can repeat a training without them.
_ALWAYS_SAID = ("data", "folds", "seed", "epochs", "batch_size", "optimizer.name", "optimizer.rate", "schedule.kind")
_NONE = "–"


def paper_table(comparison: Comparison) -> tuple[Table, frozenset[int]]:
    """All results of a comparison in one table: measures, millions of parameters, how far each row is from the best.

    Returns:
        The table, and its columns that are intervals of the one before.
    """
    header, joined, columns = ["model"], set(), {}
    for measure in headline_measures():
        columns[measure.heading] = len(header)
        above, _, below = measure.heading.partition(" ")  # two lines, or the table is too wide for a page
        header.append(f"{above}\n{f'{below} (%)'.strip() if measure.is_share else below}")
        if measure.interval_beside:
            joined.add(len(header))
            header.append("\n95 %")
    header += ["acc.\nsd", "trai-\nnings"] if comparison.has_trainings else []
    header.append("size\n(M)")
    differences = _difference_header(comparison)
    joined |= {len(header) + 1} if differences else set()
    rows = []
    for number, row in enumerate(comparison.rows):
        size = f"{row.costs.parameters / 1e6:.2f}" if row.costs else _NONE
        spread = _spread(row) if comparison.has_trainings else []
        rows.append(
            [row.label, *_measured(row), *spread, size, *(_difference(comparison, number) if differences else [])]
        )
    header += differences
    claims = []
    for paper in comparison.papers:
        for claim in paper.claims:
            cells = [f"{paper.name}: {claim.model}", *_claimed(claim)]
            claims.append([*cells, *[""] * (len(header) - len(cells))])
    marks = best_cells(comparison, columns)
    return Table(header, [rows, *([claims] if claims else [])], marks=marks), frozenset(joined)


def _difference_header(comparison: Comparison) -> list[str]:
    if not comparison.pairs:
        return []
    tests = ["p\nsign flip", "p\nt-test"] if comparison.has_folds else ["p\n"]
    if comparison.is_tested_over_trainings:
        tests[0] = "p over\ntrainings"
    return ["gap to best\n(points)", "\n95 %", *tests]


def _difference(comparison: Comparison, number: int) -> list[str]:
    """How far a row is from the best one, with the p that are corrected for all pairs."""
    pair = comparison.to_best.get(number)
    tests = 1 + comparison.has_folds
    if pair is None:
        return ["best" if number == comparison.best else _NONE, "", *[""] * tests]
    low, high = (spell_points(-end, 1) for end in reversed(pair.interval))
    over = pair.trainings_adjusted if comparison.is_tested_over_trainings else pair.sign_flip_adjusted
    p_values = [spell_p(over), spell_p(pair.t_test_adjusted)][:tests]
    return [spell_points(-pair.difference, 1), f"[{low}, {high}]", *p_values]


def _spread(row: CompareRow) -> list[str]:
    sd = row.spread.get("accuracy")
    return [_NONE if sd is None else f"{100 * sd:.1f}", str(len(row.run.trainings) or 1)]


def _measured(row: CompareRow) -> list[str]:
    cells = []
    for measure in headline_measures():
        factor, digits = (100, 1) if measure.is_share else (1, 3)
        value = row.scores.get(measure.name)
        cells.append(_NONE if value is None or not np.isfinite(value) else f"{factor * value:.{digits}f}")
        if measure.interval_beside:
            ends = row.intervals.get(measure.name, (np.nan, np.nan))
            found = ", ".join(f"{factor * end:.{digits}f}" for end in ends)
            cells.append(f"[{found}]" if np.isfinite(ends).all() else "")
    return cells


def _claimed(claim: Claim) -> list[str]:
    cells = []
    for measure in headline_measures():
        value = getattr(claim, measure.name, None)  # in per cent if it is a share
        cells.append("" if value is None else f"{value:g}")
        cells += ["claim"] if measure.interval_beside else []
    return cells


def settings_table(comparison: Comparison) -> Table:
    """What was set otherwise for some rows: a line a setting, or a line a row where there are more rows."""
    found, names = _settings(comparison), [row.run.name for row in comparison.rows if not row.run.imported]
    differing = [key for key in _keys(found) if any(each.get(key) != found[0].get(key) for each in found[1:])]
    by_setting = [[key, *(spell_plainly(each.get(key, _NONE)) for each in found)] for key in differing]
    if not differing:
        return Table(["setting", *names], [[]], left=frozenset(range(1 + len(names))))
    lines = [["setting", *names], *by_setting]
    if len(names) > len(differing):
        lines = [list(line) for line in zip(*lines, strict=True)]
        lines[0][0] = "run"
    return Table(lines[0], [lines[1:]], left=frozenset(range(len(lines[0]))))


def shared_settings(comparison: Comparison) -> str:
    """What is set alike for all rows and is no default, or must be known anyway, in a sentence."""
    found, defaults = _settings(comparison), identity(Experiment())
    same = [key for key in _keys(found) if all(each.get(key) == found[0].get(key) for each in found)]
    said = [key for key in same if key in _ALWAYS_SAID or found[0][key] != defaults.get(key)]
    if not said:
        return ""
    known = [row.run.settings.keys() for row in comparison.rows if not row.run.imported]
    rest = "; what is not named is the default" if all(defaults.keys() <= keys for keys in known) else ""
    whose = "Alike for all" if len(found) > 1 else "Its settings"
    return f"{whose}: {', '.join(f'{key} {spell_plainly(found[0][key])}' for key in said)}{rest}."


def _settings(comparison: Comparison) -> list[dict[str, Any]]:
    """Of the runs that fer-tl trained; of the others it knows none."""
    return [_of_use(row.run.settings) for row in comparison.rows if not row.run.imported]


def _of_use(settings: dict[str, Any]) -> dict[str, Any]:
    """Without those of a distillation where nobody teaches: they change nothing."""
    idle = not settings.get("distill.teachers")
    return {key: value for key, value in settings.items() if not (idle and key.startswith("distill."))}


def _keys(found: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for each in found for key in each))


def spell_plainly(value: Any) -> str:
    """The value of a setting for readers who know no Python and no YAML."""
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(spell_plainly, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def class_result_table(comparison: Comparison) -> Table:
    """Recall, precision and F1 of each class of every row, the best of each class among the tested rows marked."""
    rows = [row for row in comparison.rows if row.run.predictions]
    classes = _class_names(rows)
    blocks: list[list[list[str]]] = []
    marks: set[tuple[int, int]] = set()
    for key, heading in CLASS_MEASURES.items():
        block: list[list[str]] = []
        values = [_class_values(row, key, classes) for row in rows]
        tested = np.array([found for found, row in zip(values, rows, strict=True) if row.is_tested])
        best = np.fmax.reduce(tested, axis=0, initial=-1.0) if len(tested) else np.zeros(0)
        for row, found in zip(rows, values, strict=True):
            line = len(rows) * len(blocks) + len(block)
            shown = [_NONE if np.isnan(value) else f"{100 * value:.1f}" for value in found]
            block.append([heading if not block else "", row.label, *shown])
            if row.is_tested and len(comparison.pairs):
                marks |= {(line, 2 + k) for k in np.flatnonzero(found == best).tolist()}
        blocks.append(block)
    return Table(["", "model", *classes], blocks, left=frozenset({0, 1}), marks=frozenset(marks))


def class_result_lines(comparison: Comparison) -> list[list[object]]:
    """One line a row and class: images, right, predicted, and the measures as fractions; the header first."""
    lines: list[list[object]] = [["row", "class", "images", "right", "predicted", *CLASS_MEASURES]]
    for row in comparison.rows:
        if row.run.predictions is None:
            continue
        names = row.run.predictions.class_names
        counts = [each.tolist() for each in _counts(row)]
        shares = [_class_values(row, key, names).tolist() for key in CLASS_MEASURES]
        for k, name in enumerate(names):
            hits, support, predicted = (each[k] for each in counts)
            found = ["" if np.isnan(each[k]) else each[k] for each in shares]
            lines.append([row.run.name, name, support, hits, predicted, *found])
    return lines


def confusion_table(row: CompareRow) -> Table:
    """Of each true class of a row, the per cent that are taken for each class."""
    assert row.run.predictions is not None
    names, counts = row.run.predictions.class_names, confusion_matrix(row.run.predictions)
    support = counts.sum(axis=1, keepdims=True)
    shares = 100 * ratio(counts.astype(float), np.broadcast_to(support, counts.shape))
    lines = [
        [name, *(f"{share:.1f}" if n else _NONE for share in line), f"{n:,}"]
        for name, line, n in zip(names, shares, support[:, 0].tolist(), strict=True)
    ]
    marks = frozenset((k, k + 1) for k in range(len(names)))
    return Table(["true class", *names, row.counted], [lines], marks=marks)


def confusion_lines(comparison: Comparison) -> list[list[object]]:
    """One line a row, true class and predicted class: how many images, and of the true class the share."""
    lines: list[list[object]] = [["row", "true", "predicted", "images", "share"]]
    for row in comparison.rows:
        if row.run.predictions is None:
            continue
        names, counts = row.run.predictions.class_names, confusion_matrix(row.run.predictions)
        for true, line in zip(names, counts.tolist(), strict=True):
            total = sum(line)
            cells = zip(names, line, strict=True)
            lines += [[row.run.name, true, name, count, count / total if total else ""] for name, count in cells]
    return lines


def _class_names(rows: Sequence[CompareRow]) -> list[str]:
    names = (name for row in rows if row.run.predictions for name in row.run.predictions.class_names)
    return list(dict.fromkeys(names))


def _counts(row: CompareRow) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    assert row.run.predictions is not None
    return margins(confusion_matrix(row.run.predictions))


def _class_values(row: CompareRow, key: str, classes: Sequence[str]) -> np.ndarray:
    """``recall``, ``precision`` or ``f1`` of classes, float64 ``[K]``; NaN where it is not defined."""
    assert row.run.predictions is not None
    hits, support, predicted = _counts(row)
    over = {"recall": support, "precision": predicted, "f1": (support + predicted) / 2}[key]
    values = np.divide(hits, over, out=np.full(len(hits), np.nan), where=over > 0)
    of_class = dict(zip(row.run.predictions.class_names, values, strict=True))
    return np.array([of_class.get(name, np.nan) for name in classes])
