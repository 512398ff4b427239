"""Accuracy by a column, for people: a table as text, Markdown, CSV and LaTeX, and a page with intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from fer_tl.core.counting import fitting
from fer_tl.core.files import write_text
from fer_tl.evaluation.compared_runs import ComparedRun
from fer_tl.evaluation.intervals import RESAMPLES
from fer_tl.evaluation.subgroups import FEWEST_GROUPS, FEWEST_IMAGES, Subgroup, Subgroups
from fer_tl.evaluation.test_time_augmentation import TTA
from fer_tl.reports.charts import Chart, chart
from fer_tl.reports.compare_table import spell_p, spell_points
from fer_tl.reports.interval_plot import interval_figure, spell_spans
from fer_tl.reports.latex import as_latex, label_of
from fer_tl.reports.page import render
from fer_tl.reports.rendering import Table, as_csv, as_markdown, as_text, per_cent

LIST = "subgroups.csv"
_WIDTH = 100  # letters of a line in a terminal
_SHOWN = 30  # subgroups in a terminal
_UNKNOWN = "(not known)"


def write_subgroups(
    folder: Path, run: ComparedRun, found: Subgroups, split: str | None, tta: str, has_groups: bool
) -> str:
    """Write tables and page; returns what the terminal shows.

    Args:
        folder: from ``fer_tl.core.output_folder.choose_folder``.
        run: whose predictions were scored.
        found: the figures.
        split: that was scored; None for the images that the run held out.
        tta: of the predictions.
        has_groups: whether it is known which images belong together.
    """
    # First: a folder left by an interruption is then known as a table of subgroups.
    write_text(folder / LIST, _csv(found))
    views = f", {TTA[tta]}" if TTA[tta] else ""
    scored = f"split {split}{views}" if split else "held-out images"
    title = f"{run.name} on {run.about['dataset']}: {scored} by {found.column.name}"
    table, notes = subgroups_table(found), _notes(found, has_groups)
    write_text(folder / "table.md", "\n\n".join([f"# {title}", as_markdown(table).rstrip(), *notes]) + "\n")
    label = label_of(run.name, "by", found.column.name)
    write_text(folder / "table.tex", as_latex(_for_paper(table), label, f"{title}.", notes))
    html = render("subgroups.html", title, cells=table, notes=notes, charts_=_charts(found))
    write_text(folder / "index.html", html)
    shown = _for_terminal(table)
    hidden = sum(map(len, table.blocks)) - sum(map(len, shown.blocks))
    if hidden > 0:
        notes = [f"{hidden:,} more are in {folder / 'table.md'}.", *notes]
    return "\n\n".join([title, as_text(shown).rstrip(), *(textwrap.fill(note, _WIDTH) for note in notes)])


def subgroups_table(found: Subgroups) -> Table:
    """Those that are tested, those that are too small, and those of which nothing is known, a block each."""
    blocks = [[_cells(each, found) for each in found.tested]] if found.tested else []
    blocks += [[_cells(each, found) for each in found.tiny]] if found.tiny else []
    blocks += [[_cells(found.unknown, found)]] if found.unknown else []
    tested = ["difference", "95 %", "p", "adjusted", "beyond classes", "95 %"]
    return Table([found.column.name, "images", "groups", "accuracy", "95 %", *tested], blocks)


def _for_terminal(table: Table) -> Table:
    """The columns that have room in a terminal, of the first rows where there are many."""
    kept = [0, 1, 3, 4, 5, 6, 8, 9]
    blocks = table.blocks if sum(map(len, table.blocks)) <= _SHOWN else [table.blocks[0][:_SHOWN]]
    return Table([table.header[n] for n in kept], [[[row[n] for n in kept] for row in block] for block in blocks])


def _cells(each: Subgroup, found: Subgroups) -> list[str]:
    low, high = each.interval
    cells = [each.value or _UNKNOWN, f"{each.images:,}", f"{each.groups:,}", per_cent(each.accuracy)]
    cells.append(f"{100 * low:.1f}–{100 * high:.1f} %")
    if each.difference is None or each.beyond is None:
        return [*cells, "–" if each in found.tiny else "", *[""] * 5]
    differences = [spell_points(each.difference), _range(each.difference_interval)]
    p_values = [spell_p(each.p), spell_p(each.p_adjusted)]
    return [*cells, *differences, *p_values, spell_points(each.beyond), _range(each.beyond_interval)]


def _range(interval: tuple[float, float] | None) -> str:
    return " to ".join(map(spell_points, interval)) if interval else ""


def _for_paper(table: Table) -> Table:
    """The same with per cent signs in the header, which LaTeX aligns."""
    header = [f"{name} (%)" if name == "accuracy" else name for name in table.header]
    blocks = [[[cell.removesuffix(" %") for cell in row] for row in block] for block in table.blocks]
    return Table(header, blocks, table.left)


def _notes(found: Subgroups, has_groups: bool) -> list[str]:
    column, units = found.column, "groups of images" if has_groups else "images"
    notes = []
    if any(each.difference is not None for each in found.tested):
        many = len(found.tested)
        at_once = f" for all {many} at once" if many > 1 else ""
        notes.append(
            f"Difference: accuracy less that of all other images with a value, in points. Intervals of differences "
            f"hold{at_once} with 95 %, by {RESAMPLES:,} resamples of {units}; p is two-sided"
            f"{f', adjusted for {many} subgroups by the largest deviation among them' if many > 1 else ''}. Beyond "
            "classes: the same after the recall of its class among all is taken from each answer, since a subgroup "
            "with more images of a hard class is less often right for that alone."
        )
        notes.append(_finding(found))
    if found.tiny:
        few = f"fewer than {FEWEST_IMAGES} images or {FEWEST_GROUPS} {'groups' if has_groups else 'of them'}"
        verb = "is" if len(found.tiny) == 1 else "are"
        notes.append(f"{len(found.tiny):,} with {few} {verb} shown below the others and not tested.")
    if column.bins:
        notes.append(f"{column.name} has many values: each row has about a quarter of the images.")
    said = []
    if column.not_listed:
        said.append(
            f"{column.not_listed:,} of {found.images:,} images {fitting(column.not_listed, 'is', 'are')} not in "
            f"{column.source}"
        )
    if column.empty:
        said.append(f"{column.empty:,} {fitting(column.empty, 'has', 'have')} no {column.name} there")
    if column.others:
        said.append(f"{column.others:,} of its rows are about no image that is scored")
    if said:
        notes.append(f"{'; '.join(said)}.")
    if not has_groups:
        notes.append("Each image is taken for itself, not its group: the dataset is not at hand.")
    return notes


def _finding(found: Subgroups) -> str:
    """Which subgroups differ, as far as these images tell."""
    apart = [each for each in found.tested if each.p_adjusted is not None and each.p_adjusted <= 0.05]
    named = ", ".join(f"{each.value} {spell_points(each.difference or 0)}" for each in apart[:8])
    more = f" and {len(apart) - 8} more" if len(apart) > 8 else ""
    if not apart:
        return "None is told apart from the others (adjusted p above 0.05), which is no proof that all are alike."
    return f"Different, as far as these images tell (adjusted p up to 0.05): {named}{more}."


def _charts(found: Subgroups) -> list[Chart]:
    shown = found.tested[:_SHOWN]
    if not shown:
        return []
    names = [each.value for each in shown]
    drawn = [_chart("accuracy", names, [each.accuracy for each in shown], [each.interval for each in shown],
                    "accuracy, %", found.accuracy)]  # fmt: skip
    compared = [each for each in shown if each.difference_interval and each.beyond_interval]
    names = [each.value for each in compared]
    for name, values, ends in (
        ("difference", [e.difference for e in compared], [e.difference_interval for e in compared]),
        ("beyond classes", [e.beyond for e in compared], [e.beyond_interval for e in compared]),
    ):
        if compared:
            drawn.append(_chart(name, names, values, ends, f"{name}, points", 0.0))  # type: ignore[arg-type]
    return drawn


def _chart(
    name: str,
    names: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    label: str,
    line: float,
) -> Chart:
    figure = interval_figure(names, values, intervals, label, line)
    return chart(figure, name.replace(" ", "-"), name, f"{label}: {spell_spans(names, values, intervals)}.")


def _csv(found: Subgroups) -> str:
    """One line a subgroup, fractions; ``tested`` says whether it has differences."""
    header = [found.column.name, "images", "groups", "accuracy", "accuracy_low", "accuracy_high", "expected", "tested"]
    for name in ("difference", "beyond"):
        header += [name, f"{name}_low", f"{name}_high"]
    lines: list[list[object]] = [[*header, "p", "p_adjusted"]]
    for each in (*found.tested, *found.tiny, *([found.unknown] if found.unknown else [])):
        line: list[object] = [each.value, each.images, each.groups, each.accuracy, *each.interval, each.expected]
        line.append("yes" if each.difference is not None else "no")
        for value, ends in ((each.difference, each.difference_interval), (each.beyond, each.beyond_interval)):
            line += ["", "", ""] if value is None or ends is None else [value, *ends]
        lines.append([*line, *("" if p is None else p for p in (each.p, each.p_adjusted))])
    return as_csv(lines)
