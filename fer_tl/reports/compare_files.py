"""The files of a comparison that a paper takes its tables from, each as CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fer_tl.core.files import write_text
from fer_tl.core.safe_text import for_markdown
from fer_tl.reports.compare_notes import paper_notes, result_notes
from fer_tl.reports.compare_paper import (
    class_result_lines,
    class_result_table,
    confusion_lines,
    confusion_table,
    paper_table,
    settings_table,
    shared_settings,
)
from fer_tl.reports.compare_table import Comparison, pair_table
from fer_tl.reports.latex import as_document, as_latex, label_of
from fer_tl.reports.rendering import Table, as_csv, as_markdown

DOCUMENT = "paper.tex"
OVER_SEEDS = "over-seeds"
"""In the folder of several seeds or of a sweep with seeds: all tables of their comparison."""
_CLASSES = "Recall, precision and F1 of each class"
_CONFUSION = "of the images of each true class (row), the per cent that are taken for each class (column)"


def write_paper(folder: Path, comparison: Comparison) -> None:
    r"""Write ``table.tex`` with all results, tables of settings, classes, confusion and pairs, and a document that
    shows them.

    Labels are ``tab:<folder>``, ``tab:<folder>-settings`` and so on: a paper may take tables of several comparisons.

    Args:
        folder: of the comparison.
        comparison: what is shown.
    """
    stem = folder.resolve().name
    if stem == OVER_SEEDS:  # there is one in every sweep
        stem = f"{folder.resolve().parent.name}-{stem}"
    table, joined = paper_table(comparison)
    notes = [*result_notes(comparison, "Bold"), *paper_notes(comparison)]
    latex = {"table": as_latex(table, label_of(stem), f"{comparison.title}. {_what_is_in(comparison)}", notes, joined)}
    settings, shared = settings_table(comparison), shared_settings(comparison)
    caption = f"Settings that differ: {comparison.title}"
    if len(comparison.rows) > 1 and settings.blocks[0]:
        latex["settings"] = as_latex(settings, label_of(stem, "settings"), caption, [shared] if shared else [])
    write_text(folder / "settings.csv", _plain(settings))
    write_text(folder / "settings.md", _markdown(caption, settings, shared))
    if any(row.run.predictions for row in comparison.rows):
        latex |= _write_classes(folder, stem, comparison)
        latex |= _write_confusions(folder, stem, comparison)
    if len(comparison.pairs) > 1:
        pairs, caption = pair_table(comparison), f"All pairs by accuracy, in points: {comparison.title}"
        write_text(folder / "pairs.md", _markdown(caption, pairs))
        latex["pairs"] = as_latex(pairs, label_of(stem, "pairs"), caption)
    for name, text in latex.items():
        write_text(folder / f"{name}.tex", text)
    write_text(folder / DOCUMENT, as_document(list(latex)))


def _what_is_in(comparison: Comparison) -> str:
    images = {row.images for row in comparison.rows if row.is_tested}
    counted = f"{images.pop():,} images; " if len(images) == 1 else ""
    adjusted = f", p adjusted for {len(comparison.pairs)} pairs" if len(comparison.pairs) > 1 else ""
    return f"{counted}intervals of 95 %{adjusted}; size: millions of parameters."


def _write_classes(folder: Path, stem: str, comparison: Comparison) -> dict[str, str]:
    table, caption = class_result_table(comparison), f"{_CLASSES}: {comparison.title}"
    write_text(folder / "classes.csv", as_csv(class_result_lines(comparison)))
    write_text(folder / "classes.md", _markdown(caption, table))
    return {"classes": as_latex(table, label_of(stem, "classes"), f"{caption}.")}


def _write_confusions(folder: Path, stem: str, comparison: Comparison) -> dict[str, str]:
    write_text(folder / "confusion.csv", as_csv(confusion_lines(comparison)))
    shown = [row for row in comparison.rows if row.run.predictions]
    tables = [confusion_table(row) for row in shown]
    markdown = [f"# Confusion: {for_markdown(_CONFUSION)}\n"]
    markdown += [
        f"## {for_markdown(row.label)}\n\n{as_markdown(table)}" for row, table in zip(shown, tables, strict=True)
    ]
    write_text(folder / "confusion.md", "\n".join(markdown))
    return {
        "confusion": "\n".join(
            as_latex(table, label_of(stem, "confusion", str(number)), f"{row.label}: {_CONFUSION}.")
            for number, (row, table) in enumerate(zip(shown, tables, strict=True), 1)
        )
    }


def _plain(table: Table) -> str:
    rows: Sequence[Sequence[object]] = [table.header, *(row for block in table.blocks for row in block)]
    return as_csv(rows)


def _markdown(title: str, table: Table, *notes: str) -> str:
    parts = [f"# {for_markdown(title)}", as_markdown(table).rstrip(), *map(for_markdown, filter(None, notes))]
    return "\n\n".join(parts) + "\n"
