"""Checkpoints: the values of all variables and the state of the loop, in one file; the last two of a fold are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.checksummed_npz import read_sealed, write_sealed
from fer_tl.core.files import BROKEN_ARRAYS
from fer_tl.core.json_files import parse_json

Values = list[np.ndarray]

KEPT = 2


def read_values(variables: list[Any]) -> Values:
    """Copy Keras variables to NumPy."""
    return [np.asarray(variable).copy() for variable in variables]


def assign_values(variables: list[Any], values: Values) -> None:
    """Set Keras variables from a copy; both lists in the same order.

    Raises:
        ValueError: the lists do not fit.
    """
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


class Checkpoints:
    """The checkpoints of a fold: ``checkpoint-000001.npz`` and so on, of which the last ones are kept.

    Args:
        folder: where.
        owner: a number of what they are of; those of another are not read.
        warn: prints a line, when one is damaged or of another owner, and the one before is taken.
    """

    def __init__(self, folder: Path, owner: int, warn: Callable[[str], None]):
        self._folder = folder
        self._owner = owner
        self._warn = warn

    def save(self, values: dict[str, Values], state: dict[str, Any]) -> None:
        """Write named lists of arrays and a JSON-ready state as the newest one; a kill leaves it whole or not at all.

        Raises:
            OSError: the disk is full, for instance; those before stay.
        """
        arrays: dict[str, Any] = {
            f"{name}-{index:05d}": value for name, listed in values.items() for index, value in enumerate(listed)
        }
        arrays["state"] = np.array(json.dumps({**state, "owner": self._owner}))
        found = self._found()
        path = self._folder / f"checkpoint-{_number(found[0]) + 1 if found else 1:06d}.npz"
        write_sealed(path, arrays)
        for old in found[KEPT - 1 :]:
            old.unlink(missing_ok=True)

    def load(self) -> tuple[dict[str, Values], dict[str, Any]] | None:
        """Read the newest one that is whole; None if there is none. Others are deleted, with a
        warning."""
        for path in self._found():
            try:
                values, state = _read(path)
                if state.pop("owner") == self._owner:
                    return values, state
                fault = "is of another fold or run"
            except (*BROKEN_ARRAYS, AttributeError) as error:
                fault = f"is damaged ({' '.join(str(error).split()) or type(error).__name__})"
            path.unlink(missing_ok=True)
            others = self._found()
            self._warn(
                f"warning: checkpoint {path} {fault}: "
                + (f"{others[0].name} is taken" if others else "training begins anew")
            )
        return None

    def forget(self) -> None:
        """Delete all."""
        for path in self._found():
            path.unlink(missing_ok=True)

    def _found(self) -> list[Path]:
        """All that are there, the newest first."""
        found = [
            path
            for path in self._folder.glob("checkpoint-*.npz")
            if path.is_file() and path.stem.removeprefix("checkpoint-").isdigit()
        ]
        return sorted(found, key=_number, reverse=True)


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("checkpoint-"))


def _read(path: Path) -> tuple[dict[str, Values], dict[str, Any]]:
    arrays = read_sealed(path)
    state = parse_json(str(arrays.pop("state")))
    values: dict[str, Values] = {}
    for key in sorted(arrays):
        values.setdefault(key.rsplit("-", 1)[0], []).append(arrays[key])
    return values, state
