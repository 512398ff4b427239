"""A package that is installed beside fer-tl adds a backbone of its own by an entry point."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fer_tl
from fer_tl.core.errors import UserError
from fer_tl.models.backbones import find_backbone

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
    [("import nothing_of_this_name\n", "ModuleNotFoundError"), ("RECORD = 5\n", "is 5, not a Backbone of this name")],
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
