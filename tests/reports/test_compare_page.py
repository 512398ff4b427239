"""The page of a comparison: every row in every figure and matrix, readable shades, no wider than a phone."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from hand_made_runs import LABELS, build_data, logits_of, make_run
from html_reader import assert_sound
from latex_reader import HOSTILE

from fer_tl.commands.compare import compare
from fer_tl.core.files import write_json
from fer_tl.reports.charts import difference_shades

LOGITS = [logits_of(seed, 2.0 - seed) for seed in range(3)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three runs, two of them exported, one of a hostile name."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        build_data()
        runs = [
            make_run(Path(name), each)
            for name, each in zip(("good", HOSTILE.replace("/", ""), "poor"), LOGITS, strict=True)
        ]
        for run, milliseconds in zip(runs, (1.5, 2.5, True), strict=False):
            write_json(run / "export" / "tflite" / "export.json", {"milliseconds": milliseconds})
        folder = compare(runs, out="page", say=lambda line: None).out_dir
        return (folder / "index.html").read_text(encoding="utf-8").replace("&nbsp;", " ")


def test_every_row_is_in_every_figure(page: str):
    reader = assert_sound(page)
    titles = re.findall(r"<title id=\"[^\"]*\">([^<]*)</title>", page)
    assert [unescape(title) for title in titles] == [
        "accuracy",
        "balanced accuracy",
        "gap to best",
        HOSTILE.replace("/", ""),
        "poor",
        "accuracy against parameters",
        "accuracy against MACs of an image",
        "accuracy against ms of an image, exported as tflite",
    ]
    described = re.findall(r"<desc[^>]*>accuracy: ([^<]*)</desc>", page)[0]
    accuracies = [100 * (each.argmax(axis=1) == LABELS).mean() for each in LOGITS]
    for name, accuracy in zip(("good", "poor"), (accuracies[0], accuracies[2]), strict=True):
        assert f"{name} {accuracy:.1f} (" in described
    assert "Agreement" in reader.text and "kappa" in reader.text


def test_matrices_have_the_shares_and_their_differences(page: str):
    answers = [each.argmax(axis=1) for each in LOGITS]
    shares = [[[(given[true == LABELS] == k).mean() for k in range(3)] for true in range(3)] for given in answers]
    cells = re.findall(r'<td(?: class="(shade|more|less)-(\d+)")?>(?:<strong>)?([+−]?[\d.]+)(?:</strong>)?</td>', page)
    plain = [float(text) for kind, _, text in cells if kind == "shade"]
    assert plain == pytest.approx([100 * x for x in np.ravel(shares)], abs=0.051)
    table = page[page.index("Less that of good") :]
    changes = re.findall(r'class="(more|less)-(\d+)">(?:<strong>)?([+−][\d.]+)', table)
    assert changes and all((kind == "more") == text.startswith("+") for kind, _, text in changes)
    first = np.array(shares[2])[0, 0] - np.array(shares[0])[0, 0]
    assert f"{100 * first:+.1f}".replace("-", "−") in [text for *_, text in changes]


def test_letters_can_be_read_on_every_shade_of_a_difference():
    from colours import contrast

    for scheme in difference_shades(10).values():
        for found in scheme.values():
            assert len(found) == 11
            for ground, ink in found:
                assert contrast(ground, {"black": "#000000", "white": "#ffffff"}[ink]) >= 4.5


_MEASURE = """(() => {
const hint = e => parseFloat(getComputedStyle(e.querySelector("caption span"), "::after").fontSize) > 0;
const tables = [...document.querySelectorAll(".scroll")].map(e => [e.scrollWidth > e.clientWidth + 1, hint(e)]);
const root = document.documentElement;
return [root.clientWidth, root.scrollWidth, tables];
})()"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_table_that_scrolls_says_so_and_no_other(page: str, tmp_path: Path):
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    with Browser(tmp_path / "profile") as browser:
        for width in (390, 1280):
            browser.resize(width, 800)
            browser.open((tmp_path / "page.html").as_uri())
            # The hint is an animation, which a frame later knows whether there is a way to scroll.
            browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            inner, whole, tables = browser.run(_MEASURE)
            assert whole <= inner <= width
            assert len(tables) > 8 and all(scrolls == hint for scrolls, hint in tables), (width, tables)
            assert any(scrolls for scrolls, _ in tables) == (width == 390)
