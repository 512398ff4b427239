"""What README and the pages of the site tell people to type works, and what they link to is there."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fer_tl
from fer_tl.cli import parse
from fer_tl.commands import command_names, commands_by_task
from fer_tl.core.config_keys import walk
from fer_tl.core.options import from_flat
from fer_tl.core.version import __version__
from fer_tl.core.yaml_files import load_yaml
from fer_tl.sources.toyfaces import source as toyfaces
from fer_tl.training.sweep_grid import read_sweep

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs" / "hooks"))
from assemble import assemble  # noqa: E402
from reference import pages  # noqa: E402

GENERATED = {f"docs/{place}": text for place, text in pages().items()}
PAGES = GENERATED | {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
}
README = PAGES["README.md"]
# Python that tests of what it shows run.
RUN_ELSEWHERE = {"docs/architecture.md", "docs/how-to/own-format.md"}
RUN_HERE = {"docs/how-to/python.md", "docs/tutorials/app.md", "docs/using.md"}


def commands_of(text: str) -> Iterator[str]:
    """What begins with ``fer-tl COMMAND`` in a page: whole lines of blocks, and code in a sentence."""
    names = "|".join(command_names())
    text = re.sub(r"\\\n\s*", "", text)
    # Variables of the shell in a block; the last ones first, since they are made of those before.
    for name, value in reversed(re.findall(r'^(\w+)="(.+)"$', text, flags=re.MULTILINE)):
        text = text.replace(f"${name}", value)
    for found in re.finditer(rf"(?:^(?: {{4}})?|`)(fer-tl (?:{names})\b[^`\n]*)", text, flags=re.MULTILINE):
        command = re.split(r"  #| >+ ", found[1])[0].strip().rstrip("\\")
        # A name alone, or a pattern, is not meant to be typed.
        if "[options]" not in command and (found[0][0] != "`" or command.count(" ") > 1):
            yield command


COMMANDS = sorted({command for text in PAGES.values() for command in commands_of(text)})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_parses(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command = re.sub(r"\b(configs/x|my)\.yaml", "quickstart", command)
    command = command.replace("SWEEP", "li_ensemble")
    words = shlex.split(command)[1:]
    if words[-1] == "--help":
        with pytest.raises(SystemExit) as left:
            parse(words)
        assert left.value.code == 0
        return
    name, values = parse(words)
    if name in ("cv", "train"):
        values.pop("config")
        from_flat(values)
    if name == "sweep":
        read_sweep(Path(values.pop("path")), values)


def test_every_command_has_a_task_an_example_and_a_page() -> None:
    tasks = commands_by_task()
    assert "More" not in tasks
    assert {name for task in tasks.values() for name in task} == set(command_names())
    for name, shown in (pair for task in tasks.values() for pair in task.items()):
        assert shown.split()[:2] == ["fer-tl", name]
        assert f"docs/reference/commands/{name}.md" in GENERATED


def test_reference_has_every_option_with_its_default() -> None:
    settings = GENERATED["docs/reference/settings.md"]
    for key, _, default, *_ in walk():
        (row,) = [line for line in settings.splitlines() if line.startswith(f"| `{key}` |")]
        assert default is None or default in (True, False, ()) or f"`{default}`" in row.replace("`1`", "`1.0`") or (
            isinstance(default, float) and f"`{default:g}`" in row
        ), row  # fmt: skip
    page = GENERATED["docs/reference/commands/predict.md"]
    assert "| `--every` | " in page and "whole number | `1` |" in page and "`RUN`" in page
    assert "settings.md" in GENERATED["docs/reference/commands/sweep.md"]
    assert "--epochs" not in GENERATED["docs/reference/commands/cv.md"]


def test_reference_has_every_function() -> None:
    functions = [name for name in fer_tl.__all__ if callable(getattr(fer_tl, name)) and name[0].islower()]
    assert len(functions) > 25
    for name in functions:
        assert f"heading: fer_tl.{name}\n" in GENERATED["docs/reference/python.md"]


def anchors_of(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        plain = unicodedata.normalize("NFKD", re.sub(r"[`*]|\[(.+?)\]\(.+?\)", r"\1", heading)).lower()
        found.add(re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", plain).strip()))
    return found


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", PAGES[page])
    for target in targets:
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / name if name else ROOT / page).resolve()
        other = str(path.relative_to(ROOT))
        assert path.exists() or other in GENERATED, f"{page} links to {target}"
        if anchor.startswith("fer_tl."):  # mkdocstrings' own
            assert f"::: {anchor}\n" in GENERATED[other]
        elif anchor:
            text = PAGES.get(other) or path.read_text(encoding="utf-8")
            assert anchor in anchors_of(text), f"{page} links to {target}"


def test_readme_links_to_nothing_that_only_the_site_has() -> None:
    for target in re.findall(r"\]\((?!http)([^)#\s]+)", README):
        assert (ROOT / target).exists(), target


def test_links_of_the_assembled_site_stay_inside(tmp_path: Path) -> None:
    assemble(tmp_path / "site")
    found = list((tmp_path / "site").rglob("*.md"))
    assert len(found) > 80
    for page in found:
        for target in re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text(encoding="utf-8")):
            path = (page.parent / target).resolve()
            assert path.exists() and path.is_relative_to(tmp_path / "site"), f"{page.relative_to(tmp_path)}: {target}"


def test_the_menu_of_the_site_has_every_page() -> None:
    menu = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.MULTILINE))
    there = {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")}
    assert menu == {page for page in there if not page.startswith("reference/commands/")}


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for page, text in PAGES.items():
        typed = re.findall(r"(?:^ {4}|`|```\n)make (\w+)", text, flags=re.MULTILINE)
        assert set(typed) <= targets, page


def test_every_option_in_the_table_exists() -> None:
    known = {name.replace("_", "-") for name, *_ in walk()}
    cells = re.findall(r"^\| (`--.+?) \|", PAGES["docs/how-to/train.md"], flags=re.MULTILINE)
    assert len(cells) > 20
    for cell in cells:
        first, *rest = re.findall(r"`(?:--)?([a-z.-]+)`", cell)
        group = first.split(".")[0]
        for name in (first, *rest):
            assert (f"{group}{name}" if name.startswith(".") else name) in known, cell


def test_readme_fits_on_a_screen_and_a_half() -> None:
    assert README.count("\n") <= 120


def test_results_of_readme_are_those_of_the_runs_they_link_to() -> None:
    """Accuracy and interval of each row that names a run stand in that run's own record."""
    rows = [line for line in README.splitlines() if "([run](" in line]
    assert len(rows) >= 4
    for row in rows:
        record = (ROOT / re.findall(r"\[run\]\((.+?)\)", row)[0]).read_text(encoding="utf-8")
        share, low_to_high = re.findall(r"(\d\d\.\d) % \((\d\d\.\d–\d\d\.\d)\)", row)[-1]
        assert f"{share} % ({low_to_high})" in record or f"| {share} % | {low_to_high} % |" in record, row


def test_claims_of_papers_in_readme_are_those_that_compare_shows() -> None:
    papers = load_yaml(ROOT / "fer_tl" / "reports" / "papers.yaml")
    claims = {claim["accuracy"] for paper in papers.values() for claim in paper["claims"]}
    shown = [float(share) for share in re.findall(r"^\| [^|]+\| *\|[^|]+\| (\d\d\.\d\d) % \|$", README, re.MULTILINE)]
    assert len(shown) == 2 and set(shown) <= claims


def test_readme_predicts_with_the_network_that_ships() -> None:
    card = (ROOT / "fer_tl" / "models" / "pretrained" / "fer2013" / "card.md").read_text(encoding="utf-8")
    share, low_to_high, images = re.findall(r"right for (.+?) \(95 % interval (.+?)\) of (.+?) images", README)[0]
    assert f"| accuracy | {share} | {low_to_high} |" in card and f"the {images} images" in card
    assert f"which ships with fer-tl {__version__}:" in README


def test_python_blocks_are_run_by_a_test() -> None:
    assert {page for page, text in PAGES.items() if "```python" in text} == RUN_ELSEWHERE | RUN_HERE


def run_python(page: str) -> None:
    """Run the blocks of Python of a page in their order, as they stand there."""
    for block in re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.DOTALL):
        exec(compile(block, page, "exec"), {})


def write_face(path: Path) -> None:
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 50, 3), dtype=np.uint8)).save(path)


@pytest.mark.usefixtures("thin_backbone", "light_figures")
def test_the_examples_of_python_run_and_files_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(toyfaces, "COUNTS", {"train": 700, "validation": 70, "test": 70})
    run_python("docs/how-to/python.md")
    (told,) = re.findall(r"^0\.\d+ \(.+\)$", capsys.readouterr().out, flags=re.MULTILINE)
    mean, low, high = map(float, re.findall(r"0\.\d+", told))
    assert low <= high
    assert abs(mean - (low + high) / 2) < 0.05
    (run,) = Path("runs").iterdir()
    explained = PAGES["docs/reference/files.md"]
    for file in (*run.iterdir(), *(run / "fold-0").iterdir(), *Path("data/toyfaces").glob("*/*")):
        name = re.sub(r"toyfaces-\w+\.tfrecord-\d+-of-\d+", "NAME-SPLIT.tfrecord-00000-of-00016", file.name)
        assert f"`{name}`" in explained, file
    run.rename("runs/demo")
    write_face(Path("face.png"))
    run_python("docs/using.md")


def test_the_example_of_an_app_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fer_tl.export(format="onnx")
    write_face(Path("face.png"))
    run_python("docs/tutorials/app.md")
    assert re.fullmatch(r"[a-z]+ \d+%", capsys.readouterr().out.splitlines()[-1])


def test_the_citation_is_of_this_version() -> None:
    citation = load_yaml(ROOT / "CITATION.cff")
    assert (citation["cff-version"], citation["version"], citation["license"]) == ("1.2.0", __version__, "MIT")
    assert citation["authors"] == [{"name": "The fer-tl authors"}] and citation["title"] and citation["message"]


def test_the_plan_has_the_costs_that_its_script_computes() -> None:
    page = (ROOT / "docs" / "how-to" / "plan.md").read_text(encoding="utf-8")
    script = runpy.run_path(str(ROOT / "benchmarks" / "plan_costs.py"))
    tables = script["make_tables"]((ROOT / "benchmarks" / "results" / "tpu.md").read_text(encoding="utf-8"))
    assert f"{script['BEGIN']}\n\n{tables}\n\n{script['END']}" in page
