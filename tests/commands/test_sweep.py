"""Sweeps: the grid is the product of its axes, checked whole before the first cell trains, and ends in one table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fer_tl
from fer_tl.commands._grid import SweepResult
from fer_tl.core.config_keys import flatten, to_dict
from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset
from fer_tl.evaluation.metrics import score
from fer_tl.evaluation.soft_voting import soft_vote
from fer_tl.runs.predictions import load_predictions
from fer_tl.training.sweep_grid import Sweep, grid_of_seeds, read_sweep

pytestmark = pytest.mark.usefixtures("thin_backbone", "light_figures")

GRID = """
backbone: shallow_cnn
weights: none
epochs: 3
sweep:
  command: train
  axes:
    optimizer.rate: [0.1, 0.2]
    how:
      plain: {schedule.kind: constant}
      clipped: {schedule: {kind: cosine}, optimizer.clip: 1}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "grid.yaml"
    path.write_text(text)
    return path


def read(folder: Path, text: str = GRID, **overrides: Any) -> Sweep:
    return read_sweep(write(folder, text), overrides)


def refusal(folder: Path, text: str, **overrides: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, text, **overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_cells_are_the_product_of_the_axes_over_the_base(tmp_path: Path) -> None:
    sweep = read(tmp_path)
    assert (sweep.name, sweep.command, sweep.axes) == ("grid", "train", ("optimizer.rate", "how"))
    found = {cell.name: flatten(to_dict(cell.experiment)) for cell in sweep.cells}
    assert list(found) == ["0.1-plain", "0.1-clipped", "0.2-plain", "0.2-clipped"]
    for name, settings in found.items():
        rate, how = name.split("-")
        expected = load_experiment(
            backbone="shallow_cnn",
            weights="none",
            epochs=3,
            run_dir=str(sweep.run_dir / name),
            optimizer={"rate": float(rate), "clip": 1.0 if how == "clipped" else 0.0},
            schedule={"kind": "constant" if how == "plain" else "cosine"},
        )
        assert settings == flatten(to_dict(expected))


def test_overrides_hold_in_every_cell_and_name_another_folder(tmp_path: Path) -> None:
    plain, short = read(tmp_path), read(tmp_path, epochs=1, **{"head.dense": (8,)})
    assert {(cell.experiment.epochs, cell.experiment.head.dense) for cell in short.cells} == {(1, (8,))}
    assert plain.run_dir != short.run_dir
    assert read(tmp_path).run_dir == plain.run_dir
    assert read(tmp_path, run_dir="here").cells[0].experiment.run_dir == str(Path("here") / "0.1-plain")


def test_two_cells_never_share_a_folder(tmp_path: Path) -> None:
    axes = "sweep: {command: cv, axes: {head.dense: [[1], [1, 2], null], unfreeze: [all, none, 3]}}\nweights: none"
    names = [cell.name for cell in read(tmp_path, axes).cells]
    assert len(set(names)) == 9
    assert "1x2-all" in names
    assert "default-3" in names


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("epochs: 3", "has no 'sweep' key, it is a single run"),
        ("sweep: {}", "'sweep' needs 'axes'"),
        ("sweep: [1]", "'sweep' needs 'axes'"),
        ("sweep: {command: train, axes: {}}", "'sweep' needs 'axes'"),
        ("sweep: {axes: {epochs: [1]}}", "'sweep.command' should be one of cv, train, but is 'None'"),
        ("sweep: {command: fit, axes: {epochs: [1]}}", "but is 'fit'"),
        ("sweep: {command: cv, axis: {}, axes: {epochs: [1]}}", "'sweep.axis'; did you mean 'axes'?"),
        ("sweep: {command: cv, ensemble: 3, axes: {epochs: [1]}}", "'sweep.ensemble' should be true or false"),
        ("sweep: {command: cv, axes: {epoch: [1]}}", "unknown key 'epoch'; did you mean 'epochs'?"),
        ("sweep: {command: cv, axes: {a: {b: {epoch: 1}}}}", "'b': unknown key 'epoch'; did you mean 'epochs'?"),
        ("sweep: {command: cv, axes: {epochs: []}}", "should be a list of values, or names with settings"),
        ("sweep: {command: cv, axes: {epochs: 3}}", "should be a list of values, or names with settings"),
        ("sweep: {command: cv, axes: {epochs: [3, 3]}}", "holds a value twice"),
        ("sweep: {command: cv, axes: {a: {b: 3}}}", "'b' should hold settings"),
        ("sweep: {command: cv, axes: {a: {b/c: {epochs: 3}}}}", "'b/c' cannot name a folder"),
        ("sweep: {command: cv, axes: {weights: [none, a/b.h5]}}", "'a/b.h5' cannot name a folder"),
        ("sweep: {command: cv, axes: {epochs: [3], a: {b: {epochs: 4}}}}", "'epochs' and 'a' both set 'epochs'"),
        ("sweep: {command: cv, axes: {a: {b: {run_dir: x}}}}", "sets 'run_dir', which all runs of a sweep share"),
        (
            "sweep: {command: cv, axes: {epochs: [3, many]}}",
            "cell many: 'epochs' should be a whole number",
        ),
        ("sweep: {command: cv, axes: {epochs: [3, 0]}}", "cell 0: 'epochs' should be between 1"),
        ("folds: 1\nsweep: {command: cv, axes: {epochs: [3]}}", "'folds' should be between 2"),
        ("flods: 1\nsweep: {command: cv, axes: {epochs: [3]}}", "unknown key 'flods'; did you mean 'folds'?"),
        ("fold: 1\nsweep: {command: cv, axes: {epochs: [3]}}", "a sweep trains all folds of every cell"),
        ("sweep: {command: cv, axes: {fold: [0, 1]}}", "sets 'fold', which all runs of a sweep share"),
    ],
)
def test_a_sweep_that_cannot_be_is_one_clear_line(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in refusal(tmp_path, text)


def test_an_override_of_what_an_axis_varies_is_refused(tmp_path: Path) -> None:
    assert "'optimizer.clip' is what the axis 'how'" in refusal(tmp_path, GRID, **{"optimizer.clip": 2.0})


def test_a_sweep_is_no_config_of_a_single_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a sweep over several runs: use fer-tl sweep"):
        load_experiment(write(tmp_path, GRID))


TRAINED = """
data: folder/tiny
backbone: shallow_cnn
weights: none
alpha: 0.5
image_size: 16
batch_size: 16
epochs: 1
sweep:
  command: {command}
  axes:
    rate:
      low: {{optimizer.rate: 0.001}}
      other: {{{other}}}
  ensemble: {ensemble}
"""


@pytest.fixture(scope="module")
def data_dir(make_faces: Callable[..., Dataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """56 drawn faces to train on and 14 to validate, as a built dataset."""
    root, faces = tmp_path_factory.mktemp("sweep"), make_faces(400, side=16)
    for label, name in enumerate(faces.class_names):
        for place, row in enumerate(np.flatnonzero(faces.labels == label)[:10]):
            folder = root / "source" / ("validation" if place < 2 else "train") / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(faces.images[row, :, :, 0]).save(folder / f"{row}.png")
    fer_tl.build("folder/tiny", source=root / "source", data_dir=root, shards=1, image_size=16, say=lambda line: None)
    return root


def table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "table.csv").read_text())))


def test_a_sweep_trains_every_cell_tables_them_and_is_done_when_it_is_done(data_dir: Path, tmp_path: Path) -> None:
    path = write(tmp_path, TRAINED.format(command="train", other="optimizer.rate: 0.01", ensemble="true"))
    lines: list[str] = []
    result = fer_tl.sweep(path, say=lines.append, data_dir=str(data_dir), run_dir=str(tmp_path / "run"))
    cells = [load_predictions(tmp_path / "run" / name / "model" / "predictions.npz") for name in ("low", "other")]
    expected = [score(part).accuracy for part in (*cells, soft_vote(cells))]
    rows = table(tmp_path / "run")
    assert [row["rate"] for row in rows] == ["low", "other", "soft vote"]
    assert [float(row["accuracy"]) for row in rows] == pytest.approx(expected)
    assert [row.metrics.accuracy for row in result.rows if row.metrics] == pytest.approx(expected)
    assert all(float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"]) for row in rows)
    before = (tmp_path / "run" / "low" / "model" / "model.keras").stat().st_mtime_ns
    again = fer_tl.sweep(path, say=lines.append, data_dir=str(data_dir), run_dir=str(tmp_path / "run"))
    assert again.text == result.text
    assert (tmp_path / "run" / "low" / "model" / "model.keras").stat().st_mtime_ns == before


def test_a_cell_that_fails_is_a_row_and_the_others_are_trained(data_dir: Path, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        TRAINED.format(command="cv", other="optimizer: {rate: 100, name: sgd}, batch_size: 4", ensemble="true"),
    )
    with pytest.raises(UserError, match=r"1 of 2 runs of the sweep failed, such as other: .*lower --optimizer.rate"):
        fer_tl.sweep(path, say=lambda line: None, data_dir=str(data_dir), run_dir=str(tmp_path / "run"), folds=2)
    low, other = table(tmp_path / "run")
    assert float(low["images"]) == 56
    assert low["failure"] == ""
    assert other["accuracy"] == ""
    assert "lower --optimizer.rate" in other["failure"]
    assert "failed" in (tmp_path / "run" / "table.md").read_text()


def test_a_cell_that_cannot_run_stops_the_sweep_before_anything_is_trained(data_dir: Path, tmp_path: Path) -> None:
    path = write(tmp_path, TRAINED.format(command="train", other="image_size: 15", ensemble="false"))
    with pytest.raises(UserError, match=r"grid.yaml, cell other: 'image_size' 15 is too small"):
        fer_tl.sweep(path, say=lambda line: None, data_dir=str(data_dir), run_dir=str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_sweep_with_other_settings_leaves_a_finished_one_alone(data_dir: Path, tmp_path: Path) -> None:
    path = write(tmp_path, TRAINED.format(command="train", other="optimizer.rate: 0.01", ensemble="false"))
    places = {"data_dir": str(data_dir), "run_dir": str(tmp_path / "run")}
    fer_tl.sweep(path, say=lambda line: None, **places)
    before = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    with pytest.raises(UserError, match=r"cell low: .*holds a run with other settings \(epochs 1 -> 2\)"):
        fer_tl.sweep(path, say=lambda line: None, epochs=2, **places)
    assert {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()} == before
    with pytest.raises(UserError, match=r"holds several runs: name one of them \(low, other\)"):
        fer_tl.evaluate(tmp_path / "run", say=lambda line: None)


def test_seeds_are_an_axis_on_the_same_folds(tmp_path: Path) -> None:
    file = write(tmp_path, "sweep: {command: cv, axes: {epochs: [1, 2]}}\nbackbone: shallow_cnn\nweights: none\n")
    grid = read_sweep(file, {"seeds": "3,1"})
    assert grid.axes == ("epochs", "seed")
    assert [cell.name for cell in grid.cells] == ["1-seed-3", "1-seed-1", "2-seed-3", "2-seed-1"]
    assert {(cell.experiment.seed, cell.experiment.drawn_by) for cell in grid.cells} == {(3, 3), (1, 3)}
    assert all(cell.experiment.seeds is None for cell in grid.cells)
    assert {cell.experiment.drawn_by for cell in read_sweep(file, {"seeds": [3, 1], "fold_seed": 9}).cells} == {9}
    table = read_sweep(file, {"seeds": [3, 1], "fold_table": "folds.csv"}).cells
    assert {cell.experiment.fold_seed for cell in table} == {None}
    alone = grid_of_seeds(load_experiment(seeds="[0, 7]", run_dir="runs/mine"), "cv")
    assert [cell.experiment.run_dir for cell in alone.cells] == ["runs/mine/seed-0", "runs/mine/seed-7"]
    assert [(cell.experiment.seed, cell.experiment.drawn_by) for cell in alone.cells] == [(0, 0), (7, 0)]


@pytest.mark.parametrize("seeds", ["", "1", "1,1", "1,x", "1,-2", "1;2", [5], [2**32, 1]])
def test_seeds_that_cannot_be_are_one_clear_line(seeds: object) -> None:
    with pytest.raises(UserError, match="'seeds' should be two or more different whole numbers from 0, such as 0,1,2"):
        grid_of_seeds(load_experiment(seeds=seeds), "cv")


def test_seeds_go_with_neither_a_seed_nor_a_fold_nor_an_axis_of_seeds(tmp_path: Path) -> None:
    for given in ({"seed": 4}, {"fold": 1}):
        with pytest.raises(UserError, match=r"leave one of them out|use one of them"):
            grid_of_seeds(load_experiment(seeds="0,1", **given), "cv")
    file = write(tmp_path, "sweep: {command: cv, axes: {seed: [1, 2]}}\n")
    with pytest.raises(UserError, match="the axis 'seed' sets seeds, and 'seeds' does too"):
        read_sweep(file, {"seeds": "0,1"})


def test_several_seeds_end_with_a_table_of_mean_and_spread(data_dir: Path, tmp_path: Path) -> None:
    settings = {
        **{"data": "folder/tiny", "backbone": "shallow_cnn", "weights": "none", "alpha": 0.5, "image_size": 16},
        **{"batch_size": 16, "epochs": 1, "folds": 2, "seeds": "0,1"},
        **{"data_dir": str(data_dir), "run_dir": str(tmp_path / "both")},
    }
    result = fer_tl.cross_validate(load_experiment(**settings), lambda line: None)
    assert isinstance(result, SweepResult)
    accuracies = [row.metrics.accuracy for row in result.rows if row.metrics]
    with (tmp_path / "both" / "over-seeds" / "table.csv").open() as lines:
        (row,) = csv.DictReader(lines)
    assert (row["row"], row["trainings"]) == ("both", "2")
    assert float(row["accuracy"]) == pytest.approx(np.mean(accuracies))
    assert float(row["accuracy_sd"]) == pytest.approx(np.std(accuracies, ddof=1))
    tables = [(tmp_path / "both" / name / "folds.csv").read_text() for name in ("seed-0", "seed-1")]
    assert tables[0] == tables[1]
    said: list[str] = []
    fer_tl.cross_validate(load_experiment(**settings), said.append)  # nothing is left to train
    assert not any("first step" in line for line in said)


def test_a_cell_without_published_weights_starts_from_none_where_nothing_names_others(tmp_path: Path) -> None:
    text = "sweep: {command: train, axes: {backbone: [mobilenetv2, pham]}}"
    path = tmp_path / "both.yaml"
    path.write_text(text)
    assert [cell.experiment.weights for cell in read_sweep(path, {}).cells] == ["imagenet", "none"]
    path.write_text(f"weights: imagenet\n{text}")
    assert [cell.experiment.weights for cell in read_sweep(path, {}).cells] == ["imagenet", "imagenet"]
