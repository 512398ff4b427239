"""Tables in every form: what is marked, what is escaped, and nothing moved where nothing is marked."""

from __future__ import annotations

from fer_tl.reports.rendering import Table, as_markdown, as_text

TABLE = Table(
    ["run", "accuracy", "loss"],
    [[["first", "45.1 %", "1.465"], ["second", "9.0 %", "1.5"]], [["third", "47.0 %", "1.402"]]],
    marks=frozenset({(2, 1), (2, 2)}),
)


def test_a_star_follows_what_is_marked_and_digits_stay_under_digits():
    assert as_text(TABLE).splitlines() == [
        "run     accuracy    loss",
        "─────────────────────────",
        "first     45.1 %   1.465",
        "second     9.0 %     1.5",
        "─────────────────────────",
        "third     47.0 %*  1.402*",
    ]


def test_marked_cells_are_bold_in_markdown():
    assert "| third | **47.0 %** | **1.402** |" in as_markdown(TABLE).splitlines()


def test_a_tag_in_markdown_is_text_and_a_small_number_stays_readable():
    table = Table(["run", "p"], [[["<b>bold</b>", "<0.001"]]])
    assert "| &lt;b>bold&lt;/b> | <0.001 |" in as_markdown(table).splitlines()
