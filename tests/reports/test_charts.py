"""Charts of a page: points where they belong, text alternatives, lines told apart without colour, readable colours."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from html_reader import Reader

from fer_tl.evaluation.calibration import BINS, reliability
from fer_tl.reports.charts import STYLE, Curve, charts, curves_chart, reliability_chart
from fer_tl.reports.page import Section, page


def numbers(path: str) -> np.ndarray:
    """The points of a path: float [N, 2]."""
    return np.array(re.findall(r"-?\d+(?:\.\d+)?", path), float).reshape(-1, 2)


def make_curve(kind: int, values: list[float], **more: object) -> Curve:
    return Curve(kind, tuple((float(e), v) for e, v in enumerate(values, start=1)), f"line {kind}", **more)  # type: ignore[arg-type]


def test_a_curve_is_drawn_to_scale_with_the_better_epochs_lower_in_a_loss():
    values = [2.0, 1.0, 0.5, 0.25, 0.75]
    svg = curves_chart("a", "loss", "it falls", [make_curve(1, values)], in_per_cent=False)
    (path,) = re.findall(r'class="line line-1" d="([^"]*)"', svg)
    points = numbers(path)
    assert len(points) == 5
    steps = np.diff(points[:, 0])
    np.testing.assert_allclose(steps, steps[0], atol=0.11)
    np.testing.assert_allclose(np.corrcoef(points[:, 1], values)[0, 1], -1, atol=1e-6)  # y grows downwards
    assert (points > 0).all() and points[:, 0].max() < 360 and points[:, 1].max() < 250
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    ticks = [float(text) for text in texts if re.fullmatch(r"[\d.]+", text)]
    assert {1.0, 2.0, 3.0, 4.0, 5.0} <= set(ticks)


def test_the_kept_epoch_is_a_ring_on_its_point():
    kept = make_curve(2, [3.0, 1.0, 2.0, 2.5], is_thin=True, kept=(2.0, 1.0))
    svg = curves_chart("a", "loss", "x", [kept], in_per_cent=False)
    (line,) = re.findall(r'class="line line-2 thin" d="([^"]*)"', svg)
    (ring,) = re.findall(r'epoch 2 was kept</title><circle class="mark line-2" cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert np.array(ring, float).tolist() == numbers(line)[1].tolist()


@pytest.mark.parametrize("values", [[1.0], [0.5, 0.5, 0.5], [1e-5, 1e-6], [2e4, 3.0], [0.4451, 0.4452]])
def test_any_course_can_be_drawn_without_overlapping_numbers(values: list[float]):
    for in_per_cent in (False, max(values) <= 1):
        svg = curves_chart("a", "x", "x", [make_curve(1, values)], in_per_cent)
        assert "nan" not in svg and "inf" not in svg
        below = [(float(x), text) for x, text in re.findall(r'x="([\d.]+)" y="226" text-anchor="middle">([^<]*)', svg)]
        assert below
        for (left, one), (right, other) in itertools.pairwise(below):
            assert right - left > 4 * (len(one) + len(other))  # half of each, 7 wide a letter
        beside = [float(y) for y in re.findall(r'x="41" y="([\d.]+)"', svg)]
        assert len(beside) >= 2 and min(np.abs(np.diff(beside))) > 12
        for text in re.findall(r'x="41" y="[\d.]+" text-anchor="end">([^<]*)', svg):
            assert len(text) <= 7


def test_a_reliability_diagram_has_a_point_for_each_bin_that_is_filled():
    confidence = np.array([0.3, 0.31, 0.9, 0.91, 0.92, 0.93])
    right = np.array([True, False, True, True, True, False])
    drawn = reliability(confidence, right)
    svg = reliability_chart("r", "x", drawn, None)
    points = [np.array(each, float) for each in re.findall(r'<circle [^>]*cx="([\d.]+)" cy="([\d.]+)"', svg)]
    (diagonal,) = re.findall(r'class="even" d="([^"]*)"', svg)
    (left, bottom), (far, top) = numbers(diagonal)
    for point, b in zip(points, np.flatnonzero(drawn.count), strict=True):
        share = (point - [left, bottom]) / [far - left, top - bottom]
        np.testing.assert_allclose(share, [drawn.confidence[b], drawn.accuracy[b]], atol=0.002)
    assert svg.count('class="bar"') == BINS
    assert "4 images, mean confidence 91.5 %, 75.0 % right" in svg
    assert "square" not in svg and svg.count("line-2") == 0


def test_charts_are_said_in_words_and_told_apart_without_colour():
    drawn = reliability(np.array([0.4, 0.8]), np.array([True, False]))
    curves = [make_curve(kind, [1.0, 2.0]) for kind in (1, 2, 3)]
    panels = [curves_chart("a", "<loss>", "<b> falls", curves, False), reliability_chart("b", "x", drawn, drawn)]
    html = charts(panels, {"line-1": "<i>", "dots-2": "x", "thin-1": "y", "even": "z", "kept": "k"}, "<caption>")
    reader = Reader(html)
    assert "<loss>" in reader.text and "<b> falls" in reader.text and "<i>" in reader.text
    images = [svg for svg in reader.all("svg") if svg.get("role") == "img"]
    assert [svg["aria-labelledby"] for svg in images] == ["a-title a-desc", "b-title b-desc"]
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert ids == ["a-title", "a-desc", "b-title", "b-desc"]
    dashes = re.findall(r"\.line-(\d) \{[^}]*\}", STYLE)
    assert sorted(dashes) == ["1", "2", "3"]
    assert len(set(re.findall(r"\.line-\d \{[^}]*?(stroke-dasharray: [^;]*)", STYLE))) == 2  # and a full line
    markers = {re.sub(r"[\d.]+", "", mark) for mark in re.findall(r'class="mark line-\d" ([^>]*)/>', html)}
    assert len(markers) == 3  # circle, square, triangle


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2 of ``#rrggbb``, 0..1."""
    channels = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_lines_stand_out_from_the_ground_in_light_and_in_dark():
    schemes = re.findall(r":root \{(.*?)\}", page("", [Section("", "")], style=STYLE), re.DOTALL)
    assert len(schemes) == 4
    for ground, lines in zip(schemes[:2], schemes[2:], strict=True):
        behind = luminance(dict(re.findall(r"--([\w-]+): (#\w{6})", ground))["ground"])
        for name, colour in re.findall(r"--([\w-]+): (#\w{6})", lines):
            low, high = sorted((luminance(colour), behind))
            assert (high + 0.05) / (low + 0.05) >= 3, f"{name} {colour}"
