"""What README and the pages under docs tell people to type works, and what they link to is there."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from fer_tl.cli import parse
from fer_tl.commands import command_names
from fer_tl.core.config_keys import walk
from fer_tl.core.options import from_flat
from fer_tl.core.version import __version__
from fer_tl.core.yaml_files import load_yaml
from fer_tl.sources.toyfaces import source as toyfaces
from fer_tl.training.sweep_grid import read_sweep

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
}
README = PAGES["README.md"]
# Python that other tests run, by page.
RUN_ELSEWHERE = {"docs/architecture.md", "docs/formats.md", "docs/using.md"}


def commands_of(text: str) -> Iterator[str]:
    """What begins with ``fer-tl COMMAND`` in a page: whole lines of blocks, and code in a sentence."""
    names = "|".join(command_names())
    text = re.sub(r"\\\n\s*", "", text)
    # Variables of the shell in a block; the last ones first, since they are made of those before.
    for name, value in reversed(re.findall(r'^(\w+)="(.+)"$', text, flags=re.MULTILINE)):
        text = text.replace(f"${name}", value)
    for found in re.finditer(rf"(?:^(?: {{4}})?|`)(fer-tl (?:{names})\b[^`\n]*)", text, flags=re.MULTILINE):
        command = found[1].split("  #")[0].strip()
        if found[0][0] != "`" or command.count(" ") > 1:  # else it names a command and is not meant to be typed
            yield command


COMMANDS = sorted({command for text in PAGES.values() for command in commands_of(text)})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_parses(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command = command.replace("configs/x.yaml", "configs/quickstart.yaml").replace("SWEEP", "configs/li_ensemble.yaml")
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


def test_every_command_has_an_example_in_the_reference() -> None:
    shown = {command.split()[1] for command in commands_of(PAGES["docs/reference/index.md"])}
    assert shown == set(command_names())


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
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors_of(path.read_text(encoding="utf-8")), f"{page} links to {target}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for page, text in PAGES.items():
        typed = re.findall(r"(?:^ *|`)make (\w+)", text, flags=re.MULTILINE)
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
        assert f"{share} %" in record and low_to_high in record, row


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
    pages = {page for page, text in PAGES.items() if "```python" in text}
    assert pages - RUN_ELSEWHERE == {"docs/how-to/python.md"}


@pytest.mark.usefixtures("thin_backbone", "light_figures")
def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = re.search(r"```python\n(.*?)```", PAGES["docs/how-to/python.md"], flags=re.DOTALL)
    assert example
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(toyfaces, "COUNTS", {"train": 700, "validation": 70, "test": 70})
    exec(compile(example[1], "python.md", "exec"), {})
    last = capsys.readouterr().out.splitlines()[-1]
    mean, low, high = map(float, re.findall(r"0\.\d+", last))
    assert low <= high
    assert abs(mean - (low + high) / 2) < 0.05


def test_the_citation_is_of_this_version() -> None:
    citation = load_yaml(ROOT / "CITATION.cff")
    assert (citation["cff-version"], citation["version"], citation["license"]) == ("1.2.0", __version__, "MIT")
    assert citation["authors"] == [{"name": "The fer-tl authors"}] and citation["title"] and citation["message"]
