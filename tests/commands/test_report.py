"""The verb ``report``: what the page says is what was predicted, unfinished runs are marked, bad input is one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from html_reader import Reader, assert_sound
from made_run import Faces, build, make_faces, make_run

from fer_tl.cli import parse
from fer_tl.commands.report import ReportResult, report
from fer_tl.core.config import Experiment, Head, Optimizer
from fer_tl.core.config_keys import identity
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_json
from fer_tl.core.options import from_flat
from fer_tl.evaluation.calibration import calibrate
from fer_tl.evaluation.intervals import bootstrap_intervals, class_intervals
from fer_tl.evaluation.measures import MEASURES
from fer_tl.evaluation.metrics import score
from fer_tl.evaluation.openings import key_of_run
from fer_tl.reports.figures import confusion_figure, save_figure
from fer_tl.reports.run_facts import flags
from fer_tl.reports.run_tables import spell_interval, spell_metric
from fer_tl.runs.predictions import Predictions, save_predictions

FACES = make_faces()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(*arguments: object, **options: object) -> tuple[ReportResult, str]:
    said: list[str] = []
    result = report(*arguments, say=said.append, **options)  # type: ignore[arg-type]
    assert said == [result.text]
    return result, result.path.read_text(encoding="utf-8").replace("&nbsp;", " ")


def tables(html: str) -> dict[str, list[list[str]]]:
    """Cells as text by caption, headers included."""
    found = {}
    for whole in re.findall(r"<table.*?</table>", html, re.DOTALL):
        caption = Reader(re.findall(r"<caption>.*?</caption>", whole)[0]).text
        rows = re.findall(r"<tr>.*?</tr>", whole, re.DOTALL)
        found[caption] = [[Reader(cell).text for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]
    return found


def table_of(html: str, start: str) -> dict[str, list[str]]:
    """Rows by their first cell of the table whose caption begins so."""
    (rows,) = [rows for caption, rows in tables(html).items() if caption.startswith(start)]
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize("kind", ["cv", "train"])
def test_the_numbers_are_those_of_the_saved_predictions(kind: str):
    build(Path("data"), FACES, "train" if kind == "cv" else "validation")
    make_run(Path("run"), FACES, kind)
    result, html = write("run")
    assert result.path == Path("run/report.html")
    metrics, pooled = score(FACES.pooled), FACES.pooled
    groups = np.array([FACES.groups[FACES.ids.tolist().index(i)] for i in pooled.ids])
    intervals, of_classes = bootstrap_intervals(pooled, groups), class_intervals(pooled, groups)
    measures = list(table_of(html, "Every measure").values())[1:]
    for row, name in zip(measures, MEASURES, strict=True):
        assert row[:2] == [spell_metric(name, getattr(metrics, name)), spell_interval(name, intervals[name])]
    classes = table_of(html, "Precision:")
    for k, name in enumerate(FACES.class_names):
        images, *cells, _ = classes[name]
        assert images == str(metrics.support[k])
        for number, key in enumerate(("precision", "recall", "f1")):
            assert cells[2 * number] == f"{100 * getattr(metrics, key)[k]:.1f} %"
            assert cells[2 * number + 1] == spell_interval(key, of_classes[key][k])
    parts = "pooled" if kind == "cv" else "split validation"
    for k, name in enumerate(FACES.class_names):
        row = table_of(html, f"Confusion matrix, {parts}")[name]
        share = metrics.confusion[k] / metrics.support[k]
        expected = [f"{n}{100 * s:.1f} %" for n, s in zip(metrics.confusion[k], share, strict=True)]
        assert row == [*expected, str(metrics.support[k])]
    assert f"recognises {100 * metrics.accuracy:.1f} % of 120 images" in html and "right for 35.0 %" in html
    if kind == "cv":
        assert table_of(html, "Folds")["1"][1] == f"{100 * score(FACES.of_fold(1)).accuracy:.1f} %"
        of_id = dict(zip(FACES.ids.tolist(), FACES.groups.tolist(), strict=True))
        parts = np.repeat(range(3), [len(FACES.of_fold(fold).ids) for fold in range(3)])
        fitted = calibrate(pooled, parts, np.array([of_id[name] for name in pooled.ids.tolist()]))
        assert fitted is not None
        assert ", ".join(f"fold-{k} {t:.2f}" for k, t in enumerate(fitted.part_temperatures)) in html
        assert "The mean of all 3: Probabilities are not calibrated" in html
        before, after = table_of(html, "Before and after")["cross-entropy"]
        assert (before, after) == (f"{metrics.loss:.3f}", f"{score(fitted.scaled).loss:.3f}")
        assert before != after


def test_of_copies_the_surest_mistake_is_shown_once_and_with_its_own_pixels():
    build(Path("data"), FACES)
    make_run(Path("run"), FACES)
    _, html = write("run", top=99)
    shown = re.findall(r'<img[^>]* alt="(\w+) taken for (\w+) with (\d+) %: face-(\d+)"', html)
    groups = [FACES.groups[int(row)] for *_, row in shown]
    wrong = FACES.logits.argmax(axis=1) != FACES.labels
    assert sorted(groups) == sorted(set(FACES.groups[wrong].tolist()))
    assert len(groups) < wrong.sum()
    probabilities = FACES.pooled.probabilities[np.argsort(FACES.pooled.ids)]
    for label, predicted, share, row in shown:
        taken_for = FACES.class_names.index(predicted)
        assert FACES.class_names[FACES.labels[int(row)]] == label != predicted
        assert round(100 * probabilities[int(row), taken_for]) == int(share)


def test_an_unfinished_run_shows_what_there_is_and_says_so():
    build(Path("data"), FACES)
    make_run(Path("run"), FACES, done=[2], failed=[1])
    result, html = write("run")
    notice = re.findall(r'<div class="notice" role="note"><p>(.*?)</p>', html)[0]
    assert notice.startswith("Unfinished. Done: fold-2.") and "fold-0 is not begun" in notice
    assert "fold-1 failed: the loss is nan in epoch 3" in notice
    assert "Unfinished" in result.text
    assert_sound(html)
    assert table_of(html, "Folds")["2"][1] == f"{100 * score(FACES.of_fold(2)).accuracy:.1f} %"
    assert table_of(html, "Folds")["1"][:2] == ["failed", ""]
    assert [row[:1] for row in table_of(html, "What was trained").values()][1:-1] == [
        ["not begun"],
        ["failed"],
        ["done"],
    ]


def test_without_its_models_and_times_a_run_is_reported_all_the_same():
    build(Path("data"), FACES)
    make_run(Path("run"), FACES)
    before = table_of(write("run")[1], "Folds")
    for path in [*Path("run").glob("fold-*/model.keras"), *Path("run").glob("fold-*/timing.json")]:
        path.unlink()
    result, html = write("run")
    assert table_of(html, "Folds") == before
    assert "Unfinished" not in result.text + html


def test_a_run_none_of_whose_folds_is_done_has_a_page_too():
    make_run(Path("run"), FACES, done=[], begun=[0])
    result, html = write("run")
    assert "There is no result yet." in html and "fold-0 is at epoch 2" in html
    assert "Learning curves" in html and "recognises" not in html
    assert "No part of it is done yet" in result.text and "folder/mine is not built under data" in result.text
    assert_sound(html)


def test_without_the_dataset_the_page_says_why_there_are_no_images(tmp_path: Path):
    make_run(Path("run"), FACES)
    result, html = write(tmp_path / "run", out="page/of it.html")
    assert result.path == Path("page/of it.html")
    assert "<img" not in html and "The images are not shown: the dataset is not where the run found it" in html
    assert "The intervals resample images, not groups" in html
    assert str(tmp_path) not in html  # a page is passed on
    build(Path("moved"), FACES)
    _, found = write("run", data_dir="moved", out="page/of it.html")  # written again
    assert "<img" in found and "The intervals resample images" not in found


def test_early_stopping_is_told_and_the_kept_epoch_marked():
    make_run(Path("run"), FACES, early_stopping=2)
    _, html = write("run")
    assert "(epoch 3 of 5, 3 of 5, 3 of 5)" in html
    assert html.count(": epoch 3 was kept</title>") == 2 * 2 * 3  # loss and accuracy, held out and watched, folds
    assert "epoch whose weights early stopping kept" in html


def test_a_fold_that_failed_does_not_shorten_the_mean_of_the_others():
    make_run(Path("run"), FACES, done=[0, 2], failed=[1])
    _, html = write("run")
    curves = re.findall(r'<g><title>([^<]*), (?:training|mean of 2 folds)</title> <path d="([^"]*)"', html)
    points = [(name, len(re.findall("[ML]", path))) for name, path in curves if "fold" in name or name == "training"]
    # Five epochs of those that are done and of their mean, two of the one that failed; loss and accuracy.
    assert points == 2 * [("fold-0", 5), ("fold-1", 2), ("fold-2", 5), ("training", 5)]


def test_what_was_opened_is_told():
    run = make_run(Path("run"), FACES)
    assert "The test split of folder/mine was never opened" in write("run")[1]
    entry = {"date": "2026-08-02T10:00:00+00:00", "split": "test", "tta": "flip", "images": 30}
    write_json(run.path / "evaluations.json", [{**entry, "tta": "none"}, entry, {**entry, "dataset": "expw"}])
    write_json(
        run.path / "evaluate-test-flip/result.json",
        {"models": {"ensemble": {"accuracy": 0.5}}, "interval_95": {"accuracy": [0.25, 0.75]}},
    )
    _, html = write("run")
    assert "was opened 2 times" in html
    assert "For how many other models it was opened is not known" in html
    build(Path("data"), FACES)
    assert "No opening for another model is on record in this data folder" in write("run")[1]
    opening = {**entry, "dataset": "folder/mine", "path": "elsewhere"}
    ledger = [{**opening, "run": name, "date": f"2026-08-0{day}"} for day, name in ((1, "a"), (2, "b"))]
    Path("data/openings.jsonl").write_text("".join(json.dumps(each) + "\n" for each in ledger))
    assert "In this data folder it was opened for 2 other models, not for this one" in write("run")[1]
    ledger.append({**opening, "run": key_of_run(run), "date": "2026-08-03"})
    Path("data/openings.jsonl").write_text("".join(json.dumps(each) + "\n" for each in ledger))
    assert "this is the 3rd of 3 models opened on it" in write("run")[1]
    rows = next(rows for caption, rows in tables(html).items() if caption.startswith("Evaluations"))
    assert [row[1:4] for row in rows[1:]] == [
        ["folder/mine", "test", "none"],
        ["folder/mine", "test", "flip"],
        ["expw", "test", "flip"],
    ]
    assert [row[-1] for row in rows[1:]] == ["", "50.0 % (25.0–75.0 %)", ""]


def test_drawn_faces_say_nothing_about_photographs():
    make_run(Path("run"), FACES, dataset="toyfaces")
    assert "these figures say nothing about photographs" in write("run")[1]


def test_the_command_makes_the_same_experiment():
    experiment = Experiment(
        data="folder/a b",
        classes=("happy", "rest=sad+angry"),
        head=Head(dense=(64, 32), batch_norm=False),
        optimizer=Optimizer(rate=0.00031415926, nesterov=False),
        unfreeze=12,
        run_dir="/home/somebody/run",
    )
    words = flags(experiment)
    assert not [word for word in words if "somebody" in word]
    _, values = parse(["cv", *words])
    values.pop("config")
    assert identity(from_flat(values)) == identity(experiment)
    assert flags(Experiment()) == []


def edit_predictions() -> None:
    path = Path("run/fold-1/predictions.npz")
    found = FACES.of_fold(1)
    save_predictions(
        path, Predictions(found.ids, found.labels, found.logits + found.labels[:, None], found.class_names)
    )


def edit_config() -> None:
    path = Path("run/config.yaml")
    path.write_text(path.read_text().replace("epochs: 5", "epochs: 6", 1))


def edit_folds() -> None:
    path = Path("run/folds.csv")
    path.write_text(path.read_text().replace("face-000,0", "face-000,1"))


def write_other(name: str) -> Callable[[], None]:
    return lambda: (Path("run") / name).write_text("<title>My thesis</title>", encoding="utf-8") and None


BAD: dict[str, tuple[Callable[[], object], dict[str, object], str]] = {
    "no run": (lambda: shutil.move("run", "away"), {}, r"run does not exist"),
    "sweep": (lambda: shutil.move("run", "new/run") and Path("new").rename("run"), {}, r"holds several runs"),
    "predictions": (edit_predictions, {}, r"run/fold-1/predictions.npz is not what was written"),
    "config": (edit_config, {}, r"run/config.yaml was changed since the run began \(epochs 5 -> 6\)"),
    "folds": (edit_folds, {}, r"run/folds.csv gives other images"),
    "folder": (lambda: None, {"out": "run"}, r"run is a folder: name a file"),
    "kind": (lambda: None, {"out": "run/report.pdf"}, r"run/report.pdf would hold a web page"),
    "below a file": (lambda: None, {"out": "run/run.json/a.html"}, r"run/run.json is a file, not a folder"),
    "other page": (write_other("report.html"), {}, r"run/report.html is no report of fer-tl"),
    "another build": (lambda: build(Path("b"), FACES, fingerprint="e" * 64), {"data_dir": "b"}, r"is another build"),
    "no dataset": (lambda: None, {"data_dir": "nowhere"}, r"folder/mine is not built under nowhere"),
    "no images": (lambda: None, {"top": 0}, r"--top 0: show one image or more"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_one_line_and_leaves_nothing(case: str):
    prepare, options, message = BAD[case]
    make_run(Path("run"), FACES)
    prepare()
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=message) as caught:
        report("run", say=lambda line: None, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


_ELSEWHERE = """
import sys
from pathlib import Path
from fer_tl.evaluation.metrics import score
from fer_tl.commands.report import report
from fer_tl.reports.figures import confusion_figure, save_figure
result = report("run", out="other.html")
assert not {"tensorflow", "keras"} & set(sys.modules), "imported"
save_figure(confusion_figure(result.contents.held_out.summary.pooled, "title"), Path("other.png"))
"""


def test_another_process_writes_the_same_bytes_and_imports_no_tensorflow():
    make_run(Path("run"), FACES)
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", _ELSEWHERE], check=True, capture_output=True, timeout=120, env=environment)
    write("run", out="this.html")
    save_figure(confusion_figure(score(FACES.pooled), "title"), Path("this.png"))
    for suffix in (".html", ".png", ".pdf"):
        assert Path(f"other{suffix}").read_bytes() == Path(f"this{suffix}").read_bytes(), suffix


def test_faces_are_in_all_folds_and_some_are_wrong():
    """What the other tests rest on."""
    faces: Faces = FACES
    assert set(faces.folds.tolist()) == {0, 1, 2}
    assert {(faces.folds[r], faces.labels[r]) for r in range(120)} == {(f, k) for f in range(3) for k in range(3)}
    assert 8 < (faces.logits.argmax(axis=1) != faces.labels).sum() < 60
