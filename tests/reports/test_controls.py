"""Controls of a page: choices without a script, notices, folded parts."""

from __future__ import annotations

from html_reader import Reader, assert_sound

from fer_tl.reports.controls import STYLE, alternate, as_first, as_second, command, folded, notice, switch
from fer_tl.reports.page import Section, page, paragraph

HOSTILE = "</style></fieldset>\"'><script>alert(1)</script>&amp;"


def everything(text: str) -> str:
    choices = [(text, paragraph(text)), (text, paragraph(text))]
    both = paragraph("") + as_first(text) + as_second(text)
    parts = [notice(text), command(text), folded(text, paragraph(text)), switch("a", text, choices)]
    return page("t", [Section("s", "".join([*parts, alternate("b", text, (text, text), both)]))], style=STYLE)


def test_what_users_wrote_is_shown_and_never_run():
    reader, plain = assert_sound(everything(HOSTILE)), assert_sound(everything("angry"))
    assert [tag for tag, _ in reader.tags] == [tag for tag, _ in plain.tags]
    assert reader.text.count(HOSTILE) == plain.text.count("angry") == 14


def test_every_choice_follows_its_button_and_label():
    html = switch("a", "which", [("one", paragraph("1")), ("two", paragraph("2"))])
    tags = [tag for tag, _ in Reader(html).tags]
    assert tags == ["fieldset", "legend", *["input", "label", "div", "p"] * 2]
    assert [("checked" in button) for button in Reader(html).all("input")] == [True, False]
