"""The files and the text of a comparison of runs, in every form from the same tables."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from fer_tl.core.files import write_json, write_text
from fer_tl.evaluation.comparison import Pair
from fer_tl.evaluation.metrics import METRIC_NAMES
from fer_tl.reports.compare_notes import cost_notes, paper_notes, result_notes
from fer_tl.reports.compare_table import (
    INTERVALS,
    Comparison,
    cost_table,
    difference_table,
    joined_table,
    pair_table,
    result_table,
)
from fer_tl.reports.page import Section, page, paragraph, table
from fer_tl.reports.rendering import Table, as_csv, as_latex, as_markdown, as_text

FILE = "compare.json"
_WIDTH = 100  # letters of a line in a terminal
_MOST_PAIRS = 6  # in the terminal: those of four runs
_P_COLUMNS = ["sign_flip_p", "sign_flip_p_adjusted", "t_test_p", "t_test_p_adjusted"]


def write_comparison(folder: Path, comparison: Comparison, request: dict[str, Any]) -> str:
    """Write a comparison as Markdown, CSV, LaTeX and HTML; returns what the terminal shows.

    Args:
        folder: from ``fer_tl.core.output_folder.choose_requested``.
        comparison: what is shown.
        request: what makes it this comparison, JSON-ready.
    """
    # First: a folder left by an interruption is then known as this comparison's.
    write_json(folder / FILE, request)
    write_text(folder / "table.csv", comparison_csv(comparison))
    write_text(folder / "pairs.csv", pairs_csv(comparison))
    write_text(folder / "table.md", comparison_markdown(comparison))
    write_text(folder / "table.tex", comparison_latex(comparison))
    write_text(folder / "index.html", comparison_html(comparison))
    return comparison_text(comparison, folder)


def comparison_text(comparison: Comparison, folder: Path) -> str:
    """What the terminal shows: tables of at most 100 letters where names are short, and the notes."""
    results, differences = result_table(comparison), difference_table(comparison)
    joined = joined_table(results, differences)
    wide = max(map(len, as_text(joined).splitlines())) > _WIDTH
    parts: list[str | Table] = [comparison.title, *([results, differences] if wide and comparison.pairs else [joined])]
    if len(comparison.pairs) > 1:
        many = len(comparison.pairs) > _MOST_PAIRS
        parts.append(f"All {len(comparison.pairs)} pairs: {folder / 'index.html'}" if many else pair_table(comparison))
    parts += [*result_notes(comparison, "*"), *paper_notes(comparison), cost_table(comparison), *cost_notes(comparison)]
    return "\n\n".join(
        textwrap.fill(part, _WIDTH) if isinstance(part, str) else as_text(part).rstrip() for part in parts
    )


def comparison_markdown(comparison: Comparison) -> str:
    """One table of results, the notes, and tables of costs and of all pairs."""
    results, differences = result_table(comparison), difference_table(comparison)
    parts = [f"# {comparison.title}", as_markdown(joined_table(results, differences)).rstrip()]
    parts += [*result_notes(comparison, "Bold"), *paper_notes(comparison)]
    parts += ["## Costs", as_markdown(cost_table(comparison)).rstrip(), *cost_notes(comparison)]
    if len(comparison.pairs) > 1:
        parts += ["## All pairs", as_markdown(pair_table(comparison)).rstrip()]
    return "\n\n".join(parts) + "\n"


def comparison_latex(comparison: Comparison) -> str:
    """Tables of results, of differences to the best row, of costs and of all pairs, each with its notes."""
    results, differences = result_table(comparison), difference_table(comparison)
    tables = [as_latex(results, comparison.title, [*result_notes(comparison, "Bold"), *paper_notes(comparison)])]
    if comparison.pairs:
        tables.append(as_latex(differences, "Differences of accuracy to the best row, in points"))
    tables.append(as_latex(cost_table(comparison), "Costs", cost_notes(comparison)))
    if len(comparison.pairs) > 1:
        tables.append(as_latex(pair_table(comparison), "Differences of accuracy of all pairs, in points"))
    return "\n".join(tables)


def comparison_html(comparison: Comparison) -> str:
    """A page with the same tables and notes, none of them too wide for a screen."""
    notes = "".join(map(paragraph, [*result_notes(comparison, "Bold"), *paper_notes(comparison)]))
    sections = [Section("Results", table(result_table(comparison), comparison.title) + notes)]
    if comparison.pairs:
        behind = table(difference_table(comparison), "Accuracy less that of the best row, in points")
        sections.append(Section("To the best", behind))
    if len(comparison.pairs) > 1:
        pairs = table(pair_table(comparison), "Differences of accuracy in points, the better row first")
        sections.append(Section("All pairs", pairs))
    costs = table(cost_table(comparison), "What each run took") + "".join(map(paragraph, cost_notes(comparison)))
    return page(comparison.title, [*sections, Section("Costs", costs)])


def comparison_csv(comparison: Comparison) -> str:
    """One line a row, also a claimed one, with everything known of it: shares as fractions, p as it came and adjusted.

    ``source`` is ``run``, or the paper that claims it; what is not known is left empty.
    """
    ends = [f"{name}_{end}" for name in INTERVALS for end in ("low", "high")]
    header = ["row", "source", "path", "dataset", "backbone", "scored", "done", "parts", "differs", "images"]
    header += [*METRIC_NAMES, *ends, "parameters", "macs", "seconds", "images_per_second", "best", "difference"]
    header += ["difference_low", "difference_high", *_P_COLUMNS]
    lines: list[list[object]] = [[*header]]
    best = comparison.best
    for number, row in enumerate(comparison.rows):
        run, pair = row.run, comparison.to_best.get(number)
        scored = comparison.split or ("out of fold" if run.about["kind"] == "cv" else run.about["held_out"])
        line: list[object] = [run.name, "run", run.path, run.about["dataset"], run.settings["backbone"], scored]
        line += [len(run.done), len(run.about["parts"]), run.differs]
        line += [row.images, *(row.scores.get(name, "") for name in METRIC_NAMES)]
        line += [end for name in INTERVALS for end in row.intervals.get(name, ("", ""))]
        line += [row.costs.parameters, row.costs.macs] if row.costs else ["", ""]
        line += [_or_empty(run.seconds), _or_empty(run.images_per_second)]
        line += [comparison.rows[best].run.name if pair and best is not None else ""]
        line += [-pair.difference, -pair.interval[1], -pair.interval[0], *_p_cells(pair)] if pair else [""] * 7
        lines.append(line)
    for paper in comparison.papers:
        for claim in paper.claims:
            shares = [_fraction(claim.accuracy), _fraction(claim.balanced_accuracy), "", _or_empty(claim.loss)]
            line = [claim.model, paper.name, "", paper.data, "", claim.split, "", "", "", "", *shares]
            lines.append([*line, *[""] * (len(header) - len(line))])
    return as_csv(lines)


def pairs_csv(comparison: Comparison) -> str:
    """One line a pair that was tested, fractions, p as it came and adjusted."""
    lines: list[list[object]] = [["better", "other", "difference", "difference_low", "difference_high", *_P_COLUMNS]]
    for pair in comparison.pairs:
        names = [comparison.rows[number].run.name for number in (pair.better, pair.other)]
        lines.append([*names, pair.difference, *pair.interval, *_p_cells(pair)])
    return as_csv(lines)


def _p_cells(pair: Pair) -> list[object]:
    return [pair.sign_flip, pair.sign_flip_adjusted, _or_empty(pair.t_test), _or_empty(pair.t_test_adjusted)]


def _fraction(percent: float | None) -> object:
    return "" if percent is None else round(percent / 100, 6)


def _or_empty(value: float | None) -> object:
    return "" if value is None else value
