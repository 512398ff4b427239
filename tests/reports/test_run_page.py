"""The page of a run: sound, escaped, usable by keyboard and screen reader, and drawn by a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path

import pytest
from html_reader import assert_sound
from made_run import build, make_faces, make_run

from fer_tl.core.files import read_json, write_json
from fer_tl.evaluation.run_contents import open_contents
from fer_tl.reports.run_facts import recipes
from fer_tl.reports.run_page import run_page

HOSTILE = ("<b>angry</b>", "</style>\"'&amp;", "sad | tired")
CHROMIUM = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)


def make_page(names: tuple[str, ...] = ("angry", "happy", "sad"), kind: str = "cv", top: int = 9) -> str:
    faces = make_faces(names)
    build(Path("data"), faces, "train" if kind == "cv" else "validation")
    return run_page(open_contents(make_run(Path("run"), faces, kind, early_stopping=2), None), top).replace(
        "&nbsp;", " "
    )


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


def test_a_precision_that_was_tried_is_named_where_it_is_done_again(tmp_path: Path):
    run = make_run(tmp_path / "run", make_faces(), precision="auto")
    about = read_json(run.path / "run.json")
    write_json(run.path / "run.json", {**about, "precision": "mixed_bfloat16"})
    commands = recipes(open_contents(run, None, print))
    for name in ("again", "without_files"):
        assert "--precision mixed_bfloat16" in commands[name] and "auto" not in commands[name]
    assert "--precision" not in recipes(open_contents(make_run(tmp_path / "plain", make_faces()), None, print))["again"]


def test_what_users_wrote_is_shown_and_never_run():
    reader, plain = assert_sound(make_page(HOSTILE)), None
    shutil.rmtree("run")
    shutil.rmtree("data")
    plain = assert_sound(make_page())
    assert [tag for tag, _ in reader.tags if tag != "wbr"] == [tag for tag, _ in plain.tags if tag != "wbr"]
    for hostile, name in zip(HOSTILE, ("angry", "happy", "sad"), strict=True):
        assert reader.text.count(hostile) == plain.text.count(name) > 9


def test_cells_are_shaded_by_their_share():
    html = make_page()
    assert re.findall(r"\.shade-(\d+) \{ background: #\w{6}; color: \w+; \}", html) == 2 * [str(k) for k in range(21)]
    cell = r'<td class="shade-(\d+)">(?:<strong>)?<span class="as-first">\d+</span><span class="as-second">([\d.]+) %'
    cells = [(int(shade), float(share)) for shade, share in re.findall(cell, html)]
    assert len(cells) == 4 * 9 and len({shade for shade, _ in cells}) > 4
    assert all(abs(shade - share / 5) <= 0.51 for shade, share in cells)


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
  svg => 8 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width));
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
