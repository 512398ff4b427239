"""Records that other installed packages add to those of fer-tl, by an entry point: ``NAME = "module:RECORD"``."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from fer_tl.core.errors import UserError


def installed(group: str, kind: type, what: str, built_in: Iterable[str]) -> dict[str, Any]:
    """The records of a group of entry points by name; where one cannot be used, a ``UserError`` with the reason.

    Args:
        group: of the entry points, such as ``fer_tl.backbones``.
        kind: type of the records; each has a ``name``, that of its entry point.
        what: how messages call one, such as "backbone".
        built_in: names that fer-tl gives itself.
    """
    givers = {name: ["fer-tl"] for name in built_in}
    found: dict[str, Any] = {}
    for point in entry_points(group=group):
        giver = point.dist.name if point.dist else point.module
        both = givers.setdefault(point.name, [])
        both.append(giver)
        if len(both) > 1:
            found[point.name] = UserError(
                f"the packages {' and '.join(both)} all give the {what} '{point.name}': uninstall all but one"
            )
        else:
            found[point.name] = _load(point, kind, what, giver)
    return found


def _described(record: Any) -> str:
    """A record by its class and name, for its whole text is long; anything else by its text."""
    name = getattr(record, "name", None)
    return f"a {type(record).__name__} of the name {name!r:.60}" if name is not None else f"{record!r:.80}"


def _load(point: EntryPoint, kind: type, what: str, giver: str) -> Any:
    try:
        record = point.load()
        if not isinstance(record, kind) or getattr(record, "name", None) != point.name:
            raise TypeError(f"{point.value} is {_described(record)}, not a {kind.__name__} of this name")
    except Exception as error:  # whatever the code of somebody else raises
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return UserError(
            f"the package {giver} gives the {what} '{point.name}', which cannot be used ({why}): update or uninstall "
            f"{giver}"
        )
    return record
