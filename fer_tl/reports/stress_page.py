"""What corruptions cost a run, for people: the figures as CSV, a table as Markdown, a page with curves and examples."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fer_tl.core.files import write_text
from fer_tl.inference.stress.corruptions import SEVERITIES, Corruption
from fer_tl.inference.stress.measure import Level, Stress
from fer_tl.reports.charts import Chart, chart
from fer_tl.reports.figures import QUIET, STYLE, TRAINING, lighten, new_figure
from fer_tl.reports.page import Tile, render
from fer_tl.reports.rendering import Table, as_csv, as_markdown, as_text, per_cent

LIST = "stress.csv"
TABLE = "table.md"
PAGE = "index.html"
_WIDTH = 100  # letters of a line in a terminal
_MIDDLE = 3  # the severity whose loss is in the table


def write_stress(found: Stress, folder: Path) -> str:
    """Write figures, table and page; returns what the terminal shows.

    Args:
        found: from ``fer_tl.inference.stress.measure.measure_stress``.
        folder: from ``fer_tl.core.output_folder.choose_folder``.
    """
    # First: a folder left by an interruption is then known as a stress test's.
    write_text(folder / LIST, _csv(found))
    table, notes, title = stress_table(found), _notes(found), _title(found)
    write_text(folder / TABLE, "\n\n".join([f"# {title}", as_markdown(table).rstrip(), *notes]) + "\n")
    html = render(
        "stress.html",
        title,
        notes=notes,
        cells=table,
        curves=[_curve(found, kind, levels) for kind, levels in found.levels.items()],
        examples=[(f"{kind.name}: {kind.unit}", _tiles(found, kind)) for kind in found.levels],
    )
    write_text(folder / PAGE, html)
    said = "\n".join(textwrap.fill(note, _WIDTH) for note in notes)
    return f"{title}\n\n{as_text(table)}\n{said}\n\nfigures: {folder / LIST}\npage: {folder / PAGE}"


def stress_table(found: Stress) -> Table:
    """One row a corruption: accuracy at each severity, their mean, and the loss at the middle one with its interval."""
    header = ["corruption", *map(str, SEVERITIES), "mean", f"points lost at {_MIDDLE}", "95 % interval"]
    rows = []
    for kind, levels in found.levels.items():
        middle = levels[_MIDDLE - 1]
        mean = sum(level.accuracy for level in levels) / len(levels)
        low, high = middle.lost_interval
        lost = f"{100 * middle.lost:.1f}", f"{100 * low:.1f} to {100 * high:.1f}"
        rows.append([kind.name, *(per_cent(level.accuracy) for level in levels), per_cent(mean), *lost])
    low, high = found.mean_interval
    columns = zip(*found.levels.values(), strict=True)  # a severity of every corruption each
    means = [sum(level.accuracy for level in column) / len(column) for column in columns]
    last = ["mean", *map(per_cent, means), per_cent(found.mean), "", f"{100 * low:.1f}–{100 * high:.1f} %"]
    return Table(header, [rows, [last]] if len(rows) > 1 else [rows])


def _csv(found: Stress) -> str:
    """One line a condition, the images as they are first: shares as fractions."""
    header = ["corruption", "severity", "amount", "images", "accuracy", "accuracy_low", "accuracy_high"]
    header += ["lost", "lost_low", "lost_high"]
    lines: list[list[object]] = [["none", 0, "", len(found.ids), found.accuracy, *found.interval, 0.0, 0.0, 0.0]]
    for kind, levels in found.levels.items():
        for level, amount in zip(levels, kind.amounts, strict=True):
            measured = (level.accuracy, *level.interval, level.lost, *level.lost_interval)
            lines.append([kind.name, level.severity, amount, len(found.ids), *measured])
    return as_csv([header, *lines])


def _title(found: Stress) -> str:
    run = found.run
    return f"{run.read_experiment().backbone} on {run.read_run()['dataset']}: held-out images under stress"


def _notes(found: Stress) -> list[str]:
    low, high = found.interval
    few = (
        f"{len(found.ids):,} of the {found.held_out:,}"
        if len(found.ids) < found.held_out
        else f"all {len(found.ids):,}"
    )
    return [
        f"As they are, {per_cent(found.accuracy)} (95 % interval {100 * low:.1f}–{100 * high:.1f} %) of {few} held-out "
        "images are right. Each is answered for by a model that was not trained on it.",
        "Severities run from 1, mild, to 5. Every corruption changes the same images, and the points lost are paired "
        "image by image; each 95 % interval, by resamples of groups of images, holds for itself.",
    ]


@matplotlib.rc_context(STYLE)
def _curve(found: Stress, kind: Corruption, levels: tuple[Level, ...]) -> Chart:
    figure = new_figure(3.4, 2.4)
    axes = figure.add_subplot()
    at, values = (0, *SEVERITIES), [found.accuracy, *(level.accuracy for level in levels)]
    ends = [found.interval, *(level.interval for level in levels)]
    reach = [[value - low for value, (low, _) in zip(values, ends, strict=True)]]
    reach += [[high - value for value, (_, high) in zip(values, ends, strict=True)]]
    axes.axhline(found.accuracy, color=QUIET, linestyle=":", linewidth=1)
    line: dict[str, Any] = {"color": TRAINING["color"], "linewidth": 1.4, "markersize": 3.5, "capsize": 2}
    axes.errorbar(at, values, yerr=reach, marker="o", **line)
    axes.set_xlabel(f"{kind.name}, severity")
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    lighten(axes)
    course = ", ".join(f"{per_cent(level.accuracy)} at {level.severity}" for level in levels)
    described = f"Accuracy under {kind.name} ({kind.unit}): {per_cent(found.accuracy)} as they are, {course}."
    return chart(figure, f"stress-{kind.name}", kind.name, described)


def _tiles(found: Stress, kind: Corruption) -> list[Tile]:
    """One image as it is and in the five severities."""
    image, identity = found.images[0], str(found.ids[0])
    tiles = [Tile(image, "as it is")]
    for severity, amount in zip(SEVERITIES, kind.amounts, strict=True):
        tiles.append(Tile(kind.apply(image, severity, identity), f"{severity}: {amount:g}"))
    return tiles
