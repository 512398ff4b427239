"""The notebooks of colab/ are whole, and what they call exists; `make notebooks` executes them."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import fer_tl
from fer_tl.cli import parse
from fer_tl.core.options import from_flat
from fer_tl.models.backbones import BACKBONES

NAMES = ("train_on_gpu", "train_on_tpu", "compare_backbones", "try_your_photo")
NOTEBOOKS = {
    name: json.loads((Path(__file__).parent.parent / "colab" / f"{name}.ipynb").read_text(encoding="utf-8"))
    for name in NAMES
}
SILENT = {"install", "settings", "photo"}
ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|work|usr|opt|var|Users|content)\b")


def code_cells(name: str) -> dict[str, str]:
    """The code of each cell by its id."""
    return {cell["id"]: "".join(cell["source"]) for cell in NOTEBOOKS[name]["cells"] if cell["cell_type"] == "code"}


def without_commands(code: str) -> str:
    """Code that Python can read: lines for the shell and IPython do nothing."""
    return re.sub(r"^( *)[!%].*$", r"\1pass", code, flags=re.MULTILINE)


def settings(name: str, work: Path) -> dict[str, Any]:
    """The variables of a notebook in a folder, as far as its commands use them."""
    (work / "data").mkdir(exist_ok=True)
    found: dict[str, Any] = {"WORK": work, "COLAB": False, "SEEN": work / "seen", "WHY": work / "why"}
    exec("import os\n" + code_cells(name)["settings"], found)
    if "RUNS" in found and "BACKBONES" in found:
        found |= {"PATHS": " ".join(map(str, found["RUNS"].values())), "BEST": next(iter(found["RUNS"]))}
    return found | {"PHOTO": "photo.jpg", "FACE": "face.png", "LOOK": "--faces detect --detector yunet"}


def trainings(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The variables at each training: those of a loop over backbones one by one."""
    if "BACKBONES" not in values:
        return [values]
    return [
        values | {"name": name, "MODEL": f"--backbone {name} {options} {values['TRAINING']}"}
        for name, options in values["BACKBONES"].items()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_whole(name: str) -> None:
    notebook = NOTEBOOKS[name]
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "markdown":
            continue
        assert cell["execution_count"] is None
        kinds = {output["output_type"] for output in cell["outputs"]}
        assert kinds <= {"stream", "display_data", "execute_result"}
        assert bool(kinds) == (cell["id"] not in SILENT), cell["id"]
        assert not ABSOLUTE.search(json.dumps(cell["outputs"])), cell["id"]
    sources = json.dumps([cell["source"] for cell in notebook["cells"]]).replace("/content/drive", "")
    assert not ABSOLUTE.search(sources)


@pytest.mark.parametrize("data", ["toyfaces", "fer2013"])
@pytest.mark.parametrize("name", NAMES)
def test_every_command_parses(name: str, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FER_TL_SMOKE", raising=False)
    if data == "fer2013":
        (tmp_path / "fer2013.csv").touch()
    values = settings(name, tmp_path)
    commands = re.findall(r"^ *!(fer-tl .*)$", "\n".join(code_cells(name).values()), flags=re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        if data == "toyfaces" and "{MODEL}" not in command:
            continue  # the same as with fer2013
        for known in trainings(values) if "{MODEL}" in command else [values]:
            typed = re.sub(r"\{(.+?)\}", lambda match, known=known: str(eval(match[1], known)), command)
            verb, given = parse(shlex.split(typed)[1:])
            if verb in ("cv", "train"):
                given.pop("config")
                assert from_flat(given).backbone in BACKBONES


@pytest.mark.parametrize("name", NAMES)
def test_what_is_imported_and_called_exists(name: str) -> None:
    for code in code_cells(name).values():
        for node in ast.walk(ast.parse(without_commands(code))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(("fer_tl", "tfrecords_builder")):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, alias.name) for alias in node.names)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fer_tl":
                assert node.attr in fer_tl.__all__


def test_the_notebooks_begin_alike() -> None:
    own = r"\[[^]]*\]\{SOURCE\}\"$|^EXTRA.*\n|^os\.environ.*\n"  # extras, and the framework of a TPU
    first = {re.sub(own, "", code_cells(name)["install"], flags=re.MULTILINE) for name in NAMES}
    assert len(first) == 1


@pytest.mark.parametrize(
    ("there", "given", "expected"),
    [
        ((), "fer-tl", "fer-tl[cpu]"),
        ((), "git+https://example.org/fer-tl.git", "fer-tl[cpu] @ git+https://example.org/fer-tl.git"),
        (("fer-tl/",), "fer-tl", "fer-tl[cpu] @ file://{here}/fer-tl"),
        (("own/",), "own", "fer-tl[cpu] @ file://{here}/own"),
        (
            ("fer_tl-0.1.0-py3-none-any.whl", "fer-tl/"),
            "fer-tl",
            "fer-tl[cpu] @ file://{here}/fer_tl-0.1.0-py3-none-any.whl",
        ),
    ],
)
def test_it_is_installed_from_what_there_is(
    there: tuple[str, ...], given: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in there:
        Path(name).mkdir() if name.endswith("/") else Path(name).touch()
    code = code_cells("train_on_gpu")["install"].replace('FER_TL = "fer-tl"', f"FER_TL = {given!r}")
    code = re.sub(r'%pip install --quiet "(.*)"', r'INSTALLED = f"\1"', code)
    found: dict[str, Any] = {}
    exec(code, found)
    assert found["INSTALLED"] == expected.format(here=tmp_path.resolve())
