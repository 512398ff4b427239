"""The file that makes a folder a run: what it must say, and folders that lack it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer_tl.errors import UserError
from fer_tl.files import is_temporary, read_json
from fer_tl.training.lock import LOCK_FILES
from fer_tl.training.part_files import ENVIRONMENT, read_keys, refuse_keys

RUN = "run.json"

# What every reader needs of it, and what some do.
_KEYS = {"kind": str, "parts": list, "dataset": str, "fingerprint": str}
_MORE_KEYS = {
    "class_names": list,
    "held_out": str,
    "images": int,
    "split_over_folds": int,
    "settings": dict,
    "backend": str,
}
_NO_FILE = f"has parts of a run but no {RUN}"


def read_run_file(folder: Path, needed: Sequence[str] = ()) -> dict[str, Any]:
    """``run.json`` of a run.

    Args:
        folder: of the run.
        needed: keys that must be there besides those that every reader needs.

    Raises:
        UserError: no run, several, or a damaged file.
    """
    path = folder / RUN
    if folder.is_file():
        raise UserError(f"{path} is missing: {folder} is a file, not the folder of a run")
    if not path.exists():
        cells = sorted(path.parent.name for path in folder.glob(f"*/{RUN}"))
        if cells:
            raise UserError(f"{folder} holds several runs: name one of them ({', '.join(cells[:6])})")
        if _has_parts(folder):
            raise UserError(f"{folder} {_NO_FILE}: put it back, or train the run again in another folder")
        read_json(path)  # says that it is missing
    remedy = "put back the file that fer-tl wrote, or train the run again in another folder"
    run = read_keys(path, _KEYS, remedy)
    asked = {*needed, "held_out"} if run["kind"] == "train" else {*needed}
    refuse_keys(path, run, {key: kind for key, kind in _MORE_KEYS.items() if key in run or key in asked}, remedy)
    for key in ("parts", "class_names"):
        names = run.get(key, ["none"])
        if not names or not all(isinstance(name, str) for name in names):
            raise UserError(f"{path} is damaged ('{key}' is no list of names): {remedy}")
    return run


def refuse_strangers(folder: Path, option: str) -> None:
    """Make sure that a folder is a run, or holds nothing but what the start of one that was killed has left.

    Args:
        folder: may be missing.
        option: gives another folder, for the message.

    Raises:
        UserError: it holds parts of a run, or other files.
    """
    strangers = any(
        name not in LOCK_FILES and not (Path(place) == folder and (name == "config.yaml" or is_temporary(Path(name))))
        for place, _, names in os.walk(folder)
        for name in names
    )
    # Looked for last: another process may begin the run at this moment, and writes it before all other files.
    if not strangers or (folder / RUN).exists():
        return
    if _has_parts(folder):
        raise UserError(f"{folder} {_NO_FILE}: give another {option}, or put it back")
    raise UserError(f"{folder} holds other files and is no run: give another {option}")


def _has_parts(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("config.yaml", "folds.csv", ENVIRONMENT))
