"""Run a grid of experiments from one file and print one table."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.commands._command import Command
from fer_tl.commands._report_folds import CvResult
from fer_tl.commands.cv import PartResult, cross_validate, say_chief
from fer_tl.commands.ensemble import ensemble
from fer_tl.commands.train import fit
from fer_tl.core.errors import UserError
from fer_tl.core.lock import hold
from fer_tl.core.options import add_options, flatten_known
from fer_tl.core.say import Say, say_line
from fer_tl.runs.folder import RunFolder
from fer_tl.training.prepare_run import check_ready
from fer_tl.training.sweep_grid import Cell, Sweep, read_sweep

if TYPE_CHECKING:
    from fer_tl.reports.sweep_table import SweepRow


@dataclass(frozen=True, eq=False)
class SweepResult:
    """A finished sweep: its folder, one row a cell in the order of the grid, and the table as text."""

    run_dir: Path
    rows: tuple[SweepRow, ...]
    text: str


def sweep(path: Path | str, say: Say = say_line, **overrides: Any) -> SweepResult:
    """Run every cell of a grid of experiments and write one table of them all.

    A cell is a run like any other, in a folder of its own inside the sweep's; cells that are done are left alone, so
    the same command continues an interrupted sweep.

    Args:
        path: YAML file with a ``sweep`` key, see ``fer_tl.training.sweep_grid.read_sweep``.
        say: prints a line.
        overrides: options that hold in every cell, by name; a group is a dictionary.

    Raises:
        UserError: a file that is no sweep, or a cell that cannot run, before any cell is trained; or, when all others
            are done, cells whose training failed.
    """
    grid = read_sweep(Path(path), flatten_known(overrides, "fer-tl sweep"))
    for cell in grid.cells:
        try:
            worker = check_ready(cell.experiment, grid.command).worker
        except UserError as error:
            raise UserError(f"{path}, cell {cell.name}: {error}") from None
    with ExitStack() as stack:
        if not worker:
            stack.enter_context(hold(grid.run_dir, say=say))
        say(f"sweep: {len(grid.cells)} runs in {grid.run_dir}")
        rows = []
        for number, cell in enumerate(grid.cells, start=1):
            say(f"\n[{number}/{len(grid.cells)}] {cell.name}")
            rows.append(_run_cell(grid, cell, say))
        if worker:
            return SweepResult(grid.run_dir, (), say_chief(worker, say))
        failed = [row for row in rows if row.failure]
        if grid.ensemble and not failed:
            rows.append(_vote_of_cells(grid))
        from fer_tl.reports.sweep_table import write_sweep

        text = write_sweep(grid.run_dir, f"{grid.name}, {grid.cells[0].experiment.data}", grid.axes, rows)
    say(f"\n{text}\nresults: {grid.run_dir}")
    if failed:
        first = f"{failed[0].name}: {failed[0].failure}"
        raise UserError(f"{len(failed)} of {len(grid.cells)} runs of the sweep failed, such as {first}")
    return SweepResult(grid.run_dir, tuple(rows), text)


def _run_cell(grid: Sweep, cell: Cell, say: Say) -> SweepRow:
    """Train one cell and score it; what goes wrong becomes its row."""
    from fer_tl.reports.sweep_table import SweepRow

    def brief(line: str) -> None:
        if "\n" not in line:  # the tables of each run are in its folder
            say(line)

    try:
        found = (cross_validate if grid.command == "cv" else fit)(cell.experiment, brief)
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


def _add_arguments(parser: Any) -> None:
    parser.add_argument("path", type=str, metavar="FILE", help="YAML file with a 'sweep' key; flags hold in every cell")
    add_options(parser, defaults=False)


COMMAND = Command(sweep, add_arguments=_add_arguments, resumes=True)
