"""Checkpoints: the values of all variables and the state of the loop, in one file, written atomically."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.errors import UserError
from fer_tl.files import BROKEN_ARRAYS, write_atomically

Values = list[np.ndarray]


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


def save_checkpoint(path: Path, variables: dict[str, list[Any]], state: dict[str, Any]) -> None:
    """Write named lists of variables and a JSON-ready state."""
    arrays: dict[str, Any] = {
        f"{name}-{index:05d}": value
        for name, listed in variables.items()
        for index, value in enumerate(read_values(listed))
    }
    write_atomically(path, lambda temporary: np.savez(temporary, state=json.dumps(state), **arrays))


def load_checkpoint(path: Path) -> tuple[dict[str, Values], dict[str, Any]] | None:
    """Read what ``save_checkpoint`` wrote; None if there is none, a ``UserError`` if it is damaged."""
    if not path.exists():
        return None
    values: dict[str, Values] = {}
    try:
        with np.load(path, allow_pickle=False) as data:
            state = json.loads(str(data["state"]))
            for key in sorted(set(data.files) - {"state"}):
                values.setdefault(key.rsplit("-", 1)[0], []).append(data[key])
    except BROKEN_ARRAYS as error:
        raise UserError(f"checkpoint {path} is damaged ({error}); delete it to start this fold anew") from None
    return values, state
