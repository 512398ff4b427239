"""Charts of a page: all lines with their names, told apart without colour, readable colours."""

from __future__ import annotations

import re

import numpy as np
import pytest
from colours import contrast, luminance
from html_reader import Reader
from made_run import make_history

from fer_tl.evaluation.calibration import BINS, reliability
from fer_tl.reports.charts import chart, shades
from fer_tl.reports.figures import learning_curves_figure, reliability_figure
from fer_tl.reports.page import environment

RELIABILITY = reliability(
    np.array([0.3, 0.31, 0.9, 0.91, 0.92, 0.93]), np.array([True, False, True, True, True, False])
)


def curves(epochs: int = 5, folds: int = 3, **options: object) -> str:
    histories = {f"fold-{fold}": make_history(epochs, fold, watched=True) for fold in range(folds)}
    return chart(learning_curves_figure(histories, ("loss",), **options), "a", "loss", "it falls").html  # type: ignore[arg-type]


def lines(svg: str) -> dict[str, list[int]]:
    """The number of points of each line, by its name."""
    found: dict[str, list[int]] = {}
    for name, path in re.findall(r'<g><title>([^<]*)</title> <path d="([^"]*)"', svg):
        found.setdefault(name, []).append(len(re.findall("[ML]", path)))
    return found


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_every_fold_and_every_mean_is_drawn_with_all_its_epochs():
    svg = curves()
    kinds = ("training", "held out", "watched")
    assert lines(svg) == {
        name: [5] for kind in kinds for name in (*(f"fold-{k}, {kind}" for k in range(3)), f"{kind}, mean of 3 folds")
    }
    assert {"loss", "epoch", "1", "5", *(f"{kind}, mean of 3 folds" for kind in kinds)} <= set(texts(svg))
    assert list(lines(curves(folds=1))) == list(kinds)
    assert "training, 1 fold" in lines(curves(folds=2, unfinished=["fold-1"]))


def test_a_line_of_an_unfinished_fold_is_drawn_but_not_meant():
    histories = {"fold-0": make_history(5), "fold-1": make_history(2), "fold-2": make_history(4)}
    figure = learning_curves_figure(histories, ("accuracy",), ["fold-1"])
    found = lines(chart(figure, "a", "accuracy", "").html)
    assert found == {
        name: [points]
        for kind in ("training", "held out")
        for name, points in {
            f"fold-0, {kind}": 5,
            f"fold-1, {kind}": 2,
            f"fold-2, {kind}": 4,
            f"{kind}, mean of 2 folds": 4,
        }.items()
    }
    mean = next(line for line in figure.axes[0].lines if line.get_label() == "training, mean of 2 folds")
    both = [[row["accuracy"] for row in histories[fold][:4]] for fold in ("fold-0", "fold-2")]
    np.testing.assert_allclose(mean.get_ydata(), np.mean(both, axis=0))


def test_the_kept_epoch_is_a_ring_on_what_was_not_trained_on():
    svg = curves(kept={"fold-0": 3, "fold-2": 9})  # the other one has no such epoch
    assert re.findall(r"<title>([^<]*) was kept</title>", svg) == [
        "fold-0, held out: epoch 3",
        "fold-0, watched: epoch 3",
    ]
    assert texts(svg)[-1] == "epoch kept" and "epoch kept" not in texts(curves())
    figure = learning_curves_figure({"model": make_history(4)}, ("loss",), kept={"model": 2})
    (ring,) = figure.axes[0].collections
    np.testing.assert_allclose(np.asarray(ring.get_offsets()), [[2, make_history(4)[1]["val_loss"]]])


@pytest.mark.parametrize("values", [[1.0], [0.5, 0.5, 0.5], [1e-5, 1e-6], [2e4, 3.0], [0.4451, 0.4452]])
def test_any_course_can_be_drawn(values: list[float]):
    history = [{"epoch": e, "loss": v, "accuracy": min(v, 1)} for e, v in enumerate(values, start=1)]
    for key in ("loss", "accuracy"):
        svg = chart(learning_curves_figure({"model": history}, (key,)), "a", key, "").html
        assert "nan" not in svg and "inf" not in svg
        assert lines(svg) == {"training": [len(values)]}
        assert sum(bool(re.fullmatch(r"[\d.,−e]+( %)?", text)) for text in texts(svg)) >= 3


def test_a_reliability_diagram_has_a_point_for_each_bin_that_is_filled_and_a_bar_for_each():
    filled = int((RELIABILITY.count > 0).sum())
    for scaled, many in ((None, 1), (RELIABILITY, 2)):
        svg = chart(reliability_figure(RELIABILITY, "", scaled), "r", "accuracy", "").html
        diagram = svg.partition("images</text>")[0]  # the legend comes last
        points = re.findall(r'<use [^>]*style="fill: var\(--line-(\d)\)', diagram)
        assert points == ["1"] * filled + ["2"] * filled * (many - 1)
        assert svg.count("fill: var(--bar)") == BINS
        error = f"calibration error {100 * RELIABILITY.error:.1f} %"
        wanted = [f"as trained, {error}", f"scaled, {error}"] if scaled else [error]
        assert [text for text in texts(svg) if "error" in text] == wanted
        assert {"confidence = accuracy", "confidence", "accuracy", "images", "20 %"} <= set(texts(svg))


def test_the_same_figure_gives_the_same_bytes_and_loads_nothing():
    assert curves() == curves()
    for foreign in ("http", "xmlns", "<style", "<?xml", "<!", "xlink", "DejaVu", "#000000", "#ffffff", "<metadata"):
        assert foreign not in curves(kept={"fold-0": 3})


def test_two_charts_of_a_page_share_no_name():
    ids = []
    for name in ("a", "b"):
        figure = learning_curves_figure({"model": make_history(3)}, ("loss",))
        reader = Reader(f"<svg>{chart(figure, name, 'loss', '').html}</svg>")
        own = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
        used = {
            value for _, attributes in reader.tags for value in re.findall(r"#([\w-]+)", " ".join(attributes.values()))
        }
        assert set(own) == used
        ids += own
    assert ids and len(set(ids)) == len(ids)


def test_names_of_folds_stay_text():
    figure = learning_curves_figure({"<b> & $x": make_history(2), "c": make_history(2)}, ("loss",))
    svg = chart(figure, "a", "loss", "").html
    assert "&lt;b&gt; &amp; $x, training" in svg and "<b>" not in svg


def test_lines_are_told_apart_without_colour():
    histories = {"model": make_history(3, watched=True)}
    drawn = [(line.get_linestyle(), line.get_marker()) for line in learning_curves_figure(histories).axes[0].lines]
    assert len({dashes for dashes, _ in drawn}) == len({marker for _, marker in drawn}) == 3


def test_lines_stand_out_from_the_ground_in_light_and_in_dark():
    style = "".join(environment().get_template(name).render() for name in ("style.css", "charts.css"))
    schemes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(schemes) == 4
    for ground, drawn in zip(schemes[:2], schemes[2:], strict=True):
        behind = dict(re.findall(r"--([\w-]+): (#\w{6})", ground))["ground"]
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", drawn))
        assert {"line-1", "line-2", "line-3", "bar"} == set(colours)
        assert min(contrast(colour, behind) for colour in colours.values()) >= 3


def test_letters_can_be_read_on_every_shade_in_light_and_in_dark():
    for scheme, growing in (("light", False), ("dark", True)):
        found = shades()[scheme]
        assert len(found) == 21
        for ground, ink in found:
            assert contrast(ground, {"black": "#000000", "white": "#ffffff"}[ink]) >= 4.5, f"{ink} on {ground}"
        steps = np.diff([luminance(ground) for ground, _ in found])
        assert (steps > 0).all() if growing else (steps < 0).all()
