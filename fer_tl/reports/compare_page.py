"""The page of a comparison: intervals of all rows, confusion side by side and as differences, agreement, size, time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_tl.evaluation.measures import confusion_matrix
from fer_tl.evaluation.side_by_side import Agreement, ClassDifference
from fer_tl.reports.charts import Chart, chart, difference_shades, shades
from fer_tl.reports.compare_notes import cost_notes, paper_notes, result_notes
from fer_tl.reports.compare_paper import settings_table, shared_settings
from fer_tl.reports.compare_table import (
    CompareRow,
    Comparison,
    cost_table,
    difference_table,
    pair_table,
    result_table,
    spell_points,
)
from fer_tl.reports.interval_plot import interval_figure, scatter_figure, spell_spans
from fer_tl.reports.page import render
from fer_tl.reports.rendering import Table, per_cent

_STEPS = 10  # shades of a difference to either side
_DARKEST = 0.2  # a difference of shares that has the last of them
_NONE = "–"


@dataclass(frozen=True)
class Cell:
    """A number of a matrix and the class of its shade, such as ``shade-7`` or ``more-3``."""

    text: str
    shade: str


@dataclass(frozen=True, eq=False)
class Matrix:
    """Shares, or differences of shares, of each true class (row) that are taken for each class (column)."""

    caption: str
    class_names: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def comparison_html(comparison: Comparison) -> str:
    """Return a page with the tables and notes of the other forms, and with what only a page has room for."""
    best = comparison.best
    return render(
        "compare.html",
        comparison.title,
        results=result_table(comparison),
        interval_charts=_interval_charts(comparison),
        notes=[*result_notes(comparison, "Bold"), *paper_notes(comparison)],
        differences=difference_table(comparison) if comparison.pairs else None,
        pairs=pair_table(comparison) if len(comparison.pairs) > 1 else None,
        best_name=comparison.rows[best].run.name if best is not None else "",
        classes=_class_table(comparison),
        class_charts=_class_charts(comparison),
        has_trainings=comparison.has_trainings,
        matrices=[_matrix(row) for row in comparison.rows if row.run.predictions],
        changes=_changes(comparison),
        darkest=f"{100 * _DARKEST:.0f}",
        agreement=_agreement_table(comparison),
        settings=settings_table(comparison),
        shared=shared_settings(comparison),
        costs=cost_table(comparison),
        cost_charts=_cost_charts(comparison),
        cost_notes=cost_notes(comparison),
        shades=shades(),
        difference_shades=difference_shades(_STEPS),
    )


def _interval_charts(comparison: Comparison) -> list[Chart]:
    """Accuracy and balanced accuracy of all rows, and the gap of those tested to the best."""
    scored = [row for row in comparison.rows if row.scores]
    names = [row.label for row in scored]
    untested = frozenset(n for n, row in enumerate(scored) if not row.is_tested)
    drawn = []
    for key, title in (("accuracy", "accuracy"), ("balanced_accuracy", "balanced accuracy")):
        if scored:
            values, ends = [row.scores[key] for row in scored], [row.intervals[key] for row in scored]
            figure = interval_figure(names, values, ends, f"{title}, %", marked=untested)
            drawn.append(
                chart(figure, f"rows-{key.replace('_', '-')}", title, f"{title}: {spell_spans(names, values, ends)}")
            )
    pairs = comparison.to_best
    if pairs:
        numbers = sorted(pairs)
        names = [comparison.rows[n].label for n in numbers]
        values = [-pairs[n].difference for n in numbers]
        ends = [(-pairs[n].interval[1], -pairs[n].interval[0]) for n in numbers]
        figure = interval_figure(names, values, ends, "gap to best, points", line=0.0)
        drawn.append(
            chart(figure, "rows-gap-to-best", "gap to best", f"gap to best: {spell_spans(names, values, ends)}")
        )
    return drawn


def _names(comparison: Comparison) -> tuple[str, ...]:
    """Class names of the rows that are tested."""
    found = next((row.run.predictions for row in comparison.rows if row.is_tested), None)
    return found.class_names if found else ()


def _class_table(comparison: Comparison) -> Table | None:
    """A row a class: its recall by the best, and how far every other tested row is from that."""
    best, found = comparison.best, comparison.class_differences
    if best is None or not found:
        return None
    names, others = _names(comparison), list(dict.fromkeys(each.row for each in found))
    by = {(each.row, each.label): each for each in found}
    recalls, support = _shares(comparison.rows[best])
    lines = [
        [name, f"{support[k]:,}", per_cent(recalls[k, k]), *(_class_cell(by[row, k]) for row in others)]
        for k, name in enumerate(names)
        if support[k]
    ]
    labels = [comparison.rows[row].label for row in others]
    return Table(["class", comparison.rows[best].counted, comparison.rows[best].label, *labels], [lines])


def _class_cell(each: ClassDifference) -> str:
    ends = f" ({' to '.join(spell_points(end, 1) for end in each.interval)})" if each.interval else ""
    return f"{spell_points(each.difference, 1)}{ends}"


def _class_charts(comparison: Comparison) -> list[Chart]:
    names, drawn = _names(comparison), []
    for row in dict.fromkeys(each.row for each in comparison.class_differences):
        shown = [each for each in comparison.class_differences if each.row == row and each.interval]
        if not shown:
            continue
        labels, values = [names[each.label] for each in shown], [each.difference for each in shown]
        ends = [each.interval for each in shown if each.interval]
        label = comparison.rows[row].label
        figure = interval_figure(labels, values, ends, f"recall, points: {label}", line=0.0)
        drawn.append(chart(figure, f"classes-{row}", label, f"recall of {label}: {spell_spans(labels, values, ends)}"))
    return drawn


def _shares(row: CompareRow) -> tuple[np.ndarray, np.ndarray]:
    """Share of each true class that is taken for each, float64 ``[K, K]``, and images of each class ``[K]``."""
    assert row.run.predictions is not None
    counts = confusion_matrix(row.run.predictions)
    support = counts.sum(axis=1)
    return counts / np.maximum(support, 1)[:, None], support


def _matrix(row: CompareRow) -> Matrix:
    assert row.run.predictions is not None
    shares, support = _shares(row)
    rows = tuple(
        tuple(Cell(f"{100 * share:.1f}" if n else _NONE, f"shade-{round(20 * share)}") for share in line)
        for line, n in zip(shares.tolist(), support.tolist(), strict=True)
    )
    return Matrix(row.label, row.run.predictions.class_names, rows)


def _changes(comparison: Comparison) -> list[Matrix]:
    """Of every tested row but the best, its shares less those of the best, in points."""
    best = comparison.best
    if best is None:
        return []
    first, support = _shares(comparison.rows[best])
    found = []
    for number, row in enumerate(comparison.rows):
        if row.is_tested and number != best:
            change = _shares(row)[0] - first
            cells = tuple(
                tuple(_change(value, n) for value in line)
                for line, n in zip(change.tolist(), support.tolist(), strict=True)
            )
            found.append(Matrix(row.label, _names(comparison), cells))
    return found


def _change(value: float, images: int) -> Cell:
    step = min(_STEPS, round(_STEPS * abs(value) / _DARKEST))
    side = "more" if value > 0 else "less"
    return Cell(spell_points(value, 1) if images else _NONE, f"{side}-{step}" if step else "")


def _agreement_table(comparison: Comparison) -> Table | None:
    if not comparison.agreements:
        return None

    def cells(each: Agreement) -> list[str]:
        names = [comparison.rows[number].label for number in (each.one, each.other)]
        shares = (each.same, each.both_right, each.both_wrong, each.same_error, each.only_one, each.only_other)
        first, *rest = map(per_cent, shares)
        return [*names, first, f"{each.kappa:.3f}".replace("-", "−"), *rest]

    header = ["one", "other", "same answer", "kappa", "both right", "both wrong", "with the same answer"]
    rows = [cells(each) for each in comparison.agreements]
    return Table([*header, "only the one", "only the other"], [rows], left=frozenset({0, 1}))


def _cost_charts(comparison: Comparison) -> list[Chart]:
    """Accuracy against parameters, multiplications and milliseconds, where two rows or more have them."""
    scored = [row for row in comparison.rows if row.scores]
    formats = [name for row in scored for name in row.milliseconds]
    form = max(dict.fromkeys(formats), key=formats.count) if formats else ""
    axes: list[tuple[str, str, list[float | None]]] = [
        ("parameters", "parameters", [row.costs.parameters if row.costs else None for row in scored]),
        ("macs", "MACs of an image", [row.costs.macs if row.costs else None for row in scored]),
        ("milliseconds", f"ms of an image, exported as {form}", [row.milliseconds.get(form) for row in scored]),
    ]
    drawn = []
    for name, label, found in axes:
        known: list[tuple[CompareRow, float]] = [
            (row, value) for row, value in zip(scored, found, strict=True) if value
        ]
        if len(known) < 2:
            continue
        names, at = [row.label for row, _ in known], [value for _, value in known]
        values = [row.scores["accuracy"] for row, _ in known]
        figure = scatter_figure(names, at, values, [row.intervals["accuracy"] for row, _ in known], label)
        spots = (f"{n} {value:,.4g}, {100 * share:.1f} %" for n, value, share in zip(names, at, values, strict=True))
        drawn.append(chart(figure, f"against-{name}", f"accuracy against {label}", f"{label}: {'; '.join(spots)}."))
    return drawn
