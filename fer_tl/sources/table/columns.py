"""Which columns of a table hold what: as the user says, or as they are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fer_tl.core.errors import UserError, suggest

ROLES = {"path": "paths", "label": "classes", "split": "splits", "group": "persons"}
"""{what a column may hold: how a line says it}; a table has the first two."""

_NEEDED = ("path", "label")
_NONE = "none"
_CALLED = {
    "path": (
        "path", "file", "filename", "filepath", "image", "imagename", "imagefile", "imagepath", "img", "imgname",
        "imgpath", "pth", "picture", "photo", "subdirectoryfilepath",
    ),
    "label": ("label", "labels", "emotion", "emotions", "expression", "class", "classname"),
    "split": ("split", "usage", "set", "subset", "partition"),
    "group": (
        "group", "groupid", "subject", "subjectid", "person", "personid", "idperson", "participant", "participantid",
        "actor", "identity", "speaker",
    ),
}  # fmt: skip


def person_columns(header: Sequence[str]) -> list[str]:
    """The columns that are called as if they said who is in an image."""
    return [column for column in header if re.sub(r"[\W_]+", "", column.lower()) in _CALLED["group"]]


def find_columns(
    header: Sequence[str], given: Mapping[str, str | None], name: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The column of each role that the table has.

    Args:
        header: lower-case names of the columns.
        given: {role: the column that the user names, "none" for none, None to go by names}, of all ``ROLES``.
        name: of the table, for messages.

    Returns:
        {role: column}, and the roles that went by names.

    Raises:
        UserError: no such column, none or several that could be meant, or one for two roles.
    """
    found: dict[str, str] = {}
    guessed = []
    for role, column in given.items():
        column = column.strip().lower() if column is not None else None
        if column == _NONE and role not in _NEEDED and column not in header:
            continue
        if column is None:
            column = _guess(header, role, name)
            if column is None:
                continue
            guessed.append(role)
        if column not in header:
            raise UserError(
                f"{name} has no column {column!r}, only {_listed(header)}: correct --{role}-column"
                f"{suggest(column, header).partition('; valid are')[0]}"
            )
        if list(header).count(column) > 1:
            raise UserError(f"{name}: two columns are called {column}: remove or rename one")
        if column in found.values():
            raise UserError(
                f"{name}: the column {column!r} cannot hold two things: give --path-column and --label-column"
            )
        found[role] = column
    return found, tuple(guessed)


def describe_guess(columns: Mapping[str, str], guessed: Sequence[str], name: str) -> list[str]:
    """A line that says what went by names, if anything did."""
    if not guessed:
        return []
    told = ", ".join(f"{ROLES[role]} from {columns[role]!r}" for role in guessed)
    extra = [f"--{role}-column none" for role in guessed if role not in _NEEDED]
    advice = f" ({' and '.join(extra)} would leave {'them' if len(extra) > 1 else 'it'} out)" if extra else ""
    return [f"{name}: read {told}, going by the columns' names{advice}."]


def _guess(header: Sequence[str], role: str, name: str) -> str | None:
    fitting = [column for column in header if re.sub(r"[\W_]+", "", column) in _CALLED[role]]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        none = f", or {_NONE}" if role not in _NEEDED else ""
        raise UserError(
            f"{name}: several columns may hold the {ROLES[role]}, {_listed(fitting)}: say which with "
            f"--{role}-column{none}"
        )
    if role in _NEEDED:
        raise UserError(
            f"{name}: no column is called like one of {ROLES[role]}; there are {_listed(header)}: say which it is "
            f"with --{role}-column"
        )
    return None


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(column[:30] or "(no name)" for column in columns[:12]) + (", ..." if len(columns) > 12 else "")
