"""The history of a part of a run: a row of losses and rates for each epoch, as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.core.files import unreadable, write_text
from fer_tl.core.json_files import read_bounded
from fer_tl.core.say import Say
from fer_tl.runs.part import check_part, read_result
from fer_tl.runs.predictions import make_again

_LARGEST_LOSS = 3.5e38


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write a history, one row an epoch, as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(
        out, fieldnames=list(dict.fromkeys(key for row in history for key in row)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(history)
    write_text(path, out.getvalue())


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read what ``write_history`` wrote, numbers as numbers."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_bounded(path).decode(), newline="")))
        if not rows:
            raise ValueError("it has no epoch")
        if not {"stage", "epoch", "loss"} <= set(rows[0]):
            raise ValueError("it has no columns stage, epoch and loss")
        return [{key: _read_cell(key, value) for key, value in row.items()} for row in rows]
    except FileNotFoundError:
        raise UserError(f"{path} is missing: put it back, or {make_again(path)}") from None
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, TypeError, csv.Error) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read as a history ({why}): {make_again(path)}") from None


def known_history(folder: Path, say: Say) -> list[dict[str, Any]]:
    """The history of a part that is done; a damaged one, on which no result depends, is said and taken for empty. A
    model that was mixed, not trained, has none."""
    try:
        if read_result(folder)["epochs"] == 0:
            return []
        check_part(folder, ("history.csv",))
        return read_history(folder / "history.csv")
    except UserError as error:
        why = str(error).partition(": move")[0].partition(": put")[0]
        say(f"{why}: no result depends on it, and curves are drawn without it")
        return []


def _read_cell(key: str, value: str) -> str | int | float:
    if key == "stage":
        return value[:80]
    number = int(value[:20]) if key == "epoch" else float(value)
    # Of float32, in which losses are summed.
    if not (0 < number < 10**7 if key == "epoch" else abs(number) <= _LARGEST_LOSS):
        raise ValueError(f"'{key[:40]}' is {value[:20]}")
    return number
