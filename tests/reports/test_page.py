"""A page: sound HTML that loads nothing, escapes everything, can be read by all, and shows the very pixels."""

from __future__ import annotations

import re

import numpy as np
import pytest
from html_reader import Reader, assert_sound, decoded
from markupsafe import Markup

from fer_tl.reports.page import Tile, environment
from fer_tl.reports.rendering import Table

HOSTILE = "</style></td>\"'><script src=http://evil.example/x>alert(1)</script>&amp;"


def noise(side: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, channels), dtype=np.uint8)


PAGE = """
{% extends "base.html" %}
{% from "parts.html" import section, paragraphs, table, figure, gallery with context %}
{% block lead %}<p>{{ text }}</p>{% endblock %}
{% block main %}
{% call section(text) %}
{{ paragraphs([text]) }}
<h3>{{ text }}</h3>
{{ table(cells, text) }}
{{ figure("data:image/png;base64,", text, text) }}
<div class="abreast">{{ gallery(tiles, text) }}</div>
{% endcall %}
{% call section("last") %}
{{ paragraphs(["end"]) }}
{% endcall %}
{% endblock %}
""".lstrip()


def everything(text: str) -> str:
    """A page on which every place for text holds ``text``."""
    cells = Table([text, text], [[[text, text]], [[text, text]]], marks=frozenset({(1, 1)}))
    tiles = [Tile(noise(8), text), Tile(noise(8), alt=text)]
    return environment().from_string(PAGE).render(title=text, headings=[], text=text, cells=cells, tiles=tiles)


def part(name: str, *arguments: object) -> str:
    """What a macro of ``parts.html`` makes."""
    source = f"{{% from 'parts.html' import {name} with context %}}{{{{ {name}(*arguments) }}}}"
    return environment().from_string(source).render(arguments=arguments, headings=[])


def test_a_page_is_sound() -> None:
    reader = assert_sound(everything("angry"))
    assert [link["href"] for link in reader.all("a")] == ["#part-1", "#part-2"]
    assert len(reader.all("tbody")) == 2


def test_what_users_wrote_is_shown_and_never_run() -> None:
    reader, plain = assert_sound(everything(HOSTILE)), assert_sound(everything("angry"))
    assert [tag for tag, _ in reader.tags if tag != "wbr"] == [tag for tag, _ in plain.tags]
    # Breaks in captions are no text; attributes say it as it is.
    assert reader.text.count(HOSTILE) == plain.text.count("angry")
    assert reader.all("img")[0]["alt"] == HOSTILE
    assert "default-src 'none'" in next(m["content"] for m in reader.all("meta") if "http-equiv" in m)


def test_a_table_names_its_rows_marks_cells_and_breaks_long_ones() -> None:
    cells = Table(
        ["run", "score", "why"], [[["a", "1", "w" * 41]], [["b", "2", ""]]], frozenset({0, 2}), frozenset({(1, 1)})
    )
    html = part("table", cells, "of <runs>")
    assert re.findall("<t[hd][ >].*?</t[hd]>", html) == [
        '<th scope="col" class="words">run</th>',
        '<th scope="col">score</th>',
        '<th scope="col" class="words">why</th>',
        '<th scope="row" class="words">a</th>',
        "<td>1</td>",
        f'<td class="words long">{"w" * 41}</td>',
        '<th scope="row" class="words">b</th>',
        "<td><strong>2</strong></td>",
        '<td class="words"></td>',
    ]
    assert "<caption><span>of &lt;runs&gt;</span></caption>" in html and html.count("<tbody>") == 2


def test_what_is_marked_as_html_alone_is_taken_as_it_is() -> None:
    template = environment().from_string("{{ a }}{{ b }}{{ c|breakable }}")
    assert template.render(a="<i>\x1b", b=Markup("<b>"), c="x_<y>") == "&lt;i&gt;\\x1b<b>x_<wbr>&lt;y&gt;"


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2 of ``#rrggbb``, 0..1."""
    channels = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_text_can_be_read_in_light_and_in_dark() -> None:
    schemes = re.findall(r":root \{(.*?)\}", everything(""), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for ink in ("ink", "quiet", "link"):
            for ground in ("ground", "panel"):
                low, high = sorted((luminance(colours[ink]), luminance(colours[ground])))
                assert (high + 0.05) / (low + 0.05) >= 4.5, f"{ink} on {ground}"
    dark = [luminance(dict(re.findall(r"--(\w+): (#\w{6})", scheme))["ground"]) < 0.1 for scheme in schemes]
    assert dark == [False, True]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_gallery_shows_the_very_pixels(channels: int) -> None:
    small, fitting, large = noise(20, channels), noise(96, channels), noise(200, channels)
    reader = Reader(part("gallery", [Tile(image, "face") for image in (small, fitting, large)], "", 96))
    shown = reader.all("img")
    np.testing.assert_array_equal(decoded(shown[0]), small.squeeze())
    np.testing.assert_array_equal(decoded(shown[1]), fitting.squeeze())
    assert decoded(shown[2]).shape[:2] == (96, 96)
    assert [(image["width"], image["height"]) for image in shown] == [("80", "80"), ("96", "96"), ("96", "96")]
