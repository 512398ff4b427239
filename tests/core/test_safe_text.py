"""Names that come out of files do nothing where they are shown, and tables for machines give them back as they were."""

from __future__ import annotations

import csv
import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from fer_tl import cli
from fer_tl.core.csv_tables import read_table
from fer_tl.core.errors import UserError
from fer_tl.core.safe_text import for_csv, for_html, for_latex, for_markdown, for_terminal, from_csv
from fer_tl.data.examples import Example, read_examples, write_examples
from fer_tl.data.folds import read_folds, write_folds
from fer_tl.evaluation.metrics import score
from fer_tl.inference.predict.outputs import Results, Row
from fer_tl.reports.figures import confusion_figure
from fer_tl.reports.latex import as_latex
from fer_tl.reports.page import environment
from fer_tl.reports.rendering import Table, as_csv, as_markdown, as_text
from fer_tl.reports.tables import confusion_csv, confusion_markdown, confusion_text, result_table_as
from fer_tl.runs.predictions import Predictions
from fer_tl.sources.folder.classes import name_classes

ODD = [
    "=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "'=1", "''-x", "\uff1d1", "\x1b[2J\x1b]0;owned\x07",
    "two\nlines", "abc\u202egnp.exe", "\x9b31m", "a|b", "\\|c", "<img src=x onerror=alert(1)>", "[x](javascript:1)",
    "`rm`", "&lt;b&gt;", "\\input{x}%$#&_^~", "\u2028",
]  # fmt: skip
OBEYED = ("\x1b", "\x9b", "\x07", "\u202e", "\u2028", "\r")


def test_a_terminal_obeys_no_name() -> None:
    table = as_text(Table(["class", "n"], [[[name, "1"] for name in ODD]]))
    assert not any(mark in table for mark in OBEYED)
    assert len(table.splitlines()) == 2 + len(ODD)  # header, rule, a row a name
    assert r"\x1b[2J" in table and r"two\nlines" in table and r"abc\u202egnp.exe" in table
    assert for_terminal("Zürich 表情 é 😀") == "Zürich 表情 é 😀"


@pytest.mark.parametrize("told", ["stdout", "stderr", "error"])
def test_the_command_writes_no_escape_sequence_whoever_named_the_file(
    told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(command: str, values: dict[str, object]) -> None:
        if told == "error":
            raise UserError("no class 'a\x1b[31m\u202e\nfer-tl: all is well'")
        print("\rlive\nclass a\x1b[31m\u202e\rb", file=getattr(sys, told))

    monkeypatch.setattr(cli, "_call", call)
    code = cli.main(["doctor"])
    out = capsys.readouterr()
    text = out.out + out.err
    assert code == (2 if told == "error" else 0)
    assert "\x1b" not in text and "\u202e" not in text and r"\x1b[31m\u202e" in text
    if told == "error":
        assert text.count("\n") == 1
    else:
        assert text.startswith("\rlive\nclass a") and text.count("\r") == 1  # our own line stays, theirs does not


def test_cells_are_no_formulas_and_come_back() -> None:
    for name in [*ODD, "plain", "'quoted'", "it's", "'", ""]:
        written = str(for_csv(name))
        assert written[:1] not in ("=", "+", "-", "@", "\t", "\r", "\uff1d")
        assert from_csv(written) == name
    for number in [-1.5, -3, "-0.25", "+2", "-1e-05", "12", ""]:
        assert for_csv(number) == number  # numbers stay numbers
    rows = list(csv.reader(io.StringIO(as_csv([["a"], *[[name] for name in ODD], [-0.5]]))))
    assert [from_csv(row[0]) for row in rows[1:]] == [*ODD, "-0.5"]


def test_tables_for_machines_give_ids_back(tmp_path: Path) -> None:
    ids = np.array([name for name in ODD if name == name.strip()])
    write_folds(tmp_path / "folds.csv", ids, np.arange(len(ids)) % 3)
    assert read_folds(tmp_path / "folds.csv", ids).tolist() == (np.arange(len(ids)) % 3).tolist()
    examples = [Example(name, "train", name, f"g{name}") for name in sorted(ODD)]
    write_examples(examples, tmp_path)
    assert read_examples(tmp_path) == examples
    for path in tmp_path.glob("*.csv"):
        cells = [cell for row in csv.reader(path.open(newline="")) for cell in row]
        assert not [cell for cell in cells if cell[:1] in ("=", "+", "@", "-", "\t")], path


def test_predictions_as_csv_and_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row(name, None, None, None, "", None) for name in ODD]
    with Results(tmp_path / "out", ("csv", "jsonl"), ["=a", "b"], None) as results:
        results.write("x", None, rows, True)
        results.finish({})
    lines = (tmp_path / "out/faces.jsonl").read_text().split("\n")[:-1]
    assert [json.loads(line)["id"] for line in lines] == ODD
    table = read_table(tmp_path / "out/faces.csv", ("id", "top"), "face boxes")
    assert [row.cells["id"] for row in table.rows] == [*ODD[:-1], ""]  # blanks around are none of a table's
    cells = [cell for row in csv.reader((tmp_path / "out/faces.csv").open(newline="")) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "@", "-", "\t")]


def test_markdown_html_and_latex() -> None:
    names = ("<script>alert(1)</script>", "=a|b\\|c", "x\x1b[1m\n## y")
    logits = np.eye(3, dtype=np.float32) * 9
    metrics = score(Predictions(np.array(["a", "b", "c"]), np.arange(3), logits, names))
    shown = confusion_markdown(metrics)
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert len(rows) == 5 and "<script" not in shown and "\x1b" not in shown and "\n## y" not in shown
    assert {row.replace("\\\\", "").replace("\\|", "").count("|") for row in rows} == {6}
    assert "\x1b" not in confusion_text(metrics)
    assert "'=a|b" in confusion_csv(metrics)
    assert for_markdown("[x](javascript:1)") == r"[x\](javascript:1)" and for_markdown("`a`") == r"\`a\`"
    assert for_html('<b>"\x1b\u202e') == r"&lt;b&gt;&quot;\x1b\u202e"
    assert environment().from_string("{{ text }}").render(text='<b>"\x1b\u202e') == for_html('<b>"\x1b\u202e')
    assert for_latex("\\input{x}%") == r"\textbackslash{}input\{x\}\%"
    assert "\\input{" not in as_latex(Table(["a"], [[[name] for name in ODD]]), "tab:a", "")
    assert as_markdown(Table(["a", "b"], [[["x", "1"]]])) == "| a | b |\n|---|---:|\n| x | 1 |\n"


NAMED = "sa\x1b[31md\r\n<img src=x onerror=alert(1)>"


def test_odd_names_reach_no_table_note_or_picture_as_they_are() -> None:
    labels = np.arange(2)
    metrics = score(Predictions(np.array(["a", "b"]), labels, np.eye(2, dtype=np.float32)[[0, 0]], ("happy", NAMED)))
    shown = result_table_as(as_markdown, [("model", metrics)])
    assert "Zero recall: sa\\x1b[31md\\r\\n&lt;img" in shown and "\x1b" not in shown
    assert "\x1b" not in result_table_as(as_text, [("model", metrics)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        confusion_figure(metrics, "title").savefig(io.BytesIO())
    named = name_classes([("train", NAMED), ("train", "happy")], None, "a folder")
    assert named.names == ("happy", "sa\\x1b[31md\\r\\n<img src=x onerror=alert(1)>")
