"""The ledger of a data folder: every opening of a split that training does not see, by whichever run; and what a
reader must know of it.

A run writes its own openings into its ``evaluations.json``. Who trains ten models and opens the test split once for
each has still chosen by it: so all openings are counted beside the datasets too, by dataset and split.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fer_tl.core.checksums import checksum
from fer_tl.core.errors import UserError
from fer_tl.core.files import sync, write_json
from fer_tl.data.manifest import Manifest
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.imports import read_import
from fer_tl.runs.part import LOST_OPENINGS, OPENINGS, read_entries, read_result


def read_openings(run: RunFolder) -> list[dict[str, Any]]:
    """Every opening that the run recorded, oldest first, also of before they had dates.

    Raises:
        UserError: a damaged file.
    """
    kinds = {"split": str, "fingerprint": str}
    return read_entries(run.path / OPENINGS, LOST_OPENINGS, kinds)


def openings_of(run: RunFolder, split: str, data: str | None = None) -> list[dict[str, Any]]:
    """The openings of a split of a dataset, None for the run's, with whatever views and classes."""
    own = run.read_run()["dataset"]
    # An opening without 'dataset' is older than the choice of one.
    return [
        entry for entry in read_openings(run) if (entry.get("dataset", own), entry["split"]) == (data or own, split)
    ]


LEDGER = "openings.jsonl"
"""In the data folder: one JSON object a line, only ever added to. A build leaves it alone."""

_MOST_BYTES = 64 * 2**20  # some 200,000 openings
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class Standing:
    """Where a run is among those for which a split was opened.

    Attributes:
        place: of the run, from 1, by the date of its first opening; 0 if the split was not opened for it.
        models: how many runs the split was opened for.
    """

    place: int
    models: int

    def __str__(self) -> str:
        """Such as "the 3rd of 3 models opened on it"."""
        return f"the {ordinal(self.place)} of {self.models} model{'s' * (self.models > 1)} opened on it"


def key_of_run(run: RunFolder) -> str:
    """What tells a run from others wherever it lies: hash of the checksums of its models, of what was imported, or
    of the file that was exported."""
    digest = hashlib.sha256()
    if (said := read_import(run.read_run())) and said.export:
        return hashlib.sha256(f"export {said.sha256}\n".encode()).hexdigest()
    for part in run.parts:
        folder = run.part(part)
        if run.is_scored(part):
            files = read_result(folder).get("files")  # not in results of version 0.1.0
            model = folder / "model.keras"
            known = "" if files or not model.is_file() else checksum(model).sha256
            if files:
                known = files.get("model.keras", files["predictions.npz"])["sha256"]
            digest.update(f"{part} {known}\n".encode())
    return digest.hexdigest()


def describe_opening(
    dataset: str, split: str, images: int, fingerprint: str, tta: str = "none", classes: Sequence[str] | None = None
) -> dict[str, Any]:
    """What is written down of an opening, now: JSON-ready.

    Args:
        dataset: its name.
        split: of it.
        images: that are predicted.
        fingerprint: of the split as it was built.
        tta: one of ``fer_tl.evaluation.test_time_augmentation.TTA``.
        classes: that were asked for; None for the models' own.
    """
    return {
        "dataset": dataset,
        "split": split,
        "tta": tta,
        "classes": list(classes) if classes else None,
        "images": images,
        "fingerprint": fingerprint,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def record_opening(data_dir: Path, run: RunFolder, entry: dict[str, Any], before: Sequence[dict[str, Any]] = ()) -> str:
    """Add an opening to the ledger. A line is written at once and is on the disk when this returns.

    Args:
        data_dir: of the datasets.
        run: that opens.
        entry: with at least ``dataset``, ``split`` and ``date``; JSON-ready.
        before: earlier openings of the run, of before there was a ledger: those that it lacks are added first.

    Returns:
        Why it could not be written, where the folder may not be written to; else "".

    Raises:
        UserError: a ledger that cannot be read.
        OSError: a full disk.
    """
    key = key_of_run(run)
    known = {(each["run"], each["dataset"], each["split"], each["date"]) for each in read_ledger(data_dir)}
    entries = [
        {"run": key, "path": str(run.path.resolve()), **each}
        for each in before
        if (key, each.get("dataset"), each.get("split"), each.get("date")) not in known
    ]
    # Always, for dates are whole seconds: one of the same second is another opening.
    entries.append({"run": key, "path": str(run.path.resolve()), **entry})
    path = data_dir / LEDGER
    lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in entries).encode()
    try:
        descriptor = os.open(path, _APPEND, 0o666)
    except OSError as error:
        if error.errno not in _NOT_OURS:
            raise
        return f"{path} cannot be written ({error.strerror}): other runs do not learn of this opening"
    try:
        # After a line that a power cut left half, begin a new one. One write: lines of two processes do not mix.
        cut = os.lseek(descriptor, 0, os.SEEK_END) > 0
        if cut:
            os.lseek(descriptor, -1, os.SEEK_END)
            cut = os.read(descriptor, 1) != b"\n"
        os.write(descriptor, (b"\n" if cut else b"") + lines)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with contextlib.suppress(OSError):  # some network file systems cannot do it to a folder
        sync(data_dir)
    return ""


def write_opening(data_dir: Path, run: RunFolder, entry: dict[str, Any]) -> str:
    """Write an opening into the ledger and the run; arguments, result and errors as of ``record_opening``."""
    before, own = read_openings(run), run.read_run()["dataset"]
    earlier = [{"dataset": own, **each} for each in before if "date" in each]
    # First: what is in the ledger and not in the run is counted once too often at most, and never forgotten.
    unwritten = record_opening(data_dir, run, entry, earlier)
    write_json(run.path / OPENINGS, [*before, entry])
    return unwritten


def read_ledger(data_dir: Path) -> list[dict[str, Any]]:
    """The openings that the ledger of a data folder holds, oldest first; none if there is no ledger. Lines that are
    none, such as one that a power cut left half, are passed over.

    Raises:
        UserError: it cannot be read, or is no ledger.
    """
    path = data_dir / LEDGER
    try:
        if not path.exists():
            return []
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path} is not the ledger of openings that fer-tl writes: put that back, or move it away")
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): it says for which runs a split was opened; make it readable"
        ) from None
    entries = [entry for entry in map(_parse, lines) if entry]
    return sorted(entries, key=lambda entry: entry["date"])


def standing(data_dir: Path, dataset: str, split: str, run: RunFolder, opening: bool = False) -> Standing:
    """Where a run is among those for which a split was opened, in whichever build of the dataset.

    Args:
        data_dir: of the datasets.
        dataset: its name.
        split: of it.
        run: which.
        opening: count the run as if it were opened now, where it was not.

    Raises:
        UserError: a ledger that cannot be read.
    """
    found = [each["run"] for each in read_ledger(data_dir) if (each["dataset"], each["split"]) == (dataset, split)]
    order, key = list(dict.fromkeys(found)), key_of_run(run)
    if opening and key not in order:
        order.append(key)
    return Standing(order.index(key) + 1 if key in order else 0, len(order))


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not all(
        isinstance(entry.get(key), str) for key in ("run", "dataset", "split", "date")
    ):
        return None
    return entry


def recipe_remark(run: RunFolder, manifest: Manifest) -> str:
    """That the images of a dataset were made otherwise than those of the training, "" if they were not."""
    trained, here = run.read_recipe(), manifest.recipe
    if trained == here:
        return ""
    return (
        f" These images were made otherwise than those of the training ({here.describe()}; then {trained.describe()})."
    )


def remark_on(run: RunFolder, split: str, manifest: Manifest, trained: bool) -> str:
    """What is known before the split is opened; each sentence with a blank before it."""
    about, data = run.read_run(), manifest.dataset
    times = len(openings_of(run, split, data))
    before = f" was opened {times} time{'s' if times > 1 else ''} before: do not choose by it."
    remark = ""
    if data != about["dataset"]:
        if split != "test" and len(manifest.counts) == 1:
            remark += f" {data} has no split but {split}: all of it is scored."
        if times:
            remark += f" Split {split} of {data}{before}"
        if trained:
            remark += f" The run was trained on the images of {data}, under the name {about['dataset']}."
        return remark
    if times and split == "test":
        remark += f" The test split{before}"
    if not trained:
        what = "what the run was trained on" if "train" in manifest.fingerprints else "there to compare"
        remark += f" This build's training data is not {what}."
    return remark


def standing_remark(data_dir: Path, run: RunFolder, split: str, manifest: Manifest) -> str:
    """Which of the models of this data folder the run is for which a split is opened that nothing may be chosen by: the
    test split, or any of a dataset that the run does not know."""
    if split != "test" and manifest.dataset == run.read_run()["dataset"]:
        return ""
    found = standing(data_dir, manifest.dataset, split, run, opening=True)
    if found.models == 1:
        return ""
    return f" Split {split} of {manifest.dataset}: {found}. Whoever takes the best of them has chosen on it."
