"""Tables for a paper: what siunitx aligns, what stays text, whatever anybody called a model, and that LaTeX sets it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hand_made_runs import build_data, logits_of, make_run
from latex_reader import HOSTILE, assert_balanced

from fer_tl.commands.compare import compare
from fer_tl.core.safe_text import for_latex
from fer_tl.reports.latex import as_latex, label_of
from fer_tl.reports.rendering import Table

NUMBERS = Table(
    ["model", "accuracy\n(%)", "\n95 %", "gain", "p"],
    [
        [["one", "45.1", "[44, 46]", "−1.5", "<0.001"], ["two", "9.0", "[8, 10]", "+12.25", "0.040"]],
        [["li: a", "7", "", "", ""]],
    ],
    marks=frozenset({(0, 1)}),
)


def test_numbers_stand_in_columns_of_siunitx_and_nothing_else_does():
    latex = as_latex(NUMBERS, "tab:one", "100 % & more", ["One note.", "Another_one."], frozenset({2}))
    assert_balanced(latex)
    lines = latex.splitlines()
    assert r"\usepackage{booktabs,siunitx}" in lines[0]
    columns = "lS[table-format=2.1]rS[table-format=-2.2]S[table-format=1.3]"
    assert rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}" in lines
    assert r"\caption{100 \% \& more}" in lines and r"\label{tab:one}" in lines
    assert r"model & \multicolumn{2}{c}{accuracy} & {gain} & {p} \\" in lines
    assert r" & {(\%)} & 95 \% &  &  \\" in lines
    assert r"one & \bfseries 45.1 & {[}44, 46] & -1.5 & {\textless{}0.001} \\" in lines
    assert r"two & 9.0 & {[}8, 10] & 12.25 & 0.040 \\" in lines
    assert r"li: a & 7 &  &  &  \\" in lines
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", *[r"\midrule"] * 2, r"\bottomrule"]
    assert r"One note. Another\_one." in latex


def test_what_users_wrote_is_escaped_for_latex():
    table = Table([HOSTILE, "b"], [[[HOSTILE, "1"], ["x", HOSTILE]]], marks=frozenset({(0, 0), (1, 1)}))
    assert_balanced(as_latex(table, label_of(HOSTILE), HOSTILE, [HOSTILE]))
    assert for_latex(r"a_b%\{") == r"a\_b\%\textbackslash{}\{"
    # A row that starts with a bracket would be an argument to the end of the one before.
    assert for_latex("[x]*").startswith("{[}")
    assert for_latex("two\nlines\u00a0\u2013\u2212") == "two lines~--$-$"
    assert label_of("a_b %", "classes") == "tab:a-b-classes"
    assert label_of("ü") == "tab:table"


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex")
def test_latex_sets_every_table_of_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if subprocess.run(["kpsewhich", "siunitx.sty"], capture_output=True, check=False).returncode:
        pytest.skip("no siunitx")
    monkeypatch.chdir(tmp_path)
    build_data()
    names = ("good", r"[5%] a_b & $c", r"#1 {d} ~^\f<g>|*")
    runs = [make_run(Path(name), logits_of(k, 2.0 - k), head_epochs=k) for k, name in enumerate(names)]
    folder = compare(runs, paper=["li"], out="paper", say=lambda line: None).out_dir
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    for _ in range(2):  # labels are known the second time
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-1500:]
    log = (folder / "paper.log").read_text(encoding="utf-8", errors="replace")
    assert "multiply defined" not in log and "Overfull" not in log
    assert (folder / "paper.pdf").stat().st_size > 10_000
