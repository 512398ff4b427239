"""A table of cells as terminal text, Markdown or CSV."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fer_tl.core.safe_text import aligned, csv_line, for_markdown, for_terminal


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


def per_cent(share: float, digits: int = 1) -> str:
    """``0.1234`` to ``12.3 %``."""
    return f"{100 * share:.{digits}f} %"


def as_text(table: Table) -> str:
    """Columns aligned, two blanks apart; a star behind what is marked."""
    starred = {column for _, column in table.marks}

    def show(cell: str, column: int, is_marked: bool) -> str:
        # The others of the column give way to the star, so that digits stay under digits.
        return f"{cell}{'*' if is_marked else ' '}" if column in starred else cell

    header = [show(for_terminal(cell), column, False) for column, cell in enumerate(table.header)]
    blocks = table.rendered(lambda cell, column, is_marked: show(for_terminal(cell), column, is_marked))
    rows = [header, *(row for block in blocks for row in block)]
    width = sum(max(map(len, column)) for column in zip(*rows, strict=True)) + 2 * (len(header) - 1)
    first, *others = aligned(rows, table.left)
    lines, shown = [first], iter(others)
    for block in blocks:
        lines += ["─" * width, *itertools.islice(shown, len(block))]
    return "\n".join(lines) + "\n"


def as_markdown(table: Table) -> str:
    """A Markdown table, aligned likewise; what is marked is bold, and what looks like a tag is shown as it is."""

    def line(row: list[str]) -> str:
        return "| " + " | ".join(row) + " |"

    rule = "|" + "".join("---|" if column in table.left else "---:|" for column in range(len(table.header)))
    blocks = table.rendered(lambda cell, _, is_marked: f"**{for_markdown(cell)}**" if is_marked else for_markdown(cell))
    return (
        "\n".join(
            [
                line([for_markdown(cell) for cell in table.header]),
                rule,
                *(line(row) for block in blocks for row in block),
            ]
        )
        + "\n"
    )


def as_csv(rows: Sequence[Sequence[object]]) -> str:
    """Rows of plain values, the header first, see ``csv_line``."""
    return "".join(map(csv_line, rows))
