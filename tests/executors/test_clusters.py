"""Building, cross-validating, sweeping and predicting over Ray, where a node is lost meanwhile, and over submitit leave
the bytes of one process."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import build_and_train
import pytest
from PIL import Image

from fer_tl.data.dataset import Dataset
from fer_tl.runs.part import EVENTS

# They tell when, where and how fast something ran.
DIFFERS = re.compile(
    rf"timing\.json|{EVENTS}|environment\.json|config\.yaml|run\.json|/\.cache/|grid/table\.|\.png|\.pdf"
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Dataset]) -> Path:
    folder, faces = tmp_path_factory.mktemp("images"), make_faces(84, side=16)
    for name, label, pixels in zip(faces.ids, faces.labels, faces.images, strict=True):
        (folder / faces.class_names[label]).mkdir(exist_ok=True)
        Image.fromarray(pixels[..., 0]).save(folder / faces.class_names[label] / f"{name}.png")
    return folder


def built_and_trained(images: Path, executor: str, folder: Path) -> tuple[dict[str, bytes], str]:
    """What is in the files that it leaves, and what it prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, build_and_train.__file__, str(images), executor]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not DIFFERS.search(name)}, result.stdout


@pytest.fixture(scope="module")
def alone(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return built_and_trained(images, "none", tmp_path_factory.mktemp("alone"))[0]


@pytest.mark.parametrize(("executor", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_cluster_leaves_the_bytes_of_one_process(
    images: Path, executor: str, package: str, alone: dict[str, bytes], tmp_path: Path
) -> None:
    if not importlib.util.find_spec(package):
        pytest.skip(f"{package} is not installed")
    found, printed = built_and_trained(images, executor, tmp_path)
    expected = {"data/folder/drawn/1.2.0/manifest.json", "runs/cv/table.csv", "runs/grid/0.1/model/model.keras"}
    expected |= {"predicted/faces.csv", "predicted/predict.json"}
    assert expected <= found.keys()
    assert found.keys() == alone.keys()
    assert [name for name in found if found[name] != alone[name]] == []
    assert (build_and_train.KILLED in printed) == (executor == "ray")
