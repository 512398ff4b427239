"""List the cached files beside the datasets, with their sizes, and remove them; they can be made again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.counting import counted, fitting
from fer_tl.core.errors import UserError
from fer_tl.core.say import Say, say_line

if TYPE_CHECKING:
    from fer_tl.data.cache_files import Kept


@dataclass(frozen=True, repr=False)
class CleanResult(Shown):
    """What is kept beside the datasets, that which was used longest ago first, and what of it was removed."""

    found: tuple[Kept, ...]
    removed: tuple[Kept, ...]
    text: str


def clean(
    data_dir: Path | str = "data", keep: float | None = None, yes: bool = False, say: Say = say_line
) -> CleanResult:
    """List what is kept under ``DATA_DIR/.cache`` with its size, and remove it where that is asked for.

    Datasets, runs and the ledger of openings are never touched: all that is listed is made again when it is needed.

    Args:
        data_dir: folder of the built datasets.
        keep: gigabytes that may stay: what was used last; default: nothing stays.
        yes: remove; else only say what would be.
        say: prints a line.

    Raises:
        UserError: no such folder, or a negative size.
    """
    from datetime import datetime

    from fer_tl.data.cache_files import list_kept, remove
    from fer_tl.data.manifest import CACHE

    place = Path(data_dir)
    if not place.is_dir():
        raise UserError(f"{place} is not a folder: name that of the built datasets with --data-dir")
    if keep is not None and not 0 <= keep < float("inf"):
        raise UserError(f"--keep {keep:g}: give gigabytes, 0 or more")
    found = list_kept(place / CACHE)
    left, chosen = sum(each.size for each in found), []
    for each in found:
        if keep is not None and left <= 1e9 * keep:
            break
        chosen.append(each)
        left -= each.size
    lines = [
        f"{_megabytes(each.size):>12}  {datetime.fromtimestamp(each.used):%Y-%m-%d}  {each.what}  ({each.path.name})"
        for each in found
    ]
    if yes:
        for each in chosen:
            remove(each)
    total, part = _megabytes(sum(each.size for each in found)), _megabytes(sum(each.size for each in chosen))
    if not found:
        lines.append(f"Nothing is kept under {place}.")
    elif yes:
        lines.append(
            f"Removed {len(chosen)} of {counted(len(found), 'cached folder')}, {part} of {total}; what is needed is "
            "made again."
        )
    else:
        lines.append(
            f"{counted(len(found), 'cached folder')}, {total}; {fitting(len(found), 'it', 'all')} can be made again. "
            f"Nothing was removed: --yes removes {len(chosen)} of them, {part}."
        )
    text = "\n".join(lines)
    say(text)
    return CleanResult(tuple(found), tuple(chosen) if yes else (), text)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


COMMAND = Command(clean)
