"""Dataset formats declare themselves: a folder here, or a package that is installed elsewhere."""

from __future__ import annotations

import ast
import csv
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fer_tl
from fer_tl.cli import main, parse
from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.data.building.request import BuildRequest
from fer_tl.data.directory import build_arguments, dataset_directory
from fer_tl.data.manifest import read_manifest
from fer_tl.sources.format import Format, Option, find_format, formats, is_drawn
from fer_tl.training.prepare_run import check_ready

SOURCES = Path(__file__).parents[2] / "fer_tl" / "sources"
BUILT_IN = sorted(path.parent.name for path in SOURCES.glob("*/__init__.py"))

DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "own-format.md"
DECLARED, DRAWING, LISTED, READING = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Lays a package where Python finds it, as pip does."""
    place = tmp_path / "site-packages"
    known = set(sys.modules)

    def lay(package: str, point: str, **modules: str) -> None:
        (place / package).mkdir(parents=True)
        for name, text in modules.items():
            (place / package / f"{name}.py").write_text(textwrap.dedent(text))
        about = place / f"{package}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[fer_tl.sources]\n{point}\n")
        monkeypatch.syspath_prepend(place)

    yield lay
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(place)):
            del sys.modules[name]


@pytest.fixture
def dots(install: Callable[..., None]) -> None:
    install("acme_dots", "dots = acme_dots:FORMAT", __init__=DECLARED, drawing=DRAWING)


@pytest.mark.usefixtures("dots")
def test_a_format_of_another_package_is_one_like_those_built_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data-dir", str(tmp_path / "data")]
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "dots: forty drawn dots" in told and "dots: grey of the ground, in 1 % (default: 0)" in told

    assert main(["build", "dots", "--tone", "20", "--shards", "2", *data]) == 0
    assert main(["build", "dots", "--tone", "20", *data]) == 0
    assert "dots is already built" in capsys.readouterr().out
    assert main(["verify", "dots", *data]) == 0
    table = tmp_path / "folds.csv"
    assert main(["folds", "dots", "--folds", "3", "--out", str(table), *data]) == 0
    with table.open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 30
    train, test = (fer_tl.load_dataset("dots", tmp_path / "data", split) for split in ("train", "test"))
    assert train.class_names == ("left", "right") and (len(train), len(test)) == (30, 10)
    assert set(train.images.ravel().tolist()) == {51, 255}
    manifest = read_manifest(dataset_directory(tmp_path / "data", "dots"))
    assert manifest.counts == {"train": {"left": 20, "right": 10}, "test": {"left": 0, "right": 10}}
    assert build_arguments("dots", manifest) == "dots --tone 20 --shards 2"


@pytest.fixture
def listed(install: Callable[..., None], tmp_path: Path) -> Path:
    """The other format of the docs, and a folder of it: 24 images of 8 persons."""
    install("acme_listed", "listed = acme_listed:FORMAT", __init__=LISTED, reading=READING)
    folder = tmp_path / "pictures"
    folder.mkdir()
    lines = []
    for row in range(24):
        pixels = np.random.default_rng(row).integers(0, 256, (20, 20), np.uint8)
        Image.fromarray(pixels).save(folder / f"{row}.png")
        lines.append(
            f"{row}.png {('happy', 'sad')[row % 2]} {('train', 'train', 'dev', 'test')[row // 6]} p{row // 3}\n"
        )
    (folder / "labels.txt").write_text("".join(lines))
    return folder


def test_the_format_of_image_files_in_the_docs_is_built_with_its_groups(listed: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert main(["build", "listed", "--source", str(listed), "--image-size", "16", "--data-dir", str(data)]) == 0
    loaded = fer_tl.load_dataset("listed", str(data), "train")
    assert loaded.images.shape == (12, 16, 16, 1) and loaded.class_names == ("happy", "sad")
    assert {str(i): str(g) for i, g in zip(loaded.ids, loaded.groups, strict=True)} == {
        f"{row}.png": f"p{row // 3}" for row in range(12)
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("3.png sad train p1", "3.png sad train"),
            "labels.txt in pictures, line 4: write a file, an emotion",
        ),
        (("3.png sad train p1", "3.png sad training_ p1 p"), "labels.txt in pictures, line 4: write"),
        (("3.png sad train p1", "33.png sad train p1"), "labels.txt in pictures, line 4: there is no file 33.png"),
        (None, "pictures has no labels.txt: give a folder with it"),
    ],
)
def test_it_names_what_is_wrong_with_its_list(
    listed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str] | None, said: str
) -> None:
    text = listed / "labels.txt"
    if change:
        assert change[0] in text.read_text()
        text.write_text(text.read_text().replace(*change))
    else:
        text.unlink()
    assert main(["build", "listed", "--source", str(listed), "--data-dir", str(tmp_path / "data")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("dots")
def test_its_options_are_checked_and_its_own(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--tone is 101, not 0 to 100"):
        BuildRequest("dots", tone=101)
    with pytest.raises(UserError, match="--tone is 'dark', not a whole number"):
        BuildRequest("dots", tone="dark")
    with pytest.raises(UserError, match="--tone is for dots, not for toyfaces"):
        BuildRequest("toyfaces", tone=1)
    with pytest.raises(UserError, match=r"--source is for .*fer2013.*, not for dots"):
        BuildRequest("dots", tmp_path)
    with pytest.raises(UserError, match="no option 'tones'; did you mean 'tone'"):
        BuildRequest("dots", tones=1)


@pytest.mark.usefixtures("dots")
def test_training_knows_a_drawn_format_before_it_is_built(tmp_path: Path) -> None:
    experiment = replace(
        Experiment(), data="dots", data_dir=str(tmp_path / "data"), run_dir=str(tmp_path / "run"), weights="none"
    )
    assert is_drawn("dots") and not check_ready(experiment, "cv").trained
    with pytest.raises(UserError, match="happy"):
        check_ready(replace(experiment, classes=("left", "happy")), "cv")


def test_what_is_built_stays_when_its_package_is_gone(
    tmp_path: Path, dots: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fer_tl.build("dots", data_dir=tmp_path / "data", say=lambda line: None)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not entry.startswith(str(tmp_path))])
    assert len(fer_tl.load_dataset("dots", tmp_path / "data")) == 30
    fer_tl.verify("dots", tmp_path / "data", say=lambda line: None)
    assert build_arguments("dots", read_manifest(dataset_directory(tmp_path / "data", "dots")))
    with pytest.raises(UserError, match=r"'dots' to build; give one of affectnet, .*, such as folder/dots for images"):
        fer_tl.build("dots", data_dir=tmp_path / "data")


BAD = {
    "raises": (
        "import no_such_module",
        "cannot be used .*no_such_module.*: update or uninstall acme-bad",
    ),
    "nothing": ("", "package acme-bad gives the dataset format 'bad', which cannot be used .*FORMAT"),
    "no format": ("FORMAT = 3", "acme_bad:FORMAT is 3, not a Format of this name"),
    "another name": (DECLARED, "is a Format of the name 'dots', not a Format of this name"),
    "no name": (DECLARED.replace('"dots"', '"no name"'), "'no name' cannot be the name of a dataset format"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_package_that_cannot_be_used_is_named_and_stops_no_other(
    install: Callable[..., None], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, message = BAD[kind]
    install("acme_bad", "bad = acme_bad:FORMAT", __init__=text)
    with pytest.raises(UserError, match=message):
        find_format("bad")
    assert main(["build", "bad"]) == 2 and "acme-bad" in capsys.readouterr().err
    assert sorted(formats()) == BUILT_IN and find_format("fer2013").name == "fer2013"
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "made by code (no photographs); the package acme-bad gives" in told


@pytest.mark.parametrize(("name", "other"), [("dots", "acme-dots"), ("fer2013", "fer-tl")])
def test_two_packages_of_one_name_are_named(install: Callable[..., None], dots: None, name: str, other: str) -> None:
    install("acme_more", f"{name} = acme_more:FORMAT", __init__=DECLARED.replace("dots", name))
    with pytest.raises(UserError, match=f"'{name}': uninstall all but one") as caught:
        BuildRequest(name)
    assert other in str(caught.value) and "acme-more" in str(caught.value)
    assert parse(["build", "fer2013", "--ferplus", "x"])[1]["ferplus"] == "x"


def test_an_option_that_two_formats_type_differently_is_read_as_each_wants(
    install: Callable[..., None], dots: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
        from fer_tl.sources.format import Format, Option
        FORMAT = Format("words", "words", "acme_dots.drawing:Dots", (Option("tone", str, "a word"),), drawn=True)
    """
    install("acme_words", "words = acme_words:FORMAT", __init__=text)
    _, values = parse(["build", "words", "--tone", "007"])
    assert BuildRequest("words", tone=values["tone"]).given == {"tone": "007"}
    assert BuildRequest("dots", tone=values["tone"]).given == {"tone": 7}
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    assert "dots: grey of the ground, in 1 % (default: 0); words: a word" in " ".join(capsys.readouterr().out.split())


def test_option_values_are_read_or_refused() -> None:
    path = Option("file", Path, "a file")
    assert path.read("~/x") == Path.home() / "x" and path.read(Path("y")) == Path("y")
    assert Option("share", float, "a share").read(1) == 1.0
    for option, value in (
        (Option("n", int, "a number"), 2.5),
        (Option("n", int, "a number"), [2]),
        (Option("share", float, "a share"), "a"),
        (Option("share", float, "a share"), float("nan")),
        (path, 3),
    ):
        with pytest.raises(UserError, match=f"--{option.name} is .*, not a "):
            option.read(value)
    with pytest.raises(UserError, match="'Fer-2013' cannot be the name"):
        Format("Fer-2013", "", "x:y")


PACKAGE = Path(fer_tl.__file__).parent
# Where a built-in format may be named outside of its folder, and why.
EXCEPTIONS = {
    # The dataset of a command without one: it needs no file.
    ("core/config.py", "toyfaces"),
    ("data/dataset.py", "toyfaces"),
    ("commands/folds.py", "toyfaces"),
    ("commands/inspect.py", "toyfaces"),
    ("commands/verify.py", "toyfaces"),
    # Weights that were trained on it are called like it.
    ("models/shipped.py", "fer2013"),
    # The order of numbers in a CSV of it.
    ("sources/label_orders.py", "ckplus"),
    # Words in the names of people's folders, whatever format they are of.
    ("sources/split_names.py", "fer2013"),
    ("sources/split_names.py", "expw"),
    ("sources/split_names.py", "rafdb"),
    ("sources/split_names.py", "affectnet"),
    # An order of numbers, which other datasets may have.
    ("sources/label_orders.py", "affectnet"),
    ("sources/split_names.py", "folder"),
    # Tables of a comparison.
    ("reports/compare_files.py", "table"),
    ("reports/latex.py", "table"),
}


def test_a_built_in_format_is_named_in_its_own_folder_only() -> None:
    assert sorted(formats()) == BUILT_IN
    named = set()
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings give examples
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                name = node.value.partition("/")[0]
                if name in BUILT_IN and not place.startswith(f"sources/{name}/"):
                    named.add((place, name))
    assert named == EXCEPTIONS


@pytest.mark.parametrize(("typed", "meant"), [("FER-2013", "fer2013"), ("Folder/own", "folder/own")])
def test_a_format_is_known_however_its_name_is_spelled(typed: str, meant: str) -> None:
    assert find_format(typed).name == meant.partition("/")[0]
    assert BuildRequest(typed).name == meant
