"""Folds and runs as units of work, done beside each other by processes, for the commands that train several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fer_tl.commands import load_command
from fer_tl.commands._report_folds import CvResult
from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import alone, to_dict
from fer_tl.core.options import load_experiment
from fer_tl.core.say import Say
from fer_tl.executors.choose import describe_missing, refuse_faults, run_units
from fer_tl.executors.unit import Unit
from fer_tl.runs.folder import RunFolder
from fer_tl.training.sweep_grid import Sweep

# Before "module:name", see ``Unit``.
_HERE = __name__


def train_folds_beside(experiment: Experiment, run: RunFolder, say: Say) -> None:
    """Train the folds of a cross validation that are not done yet, so many at a time as its ``jobs`` says.

    A fold whose training fails is noted as by ``fer_tl.training.cross_validation.train_folds``.

    Args:
        experiment: what to train; its places are absolute.
        run: where; the caller holds it, shared with those that train its folds.
        say: prints a line.

    Raises:
        UserError: folds that could not be trained, with the reason for the first, when all others are done.
    """
    names = [f"fold-{number}" for number in range(experiment.folds * experiment.repeats)]
    waiting = [name for name in names if not run.is_done(name)]
    for name in names:
        if name not in waiting:
            say(f"{name}: done before, {run.part(name)}")
    settings = to_dict(alone(experiment))
    units = [Unit(name, f"{_HERE}:train_fold", settings | {"fold": names.index(name)}) for name in waiting]
    faults = run_units(experiment, units, run.path, lambda unit, line: say(line))
    for name in waiting:
        if name not in faults and not run.is_done(name) and name not in run.failures:
            faults[name] = describe_missing(run.path)
    refuse_faults(faults, len(names), "folds", "trained", "trains")


def said_once(say: Say) -> Say:
    """What prints each line once, of all that processes beside each other say alike."""
    said = {""}

    def say_new(line: str) -> None:
        if line not in said:
            said.add(line)
            say(line)

    return say_new


def train_fold(settings: Mapping[str, Any], say: Say) -> None:
    """Train one fold and report nothing: the work of a ``Unit``.

    Args:
        settings: of the experiment, with its ``fold``.
        say: prints a line.

    Raises:
        UserError: as ``fer_tl.cross_validate``, but for a training that fails: that is noted in the fold's folder.
    """
    from fer_tl.data.merging import load_training_images
    from fer_tl.training.cross_validation import train_folds
    from fer_tl.training.prepare_run import prepare

    with prepare(load_experiment(**settings), "cv", say) as work:
        train_folds(work.experiment, load_training_images(work.experiment, say), work.run, say)


def run_cells_beside(grid: Sweep, asked: Experiment, say: Say) -> dict[str, str]:
    """Run the cells of a sweep, so many at a time.

    Args:
        grid: whose cells are one process's each; the caller holds its folder.
        asked: says where, and how many at a time.
        say: prints a line.

    Returns:
        Why a cell failed, by its name.
    """
    units = [
        Unit(cell.name, f"{_HERE}:run_cell", {"command": grid.command, "experiment": to_dict(cell.experiment)})
        for cell in grid.cells
    ]

    def tell(unit: Unit, line: str) -> None:
        if line:
            say(line if line.startswith(f"{unit.name} ") else f"{unit.name}: {line}")

    return run_units(asked, units, grid.run_dir, tell)


def run_cell(settings: Mapping[str, Any], say: Say) -> None:
    """Run one cell of a sweep as its command does: the work of a ``Unit``.

    Args:
        settings: ``command``, and ``experiment`` with the settings of it.
        say: prints a line; not told the tables, which are in the run's folder.

    Raises:
        UserError: as the command; or folds whose training failed.
    """

    def brief(line: str) -> None:
        if "\n" not in line:
            say(line)

    found = load_command(settings["command"]).run(load_experiment(**settings["experiment"]), brief)
    if isinstance(found, CvResult):
        found.refuse_failed()
