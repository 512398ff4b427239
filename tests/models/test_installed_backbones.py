"""A package that is installed beside fer-tl adds a backbone of its own by an entry point."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import fer_tl
from fer_tl.core.errors import UserError
from fer_tl.models.backbones import find_backbone
from fer_tl.models.classifier import build_classifier
from fer_tl.sources.toyfaces import source as toyfaces

pytestmark = pytest.mark.usefixtures("light_figures")

DOCS = Path(__file__).parents[2] / "docs" / "architecture.md"
CODE = next(block for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "RECORD" in block)


def install(site: Path, package: str, name: str, code: str = CODE) -> None:
    """What an installer leaves behind of a package: its module, and its metadata."""
    (site / f"{package}.py").write_text(code.replace("striding", name))
    metadata = site / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[fer_tl.backbones]\n{name} = {package}:RECORD\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, forgotten at the end."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(toyfaces, "COUNTS", {"train": 70, "validation": 14, "test": 14})
    monkeypatch.syspath_prepend(folder)
    yield folder
    for module in folder.glob("*.py"):
        sys.modules.pop(module.stem, None)


def test_an_installed_backbone_is_listed_trained_and_loaded(site: Path, tmp_path: Path) -> None:
    install(site, "striding_faces", "striding")
    lines: list[str] = []
    assert "striding" in {row.backbone.name for row in fer_tl.list_models(say=lines.append)}
    assert "striding" in lines[0]
    experiment = fer_tl.load_experiment(
        backbone="striding", weights="none", folds=2, epochs=1, data_dir=str(tmp_path), run_dir=str(tmp_path / "run")
    )
    result = fer_tl.fit(experiment, say=lines.append)
    assert isinstance(result, fer_tl.commands.train.FitResult)
    assert fer_tl.load(tmp_path / "run").class_names == result.predictions.class_names


def test_a_name_that_two_packages_give_is_refused(site: Path) -> None:
    install(site, "first_faces", "striding")
    install(site, "second_faces", "striding")
    with pytest.raises(UserError, match=r"the packages .*_faces and .*_faces all give .*: uninstall all but one"):
        find_backbone("striding")


def test_one_of_fer_tls_own_names_stays_its_own(site: Path) -> None:
    install(site, "other_faces", "resnet18")
    assert find_backbone("resnet18").parameters == 11_186_112


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import nothing_of_this_name\n", "ModuleNotFoundError"),
        ("RECORD = 5\n", "is 5, not a Backbone of this name"),
        (
            CODE.replace('name="striding",\n    build', 'name="other",\n    build'),
            "is a Backbone of the name 'other', not a",
        ),
        (re.sub(r"head=.*", "head=3,", CODE), "UserError: the backbone 'striding' has head=3, not a Head"),
        (CODE.replace("build=build", "build=None"), "the backbone 'striding' has build=None, not a function"),
        (CODE.replace("rgb=False", "rgb=False, scaling=255"), "'striding' has scaling=255, not a Scaling"),
    ],
)
def test_a_package_that_cannot_be_used_is_named_when_it_is_asked_for_and_only_then(
    site: Path, code: str, why: str
) -> None:
    install(site, "broken_faces", "striding", code)
    with pytest.raises(UserError, match=f"the package broken_faces gives the backbone 'striding'.*{why}.*uninstall"):
        find_backbone("striding")
    assert find_backbone("resnet18").name == "resnet18"
    with pytest.raises(UserError, match="unknown backbone 'resnet19'; did you mean 'resnet18'"):
        find_backbone("resnet19")


BODIES = {
    "no model": ("return features", "was built as KerasTensor, not as a keras.Model"),
    "nothing": ("return None", "was built as NoneType, not as"),
    "a vector": (
        "x = keras.layers.Flatten()(images); return keras.Model(keras.utils.get_source_inputs(images), x)",
        r"was built as a model with the output \(None, \d+\), not as",
    ),
    "code of its own": (
        "x = keras.layers.Lambda(lambda x: x)(features); return keras.Model(keras.utils.get_source_inputs(images), x)",
        "has a layer of the class Lambda, which no saved model may have",
    ),
    "another error": (
        "raise KeyError('stem')",
        r"cannot be built at 48 pixels: KeyError: 'stem' \(.*odd_faces.py",
    ),
    "fewer features": (
        "x = keras.layers.Conv2D(5, 3)(images); return keras.Model(keras.utils.get_source_inputs(images), x)",
        "has features=8 in its record, and its feature map 5: correct the record",
    ),
    "an error": ("raise ValueError('too small')", "cannot be built at 48 pixels: too small"),
}


@pytest.mark.parametrize(("body", "message"), BODIES.values(), ids=BODIES)
def test_what_is_no_backbone_is_one_line_before_anything_is_trained(site: Path, body: str, message: str) -> None:
    code = re.sub(r"    return keras\.Model.*\n", f"    {body}\n", CODE)
    install(site, "odd_faces", "striding", code)
    experiment = fer_tl.load_experiment(backbone="striding", weights="none")
    with pytest.raises(UserError, match=f"the backbone striding .*{message}"):
        build_classifier(experiment, (48, 48, 1), 7, None)


def test_a_run_goes_on_with_the_network_that_it_was_begun_with(site: Path, tmp_path: Path) -> None:
    install(site, "striding_faces", "striding")
    places = {"data_dir": str(tmp_path), "run_dir": str(tmp_path / "run")}
    experiment = fer_tl.load_experiment(backbone="striding", weights="none", folds=2, fold=0, epochs=1, **places)
    fer_tl.cross_validate(experiment, say=lambda line: None)
    module = site / "striding_faces.py"
    module.write_text(module.read_text().replace("Conv2D(8, 3", "Conv2D(8, 5"))
    del sys.modules["striding_faces"]
    shutil.rmtree(site / "__pycache__", ignore_errors=True)
    importlib.invalidate_caches()
    with pytest.raises(UserError, match="begun with another network: the code of its backbone has changed since"):
        fer_tl.cross_validate(replace(experiment, fold=1), say=lambda line: None)


def test_a_package_that_cannot_be_used_is_listed_with_the_backbones(site: Path) -> None:
    install(site, "broken_faces", "striding", "import nothing_of_this_name\n")
    lines: list[str] = []
    fer_tl.list_models(say=lines.append)
    assert lines[-1].startswith("Warning: the package broken_faces gives the backbone 'striding', which cannot be used")
