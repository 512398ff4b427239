"""The forms of a comparison: the same cells in each, best values marked, claims beneath, whatever a run is called."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hand_made_runs import build_data, logits_of, make_run
from html_reader import assert_sound
from latex_reader import HOSTILE, assert_balanced

from fer_tl.commands.compare import CompareResult, compare
from fer_tl.reports.bibliography import all_papers

NAMES = ("good", HOSTILE.replace("/", ""), "poor")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CompareResult:
    """Three runs, one of a hostile name, one with a layer that nobody can count; with all papers."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        build_data()
        runs = [make_run(Path(name), logits_of(seed, 2.0 - seed), counted=seed < 2) for seed, name in enumerate(NAMES)]
        result = compare(runs, paper=list(all_papers()), say=lambda line: None)
    return CompareResult(place / result.out_dir, result.rows, result.pairs, result.text)


def read(made: CompareResult, name: str) -> str:
    return (made.out_dir / name).read_text(encoding="utf-8")


def rows_of(markdown: str) -> list[list[str]]:
    """Cells of the first Markdown table, header first."""
    lines = [line for line in markdown.split("\n\n")[1].splitlines() if not line.startswith("|---")]
    return [[cell.strip().replace("&lt;", "<") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_results_have_a_row_a_run_with_its_distance_to_the_best(made: CompareResult):
    header, *rows = rows_of(read(made, "table.md"))
    assert header[:7] == ["run", "images", "accuracy", "95 % interval", "balanced acc.", "macro-F1", "loss"]
    assert header[7:] == ["gap to best", "gap, 95 % interval", "p", "adjusted", "t-test p", "adjusted"]
    assert [row[0].replace("\\|", "|") for row in rows[:3]] == list(NAMES)
    assert rows[0][7:] == ["best", "", "", "", "", ""]
    pair = next(pair for pair in made.pairs if (pair.better, pair.other) == (0, 2))
    assert rows[2][7] == f"−{100 * pair.difference:.2f}"
    assert rows[2][8] == f"−{100 * pair.interval[1]:.2f} to −{100 * pair.interval[0]:.2f}"
    spelled = ["<0.001" if p < 0.001 else f"{p:.3f}" for p in (pair.sign_flip, pair.sign_flip_adjusted)]
    assert rows[2][9:11] == spelled
    assert pair.t_test is not None and rows[2][11] in ("<0.001", f"{pair.t_test:.3f}")
    low, high = made.rows[0].intervals["accuracy"]
    assert rows[0][3] == f"{100 * low:.1f}–{100 * high:.1f} %"


def test_the_best_of_each_metric_is_marked_and_a_claim_never(made: CompareResult):
    _, *rows = rows_of(read(made, "table.md"))
    marked = [[column for column, cell in enumerate(row) if cell.startswith("**")] for row in rows]
    assert marked == [[2, 4, 5, 6], *[[]] * (len(rows) - 1)]
    star = next(line for line in made.text.splitlines() if line.startswith("good"))
    assert star.count("*") == 4


def test_claims_stand_in_a_block_of_their_own_with_their_protocol(made: CompareResult):
    _, *rows = rows_of(read(made, "table.md"))
    claims = {(row[0], row[1]): row for row in rows[3:]}
    assert len(claims) == sum(len(paper.claims) for paper in all_papers().values())
    assert claims["sikic: MobileNetV2 optimized", "4 folds"][2:4] == ["71.2 %", "claim"]
    assert claims["du: ResNet50, two dense blocks", ""][2:7] == ["57.31 %", "claim", "", "", "1.156"]
    assert claims["liu: residual CNN", "validation"][2] == "85 %"
    text = " ".join(made.text.split())
    assert "Claims are the papers' own figures" in text
    assert "cleaned ExpW, 80:20 train to test, 4-fold cross validation on the 80 %, other data than here" in text
    assert "which is not credible" in text
    lines = list(csv.DictReader(io.StringIO(read(made, "table.csv"))))
    (line,) = (each for each in lines if each["row"] == "ResNet18 from scratch")
    assert (line["source"], line["accuracy"], line["sign_flip_p"]) == ("li", "0.6425", "")


def test_a_model_that_cannot_be_counted_has_no_figure_and_a_reason(made: CompareResult):
    text = " ".join(made.text.split())
    poor = next(line for line in made.text.splitlines() if re.match(r"poor +shallow_cnn", line))
    assert poor.split()[2:4] == ["–", "–"]
    assert "poor: poor/fold-0/model.keras does not say its costs" in text


def test_latex_is_balanced_whatever_a_run_is_called(made: CompareResult):
    latex = read(made, "table.tex")
    assert_balanced(latex)
    assert latex.count(r"\begin{tabular}") == latex.count(r"\label{tab:comparison-") == 1
    assert re.search(r"^good & \\bfseries [\d.]+ & \{\[\}", latex, re.MULTILINE)
    for name in ("classes", "confusion", "pairs"):
        assert_balanced(read(made, f"{name}.tex"))


def test_the_page_is_sound_and_has_the_same_cells(made: CompareResult):
    reader = assert_sound(read(made, "index.html"))
    for row in rows_of(read(made, "table.md")):
        for cell in row:
            assert cell.strip("*").replace("\\|", "|") in reader.text
    assert len(reader.all("strong")) == 4 + 3 * (3 + 2)  # and the diagonals of matrices and of their differences


def test_the_terminal_splits_what_is_too_wide(made: CompareResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert "\nrun  " in made.text and " gap to best " not in next(li for li in made.text.splitlines() if "images" in li)
    monkeypatch.chdir(tmp_path)
    runs = [make_run(Path(f"fer2013-efficientnetb0-{seed}a1b2c3"), logits_of(seed)) for seed in range(5)]
    lines = compare(runs, say=lambda line: None).text.splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("All 10 pairs: ") for line in lines)
