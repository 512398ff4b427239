"""The files and the text of a comparison of runs, in every form from the same tables."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from fer_tl.core.files import write_json, write_text
from fer_tl.evaluation.comparison import Pair
from fer_tl.evaluation.measures import headline_measures
from fer_tl.reports.compare_files import write_paper
from fer_tl.reports.compare_notes import cost_notes, paper_notes, result_notes
from fer_tl.reports.compare_page import comparison_html
from fer_tl.reports.compare_paper import settings_table, shared_settings
from fer_tl.reports.compare_table import (
    Comparison,
    compared_intervals,
    cost_table,
    difference_table,
    joined_table,
    pair_table,
    result_table,
)
from fer_tl.reports.rendering import Table, as_csv, as_markdown, as_text

FILE = "compare.json"
_WIDTH = 100  # letters of a line in a terminal
_MOST_PAIRS = 6  # in the terminal: those of four runs
_DIFFERENCE_COLUMNS = ["difference", "difference_low", "difference_high", "sign_flip_p", "sign_flip_p_adjusted"]
_DIFFERENCE_COLUMNS += ["t_test_p", "t_test_p_adjusted", "trainings_p", "trainings_p_adjusted"]


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
    write_paper(folder, comparison)
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
    parts += [*_settings_parts(comparison, folder), *result_notes(comparison, "*"), *paper_notes(comparison)]
    parts += [cost_table(comparison), *cost_notes(comparison)]
    return "\n\n".join(
        textwrap.fill(part, _WIDTH) if isinstance(part, str) else as_text(part).rstrip() for part in parts
    )


def _settings_parts(comparison: Comparison, folder: Path) -> list[str | Table]:
    """What was set otherwise for some rows, where there is room for it."""
    table = settings_table(comparison)
    if not table.blocks[0]:
        return []
    if max(map(len, as_text(table).splitlines())) > _WIDTH:
        return [f"Settings that differ: {folder / 'settings.md'}"]
    return [table]


def comparison_markdown(comparison: Comparison) -> str:
    """One table of results, the notes, and tables of costs and of all pairs."""
    results, differences = result_table(comparison), difference_table(comparison)
    parts = [f"# {comparison.title}", as_markdown(joined_table(results, differences)).rstrip()]
    parts += [*result_notes(comparison, "Bold"), *paper_notes(comparison)]
    settings = settings_table(comparison)
    if settings.blocks[0]:
        parts += ["## Settings that differ", as_markdown(settings).rstrip(), shared_settings(comparison)]
    parts += ["## Costs", as_markdown(cost_table(comparison)).rstrip(), *cost_notes(comparison)]
    if len(comparison.pairs) > 1:
        parts += ["## All pairs", as_markdown(pair_table(comparison)).rstrip()]
    return "\n\n".join(parts) + "\n"


def comparison_csv(comparison: Comparison) -> str:
    """One line a row, also a claimed one, with everything known of it: shares as fractions, p as it came and adjusted.

    ``source`` is ``run``, or the paper that claims it; what is not known is left empty.
    """
    lines = [_run_line(comparison, number) for number in range(len(comparison.rows))]
    header = list(lines[0])
    for paper in comparison.papers:
        for claim in paper.claims:
            line: dict[str, object] = {"row": claim.model, "source": paper.name, "dataset": paper.data}
            line["scored"] = claim.split
            for measure in headline_measures():
                value = getattr(claim, measure.name, None)  # in per cent if it is a share
                line[measure.name] = value if value is None or not measure.is_share else round(value / 100, 6)
            lines.append(line)
    return as_csv([header, *([_or_empty(line.get(name)) for name in header] for line in lines)])


def _run_line(comparison: Comparison, number: int) -> dict[str, object]:
    """The cells of a run by column; None for what is not known, or what a row that no pair has does not have."""
    row, pair, best = comparison.rows[number], comparison.to_best.get(number), comparison.best
    run, costs = row.run, row.costs
    scored = comparison.split or ("out of fold" if run.about["kind"] == "cv" else run.about["held_out"])
    line = {"row": run.name, "source": "run", "path": run.path, "dataset": run.about["dataset"]}
    line |= {"backbone": run.settings["backbone"], "scored": scored, "done": len(run.done)}
    line |= {"parts": len(run.about["parts"]), "differs": run.differs, "images": row.images}
    line |= {measure.name: row.scores.get(measure.name) for measure in headline_measures()}
    for name in compared_intervals():
        line[f"{name}_low"], line[f"{name}_high"] = row.intervals.get(name, (None, None))
    line |= {"trainings": len(run.trainings) or 1}
    line |= {f"{measure.name}_sd": row.spread.get(measure.name) for measure in headline_measures()}
    line |= {"parameters": costs and costs.parameters, "macs": costs and costs.macs, "seconds": run.seconds}
    line |= {"images_per_second": run.images_per_second}
    line["best"] = comparison.rows[best].run.name if pair and best is not None else None
    ends = [-pair.difference, -pair.interval[1], -pair.interval[0], *_p_cells(pair)] if pair else [None] * 9
    return line | dict(zip(_DIFFERENCE_COLUMNS, ends, strict=True))


def pairs_csv(comparison: Comparison) -> str:
    """One line a pair that was tested, fractions, p as it came and adjusted."""
    lines: list[list[object]] = [["better", "other", *_DIFFERENCE_COLUMNS]]
    for pair in comparison.pairs:
        names = [comparison.rows[number].run.name for number in (pair.better, pair.other)]
        lines.append([*names, pair.difference, *pair.interval, *_p_cells(pair)])
    return as_csv(lines)


def _p_cells(pair: Pair) -> list[object]:
    found = [pair.sign_flip, pair.sign_flip_adjusted, pair.t_test, pair.t_test_adjusted]
    return [_or_empty(p) for p in [*found, pair.trainings, pair.trainings_adjusted]]


def _or_empty(value: object) -> object:
    return "" if value is None else value
