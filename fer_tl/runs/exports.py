"""What ``fer-tl export`` wrote down of a model: its format, its time, whose model it is, and that it is unchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_tl.core.checksums import checksum
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import Kinds, read_keys, read_result, refuse_keys

RECORD = "export.json"
"""In the folder of an export."""
MODELS = "models"
"""Key of the record: SHA-256 of the run's models that it was made of, by part."""

_KEYS: Kinds = {"format": str, "model": str, "class_names": list, "parts": list, "files": dict}
_AGAIN = "export the model again"


@dataclass(frozen=True)
class Exported:
    """An exported model.

    Attributes:
        folder: of the export.
        format: ``keras``, ``savedmodel``, ``tflite`` or ``onnx``.
        int8: whether its numbers are 8-bit integers.
        file: name of the model in the folder.
        class_names: K, in the order of its output.
        parts: of the run whose models it is made of.
        sha256: of the file; of a SavedModel, of the checksums of its files.
        milliseconds: for one image, as measured at the export; None where it does not say.
    """

    folder: Path
    format: str
    int8: bool
    file: str
    class_names: tuple[str, ...]
    parts: tuple[str, ...]
    sha256: str
    milliseconds: float | None

    @property
    def name(self) -> str:
        """Such as ``tflite-int8``."""
        return f"{self.format}-int8" if self.int8 else self.format

    @property
    def path(self) -> Path:
        """The file, or the folder of a SavedModel."""
        return self.folder / self.file


def find_export(run: Path, given: Path | str) -> Path:
    """The folder of an export: as given, the folder of the file that was given, or that of this name in a run.

    Raises:
        UserError: there is none.
    """
    place = Path(given)
    for folder in (place, place.parent, run / "export" / place):
        if (folder / RECORD).is_file():
            return folder
    there = sorted(path.parent.name for path in run.glob(f"export/*/{RECORD}"))
    hint = f"of {run} there are {', '.join(there)}" if there else f"make it with `fer-tl export {run} --format tflite`"
    raise UserError(f"{place} is not an export: {hint}")


def read_export(run: RunFolder, folder: Path) -> Exported:
    """Read an export, and make sure that it is unchanged and made of the models that a run has now.

    Raises:
        UserError: a damaged record, a file that was changed since, or models of another run or training.
    """
    path = folder / RECORD
    record = read_keys(path, _KEYS, _AGAIN)
    parts = [str(part) for part in record["parts"]]
    if not parts or set(parts) - set(run.parts):
        raise UserError(f"{folder} is of {', '.join(parts[:4]) or 'nothing'}, which {run.path} does not have: {_AGAIN}")
    _refuse_other_models(run, folder, record, parts)
    found = _check_files(folder, record)
    seconds = record.get("milliseconds")
    return Exported(
        folder=folder,
        format=record["format"],
        int8=record.get("int8") is not None,
        file=record["model"],
        class_names=tuple(map(str, record["class_names"])),
        parts=tuple(parts),
        sha256=_digest(record["model"], found),
        milliseconds=float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None,
    )


def describe_models(run: RunFolder, parts: tuple[str, ...]) -> dict[str, str]:
    """What ties an export to a run: SHA-256 of the models of some of its parts."""
    return {part: checksum(run.part(part) / "model.keras").sha256 for part in parts}


def _refuse_other_models(run: RunFolder, folder: Path, record: Mapping[str, Any], parts: list[str]) -> None:
    if MODELS not in record:
        raise UserError(f"{folder} is of before exports said which models they are made of: {_AGAIN}")
    for part in parts:
        known = read_result(run.part(part)).get("files", {}).get("model.keras", {}).get("sha256")
        if known is None or record[MODELS].get(part) != known:
            raise UserError(
                f"{folder} is not made of the model that {run.path} has as {part}, so nobody knows which images it "
                f"learnt: {_AGAIN}"
            )


def _check_files(folder: Path, record: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of the files that are the model, by name."""
    own = {
        name: each
        for name, each in record["files"].items()
        if name == record["model"] or name.startswith(f"{record['model']}/")
    }
    if not own:
        raise UserError(f"{folder / RECORD} is damaged ('files' lacks {record['model']}): {_AGAIN}")
    for name, each in own.items():
        refuse_keys(folder / RECORD, each, {"size": int, "sha256": str}, _AGAIN, f"'files', {name}: ")
        try:
            same = checksum(folder / name).sha256 == each["sha256"]
        except OSError as error:
            raise UserError(f"{folder / name} cannot be read ({error.strerror}): {_AGAIN}") from None
        if not same:
            raise UserError(f"{folder / name} was changed since it was exported: {_AGAIN}")
    return {name: str(each["sha256"]) for name, each in own.items()}


def _digest(file: str, found: Mapping[str, str]) -> str:
    if file in found:
        return found[file]
    lines = "".join(f"{name} {sha256}\n" for name, sha256 in sorted(found.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def exported_milliseconds(run: Path) -> dict[str, float]:
    """Milliseconds for one image by the name of the format, such as ``tflite-int8``; none for a run that was not
    exported into its own folder. Records that cannot be read say nothing."""
    found = {}
    for path in sorted(run.glob(f"export/*/{RECORD}")):
        try:
            value = read_json(path)["milliseconds"]
        except (UserError, KeyError, TypeError):
            continue
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            found[path.parent.name] = float(value)
    return found
