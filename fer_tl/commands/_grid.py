"""Run the experiments of a grid one after the other, for the commands that end with a table of them all."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fer_tl.commands._part_result import PartResult, say_chief
from fer_tl.commands._report_folds import CvResult
from fer_tl.commands._shown import Shown
from fer_tl.commands.compare import compare
from fer_tl.commands.ensemble import ensemble
from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import alone, identity
from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.core.lock import hold
from fer_tl.core.say import Say
from fer_tl.runs.folder import RunFolder
from fer_tl.training.prepare_run import check_ready, check_units, draw_missing
from fer_tl.training.sweep_grid import Cell, Sweep, grid_of_seeds

if TYPE_CHECKING:
    from fer_tl.reports.sweep_table import SweepRow

Train = Callable[[Experiment, Say], Any]
"""``cross_validate`` or ``fit``."""


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult(Shown):
    """A finished sweep: its folder, one row a cell in the order of the grid, and the table as text."""

    run_dir: Path
    rows: tuple[SweepRow, ...]
    text: str


def train_seeds(experiment: Experiment, command: Literal["cv", "train"], train: Train, say: Say) -> SweepResult:
    """Run an experiment once for each of its ``seeds``, on the same folds, each run in a folder of its own.

    Args:
        experiment: with ``seeds``.
        command: that trains one.
        train: its verb.
        say: prints a line.

    Raises:
        UserError: as ``run_grid``.
    """
    return run_grid(grid_of_seeds(experiment, command), train, "", say)


def run_grid(grid: Sweep, train: Train, place: str, say: Say) -> SweepResult:
    """Run the cells of a grid.

    Args:
        grid: of experiments.
        train: the verb of its command.
        place: stands before the name of a cell that cannot run.
        say: prints a line.

    Raises:
        UserError: a cell that cannot run, before any is trained; or, when all others are done, cells whose training
            failed.
    """
    asked = grid.cells[0].experiment  # all cells share how they are run
    check_units(asked)
    cells = (replace(cell, experiment=alone(cell.experiment)) for cell in grid.cells)
    grid = replace(grid, cells=tuple(cells))
    for cell in grid.cells:
        try:
            worker = check_ready(cell.experiment, grid.command).worker
        except UserError as error:
            raise UserError(f"{place}{cell.name}: {error}") from None
    with ExitStack() as stack:
        if not worker:
            stack.enter_context(hold(grid.run_dir, say=say))
        say(f"sweep: {counted(len(grid.cells), 'run')} in {grid.run_dir}")
        rows = _rows_beside(grid, asked, train, say) if asked.in_units else _rows(grid, train, say)
        if worker:
            return SweepResult(grid.run_dir, (), say_chief(worker, say))
        failed = [row for row in rows if row.failure]
        if grid.ensemble and not failed:
            rows.append(_vote_of_cells(grid))
        from fer_tl.reports.sweep_table import write_sweep

        text = write_sweep(grid.run_dir, f"{grid.name}, {grid.cells[0].experiment.data}", grid.axes, rows)
        if not failed and len(grid.cells) > len({_but_seed(cell.experiment) for cell in grid.cells}):
            text += f"\n{_compare_cells(grid)}\n"
    say(f"\n{text}\nresults: {grid.run_dir}")
    if failed:
        first = f"{failed[0].name}: {failed[0].failure}"
        raise UserError(f"{len(failed)} of {len(grid.cells)} runs of the sweep failed, such as {first}")
    return SweepResult(grid.run_dir, tuple(rows), text)


def _rows(grid: Sweep, train: Train, say: Say) -> list[SweepRow]:
    """Run the cells one after the other."""
    rows = []
    for number, cell in enumerate(grid.cells, start=1):
        say(f"\n[{number}/{len(grid.cells)}] {cell.name}")
        rows.append(_run_cell(grid, cell, train, say))
    return rows


def _rows_beside(grid: Sweep, asked: Experiment, train: Train, say: Say) -> list[SweepRow]:
    """Run several cells at a time; what is done is then scored here, as if it had been done before."""
    from fer_tl.commands._units import run_cells_beside
    from fer_tl.reports.sweep_table import SweepRow

    for experiment in {cell.experiment.data: cell.experiment for cell in grid.cells}.values():
        draw_missing(experiment, say)  # not by several cells at the same time
    faults = run_cells_beside(grid, asked, say)
    return [
        SweepRow(cell.labels, None, failure=faults[cell.name])
        if cell.name in faults
        else _run_cell(grid, cell, train, lambda line: None)
        for cell in grid.cells
    ]


def _but_seed(experiment: Experiment) -> str:
    """What cells share that are trainings of one recipe on the same folds."""
    return json.dumps({**identity(experiment), "seed": None, "fold_seed": experiment.drawn_by}, sort_keys=True)


def _compare_cells(grid: Sweep) -> str:
    """Tables of the cells with those of several seeds as one row, in a folder inside of the sweep's."""
    folders = [grid.run_dir / cell.name for cell in grid.cells]
    from fer_tl.reports.compare_files import OVER_SEEDS

    return compare(folders, unpaired=True, out=grid.run_dir / OVER_SEEDS, say=lambda line: None).text


def _run_cell(grid: Sweep, cell: Cell, train: Train, say: Say) -> SweepRow:
    """Train one cell and score it; what goes wrong becomes its row."""
    from fer_tl.reports.sweep_table import SweepRow

    def brief(line: str) -> None:
        if "\n" not in line:  # the tables of each run are in its folder
            say(line)

    try:
        found = train(cell.experiment, brief)
        if isinstance(found, PartResult):
            return SweepRow(cell.labels, None)
        if isinstance(found, CvResult):
            found.refuse_failed()  # its images would be others than those of the other rows
            metrics, intervals = found.summary.pooled, found.summary.intervals
        else:
            metrics, intervals = found.result.rows[0][1], found.result.intervals
    except UserError as error:
        say(f"{cell.name} failed: {error}")
        return SweepRow(cell.labels, None, failure=str(error))
    return SweepRow(cell.labels, metrics, intervals, RunFolder(grid.run_dir / cell.name).seconds)


def _vote_of_cells(grid: Sweep) -> SweepRow:
    from fer_tl.reports.sweep_table import SweepRow

    folders = [grid.run_dir / cell.name for cell in grid.cells]
    result = ensemble(folders, out=grid.run_dir / "ensemble", say=lambda line: None).result
    return SweepRow(("soft vote", *("" for _ in grid.axes[1:])), result.rows[0][1], result.intervals)
