"""The wheel and the source archive: built clean, complete, and able to work without the checkout."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from fer_tl.core.version import __version__

ROOT = Path(__file__).parent.parent
NEEDED = ("fer_tl", "tfrecords_builder", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
# What is no code and no text of the package.
SCRAPS = ("__pycache__", ".pyc", ".tfrecord", ".h5", ".npy", "tests/", "/data/fer2013")


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built from a copy: setuptools leaves folders beside what it builds."""
    copy = tmp_path_factory.mktemp("source")
    for name in NEEDED:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, copy / name)
    result = run("-m", "build", "--no-isolation", cwd=copy)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    assert "is absent from the `packages`" not in result.stdout + result.stderr
    return copy / "dist"


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, as in a site-packages."""
    folder = tmp_path_factory.mktemp("site")
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def files_below(folder: Path) -> dict[str, str]:
    """SHA-256 by path, of what belongs to a package."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for name in ("fer_tl", "tfrecords_builder")
        for path in (folder / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_an_index_would_take_both(built: Path) -> None:
    names = sorted(path.name for path in built.iterdir())
    assert names == [f"fer_tl-{__version__}-py3-none-any.whl", f"fer_tl-{__version__}.tar.gz"]
    result = run("-m", "twine", "check", "--strict", *(str(built / name) for name in names), cwd=built)
    assert result.returncode == 0, result.stdout


def test_the_wheel_holds_the_package_whole_and_nothing_else(unpacked: Path) -> None:
    assert files_below(unpacked) == files_below(ROOT)
    assert not [name for name in files_below(unpacked) if any(scrap in name for scrap in SCRAPS)]


def test_the_archive_holds_the_same(built: Path, tmp_path: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    assert files_below(folder) == files_below(ROOT)
    assert (folder / "LICENSE").exists()


def test_it_works_without_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    """Recipes, the page of ``serve`` and the network that ships are found beside the code that asks for them."""
    code = """
import fer_tl, pathlib
from fer_tl.core.recipes import recipe_names
from fer_tl.models.shipped import find_shipped
where = pathlib.Path(fer_tl.__file__).parents[1].resolve()
print(fer_tl.__version__, where, find_shipped().card["backbone"], len(recipe_names()))
"""
    result = run("-c", code, cwd=tmp_path, PYTHONPATH=str(unpacked))
    version, where, backbone, recipes = result.stdout.split()
    assert (version, Path(where), backbone) == (__version__, unpacked.resolve(), "facevgg")
    assert int(recipes) == len(list((ROOT / "fer_tl" / "recipes").glob("*.yaml")))


USER = """\
import numpy as np

import fer_tl

images = np.zeros((4, 48, 48), np.uint8)
classifier = fer_tl.Classifier("facevgg", weights="none", epochs=2, optimizer__rate=1e-3)
reveal_type(classifier.fit(images, ["a", "b", "a", "b"]).predict_proba(images))
result = fer_tl.cross_validate(data="fer2013", backbone="facevgg")
if isinstance(result, fer_tl.CvResult):
    reveal_type(result.accuracy)
fer_tl.compare(3)
fer_tl.crossvalidate()
"""


def test_a_type_checker_knows_the_installed_package(unpacked: Path, tmp_path: Path) -> None:
    """Without ``py.typed`` it would take all of it for Any."""
    venv.create(tmp_path / "env", symlinks=os.name != "nt")
    site = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "env")}))
    shutil.copytree(unpacked / "fer_tl", site / "fer_tl")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))  # NumPy
    (tmp_path / "user.py").write_text(USER)
    python = sysconfig.get_path("scripts", vars={"base": str(tmp_path / "env")})
    result = run("-m", "mypy", "--strict", "--python-executable", f"{python}/python", "user.py", cwd=tmp_path)
    lines = result.stdout.splitlines()
    assert lines[-1].startswith("Found 2 errors in 1 file"), result.stdout
    assert 'Revealed type is "numpy.ndarray[' in lines[0] and 'Revealed type is "float"' in lines[1]
    assert 'to "compare" has incompatible type "int"' in lines[2] and 'no attribute "crossvalidate"' in lines[3]
