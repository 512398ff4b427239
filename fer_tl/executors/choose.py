"""Units by the executor that ``--executor`` names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fer_tl.core.errors import CONTINUES, Terminated, UserError
from fer_tl.executors.local import run_local
from fer_tl.executors.remote import parse_options
from fer_tl.executors.unit import Tell, Unit

EXECUTORS = ("local", "ray", "slurm")


class Asking(Protocol):
    """What says where units are to be done, such as an experiment."""

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


@dataclass(frozen=True)
class Executor:
    """Where units are to be done, as somebody said who need not have said anything; see ``Asking``."""

    executor: str
    jobs: int | None
    executor_options: str | Sequence[str] | None

    @property
    def asked(self) -> bool:
        """Whether there are to be several units."""
        return self.executor != "local" or (self.jobs is not None and self.jobs > 1)

    def refuse_unknown(self, most: int) -> None:
        """Raise ``UserError`` for an executor that there is not, options that nobody reads, or jobs beyond ``most``."""
        if self.executor not in EXECUTORS:
            raise UserError(f"--executor {self.executor}: choose one of {', '.join(EXECUTORS)}")
        if self.jobs is not None and not 1 <= self.jobs <= most:
            raise UserError(f"--jobs {self.jobs}: give 1 to {most:,}")
        refuse_unread_options(self)


@contextmanager
def keeps_what_is_done() -> Iterator[None]:
    """Around units that leave results: who is interrupted, or whose disk is full, reads that they are kept."""
    try:
        yield
    except (KeyboardInterrupt, Terminated, OSError) as error:
        error.add_note(CONTINUES)
        raise


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
    refuse_unread_options(asked)
    options = parse_options(asked.executor_options)
    jobs = asked.jobs or len(units)
    if asked.executor == "ray":
        from fer_tl.executors.ray_cluster import run_ray

        return run_ray(units, jobs, options, tell)
    if asked.executor == "slurm":
        from fer_tl.executors.slurm import run_slurm

        return run_slurm(units, jobs, options, place.parent / f".{place.name}-jobs", tell)
    return run_local(units, jobs, tell)


def refuse_unread_options(asked: Asking) -> None:
    """Raise ``UserError`` for options of an executor that takes none."""
    if asked.executor == "local" and parse_options(asked.executor_options):
        raise UserError("--executor-options are for --executor ray and slurm; local takes --jobs alone")


def refuse_faults(faults: Mapping[str, str], count: int, what: str, done: str, again: str) -> None:
    """Raise ``UserError`` if units have failed, with the first of them.

    Args:
        faults: from ``run_units``.
        count: of all units.
        what: they are, such as "folds".
        done: to them, such as "trained".
        again: what the same command does to the rest, such as "trains".
    """
    if faults:
        name, why = next(iter(faults.items()))
        raise UserError(
            f"{len(faults)} of {count} {what} could not be {done}, such as {name}: {why}; what is done is kept, and "
            f"the same command {again} the rest"
        )


def describe_missing(place: Path) -> str:
    """Why a unit that has ended well has left nothing here."""
    return f"its files are not in {place}, which must lie on a disk that all machines share"
