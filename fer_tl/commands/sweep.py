"""Run a grid of experiments from one file and print one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fer_tl.commands._command import Command
from fer_tl.commands._grid import SweepResult, run_grid
from fer_tl.commands.cv import cross_validate
from fer_tl.commands.train import fit
from fer_tl.core.options import add_options, flatten_known
from fer_tl.core.say import Say, say_line
from fer_tl.training.sweep_grid import read_sweep


def sweep(path: Path | str, say: Say = say_line, **overrides: Any) -> SweepResult:
    """Run every cell of a grid of experiments and write one table of them all.

    A cell is a run like any other, in a folder of its own inside the sweep's; cells that are done are left alone, so
    the same command continues an interrupted sweep.

    Args:
        path: YAML file with a ``sweep`` key, see ``fer_tl.training.sweep_grid.read_sweep``; or the name of a recipe.
        say: prints a line.
        overrides: options that hold in every cell, by name; a group is a dictionary.

    Raises:
        UserError: a file that is no sweep, or a cell that cannot run, before any cell is trained; or, when all others
            are done, cells whose training failed.
    """
    grid = read_sweep(Path(path), flatten_known(overrides, "fer-tl sweep"))
    return run_grid(grid, cross_validate if grid.command == "cv" else fit, f"{path}, cell ", say)


def _add_arguments(parser: Any) -> None:
    parser.add_argument(
        "path",
        type=str,
        metavar="FILE",
        help="YAML file with a 'sweep' key, or such a recipe's name; flags hold in every cell",
    )
    add_options(parser, defaults=False)


COMMAND = Command(sweep, add_arguments=_add_arguments, resumes=True)
