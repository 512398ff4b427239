"""Names out of files as text that no terminal takes for an order."""

from __future__ import annotations


def printable(text: str) -> str:
    """A text of one line: line breaks, escape sequences, bytes that are no text and the like are written as in Python.

    "\\n" in a name becomes the two characters ``\\\\n``.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)
