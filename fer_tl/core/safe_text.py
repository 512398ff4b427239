"""Text that may come from anybody, such as names of classes and files, made safe for the place where it is shown."""

from __future__ import annotations

import csv
import html
import io
import re
import unicodedata
from collections.abc import Container, Iterable, Sequence
from typing import Any

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

# What turns the direction of the text around it: names could show other letters than they have.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Control characters, halves of surrogate pairs, ends of lines and of paragraphs.
_CONTROLS = frozenset(("Cc", "Cs", "Zl", "Zp"))

# What a spreadsheet takes for a formula, https://owasp.org/www-community/attacks/CSV_Injection, behind any number of
# the apostrophes that `for_csv` puts there; a plain number is none.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_QUOTED_FORMULA = re.compile(r"'+[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def for_terminal(text: str, keep: str = "") -> str:
    """Text without what a terminal would obey: escape sequences, ends of lines, marks that turn its direction; they
    are shown as ``\\x1b`` or ``\\u202e``.

    Args:
        text: any.
        keep: control characters that may stay, such as the ends of our own lines.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if letter in keep or not _is_obeyed(letter) else _spelled(letter) for letter in text)


def printable(text: str) -> str:
    """A text of one line: line breaks, escape sequences, bytes that are no text and the like are written as in Python.

    "\\n" in a name becomes the two characters ``\\\\n``.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def _is_obeyed(letter: str) -> bool:
    return letter in _TURNING or unicodedata.category(letter) in _CONTROLS


def _spelled(letter: str) -> str:
    code = ord(letter)
    plain = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    # Four digits from 0x7f on: what JSON leaves as it is stays JSON.
    return plain.get(letter) or (f"\\x{code:02x}" if code < 0x7F else f"\\u{code:04x}")


class SafeStream:
    """A text stream to a terminal whose lines stay what they are, whoever named what is in them."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text; ends of lines stay, and a return at its start or end, which a live line begins with."""
        inner = text.strip("\r")
        start = text[: len(text) - len(text.lstrip("\r"))]
        end = text[len(start) + len(inner) :]
        self._stream.write(f"{start}{for_terminal(inner, keep=chr(10) + chr(9))}{end}")
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def for_csv(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe, by which
    spreadsheets mark text; ``from_csv`` takes it away again. Numbers, also as text, stay."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def csv_line(cells: Iterable[object]) -> str:
    """A line of a table, its end with it: the one way in which tables are written.

    A return inside a cell is quoted, which Python's writer forgets where lines end in a single character.
    """
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([for_csv(cell) for cell in cells])
    return out.getvalue().removesuffix("\r\n") + "\n"


def from_csv(cell: str) -> str:
    """What ``for_csv`` was given."""
    return cell[1:] if _QUOTED_FORMULA.match(cell) else cell


def for_markdown(text: str) -> str:
    """Plain text inside a line or a cell of Markdown: no table, tag, entity, code or link begins or ends in it."""
    shown = re.sub(r"\\(?=[!-/:-@\[-`{-~]|$)", r"\\\\", for_terminal(text))  # before a letter it stands for itself
    shown = shown.replace("|", "\\|").replace("`", "\\`")
    shown = re.sub(r"&(?=#?\w+;)", "&amp;", shown)
    shown = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", shown)
    return re.sub(r"\](?=[(\[:])", r"\\]", shown)


def for_html(text: str) -> str:
    """Plain text inside an element or an attribute of HTML; ends of lines stay."""
    return html.escape(for_terminal(text, keep="\n\t"))


def for_latex(text: str) -> str:
    """Plain text for LaTeX, on one line."""
    shown = (letter if letter.isprintable() or letter in _LATEX_LETTERS else " " for letter in text)
    return "".join(_LATEX_LETTERS.get(letter, letter) for letter in shown)


def aligned(rows: Sequence[Sequence[str]], left: Container[int] = (0,)) -> list[str]:
    """Rows of cells as lines: columns two blanks apart, those in ``left`` aligned to the left, others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
