"""Files of a part of a run: names, integrity checks and repair hints."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fer_tl.core.checksums import checksum
from fer_tl.core.errors import Unreadable, UserError, one_line
from fer_tl.core.files import BROKEN_ARRAYS, read_json, unreadable
from fer_tl.core.json_files import load_member
from fer_tl.core.say import Say
from fer_tl.faces.recipe import FaceRecipe, read_recipe

RESULT = "result.json"
# Their size and checksum are in RESULT: equal trainings write equal bytes.
RECORDED = ("predictions.npz", "history.csv", "model.keras")
# Those on which results depend; the history only shows how training went.
NEEDED = ("predictions.npz", "model.keras")
# All that there is of predictions that were imported.
OF_IMPORT = ("predictions.npz",)
MODELLESS = "fer-tl compare and ensemble take it"
PART_FILES = (*RECORDED, RESULT)
TIMING = "timing.json"
FAILED = "failed.json"
# TensorBoard takes every file with "tfevents" in its name.
EVENTS = "events.out.tfevents.fer-tl"
# What MLflow and W&B were told of the run, or of a fold that a process trained by itself, and under which name.
TRACKING = "tracking.json"
ENVIRONMENT = "environment.json"
OPENINGS = "evaluations.json"
LOST_OPENINGS = "put it back; without it nobody knows what was opened"
# A member of the .keras zip archive that Keras ignores: class names and the recipe of faces travel with the weights.
CLASSES_MEMBER = "fer_tl.json"
# In RESULT, where there is something to say: {"held_out": images, "watched": images, "unknown": names}, how many of
# these the start or a teacher had learnt, and of which of them it is not known.
LEARNT_BEFORE = "learnt_before"

NUMBER = (int, float)
Kinds = Mapping[str, type | tuple[type, ...]]


def describe_files(folder: Path, names: Sequence[str] = RECORDED) -> dict[str, dict[str, Any]]:
    """Size in bytes and SHA-256 of the files of a part that are recorded, by name, JSON-ready."""
    return {name: asdict(checksum(folder / name)) for name in names}


def is_whole(folder: Path, imported: bool) -> bool:
    """Whether all files of a part that is done are there; of predictions that were imported there is no model."""
    return all((folder / file).is_file() for file in ((*OF_IMPORT, RESULT) if imported else PART_FILES))


def check_part(folder: Path, files: Sequence[str] = RECORDED) -> None:
    """Make sure that files of a part that is done are still what was written when it was trained.

    Args:
        folder: of the part.
        files: of ``RECORDED``; the result is checked always, the times, on which nothing depends, never. Results of
            version 0.1.0 hold no checksums: of their files nothing is known.

    Raises:
        UserError: naming the first file that is damaged or missing.
        Unreadable: naming one that the system does not let be read.
    """
    recorded = read_result(folder).get("files", {})
    for name in files:
        if name not in recorded and tuple(recorded) == OF_IMPORT:
            raise UserError(f"{folder.parent} holds predictions alone, and no model: {MODELLESS}")
        if name not in recorded:
            continue
        try:
            found = asdict(checksum(folder / name))
        except FileNotFoundError:
            raise UserError(f"{folder / name} is missing: put it back, or {train_again(folder)}") from None
        except OSError as error:
            raise unreadable(folder / name, error) from None
        expected = recorded[name]
        if found != expected:
            size = expected["size"]
            difference = "its checksum is another" if found["size"] == size else f"{found['size']:,} of {size:,} bytes"
            raise UserError(f"{folder / name} is not what was written ({difference}): {train_again(folder)}")


def check_model(path: Path, remedy: str = "") -> None:
    """Refuse a model file that is missing, damaged or not of fer-tl, without loading it.

    Args:
        path: of the ``.keras`` file.
        remedy: what to do about it, for the message.

    Raises:
        UserError: naming the file.
    """
    end = f": {remedy}" if remedy else ""
    try:
        with zipfile.ZipFile(path) as archive:
            archive.getinfo(CLASSES_MEMBER)
            damaged = archive.testzip()
    except OSError as error:
        if error.errno and not isinstance(error, FileNotFoundError):
            raise unreadable(path, error) from None
        raise UserError(f"{path} is not a whole model of fer-tl ({error.strerror or error}){end}") from None
    except BROKEN_ARRAYS as error:
        raise UserError(f"{path} is not a whole model of fer-tl ({' '.join(str(error).split())}){end}") from None
    if damaged:
        raise UserError(f"{path} is damaged (its part {damaged} fails its checksum){end}")


def read_model_recipe(path: Path) -> FaceRecipe | None:
    """How faces are cut for a saved model; None for one of before 2026-11-29, which does not say.

    Raises:
        UserError: the file is missing, damaged or not of fer-tl.
    """
    try:
        values = load_member(path, CLASSES_MEMBER).get("faces")
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is not a whole model of fer-tl ({one_line(error)})") from None
    return None if values is None else read_recipe(values, str(path))


def read_result(folder: Path) -> dict[str, Any]:
    """``result.json`` of a part that is done; a damaged one is a ``UserError``."""
    path = folder / RESULT
    result = read_keys(path, {"epochs": int, "kept_epoch": int}, train_again(folder))
    counts: Kinds = {key: int for key in ("trained_on", "held_out", "watched") if key in result}
    refuse_keys(path, result, counts, train_again(folder))
    if LEARNT_BEFORE in result:
        kinds: Kinds = {"held_out": int, "watched": int, "unknown": list}
        refuse_keys(path, result[LEARNT_BEFORE], kinds, train_again(folder), f"'{LEARNT_BEFORE}': ")
    recorded = result.get("files", {})
    if result.keys() >= {"files"} and not (
        isinstance(recorded, dict) and recorded.keys() in (set(RECORDED), set(OF_IMPORT))
    ):
        raise UserError(f"{path} is damaged ('files' should name {', '.join(RECORDED)}): {train_again(folder)}")
    for name, each in recorded.items():
        refuse_keys(path, each, {"size": int, "sha256": str}, train_again(folder), f"'files', {name}: ")
    return result


def read_seconds(folder: Path) -> float:
    """What a part that is done took; a damaged file of times is a ``UserError``."""
    path = folder / TIMING
    # Runs of version 0.1.0 have their times in the results.
    path = path if path.is_file() or "files" in read_result(folder) else folder / RESULT
    return float(read_keys(path, {"seconds": NUMBER}, "no result depends on it, delete this file")["seconds"])


def known_seconds(folder: Path) -> float | None:
    """The same; None where the file is missing or damaged, for those whose results do not depend on it."""
    try:
        return read_seconds(folder)
    except UserError:
        return None


def read_failure(folder: Path) -> str:
    """Why the training of a part failed; a damaged file is a ``UserError``."""
    path = folder / FAILED
    return str(read_keys(path, {"message": str}, f"delete {path}, and the part is trained again")["message"])


def train_again(folder: Path) -> str:
    """What to do about a damaged part."""
    return f"move {folder} away, and the run's command trains that part again"


def read_entries(path: Path, remedy: str, kinds: Kinds) -> list[dict[str, Any]]:
    """The entries of ``environment.json`` or ``evaluations.json`` of a run, none if there is no such file; arguments
    as of ``read_keys``."""
    try:
        entries = read_json(path) if path.exists() else []
    except Unreadable:
        raise
    except UserError as error:
        raise UserError(f"{error}: {remedy}") from None
    if not isinstance(entries, list):
        raise UserError(f"{path} is damaged (a {type(entries).__name__} instead of a list): {remedy}")
    for entry in entries:
        refuse_keys(path, entry, kinds, remedy)
    return entries


def read_dated_openings(folder: Path) -> list[dict[str, Any]]:
    """Every opening of a split that a run recorded, oldest first; a damaged file, or one without dates, is a
    ``UserError``."""
    return read_entries(folder / OPENINGS, LOST_OPENINGS, {"date": str})


def read_environments(folder: Path, say: Say) -> list[dict[str, Any]]:
    """What a run ran on so far; a damaged file, which no result depends on, is said and taken for empty."""
    try:
        return read_entries(folder / ENVIRONMENT, "it is begun anew", {"date": str})
    except UserError as error:
        say(str(error))
        return []


def read_keys(path: Path, kinds: Kinds, remedy: str) -> dict[str, Any]:
    """A JSON file that holds an object with these keys.

    Args:
        path: of the file.
        kinds: type of the value by key.
        remedy: what to do about another one, for the message.

    Raises:
        UserError: it is missing, no JSON, or of another shape.
    """
    try:
        found = read_json(path)
    except Unreadable:
        raise
    except UserError as error:
        raise UserError(f"{error}: {remedy}") from None
    refuse_keys(path, found, kinds, remedy)
    return dict(found)


def refuse_keys(path: Path, found: Any, kinds: Kinds, remedy: str, where: str = "") -> None:
    """Make sure that a value of a JSON file is an object with these keys; arguments as of ``read_keys``."""
    if not isinstance(found, dict):
        raise UserError(f"{path} is damaged ({where}a {type(found).__name__} instead of an object): {remedy}")
    for key, kind in kinds.items():
        if key not in found:
            raise UserError(f"{path} is damaged ({where}it has no '{key}'): {remedy}")
        if not isinstance(found[key], kind) or isinstance(found[key], bool):
            raise UserError(f"{path} is damaged ({where}'{key}' is a {type(found[key]).__name__}): {remedy}")
