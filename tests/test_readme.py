"""What the README tells people to type works."""

from __future__ import annotations

import re
import shlex
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
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(
    set(re.findall(rf"(?:^|`)(fer-tl (?:{'|'.join(command_names())})\b[^`\n]*)", README, flags=re.MULTILINE))
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_parses(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(command.split("  #")[0].replace("configs/x.yaml", "configs/quickstart.yaml"))[1:]
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


def test_every_verb_is_shown() -> None:
    assert {command.split()[1] for command in COMMANDS} == set(command_names())


def test_make_targets_and_linked_files_exist() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(re.findall(r"make (\w+)", README)) <= {*targets, "sure"}
    for link in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / link).exists(), link


def test_every_option_in_the_table_exists() -> None:

    known = {name.replace("_", "-") for name, *_ in walk()}
    for cell in re.findall(r"^\| (`--.+?) \|", README, flags=re.MULTILINE):
        first, *rest = re.findall(r"`(?:--)?([a-z.-]+)`", cell)
        group = first.split(".")[0]
        for name in (first, *rest):
            assert (f"{group}{name}" if name.startswith(".") else name) in known, cell


@pytest.mark.usefixtures("thin_backbone", "light_figures")
def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert example
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(toyfaces, "COUNTS", {"train": 700, "validation": 70, "test": 70})
    exec(compile(example[1], "README.md", "exec"), {})
    last = capsys.readouterr().out.splitlines()[-1]
    mean, low, high = map(float, re.findall(r"0\.\d+", last))
    assert low <= high
    assert abs(mean - (low + high) / 2) < 0.05


def test_the_citation_is_of_this_version() -> None:
    citation = load_yaml(ROOT / "CITATION.cff")
    assert (citation["cff-version"], citation["version"], citation["license"]) == ("1.2.0", __version__, "MIT")
    assert citation["authors"] == [{"name": "The fer-tl authors"}] and citation["title"] and citation["message"]
