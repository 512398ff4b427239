"""Units by the executor that ``--executor`` names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fer_tl.core.errors import UserError
from fer_tl.executors.local import run_local
from fer_tl.executors.remote import parse_options
from fer_tl.executors.unit import Tell, Unit

EXECUTORS = ("local", "ray", "slurm")


class Asking(Protocol):
    """What says where units are to be done, such as an asked."""

    @property
    def executor(self) -> str:
        """One of ``EXECUTORS``."""
        ...

    @property
    def jobs(self) -> int | None:
        """How many at a time; None for all."""
        ...

    @property
    def executor_options(self) -> str | Sequence[str] | None:
        """See ``parse_options``."""
        ...


def run_units(asked: Asking, units: Sequence[Unit], place: Path, tell: Tell) -> dict[str, str]:
    """Do units where somebody wants them done, so many at a time as they say.

    Args:
        asked: says so.
        units: with different names.
        place: the folder that they write to; Slurm's files lie beside it.
        tell: prints a line of a unit.

    Returns:
        What went wrong, in one line, by the names of the units with which something did.

    Raises:
        UserError: the executor is not installed, or is not there.
    """
    if not units:
        return {}
    options = parse_options(asked.executor_options)
    jobs = asked.jobs or len(units)
    if asked.executor == "ray":
        from fer_tl.executors.ray_cluster import run_ray

        return run_ray(units, jobs, options, tell)
    if asked.executor == "slurm":
        from fer_tl.executors.slurm import run_slurm

        return run_slurm(units, jobs, options, place.parent / f".{place.name}-jobs", tell)
    if options:
        raise UserError("'executor_options' are for --executor ray and slurm; local takes --jobs alone")
    return run_local(units, jobs, tell)
