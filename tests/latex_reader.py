"""Whether LaTeX is sound as far as one can tell without it, and a name that tries all it could break."""

from __future__ import annotations

import re

HOSTILE = r"[50%] a_b & $c$ #1 {d} ~e^ \f <g> | *"


def assert_balanced(latex: str) -> None:
    """Every brace and environment is closed in its order, and each row has as many cells as there are columns."""
    plain = re.sub(r"\\[\\{}%&_#$]", "", re.sub(r"^%.*$", "", latex, flags=re.MULTILINE))
    depth = 0
    for letter in plain:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    opened: list[str] = []
    for word, name in re.findall(r"\\(begin|end)\{(\w+)\}", latex):
        if word == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    assert plain.count("$") % 2 == 0
    columns = ""
    for line in latex.splitlines():
        if line.startswith(r"\begin{tabular}"):
            columns = re.sub(r"@\{\}|\[[^\]]*\]", "", line.partition("}{")[2]).rstrip("}")
        if line.endswith(r" \\"):
            spanned = line.count(r"\multicolumn{2}")
            assert len(re.findall(r"(?<!\\)&", line)) + spanned == len(columns) - 1
