"""A table of cells as terminal text, Markdown or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Table:
    """Cells as text: a header, and blocks of rows that a terminal separates by a rule.

    Columns of words, by their numbers in ``left``, are aligned to the left, the others to the right.
    """

    header: list[str]
    blocks: list[list[list[str]]]
    left: frozenset[int] = frozenset({0})


def as_text(table: Table) -> str:
    """Columns aligned, two blanks apart."""
    rows = [table.header, *(row for block in table.blocks for row in block)]
    widths = np.array([[len(cell) for cell in row] for row in rows]).max(axis=0)  # [columns]

    def line(row: list[str]) -> str:
        sized = enumerate(zip(row, widths, strict=True))
        return "  ".join(c.ljust(w) if column in table.left else c.rjust(w) for column, (c, w) in sized).rstrip()

    rule = "─" * int(widths.sum() + 2 * (len(widths) - 1))
    lines = [line(table.header)]
    for block in table.blocks:
        lines += [rule, *(line(row) for row in block)]
    return "\n".join(lines) + "\n"


def as_markdown(table: Table) -> str:
    """A Markdown table, aligned likewise."""

    def line(row: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"

    rule = "|" + "".join("---|" if column in table.left else "---:|" for column in range(len(table.header)))
    return "\n".join([line(table.header), rule, *(line(row) for block in table.blocks for row in block)]) + "\n"


def as_csv(rows: Sequence[Sequence[object]]) -> str:
    """Rows of plain values, the header first."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
