"""Sweeps: the grid is the product of its axes, checked whole before the first cell trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fer_tl.config import flatten, to_dict
from fer_tl.errors import UserError
from fer_tl.options import load_experiment
from fer_tl.sweep import Sweep, read_sweep

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
        ("sweep: {command: cv, axes: {epochs: [3, many]}}", "'epochs' should be a whole number, but is 'many'"),
        ("sweep: {command: cv, axes: {epochs: [3, 0]}}", "'epochs' should be between 1"),
        ("folds: 1\nsweep: {command: cv, axes: {epochs: [3]}}", "'folds' should be between 2"),
        ("fold: 1\nsweep: {command: cv, axes: {epochs: [3]}}", "unknown key 'fold'; did you mean 'folds'?"),
    ],
)
def test_a_sweep_that_cannot_be_is_one_clear_line(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in refusal(tmp_path, text)


def test_an_override_of_what_an_axis_varies_is_refused(tmp_path: Path) -> None:
    assert "'optimizer.clip' is what the axis 'how'" in refusal(tmp_path, GRID, **{"optimizer.clip": 2.0})


def test_a_sweep_is_no_config_of_a_single_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a sweep over several runs: use fer-tl sweep"):
        load_experiment(write(tmp_path, GRID))
