"""Tables for a paper in LaTeX: the rules of booktabs, numbers that siunitx aligns, a caption and a label."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fer_tl.core.safe_text import for_latex
from fer_tl.reports.rendering import Table

_NUMBER = re.compile(r"[−+-]?\d[\d,]*(\.\d+)?", re.ASCII)
# Letters of a line in a column of 8.5 cm at footnotesize, and what lies between two columns of a table in letters.
_COLUMN, _BETWEEN = 62, 2
_PREAMBLE = r"\usepackage{booktabs,siunitx}"


def as_latex(
    table: Table, label: str, caption: str, notes: Sequence[str] = (), joined: frozenset[int] = frozenset()
) -> str:
    r"""A floating table for a paper whose preamble has ``\usepackage{booktabs,siunitx}``.

    A table that is too wide for a column of a paper of two is a ``table*``.

    A column of numbers is one of siunitx (``S``), so that they stand under one another by their points and follow the
    settings of the document; what is not a number in it is set as text. What is marked is bold.

    Args:
        table: its blocks are separated by rules. Per cent signs and units belong into its header, of which a cell may
            have two lines.
        label: to refer to it, see ``label_of``.
        caption: above it.
        notes: sentences set small below it.
        joined: columns that belong to the one before, such as its interval: the first line of its heading spans both.
    """
    rows = [row for block in table.blocks for row in block]
    kinds = [_kind([row[n] for row in rows], n in table.left) for n in range(len(table.header))]

    def show(cell: str, column: int, is_marked: bool) -> str:
        if kinds[column].startswith("S") and _NUMBER.fullmatch(cell):
            plain = cell.replace(",", "").replace("−", "-").lstrip("+")
            return rf"\bfseries {plain}" if is_marked else plain
        text = rf"\textbf{{{for_latex(cell)}}}" if is_marked else for_latex(cell)
        return f"{{{text}}}" if kinds[column].startswith("S") and cell else text

    float_ = "table*" if _is_wide(table) else "table"
    lines = [
        f"% needs in the preamble: {_PREAMBLE}",
        rf"\begin{{{float_}}}",
        rf"\centering\footnotesize\setlength{{\tabcolsep}}{{{_gap(len(kinds))}pt}}\sisetup{{detect-weight}}",
        rf"\caption{{{for_latex(caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{@{{}}{''.join(kinds)}@{{}}}}",
        r"\toprule",
        *_headings(table.header, kinds, joined),
    ]
    for block in table.rendered(show):
        lines += [r"\midrule", *map(_line, block)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\scriptsize", for_latex(" ".join(notes))]
        lines += [r"\end{minipage}"]
    return "\n".join([*lines, rf"\end{{{float_}}}"]) + "\n"


def as_document(files: Sequence[str]) -> str:
    """A document that shows tables of files in its folder, to look at them."""
    inputs = [rf"\input{{{name}}}" for name in files]
    return (
        "\n".join(
            [
                r"\documentclass{article}",
                r"\usepackage[a4paper,margin=20mm]{geometry}",
                _PREAMBLE,
                r"\begin{document}",
                *inputs,
                r"\end{document}",
            ]
        )
        + "\n"
    )


def label_of(*names: str) -> str:
    r"""A name for ``\label``, such as ``tab:fer2013-classes``, of names of anybody's."""
    return "tab:" + "-".join(re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "table" for name in names)


def _is_wide(table: Table) -> bool:
    r"""Whether a table does not fit into a column of a paper of two. ``table*`` is then over both, and the same as
    ``table`` in a paper of one."""
    rows = [table.header, *(row for block in table.blocks for row in block)]
    cells = ([max(map(len, cell.split("\n"))) for cell in row] for row in rows)
    return sum(max(column) + _BETWEEN for column in zip(*cells, strict=True)) > _COLUMN


def _gap(columns: int) -> float:
    """Half of what lies between two columns: many fit on a page if they stand close."""
    return 2.2 if columns > 9 else 4


def _kind(cells: Sequence[str], is_left: bool) -> str:
    """The column of a tabular: ``l``, ``r`` or ``S`` with as many places as its numbers have."""
    numbers = [cell.replace(",", "") for cell in cells if _NUMBER.fullmatch(cell)]
    if is_left or not numbers:
        return "l" if is_left else "r"
    whole, _, decimals = zip(*(number.lstrip("−+-").partition(".") for number in numbers), strict=True)
    sign = "-" if any(number[0] in "−-" for number in numbers) else ""
    after = max(map(len, decimals))
    return f"S[table-format={sign}{max(map(len, whole))}{f'.{after}' if after else ''}]"


def _headings(header: Sequence[str], kinds: Sequence[str], joined: frozenset[int]) -> list[str]:
    """One line, or two where a heading has two; the first line of a heading spans the column joined to it."""
    upper, lower = zip(*(cell.partition("\n")[::2] for cell in header), strict=True)
    last = upper if not any(lower) else lower
    lines = [_line([_heading(cell, kind) for cell, kind in zip(last, kinds, strict=True)])]
    if any(lower):
        spans = {n - 1 for n in joined}
        above = [
            rf"\multicolumn{{2}}{{c}}{{{for_latex(cell)}}}" if n in spans else _heading(cell, kinds[n])
            for n, cell in enumerate(upper)
            if n not in joined
        ]
        lines.insert(0, _line(above))
    return lines


def _heading(cell: str, kind: str) -> str:
    """Above numbers in their middle, above words as they are aligned."""
    return f"{{{for_latex(cell)}}}" if cell and kind.startswith("S") else for_latex(cell)


def _line(row: Sequence[str]) -> str:
    return " & ".join(row) + r" \\"
