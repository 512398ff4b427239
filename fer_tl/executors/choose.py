"""Units by the executor that ``--executor`` names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.executors.local import run_local
from fer_tl.executors.remote import parse_options
from fer_tl.executors.unit import Tell, Unit


def run_units(experiment: Experiment, units: Sequence[Unit], place: Path, tell: Tell) -> dict[str, str]:
    """Do units where an experiment says, so many at a time as it says: ``executor``, ``jobs``, ``executor_options``.

    Args:
        experiment: with these three settings.
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
    options = parse_options(experiment.executor_options)
    jobs = experiment.jobs or len(units)
    if experiment.executor == "ray":
        from fer_tl.executors.ray_cluster import run_ray

        return run_ray(units, jobs, options, tell)
    if experiment.executor == "slurm":
        from fer_tl.executors.slurm import run_slurm

        return run_slurm(units, jobs, options, place.parent / f".{place.name}-jobs", tell)
    if options:
        raise UserError("'executor_options' are for --executor ray and slurm; local takes --jobs alone")
    return run_local(units, jobs, tell)
