"""The parts of a source read beside each other: each a unit of work of the executors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.core.options import with_text_paths
from fer_tl.core.say import Say
from fer_tl.data.building.build import build_part, tell_source
from fer_tl.data.building.order import opened
from fer_tl.data.building.parts import PartFiles, refuse_undivided
from fer_tl.data.building.request import BuildRequest
from fer_tl.executors.choose import (
    Executor,
    describe_missing,
    keeps_what_is_done,
    refuse_faults,
    run_units,
)
from fer_tl.executors.unit import Unit
from fer_tl.sources.findings import MOST_PARTS, Part


def check_ways(part: str | None, merge: bool, units: Executor) -> None:
    """Raise ``UserError`` for ways to build that exclude each other."""
    ways = [f"--part {part}"] * (part is not None) + ["--merge"] * merge
    ways += ["--jobs or --executor"] * (units.jobs is not None or units.executor != "local")
    if len(ways) > 1:
        raise UserError(f"{' and '.join(ways)} exclude each other: give one of them")
    units.refuse_unknown(MOST_PARTS)
    if units.executor != "local" and units.jobs is None:
        raise UserError(f"--executor {units.executor} needs --jobs, the number of parts that the source is read in")


def build_beside(
    name: str,
    source: str | Path | None,
    data_dir: str | Path,
    units: Executor,
    *,
    overwrite: bool,
    say: Say,
    **options: Any,
) -> None:
    """Read the parts that are not there yet.

    An interrupt, or a part that cannot be read, leaves those that are complete, which the next call does not read
    again, with however many jobs.

    Args:
        name: see ``build``; ``source`` and ``data_dir`` likewise.
        units: where, and how many.
        overwrite: whether a dataset that is there may be replaced.
        say: prints a line.
        options: see ``build``.

    Raises:
        UserError: some parts could not be read, with the reason of the first, when all others are done.
    """
    request = BuildRequest(name, source, **options)
    if callable(options.get("detector")):
        raise UserError("--jobs takes a detector by name, package.module:function, for other processes to import it")
    with opened(request, Path(data_dir), overwrite) as order:
        parts = PartFiles(order)
        if order.find_built():
            return
        refuse_undivided(order.source)
        count = parts.count() or units.jobs or 1
        wanted = [Part(number, count) for number in range(1, count + 1)]
        missing = [part for part in wanted if not parts.has(part)]
        tell_source(order.source, f", in {count} parts", say)
        if len(missing) < count:
            say(f"{counted(count - len(missing), 'of them is', 'of them are')} there already, in {parts.folder}")
        place = parts.folder
    settings = {"name": name, "source": source, "data_dir": data_dir, "overwrite": overwrite, **options}
    plain = {key: with_text_paths(value) for key, value in settings.items()}
    work = [Unit(f"part {part}", f"{__name__}:read_unit", {**plain, "part": str(part)}) for part in missing]
    with keeps_what_is_done():
        faults = run_units(units, work, place, lambda unit, line: say(line))
    for part in missing:
        if f"part {part}" not in faults and not (place / part.folder).is_dir():
            faults[f"part {part}"] = describe_missing(place)
    refuse_faults(faults, count, "parts", "read", "reads")


def read_unit(settings: Mapping[str, Any], say: Say) -> None:
    """Read one part: the work of a ``Unit``.

    Args:
        settings: the arguments of ``build_part``.
        say: prints a line; not told the notes of the source, which are told once.

    Raises:
        UserError: as ``build_part``.
    """
    arguments = dict(settings)
    build_part(arguments.pop("name"), **arguments, say=lambda line: say(line) if line.startswith("Part ") else None)
