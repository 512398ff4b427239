"""The table of a sweep: one row a cell, with where it stands on each axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_tl.core.files import write_text
from fer_tl.evaluation.metrics import METRIC_NAMES, Metrics
from fer_tl.reports.rendering import Table, as_csv, as_markdown, as_text


@dataclass(frozen=True, eq=False)
class SweepRow:
    """One cell of a sweep.

    Attributes:
        labels: where it stands on each axis.
        metrics: of its held-out images; None if it failed.
        interval: 95 % interval of the accuracy, 0..1.
        seconds: it took, over all its folds; None where nothing was trained.
        failure: why there are no metrics, else "".
    """

    labels: tuple[str, ...]
    metrics: Metrics | None
    interval: tuple[float, float] = (0.0, 0.0)
    seconds: float | None = None
    failure: str = ""

    @property
    def name(self) -> str:
        """Of the cell, and of its run folder."""
        return "-".join(self.labels)


def write_sweep(folder: Path, title: str, axes: Sequence[str], rows: Sequence[SweepRow]) -> str:
    """Write the table of a sweep as Markdown and CSV; returns what the terminal shows."""
    note = (
        "All rows are scored on the same held-out images. Whoever takes the best row has chosen on them:\n"
        "expect less of it on others."
    )
    failures = "\n".join(f"{row.name} failed: {row.failure}" for row in rows if row.failure)
    ending = f"{note}\n\n{failures}\n" if failures else f"{note}\n"
    write_text(folder / "table.md", f"# {title}\n\n{sweep_table_markdown(axes, rows)}\n{ending}")
    write_text(folder / "table.csv", sweep_table_csv(axes, rows))
    return f"{title}\n\n{sweep_table_text(axes, rows)}\n{ending}"


def sweep_table_text(axes: Sequence[str], rows: Sequence[SweepRow]) -> str:
    """Terminal table of a sweep."""
    return as_text(_table(axes, rows))


def sweep_table_markdown(axes: Sequence[str], rows: Sequence[SweepRow]) -> str:
    """What ``sweep_table_text`` shows, as a Markdown table."""
    return as_markdown(_table(axes, rows))


def sweep_table_csv(axes: Sequence[str], rows: Sequence[SweepRow]) -> str:
    """One line a cell: its labels, images, the metrics as fractions, ends of the interval, seconds, failure."""
    header = [*axes, "images", *METRIC_NAMES, "accuracy_low", "accuracy_high", "seconds", "failure"]
    lines: list[list[object]] = []
    for row in rows:
        found = row.metrics
        values = [found.images, *(getattr(found, name) for name in METRIC_NAMES), *row.interval] if found else [""] * 7
        lines.append([*row.labels, *values, "" if row.seconds is None else row.seconds, row.failure])
    return as_csv([header, *lines])


def _table(axes: Sequence[str], rows: Sequence[SweepRow]) -> Table:
    header = [*axes, "accuracy", "95 % interval", "balanced acc.", "macro-F1", "loss", "minutes"]
    cells = []
    for row in rows:
        found = row.metrics
        if found is None:
            cells.append([*row.labels, "failed", "", "", "", "", ""])
            continue
        low, high = row.interval
        cells.append(
            [
                *row.labels,
                f"{100 * found.accuracy:.1f} %",
                f"{100 * low:.1f}–{100 * high:.1f} %",
                f"{100 * found.balanced_accuracy:.1f} %",
                f"{100 * found.macro_f1:.1f} %",
                f"{found.loss:.3f}",
                "" if row.seconds is None else f"{row.seconds / 60:.1f}",
            ]
        )
    return Table(header, [cells], left=frozenset(range(len(axes))))
