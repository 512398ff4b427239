"""A record in the list of measures is all that it takes: its number and interval are then in every table and page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import hand_made_runs
import made_run
import numpy as np
import pytest
from html_reader import Reader

from fer_tl.commands.compare import compare
from fer_tl.commands.report import report
from fer_tl.evaluation.intervals import bootstrap_intervals
from fer_tl.evaluation.measures import MEASURES, Measure
from fer_tl.evaluation.metrics import Metrics, score
from fer_tl.evaluation.summary import summarize
from fer_tl.reports.run_report import (
    cv_report_text,
    score_rows,
    train_report_text,
    write_cv_report,
    write_result,
    write_train_report,
)
from fer_tl.reports.run_tables import spell_interval, spell_metric
from fer_tl.reports.sweep_table import SweepRow, write_sweep
from fer_tl.runs.predictions import Predictions

pytestmark = pytest.mark.usefixtures("light_figures", "toy")

FACES = made_run.make_faces(count=60)
GROUP_OF = dict(zip(FACES.ids.tolist(), FACES.groups.tolist(), strict=True))


def of_counts(confusions: np.ndarray) -> np.ndarray:
    """10 and the share of the first class among the answers."""
    shares: np.ndarray = 10 + confusions[:, :, 0].sum(axis=1) / confusions.sum(axis=(1, 2))
    return shares


def of_examples(predictions: Predictions) -> np.ndarray:
    """The same, of each example."""
    return 10.0 + (predictions.logits.argmax(axis=1) == 0)


@pytest.fixture(params=["of_counts", "of_examples"])
def toy(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = {request.param: {"of_counts": of_counts, "of_examples": of_examples}[request.param]}
    shown = {"is_share": False, "higher_is_better": False, "interval_beside": True}
    record = Measure("toy", "a toy", "10 and more", "toy head", **how, **shown)  # type: ignore[arg-type]
    monkeypatch.setitem(MEASURES, "toy", record)
    monkeypatch.chdir(tmp_path)


def expected(predictions: Predictions, groups: np.ndarray) -> tuple[Metrics, str, str]:
    """The metrics, and number and interval as tables have them."""
    metrics = score(predictions)
    assert metrics.toy == pytest.approx(10 + (predictions.logits.argmax(axis=1) == 0).mean())
    low, high = bootstrap_intervals(predictions, groups, ("toy",))["toy"]
    assert 10 <= low < metrics.toy < high <= 11
    return metrics, spell_metric("toy", metrics.toy), spell_interval("toy", (low, high))


def of_faces() -> tuple[Metrics, str, str]:
    return expected(FACES.pooled, np.array([GROUP_OF[i] for i in FACES.pooled.ids.tolist()]))


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_cv() -> None:
    run = made_run.make_run(Path("run"), FACES)
    folds = [FACES.of_fold(fold) for fold in range(3)]
    summary = summarize(folds, GROUP_OF)
    write_cv_report(run, summary, folds, "note", GROUP_OF)
    metrics, number, interval = of_faces()
    markdown = Path("run/table.md").read_text(encoding="utf-8")
    for text in (cv_report_text(run, summary, "note"), markdown):
        assert all(words in text for words in ("toy head", number, interval, f"{summary.mean['toy']:.3f} ± "))
    (row,) = (line for line in markdown.splitlines() if line.startswith("| a toy |"))
    assert f"| {number} | {interval} | {summary.mean['toy']:.3f} ± " in row
    assert row.endswith("| 10 and more; lower is better |")
    assert [float(line["toy"]) for line in lines_of(Path("run/table.csv"))] == [score(fold).toy for fold in folds]
    saved = json.loads(Path("run/result.json").read_text())
    assert (saved["pooled"]["toy"], saved["pooled_interval_95"]["toy"][0]) == (metrics.toy, summary.intervals["toy"][0])
    page = Reader(report("run", say=lambda line: None).path.read_text(encoding="utf-8")).text
    alone = spell_interval("toy", bootstrap_intervals(FACES.pooled, FACES.pooled.ids, ("toy",))["toy"])
    assert page.count(alone) == 2  # of the folds, and of all measures
    assert "toy head" in page and "a toy" in page


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_train_and_evaluate(command: str) -> None:
    run = made_run.make_run(Path("run"), FACES, "train")
    result = score_rows({"ensemble": FACES.pooled, "fold 0": FACES.of_fold(0)}, GROUP_OF)
    if command == "train":
        write_train_report(run, result)
        text = train_report_text(run, result)
    else:
        text = write_result(Path("run"), "title", result, "note")
    metrics, number, interval = of_faces()
    for shown in (text, Path("run/table.md").read_text(encoding="utf-8")):
        assert all(words in shown for words in ("toy head", number, interval))
    assert [float(line["toy"]) for line in lines_of(Path("run/table.csv"))] == [
        metrics.toy,
        score(FACES.of_fold(0)).toy,
    ]
    saved = json.loads(Path("run/result.json").read_text())
    assert saved["models"]["ensemble"]["toy"] == metrics.toy
    assert spell_interval("toy", saved["interval_95"]["toy"]) == interval


def test_sweep() -> None:
    result = score_rows({"model": FACES.pooled}, GROUP_OF)
    rows = [SweepRow(("0.1",), result.rows[0][1], result.intervals, 60.0), SweepRow(("9",), None, failure="it is nan")]
    text = write_sweep(Path(), "title", ["rate"], rows)
    metrics, number, interval = of_faces()
    for shown in (text, Path("table.md").read_text(encoding="utf-8")):
        assert all(words in shown for words in ("toy head", number, interval))
    done, failed = lines_of(Path("table.csv"))
    assert (float(done["toy"]), spell_interval("toy", (float(done["toy_low"]), float(done["toy_high"])))) == (
        metrics.toy,
        interval,
    )
    assert (failed["toy"], failed["toy_low"], failed["failure"]) == ("", "", "it is nan")


def test_compare() -> None:
    hand_made_runs.build_data()
    logits = [hand_made_runs.logits_of(seed) for seed in range(2)]
    runs = [hand_made_runs.make_run(Path(f"run-{seed}"), each) for seed, each in enumerate(logits)]
    result = compare(runs, paper=["du"], out="out", say=lambda line: None)
    values = []
    for row, line in zip(result.rows, lines_of(Path("out/table.csv"))[:2], strict=True):
        predictions = row.run.predictions
        assert predictions is not None
        group_of = dict(zip(hand_made_runs.IDS.tolist(), hand_made_runs.GROUPS.tolist(), strict=True))
        metrics, number, interval = expected(predictions, np.array([group_of[i] for i in predictions.ids.tolist()]))
        for name in ("table.md", "index.html"):
            shown = Path("out", name).read_text(encoding="utf-8")
            assert all(words in shown for words in ("toy head", number, interval)), name
        shown = Path("out/table.tex").read_text(encoding="utf-8")
        assert all(words in shown for words in ("{toy}", "head", number)), shown
        assert "toy head" in result.text and number in result.text and interval in result.text
        assert float(line["toy"]) == row.scores["toy"] == metrics.toy
        assert spell_interval("toy", (float(line["toy_low"]), float(line["toy_high"]))) == interval
        values.append(metrics.toy)
    assert f"**{spell_metric('toy', min(values))}**" in Path("out/table.md").read_text(encoding="utf-8")
