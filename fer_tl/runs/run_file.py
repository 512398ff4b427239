"""The file that makes a folder a run: what it must say, and folders that lack it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.core.files import is_temporary, read_json
from fer_tl.core.lock import LOCK_FILES
from fer_tl.runs.part import ENVIRONMENT, Kinds, read_keys, refuse_keys

RUN = "run.json"
# "kind" of a run that holds no image out, see ``fer_tl.runs.refits``.
REFIT = "refit"
# "held_out" of a run that holds no image out: a refit, or what ``fer_tl.Classifier`` trains.
NO_IMAGE = "no image"
# "dataset" of what ``fer_tl.Classifier`` trains, which is in no folder.
ARRAYS = "arrays"
# Key of a run whose predictions another framework made, see ``fer_tl.runs.imports``.
IMPORTED = "imported"
# What folders in a run begin with that hold the answers of its exported models; the name of the export follows.
EXPORTED = "exported-"

# What every reader needs of it, and what some do.
_KEYS = {"kind": str, "parts": list, "dataset": str, "fingerprint": str}
_MORE_KEYS = {
    "class_names": list,
    "held_out": str,
    "images": int,
    "split_over_folds": int,
    "repeats": int,
    "settings": dict,
    "backend": str,
    "precision": str,
    "faces": dict,
    "teachers": list,
    "soup": dict,
    "refit": dict,
    IMPORTED: dict,
}
_IMPORTED: Kinds = {"model": str, "file": str, "sha256": str}
_SOUP: Kinds = {"run": str, "models": str, "ingredients": list, "left_out": list}
# Of a refit: what its cross validation says of it, see ``fer_tl.runs.refits.Refit``.
_REFIT: Kinds = {
    "run": str,
    "models": str,
    "number": int,
    "accuracy": float,
    "interval": list,
    "temperature": float,
    "kept_epochs": list,
}
# What runs of a single model need besides.
_OF_KIND = {"train": ("held_out",), "soup": ("held_out",), REFIT: ("held_out", "refit")}
_PART = re.compile(r"model|fold-(0|[1-9][0-9]{0,5})")
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
        _refuse_missing(folder)
    remedy = "put back the file that fer-tl wrote, or train the run again in another folder"
    run = read_keys(path, _KEYS, remedy)
    asked = {*needed, *_OF_KIND.get(run["kind"], ())}
    refuse_keys(path, run, {key: kind for key, kind in _MORE_KEYS.items() if key in run or key in asked}, remedy)
    for key in ("parts", "class_names"):
        names = run.get(key, ["none"])
        if not names or not all(isinstance(name, str) for name in names):
            raise UserError(f"{path} is damaged ('{key}' is not a list of names): {remedy}")
    for each in run.get("teachers", []):
        refuse_keys(path, each, {"run": str, "backbone": str, "predictions": str}, remedy, "'teachers': ")
    for key, kinds in (("soup", _SOUP), (REFIT, _REFIT), (IMPORTED, _IMPORTED)):
        if key in run:
            refuse_keys(path, run[key], kinds, remedy, f"'{key}': ")
    if IMPORTED in run and not isinstance(run[IMPORTED].get("labels_only"), bool):
        raise UserError(f"{path} is damaged ('{IMPORTED}': 'labels_only' is neither true nor false): {remedy}")
    if not isinstance(run.get(IMPORTED, {}).get("members", []), list):
        raise UserError(f"{path} is damaged ('{IMPORTED}': 'members' is not a list): {remedy}")
    _refuse_parts(path, run, remedy)
    return run


def _refuse_missing(folder: Path) -> None:
    """Raise ``UserError`` for a folder without the file that makes it a run, or none at all."""
    if not folder.exists():
        raise UserError(f"{folder} does not exist: give the folder of a run{_runs_nearby(folder)}")
    if (folder / "export.json").is_file():
        raise UserError(
            f"{folder} is an exported model: `fer-tl evaluate RUN --export {folder}` scores it, and says what to "
            "compare"
        )
    if cells := sorted(path.parent.name for path in folder.glob(f"*/{RUN}")):
        raise UserError(f"{folder} holds several runs: name one of them ({', '.join(cells[:6])})")
    if _has_parts(folder):
        raise UserError(f"{folder} {_NO_FILE}: put it back, or train the run again in another folder")
    read_json(folder / RUN)  # says that it is missing


def _runs_nearby(folder: Path) -> str:
    """The runs beside a folder that is not there, in brackets; "" for none."""
    beside = sorted((path.parent.name for path in folder.parent.glob(f"*/{RUN}")), key=lambda name: (len(name), name))
    where = "here" if folder.parent == Path() else f"in {folder.parent}"
    return f" ({where}: {', '.join(beside[:6])}{', ...' if len(beside) > 6 else ''})" if beside else ""


def _refuse_parts(path: Path, run: dict[str, Any], remedy: str) -> None:
    """Raise ``UserError`` for parts that a run of its kind has not."""
    kind, parts = run["kind"], run["parts"]
    # Names become folders that are written and deleted: only those that training makes, in its order.
    expected = {each: ["model"] for each in _OF_KIND}
    expected["cv"] = [f"fold-{number}" for number in range(max(2, len(parts)))]
    if kind not in expected:
        raise UserError(f"{path} is damaged ('kind' is {kind[:40]!r}, not cv, train, soup or refit): {remedy}")
    if parts != expected[kind]:
        raise UserError(
            f"{path} is damaged ('parts' of fer-tl {kind} should be {', '.join(expected[kind][:3])}"
            f"{', ...' if len(expected[kind]) > 3 else ''}): {remedy}"
        )
    repeats = run.get("repeats", 1)
    if kind == "cv" and not (0 < repeats <= len(parts) // 2 and len(parts) % repeats == 0):
        raise UserError(f"{path} is damaged ('repeats' {repeats} does not go with {len(parts)} folds): {remedy}")


def holds_none_out(about: Mapping[str, Any]) -> bool:
    """Whether a run has no answers for images that it was not trained on, by its ``run.json``."""
    return about["kind"] == REFIT or about.get("held_out") == NO_IMAGE


def spell_cv(parts: int, repeats: int) -> str:
    """What a cross validation of so many parts in all is called: ``4-fold cross validation, 3 times``."""
    return f"{parts // repeats}-fold cross validation{f', {repeats} times' if repeats > 1 else ''}"


def part_folder(run: Path, name: str) -> Path:
    """Folder of a part of a run, the one place where the name of a part becomes a path.

    Raises:
        UserError: no name of a part, such as ``../other``.
    """
    if not _PART.fullmatch(name):
        raise UserError(f"{name[:80]!r} is not a part of a run: parts are called model, fold-0, fold-1, ...")
    return run / name


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
    raise UserError(f"{folder} holds other files and is not a run: give another {option}")


def is_run(folder: Path) -> bool:
    """Whether a folder is meant as a run: it is one, holds several, or is a part or a remainder of one."""
    if not folder.is_dir():
        return False
    part_of_one = _PART.fullmatch(folder.name) is not None and (folder.parent / RUN).exists()
    return part_of_one or (folder / RUN).exists() or _has_parts(folder) or any(folder.glob(f"*/{RUN}"))


def spread_sweeps(run_dirs: Sequence[Path | str]) -> list[Path]:
    """Folders of runs, with the runs in it in place of the folder of a sweep or of trainings of several seeds; those
    of 2 stand before those of 10; and with the answers of an exported model, where it has some, in place of it."""
    found: list[Path] = []
    for folder in map(_answers_of, map(Path, run_dirs)):
        inside = [] if (folder / RUN).exists() else [path.parent for path in folder.glob(f"*/{RUN}")]
        found += sorted(inside, key=_naturally) or [folder]
    return found


def _answers_of(folder: Path) -> Path:
    """Where the answers of an export in a run are, ``RUN/exported-NAME`` of ``RUN/export/NAME``; else as it was."""
    place = folder if folder.is_dir() else folder.parent
    answers = place.resolve().parent.parent / f"{EXPORTED}{place.resolve().name}"
    return answers if place.resolve().parent.name == "export" and (answers / RUN).is_file() else folder


def _naturally(path: Path) -> list[tuple[int, str]]:
    return [(int(text), "") if text.isdecimal() else (-1, text) for text in re.split(r"([0-9]+)", path.name)]


def _has_parts(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("config.yaml", "folds.csv", ENVIRONMENT))
