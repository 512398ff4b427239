"""Every recipe builds, trains a step, and holds no key that nobody reads."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, get_type_hints

import keras
import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure

import fer_tl
from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import flatten, to_dict
from fer_tl.core.options import from_raw, load_experiment, read_mapping
from fer_tl.core.recipes import read_recipe, recipe_names
from fer_tl.models.backbones import BACKBONES
from fer_tl.models.record import Variant
from fer_tl.reports import run_report
from fer_tl.training.checkpoint import Checkpoints
from fer_tl.training.sweep_grid import Cell, read_sweep

pytestmark = pytest.mark.usefixtures("light_figures")

CONFIGS = [read_recipe(name).path for name in recipe_names()]
SWEEPS = [path for path in CONFIGS if "sweep" in read_mapping(path)]
PAPERS = ("liu", "pham", "du", "li", "sikic")
# Reading a setting to check, copy, compare or write it down is not using it.
NOT_USES = {"check", "asdict", "_asdict_inner", "_replace", "replace", "__eq__", "__hash__", "__repr__"}
# The recipe that trains the real network of a shallow backbone. All others train a small one in its place: that the
# deep networks build and learn is shown by tests/models/test_backbones.py, and takes up to 10 s each here.
SHALLOW = {name for name, record in BACKBONES.items() if record.parameters < 2e6}
REAL = {load_experiment(path).backbone: path for path in reversed(CONFIGS) if path not in SWEEPS}
GROUPS = {hint: f"{name}." for name, hint in get_type_hints(Experiment).items() if is_dataclass(hint)}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FER-2013 in small: noise, two images of each class to train on and one to hold out."""
    root = tmp_path_factory.mktemp("configs")
    rows = ["emotion,pixels,Usage"]
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (21, 48 * 48))):
        usage = "PublicTest" if index // 7 % 3 == 0 else "Training"
        rows.append(f"{index % 7},{' '.join(map(str, pixels))},{usage}")
    (root / "fer2013.csv").write_text("\n".join(rows))
    fer_tl.build("fer2013", source=root / "fer2013.csv", data_dir=root, shards=1, say=lambda line: None)
    return root


@pytest.fixture(scope="module", autouse=True)
def _step_by_step(data_dir: Path) -> Iterator[None]:
    """Runs TensorFlow without graphs, a single step of a deep network is quicker than its trace, and leaves out
    checkpoints, 400 MB of ResNet50."""
    tf.config.run_functions_eagerly(True)
    gc.freeze()  # what is there already is not looked through each time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", lambda self, values, state: None)
        for name in ("confusion_figure", "reliability_figure", "learning_curves_figure"):
            patch.setattr(run_report, name, lambda *given, **named: Figure())  # a fifth of the time of such runs
        yield
    gc.unfreeze()
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Collects the dotted names of the settings that fer-tl reads to do something."""
    names: set[str] = set()
    for kind in (Experiment, *GROUPS):
        members = {item.name for item in fields(kind)}

        def get(self: Any, name: str, members: set[str] = members, prefix: str = GROUPS.get(kind, "")) -> Any:
            caller: FrameType = sys._getframe(1)
            if name in members and caller.f_code.co_name not in NOT_USES and caller.f_code.co_filename != __file__:
                names.add(f"{prefix}{name}")
            return object.__getattribute__(self, name)

        monkeypatch.setattr(kind, "__getattribute__", get)
    yield names
    # Models refer to themselves: without this some gigabytes of them wait for the garbage collector.
    gc.collect()


def small(images: Any, variant: Variant) -> keras.Model:
    """A feature map of 6x6 for images of 48x48."""
    x = keras.layers.Conv2D(8, 9, strides=8, padding="same")(images)
    return keras.Model(keras.utils.get_source_inputs(images), keras.layers.BatchNormalization()(x))


def shrink(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, backbone, replace(BACKBONES[backbone], build=small, features=8))


def shortened(command: str, experiment: Experiment, data_dir: Path, run_dir: Path) -> dict[str, Any]:
    """What makes a recipe a matter of seconds: one fold, one step an epoch, one epoch a stage, random weights."""
    return {
        "data": "fer2013",
        "data_dir": str(data_dir),
        "run_dir": str(run_dir),
        "weights": "none",
        "batch_size": 7,
        "epochs": 1,
        "head_epochs": min(1, experiment.head_epochs),
        "folds": 2,
        "fold": 0 if command == "cv" else None,
        "holdout": 0.5,
    }


def command_of(path: Path) -> str:
    """The subcommand in the file's header."""
    words = read_recipe(path.stem).command.split()
    assert words[0] == "fer-tl" and path.stem in words
    return words[1]


def run(command: str, experiment: Experiment) -> None:
    {"cv": fer_tl.cross_validate, "train": fer_tl.fit}[command](experiment, say=lambda line: None)


def keys_of_axes(axes: dict[str, Any]) -> set[str]:
    """The options that the axes of a sweep set."""
    return {
        key
        for name, values in axes.items()
        for cell in (values.values() if isinstance(values, dict) else [{name: None}])
        for key in flatten(cell)
    }


def covering(cells: Sequence[Cell]) -> list[Cell]:
    """Few cells in which every value of every axis is used: 4 of 12 where all would take 9 s more."""
    left = {value for cell in cells for value in enumerate(cell.labels)}
    chosen = []
    while left:
        chosen.append(max(cells, key=lambda cell: len(left & set(enumerate(cell.labels)))))
        left -= set(enumerate(chosen[-1].labels))
    return chosen


@pytest.mark.parametrize("path", [path for path in CONFIGS if path not in SWEEPS], ids=lambda path: path.stem)
def test_a_config_builds_trains_a_step_and_has_every_key_read(
    path: Path, data_dir: Path, tmp_path: Path, used: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, experiment = flatten(read_mapping(path)), load_experiment(path)
    if REAL[experiment.backbone] != path or experiment.backbone not in SHALLOW:
        shrink(experiment.backbone, monkeypatch)
    command = command_of(path)
    run(command, from_raw(keys | shortened(command, experiment, data_dir, tmp_path)))
    assert set(keys) <= used


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_value_of_a_sweep_builds_trains_a_step_and_has_every_key_read(
    path: Path, data_dir: Path, tmp_path: Path, used: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command_of(path) == "sweep"
    content, sweep = read_mapping(path), read_sweep(path)
    for cell in covering(sweep.cells):
        if cell.experiment.backbone in REAL:
            shrink(cell.experiment.backbone, monkeypatch)
        keys = flatten(to_dict(cell.experiment))
        run(sweep.command, from_raw(keys | shortened(sweep.command, cell.experiment, data_dir, tmp_path / cell.name)))
    spec = content.pop("sweep")
    assert set(flatten(content)) | keys_of_axes(spec["axes"]) <= used


def test_every_paper_has_its_recipes() -> None:
    for paper in PAPERS:
        assert [path for path in CONFIGS if path.stem.startswith(f"{paper}_")], paper


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_recipe_says_what_the_paper_claims_and_what_we_measured(path: Path) -> None:
    recipe = read_recipe(path.stem)
    assert recipe.title
    if path.stem != "quickstart":
        assert recipe.claim
        assert recipe.measured.endswith(("recipes-fer2013.md.", "not yet measured."))
