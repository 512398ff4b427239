"""Execute the notebooks with the package versions of a Colab runtime: to test them, or to keep their outputs."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
NAMES = ("train_on_gpu", "train_on_tpu", "compare_backbones", "try_your_photo")
PACKAGE = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "fer_tl", "tfrecords_builder")
SECONDS = 1800  # the longest that a cell may take

# What each notebook has to leave in its WORK folder, in smoke mode.
RESULTS = {
    "train_on_gpu": (
        "data/toyfaces/*/manifest.json",
        "runs/gpu-toyfaces/table.md",
        "runs/gpu-toyfaces/confusion.png",
        "runs/gpu-toyfaces/report.html",
        "runs/gpu-toyfaces/fold-1/model.keras",
        "runs/gpu-toyfaces/evaluate-test/table.md",
    ),
    "train_on_tpu": ("runs/tpu-toyfaces/table.md", "runs/tpu-toyfaces/evaluate-test/table.md"),
    "compare_backbones": ("runs/compare-toyfaces/tables/*.md", "runs/compare-toyfaces/*/fold-1/model.keras"),
    "try_your_photo": ("runs/photo/model/model.keras", "predict/faces.csv", "predict/pictures/*", "explain/**/*.png"),
}
# Lines that say how fast this machine is, or come from its TensorFlow.
_NOISE = re.compile(
    r"^(WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:\d\d|.*first step after |.*: predicted in )"
)
_RATE = re.compile(
    r"  (?:[\d,]+ images/s, .* left|starting)$| in (?:[\d.]+ (?:h|min|s) ?)+(?=,|$)|, [\d,]+/s$|  [\d,]+/s$"
)


def main() -> None:
    """Test the notebooks, or with ``--save`` write their outputs into them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NOTEBOOK", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--save", action="store_true", help="execute with the sizes shown and keep the outputs")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no notebook {unknown.pop()}: choose of {', '.join(NAMES)}")
    refuse_other_versions("install colab/requirements-colab.txt on Python 3.13")
    # The notebooks install it themselves, from a copy of the project as it is now.
    subprocess.run([sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", "fer-tl"], check=True)
    for name in options.names:
        start = time.monotonic()
        save(name) if options.save else test(name)
        print(f"{name}: {'saved' if options.save else 'ok'}, {time.monotonic() - start:.0f} s", flush=True)
    refuse_other_versions("installing fer-tl replaced it")


def test(name: str) -> None:
    """Execute a notebook twice in smoke mode: it must leave its results, and keep them the second time."""
    with tempfile.TemporaryDirectory() as folder:
        place = _prepare(Path(folder))
        execute(name, place, smoke=True)
        work = place / "fer-tl-work"
        missing = [pattern for pattern in RESULTS[name] if not any(work.glob(pattern))]
        if missing:
            raise SystemExit(f"{name}: it left no {', '.join(missing)}")
        trained = {path: path.stat().st_mtime_ns for path in work.glob("runs/**/model.keras")}
        execute(name, place, smoke=True)
        again = {path: path.stat().st_mtime_ns for path in work.glob("runs/**/model.keras")}
        if again != trained:
            raise SystemExit(f"{name}: the second execution trained again")


def save(name: str) -> None:
    """Execute a notebook as it is and keep what it shows, without what only this machine says."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = execute(name, _prepare(Path(folder)), smoke=False)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [] if cell.id == "install" else _cleaned(cell.outputs)
    nbformat.validate(notebook)
    nbformat.write(notebook, HERE / f"{name}.ipynb")


def execute(name: str, place: Path, smoke: bool) -> NotebookNode:
    """A notebook with the outputs that it has when it is executed in a folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed, or a command in it did.
    """
    notebook = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
    cells = notebook.cells
    # A command that fails is no error to the notebook: the cell after it looks at its exit status.
    check = "assert not globals().get('_exit_code'), f'the command before this ended with {_exit_code}'"
    checked = [[cell, nbformat.v4.new_code_cell(check)] if cell.cell_type == "code" else [cell] for cell in cells]
    notebook.cells = [cell for pair in checked for cell in pair]
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ["PATH"], "FER_TL_SMOKE": str(int(smoke))}
    client = NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(place)}}
    )
    client.execute(env=environment)
    notebook.cells = cells
    return notebook


def refuse_other_versions(advice: str) -> None:
    """Leave if a pinned package has another version."""
    if sys.version_info[:2] != (3, 13):
        raise SystemExit(f"Colab has Python 3.13, this is {sys.version.split()[0]}: {advice}")
    for line in (HERE / "requirements-colab.txt").read_text(encoding="utf-8").splitlines():
        package, equals, pinned = line.partition("==")
        if not equals or line.startswith("#"):
            continue
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "absent"
        if found != pinned:
            raise SystemExit(f"{package} is {found}, Colab has {pinned}: {advice}")


def _prepare(folder: Path) -> Path:
    """A folder like a Drive that a copy of the project was put on."""
    target = folder / "fer-tl"
    target.mkdir()
    for name in PACKAGE:
        source = HERE.parent / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / name)
    return folder


def _cleaned(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Streams joined and as a terminal shows them in the end, without times and rates."""
    found: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream" and found and found[-1].get("name") == output.name:
            found[-1].text += output.text
        else:
            found.append(output)
    for output in found:
        if output.output_type == "stream":
            output.text = _shown(output.text)
        if output.output_type == "execute_result":
            output.execution_count = None
    return [output for output in found if output.output_type != "stream" or output.text]


def _shown(text: str) -> str:
    """What is left on a terminal: of each line what follows its last carriage return."""
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return "\n".join(_RATE.sub("", line) for line in _blanked(lines) if not _NOISE.match(line)).strip("\n") + "\n"


def _blanked(lines: list[str]) -> Iterator[str]:
    """The lines with dashes for the times in the table of costs of a comparison."""
    columns: list[re.Match[str]] = []
    for line in lines:
        if not line:
            columns = []
        elif line.endswith("minutes  images/s"):
            columns = list(re.finditer(r" +(minutes|images/s)", line))
        elif columns and not line.startswith("─"):
            line = line[: columns[0].start()] + "".join(f"{'–':>{len(each[0])}}" for each in columns)
        yield line


if __name__ == "__main__":
    main()
