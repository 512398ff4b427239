"""The files of a result: tables with every measure and class, and the figures, all of the saved predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_run import make_faces, make_run
from matplotlib.figure import Figure

from fer_tl.evaluation.intervals import bootstrap_intervals, class_intervals
from fer_tl.evaluation.measures import MEASURES
from fer_tl.evaluation.metrics import score
from fer_tl.evaluation.summary import summarize
from fer_tl.reports import run_report
from fer_tl.reports.run_tables import spell_interval, spell_metric

FACES = make_faces()
GROUP_OF = dict(zip(FACES.ids.tolist(), FACES.groups.tolist(), strict=True))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that are saved, by name, without writing them."""
    found: dict[str, Figure] = {}
    monkeypatch.setattr(run_report, "save_figure", lambda figure, path: found.setdefault(path.name, figure))
    return found


def rows_of(path: Path, heading: str) -> list[list[str]]:
    """Cells of the Markdown table below a heading, without header and rule."""
    part = path.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("kind", ["cv", "evaluation"])
def test_tables_have_every_measure_and_class_with_intervals_over_groups(
    kind: str, tmp_path: Path, drawn: dict[str, Figure]
):
    folder, pooled = tmp_path / "run", FACES.pooled
    if kind == "cv":
        run = make_run(folder, FACES)
        folds = [FACES.of_fold(fold) for fold in range(3)]
        run_report.write_cv_report(run, summarize(folds, GROUP_OF), folds, "note", GROUP_OF)
    else:
        run_report.write_result(folder, "title", run_report.score_rows({"ensemble": pooled}, GROUP_OF), "note")
    groups = np.array([GROUP_OF[i] for i in pooled.ids.tolist()])
    metrics, intervals, of_classes = score(pooled), bootstrap_intervals(pooled, groups), class_intervals(pooled, groups)
    measures = rows_of(folder / "table.md", "More measures")
    for row, name in zip(measures, MEASURES, strict=True):
        assert row[1:3] == [spell_metric(name, getattr(metrics, name)), spell_interval(name, intervals[name])]
    for k, row in enumerate(rows_of(folder / "table.md", "Classes")):
        assert row[0] == FACES.class_names[k]
        assert row[3] == spell_interval("precision", of_classes["precision"][k])
        assert row[6:8] == [f"{100 * metrics.f1[k]:.1f} %", spell_interval("f1", of_classes["f1"][k])]
    curves = {"learning_curves.png"} if kind == "cv" else set()
    assert drawn.keys() == {"confusion.png", "reliability.png"} | curves
    bars = drawn["reliability.png"].axes[1].patches
    assert sum(bar.get_height() for bar in bars) == len(FACES.ids)
