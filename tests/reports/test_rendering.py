"""Tables in every form: what is marked, what is escaped, and nothing moved where nothing is marked."""

from __future__ import annotations

import re

from fer_tl.core.safe_text import for_latex
from fer_tl.reports.rendering import Table, as_latex, as_markdown, as_text

HOSTILE = r"[50%] a_b & $c$ #1 {d} ~e^ \f <g> | *"
TABLE = Table(
    ["run", "accuracy", "loss"],
    [[["first", "45.1 %", "1.465"], ["second", "9.0 %", "1.5"]], [["third", "47.0 %", "1.402"]]],
    marks=frozenset({(2, 1), (2, 2)}),
)


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
        columns = line.partition("}{")[2].rstrip("}") if line.startswith(r"\begin{tabular}") else columns
        if line.endswith(r" \\"):
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1


def test_a_star_follows_what_is_marked_and_digits_stay_under_digits():
    assert as_text(TABLE).splitlines() == [
        "run     accuracy    loss",
        "─────────────────────────",
        "first     45.1 %   1.465",
        "second     9.0 %     1.5",
        "─────────────────────────",
        "third     47.0 %*  1.402*",
    ]


def test_marked_cells_are_bold_in_markdown_and_latex():
    assert "| third | **47.0 %** | **1.402** |" in as_markdown(TABLE).splitlines()
    assert r"third & \textbf{47.0 \%} & \textbf{1.402} \\" in as_latex(TABLE).splitlines()


def test_a_tag_in_markdown_is_text_and_a_small_number_stays_readable():
    table = Table(["run", "p"], [[["<b>bold</b>", "<0.001"]]])
    assert "| &lt;b>bold&lt;/b> | <0.001 |" in as_markdown(table).splitlines()


def test_latex_is_a_booktabs_table_with_caption_and_notes():
    latex = as_latex(TABLE, "100 % & more", ["One note.", "Another_one."])
    assert_balanced(latex)
    lines = latex.splitlines()
    assert lines[0].startswith("%") and "booktabs" in lines[0]
    assert r"\begin{tabular}{lrr}" in lines
    assert r"\caption{100 \% \& more}" in lines
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", *[r"\midrule"] * 2, r"\bottomrule"]
    assert r"One note. Another\_one." in latex


def test_what_users_wrote_is_escaped_for_latex():
    assert_balanced(as_latex(Table([HOSTILE, "b"], [[[HOSTILE, "1"]]], marks=frozenset({(0, 0)})), HOSTILE, [HOSTILE]))
    assert for_latex(r"a_b%\{") == r"a\_b\%\textbackslash{}\{"
    # A row that starts with a bracket would be an argument to the end of the one before.
    assert for_latex("[x]*").startswith("{[}")
    assert for_latex("two\nlines\u00a0\u2013\u2212") == "two lines~--$-$"
