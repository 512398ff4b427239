"""The page of a run: sound, escaped, usable by keyboard and screen reader, and drawn by a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path

import numpy as np
import pytest
from html_reader import assert_sound
from made_run import build, make_faces, make_run

from fer_tl.evaluation.run_contents import open_contents
from fer_tl.reports import confusion_html
from fer_tl.reports.run_page import run_page

HOSTILE = ("<b>angry</b>", "</style>\"'&amp;", "sad | tired")
CHROMIUM = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)


def make_page(names: tuple[str, ...] = ("angry", "happy", "sad"), kind: str = "cv", top: int = 9) -> str:
    faces = make_faces(names)
    build(Path("data"), faces, "train" if kind == "cv" else "validation")
    return run_page(open_contents(make_run(Path("run"), faces, kind, early_stopping=2), None), top)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ["cv", "train"])
def test_the_page_is_sound_and_loads_nothing(kind: str):
    html = make_page(kind=kind)
    reader = assert_sound(html)
    assert not re.findall(r"(?:src|href)=\"(?!data:image/png;base64,|#)", html)
    assert "http" not in html.replace("http-equiv", "")
    assert len([svg for svg in reader.all("svg") if svg.get("role") == "img"]) == 3
    headings = re.findall(r"<h2[^>]*>([^<]*)", html)
    wanted = [
        "Summary",
        "Confusion matrices",
        "Classes",
        "Calibration",
        "Learning curves",
        "Confident mistakes",
        "Data",
    ]
    assert headings == [*wanted, "Settings and environment", "How to reproduce"]
    buttons = [button["name"] for button in reader.all("input")]
    assert buttons == ["cells"] * 2 + ["matrix"] * (4 if kind == "cv" else 0)


def test_what_users_wrote_is_shown_and_never_run():
    reader, plain = assert_sound(make_page(HOSTILE)), None
    shutil.rmtree("run")
    shutil.rmtree("data")
    plain = assert_sound(make_page())
    assert [tag for tag, _ in reader.tags if tag != "wbr"] == [tag for tag, _ in plain.tags if tag != "wbr"]
    for hostile, name in zip(HOSTILE, ("angry", "happy", "sad"), strict=True):
        assert reader.text.count(hostile) == plain.text.count(name) > 9


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2 of ``#rgb`` or ``#rrggbb``, 0..1."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = np.array([int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_letters_can_be_read_on_every_shade_in_light_and_in_dark():
    rules = re.findall(r"\.shade-(\d+) \{ background: (#\w+); color: (#\w+); \}", confusion_html.STYLE)
    assert [int(number) for number, *_ in rules] == 2 * list(range(21))
    for number, ground, ink in rules:
        low, high = sorted((luminance(ground), luminance(ink)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"shade {number}: {ink} on {ground}"
    grounds = np.array([luminance(ground) for _, ground, _ in rules]).reshape(2, 21)
    assert (np.diff(grounds[0]) < 0).all() and (np.diff(grounds[1]) > 0).all()
    used = {int(shade) for shade in re.findall(r'class="shade-(\d+)"', make_page())}
    assert len(used) > 4 and used <= set(range(21))


_MEASURE = """
const page = document.querySelector("iframe").contentDocument, found = {};
const root = page.documentElement;
found.width = [root.clientWidth, root.scrollWidth];
found.ends = [...page.querySelectorAll("main *")].filter(e => !e.closest(".scroll, pre")
  && e.getBoundingClientRect().right > root.clientWidth + 1).map(e => e.outerHTML.slice(0, 80));
const shown = selector => [...page.querySelectorAll(selector)].filter(e => e.offsetParent).length;
const state = () => [...page.querySelectorAll(".switch > .choice")].map(e => e.offsetParent ? 1 : 0).join("");
found.states = [...page.querySelectorAll("input[name=matrix]")].map(button => { button.click(); return state(); });
found.cells = ["cells-second", "cells-first"].map(id => { page.getElementById(id).click();
  return [shown(".as-first"), shown(".as-second")]; });
found.letters = Math.min(...[...page.querySelectorAll(".charts svg")].map(
  svg => 13 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width));
found.named = [...page.querySelectorAll("input")].every(button => button.labels.length == 1);
document.body.append(Object.assign(document.createElement("output"), {textContent: JSON.stringify(found)}));
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("names", [("no", "yes, and with a very long name of forty letters"), "abcdefghijkl"])
def test_a_browser_shows_it_on_a_phone_and_its_buttons_switch(names: tuple[str, ...], tmp_path: Path):
    html = make_page(tuple(names))
    frame = f'<iframe style="width: 360px; height: 640px; border: 0" srcdoc="{escape(html)}"></iframe>'
    script = f"<script>addEventListener('load', () => {{ {_MEASURE} }})</script>"
    Path("frame.html").write_text(f"<!DOCTYPE html><body>{frame}{script}</body>", encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    place = [f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "frame.html").as_uri()]
    done = subprocess.run([str(CHROMIUM), *options, *place], capture_output=True, text=True, timeout=120, check=True)
    assert ":CONSOLE" not in done.stderr  # where a browser says what the policy has refused
    (output,) = re.findall(r"<output>(.*?)</output>", done.stdout)
    found = json.loads(unescape(output))
    assert found["width"][1] <= found["width"][0] <= 360, found["ends"]
    assert not found["ends"]
    assert found["states"] == ["1000", "0100", "0010", "0001"]
    (none, all_), (every, nothing) = found["cells"]
    assert (none, nothing) == (0, 0) and all_ == every == len(names) ** 2
    assert found["letters"] > 11  # pixels
    assert found["named"]
