"""The table of a sweep: one row a cell, with where it stands on each axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fer_tl.core.files import write_text
from fer_tl.evaluation.intervals import Interval
from fer_tl.evaluation.measures import headline_measures
from fer_tl.evaluation.metrics import Metrics
from fer_tl.reports.rendering import Table, as_csv, as_markdown, as_text
from fer_tl.reports.tables import model_cells, model_header


@dataclass(frozen=True, eq=False)
class SweepRow:
    """One cell of a sweep.

    Attributes:
        labels: where it stands on each axis.
        metrics: of its held-out images; None if it failed.
        intervals: 95 % intervals of its measures by name.
        seconds: it took, over all its folds; None where nothing was trained.
        failure: why there are no metrics, else "".
    """

    labels: tuple[str, ...]
    metrics: Metrics | None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    seconds: float | None = None
    failure: str = ""

    @property
    def name(self) -> str:
        """Of the cell, and of its run folder."""
        return "-".join(self.labels)


def write_sweep(folder: Path, title: str, axes: Sequence[str], rows: Sequence[SweepRow]) -> str:
    """Write the table of a sweep as Markdown and CSV; returns what the terminal shows."""
    note = (
        "All rows are scored on the same held-out images. Taking the best row is a choice made on them:\n"
        "expect less of it on others."
    )
    failures = "\n".join(f"{row.name} failed: {row.failure}" for row in rows if row.failure)
    ending = f"{note}\n\n{failures}\n" if failures else f"{note}\n"
    table = _table(axes, rows)
    write_text(folder / "table.md", f"# {title}\n\n{as_markdown(table)}\n{ending}")
    write_text(folder / "table.csv", _csv(axes, rows))
    return f"{title}\n\n{as_text(table)}\n{ending}"


def _csv(axes: Sequence[str], rows: Sequence[SweepRow]) -> str:
    """One line a cell: its labels, images, the metrics as fractions, ends of intervals, seconds, failure."""
    names = [measure.name for measure in headline_measures()]
    beside = [measure.name for measure in headline_measures() if measure.interval_beside]
    ends = [f"{name}_{end}" for name in beside for end in ("low", "high")]
    header = [*axes, "images", *names, *ends, "seconds", "failure"]
    lines: list[list[object]] = []
    for row in rows:
        values: list[object] = [""] * (1 + len(names) + len(ends))
        if row.metrics:
            found = (end for name in beside for end in row.intervals[name])
            values = [row.metrics.images, *(row.metrics.values[name] for name in names), *found]
        lines.append([*row.labels, *values, "" if row.seconds is None else row.seconds, row.failure])
    return as_csv([header, *lines])


def _table(axes: Sequence[str], rows: Sequence[SweepRow]) -> Table:
    header = model_header()
    failed = ["failed", *[""] * len(header)]
    cells = []
    for row in rows:
        minutes = "" if row.seconds is None else f"{row.seconds / 60:.1f}"
        found = [*model_cells(row.metrics.values, row.intervals), minutes] if row.metrics else failed
        cells.append([*row.labels, *found])
    return Table([*axes, *header, "minutes"], [cells], left=frozenset(range(len(axes))))
