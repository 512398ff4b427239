"""Every file of a run and of a dataset is changed at random: the same numbers come out, or one line says what is wrong.

The changes are drawn from fixed seeds: bits flipped, files cut, blocks doubled, values of JSON exchanged for others,
huge numbers, deep brackets.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made_runs import CLASSES, GROUPS, IDS, LABELS, logits_of, make_run
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.core.errors import UserError
from fer_tl.data.manifest import read_manifest
from fer_tl.runs.part import describe_files

pytestmark = pytest.mark.usefixtures("light_figures")

MUTATIONS = 500
ROWS = slice(24)  # of the images of hand_made_runs, in two folds: every check reads all of them
FOLDS = np.arange(24) // 6 % 2
LONGEST = 1500
VALUES: list[Any] = [
    None, True, -1, 0, 10**18, 10**30, 1e308, "", "../../x", "=1+1", "\0", "\ud800", "\x1b[31m", [], {}, [[]], [None],
    "9" * 5000, {"a": {}}, ["fold-0"], 1.5,
]  # fmt: skip
RAW = [b"1e999", b"NaN", b"9" * 5000, b"[" * 100_000, b'{"a":' * 5000, b"\xff\xfe", b"\0" * 64, b'"' + b"x" * 3_000_000]


def mutate(path: Path, random: np.random.Generator) -> None:
    data = path.read_bytes()
    kind = random.integers(6)
    if kind == 0 and data:  # flipped bits
        changed = bytearray(data)
        for at in random.integers(len(data), size=random.integers(1, 9)):
            changed[at] ^= 1 << int(random.integers(8))
        path.write_bytes(changed)
    elif kind == 1:
        path.write_bytes(data[: random.integers(len(data) + 1)])
    elif kind == 2:
        start, stop = sorted(random.integers(len(data) + 1, size=2))
        path.write_bytes(data[:stop] + data[start:stop] + data[stop:])
    elif kind == 3:
        at = int(random.integers(len(data) + 1))
        path.write_bytes(data[:at] + RAW[random.integers(len(RAW))] + data[at:])
    elif path.suffix == ".json":
        value = json.loads(data)
        exchange(value, random)
        path.write_text(json.dumps(value))
    else:  # a number or a word of a table or a configuration
        words = data.split(b"\n")
        row = int(random.integers(len(words)))
        cells = words[row].split(b"," if b"," in words[row] else b": ")
        odd = str(VALUES[random.integers(len(VALUES))]).encode(errors="replace")
        cells[random.integers(len(cells))] = odd
        words[row] = (b"," if b"," in words[row] else b": ").join(cells)
        path.write_bytes(b"\n".join(words))


def exchange(value: Any, random: np.random.Generator) -> None:
    """Put another value in one place of a JSON value."""
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item))
        places += [(item, key) for key in keys]
        waiting += [item[key] for key in keys if isinstance(item[key], dict | list)]
    if places:
        owner, key = places[random.integers(len(places))]
        owner[key] = VALUES[random.integers(len(VALUES))]


def silent(line: str) -> None:
    assert "\x1b" not in line


def compare(folder: Path) -> list[float]:
    """Of all that a run's files say; the cheapest command that reads them."""
    result = fer_tl.compare([folder / "run", folder / "other"], say=silent)
    return [number for row in result.rows for number in row.scores.values()]


def report(folder: Path) -> list[float]:
    held_out = fer_tl.report(folder / "run", say=silent).contents.held_out
    return numbers_of(held_out.summary.pooled) if held_out else []


def numbers_of(metrics: Any) -> list[float]:
    return [metrics.images, metrics.accuracy, metrics.macro_f1, metrics.loss]


def verify(folder: Path) -> str:
    fer_tl.verify("folder/mine", folder / "data", say=silent)
    return "whole"


def folds(folder: Path) -> dict[str, int]:
    return fer_tl.draw_folds("folder/mine", folder / "data", folds=2, say=silent).fold_of


def inspect(folder: Path) -> str:
    return fer_tl.inspect_dataset("folder/mine", folder / "data", say=silent).text


Call = Callable[[Path], Any]


def outcome(call: Call, folder: Path) -> Any:
    """What a call gives, or None where it refuses in one line."""
    try:
        return call(folder)
    except UserError as error:
        message = str(error)
    assert "\n" not in message, message
    assert len(message) < LONGEST, message[:3000]
    return None


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def sign(folder: Path) -> None:
    """Write the checksums of a part's files anew, as who means harm would."""
    for result in folder.glob("fold-*/result.json"):
        found = json.loads(result.read_bytes())
        result.write_text(json.dumps(found | {"files": describe_files(result.parent)}))


def restore(folder: Path, kept: Path) -> None:
    """Put back what differs from the copy in ``kept``, times of change included, which a cache goes by."""
    there = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    wanted = {path.relative_to(kept) for path in kept.rglob("*") if path.is_file()}
    for name in there - wanted:
        (folder / name).unlink()
    for name in wanted:
        now, before = (folder / name).stat() if name in there else None, (kept / name).stat()
        if not now or (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(kept / name, folder / name)


def check(place: Path, changed: str, calls: Sequence[Call], mutations: int, seed: int, rare: Call) -> None:
    """Mutate the files of one folder, one at a time, and put it back; every 50th time call ``rare``, which is slow."""
    random = np.random.default_rng(seed)
    right = {call: call(place) for call in (*calls, rare)}
    kept = place.parent / "kept"
    shutil.copytree(place / changed, kept)
    before = everything(place.parent)
    files = sorted(path.relative_to(kept) for path in kept.rglob("*") if path.is_file() and path.suffix != ".html")
    refused = 0
    for number in range(mutations):
        file = files[number % len(files)]
        mutate(place / changed / file, random)
        if number % 2 and file.name != "result.json":
            sign(place / changed)
        for call in [*calls, rare] if number % 50 == 49 else calls:
            found = outcome(call, place)
            refused += found is None
            signed_numbers = number % 2 and file.name == "predictions.npz"
            assert found is None or found == right[call] or signed_numbers, (number, file, call)
        restore(place / changed, kept)
    assert refused > mutations / 5
    after = everything(place.parent)
    written = {path for path in before | after if before.get(path) != after.get(path)}
    assert all("/runs/comparison-" in path or "/inspect/" in path or "/.cache/" in path for path in written), written


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    images = np.random.default_rng(0).integers(256, size=(len(FOLDS), 4, 4, 1), dtype=np.uint8)
    stored = {"train": Stored(images, LABELS[ROWS], IDS[ROWS], GROUPS[ROWS])}
    copies = {"policy": "group", "exact": 0, "near": 0, "clusters": 12, "conflicting": 0, "dropped": {}}
    dataset = store_dataset(place / "data", "folder/mine", CLASSES, stored, duplicates=copies)
    fingerprint = read_manifest(dataset).fingerprints["train"]
    for order, name in enumerate(("run", "other")):
        faces = {"ids": IDS[ROWS], "folds": FOLDS, "labels": LABELS[ROWS]}
        make_run(place / name, logits_of(order)[ROWS], order=order, fingerprint=fingerprint, **faces)
    return place


def test_files_of_a_run(place: Path) -> None:
    check(place, "run", [compare], MUTATIONS // 2, 1, report)


def test_files_of_a_dataset(place: Path) -> None:
    check(place, "data", [verify, folds], MUTATIONS // 2, 2, inspect)
