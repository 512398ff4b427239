"""A table of cells as terminal text, Markdown, CSV or LaTeX."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# What LaTeX would take for a command, or set otherwise in its default font. The brackets and the star are an argument
# where they follow the end of a row.
_LATEX_LETTERS = {
    "\\": r"\textbackslash{}",
    "%": r"\%",
    "&": r"\&",
    "_": r"\_",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "*": "{*}",
    "–": "--",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≤": r"$\le$",
    "†": r"\dag{}",
    "…": r"\ldots{}",
    "\u00a0": "~",
}


@dataclass(frozen=True)
class Table:
    """Cells as text: a header, and blocks of rows that a terminal separates by a rule.

    Columns of words, by their numbers in ``left``, are aligned to the left, the others to the right. ``marks`` are the
    cells to point out, such as the best of a column: row, counted from 0 through all blocks, and column.
    """

    header: list[str]
    blocks: list[list[list[str]]]
    left: frozenset[int] = frozenset({0})
    marks: frozenset[tuple[int, int]] = frozenset()

    def rendered(self, show: Callable[[str, int, bool], str]) -> list[list[list[str]]]:
        """The blocks with ``show(cell, column, whether it is to be pointed out)`` in place of each cell."""
        number = itertools.count()
        return [
            [
                [show(cell, column, (n, column) in self.marks) for column, cell in enumerate(row)]
                for row, n in zip(block, number, strict=False)
            ]
            for block in self.blocks
        ]


def as_text(table: Table) -> str:
    """Columns aligned, two blanks apart; a star behind what is marked."""
    starred = {column for _, column in table.marks}

    def show(cell: str, column: int, is_marked: bool) -> str:
        # The others of the column give way to the star, so that digits stay under digits.
        return f"{cell}{'*' if is_marked else ' '}" if column in starred else cell

    header = [show(cell, column, False) for column, cell in enumerate(table.header)]
    blocks = table.rendered(show)
    rows = [header, *(row for block in blocks for row in block)]
    widths = np.array([[len(cell) for cell in row] for row in rows]).max(axis=0)  # [columns]

    def line(row: list[str]) -> str:
        sized = enumerate(zip(row, widths, strict=True))
        return "  ".join(c.ljust(w) if column in table.left else c.rjust(w) for column, (c, w) in sized).rstrip()

    rule = "─" * int(widths.sum() + 2 * (len(widths) - 1))
    lines = [line(header)]
    for block in blocks:
        lines += [rule, *(line(row) for row in block)]
    return "\n".join(lines) + "\n"


def as_markdown(table: Table) -> str:
    """A Markdown table, aligned likewise; what is marked is bold, and what looks like a tag is shown as it is."""

    def line(row: list[str]) -> str:
        return "| " + " | ".join(re.sub(r"<(?=[A-Za-z/!?])", "&lt;", cell.replace("|", "\\|")) for cell in row) + " |"

    rule = "|" + "".join("---|" if column in table.left else "---:|" for column in range(len(table.header)))
    blocks = table.rendered(lambda cell, _, is_marked: f"**{cell}**" if is_marked else cell)
    return "\n".join([line(table.header), rule, *(line(row) for block in blocks for row in block)]) + "\n"


def as_latex(table: Table, caption: str = "", notes: Sequence[str] = ()) -> str:
    """A LaTeX table with the rules of ``booktabs``; what is marked is bold.

    Args:
        table: its blocks are separated by rules.
        caption: above it.
        notes: sentences set small below it.
    """
    columns = "".join("l" if column in table.left else "r" for column in range(len(table.header)))

    def line(row: Sequence[str]) -> str:
        return " & ".join(row) + r" \\"

    def show(cell: str, _: int, is_marked: bool) -> str:
        return rf"\textbf{{{escape_latex(cell)}}}" if is_marked else escape_latex(cell)

    lines = [
        "% needs \\usepackage{booktabs} and, for letters beyond ASCII, UTF-8 input (the default since 2018)",
        r"\begin{table}",
        r"\centering\small",
        *([rf"\caption{{{escape_latex(caption)}}}"] if caption else []),
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        line([escape_latex(cell) for cell in table.header]),
    ]
    for block in table.rendered(show):
        lines += [r"\midrule", *map(line, block)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize", escape_latex(" ".join(notes))]
        lines += [r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def escape_latex(text: str) -> str:
    """Plain text for LaTeX, on one line."""
    shown = (letter if letter.isprintable() or letter in _LATEX_LETTERS else " " for letter in text)
    return "".join(_LATEX_LETTERS.get(letter, letter) for letter in shown)


def as_csv(rows: Sequence[Sequence[object]]) -> str:
    """Rows of plain values, the header first."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
