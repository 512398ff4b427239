"""Pictures cut into parts that any process can predict by itself, and what such a process leaves on the disk.

A part lies in a folder of its own, which is named after where the part begins and after a digest of all that decides
its results; it gets that name when it is whole. ``part.json`` in it has its counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from fer_tl.core.checksums import Checksum, checksum, checksums
from fer_tl.core.files import remove_abandoned, sync, temporary_of, write_json, write_text
from fer_tl.core.json_files import load_json, parse_json
from fer_tl.faces.boxes import Box
from fer_tl.inference.predict.outputs import PICTURES
from fer_tl.inference.predict.sources import PictureFile
from fer_tl.inference.predict.summary import Tally

_HEADER, _LISTS = "part.json", "lists"
# Pictures of a part at least, and parts at most; more pictures make larger parts. A process that does one alone, as on
# a cluster, opens the model for it, which takes as long as some thousand crops. An array of Slurm has 1,000 jobs.
_CROPS, _PHOTOS = (1024, 200), (128, 1000)
_BATCH = 64  # parts are multiples of it, so that a call of the network gets the same faces in parts and in one piece

Boxes = Mapping[str, Sequence[Box]]
"""Boxes of faces by the id of the picture."""


class Portion(NamedTuple):
    """A part of the pictures.

    Attributes:
        name: such as "part 3/12".
        pictures: its own, in their order.
        place: the folder of its results; in it is nothing before all is.
    """

    name: str
    pictures: Sequence[PictureFile]
    place: Path


class Done(NamedTuple):
    """A part that was predicted: the classes, and the counts."""

    class_names: tuple[str, ...]
    tally: Tally


def portion_size(count: int, whole: bool) -> int:
    """How many of so many pictures are in each part but the last; this depends on them alone.

    Args:
        count: of all.
        whole: whether each is a face, so that looking at it takes no time.
    """
    least, most = _CROPS if whole else _PHOTOS
    return max(least, -(-count // (most * _BATCH)) * _BATCH)


def cut(
    pictures: Sequence[PictureFile], size: int, about: Mapping[str, Any], boxes: Boxes | None, place: Path
) -> list[Portion]:
    """All parts.

    Args:
        pictures: at least one.
        size: of ``portion_size``.
        about: what decides the results besides the pictures, JSON-ready.
        boxes: of their faces, if they were given.
        place: folder of the parts.
    """
    shared = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    starts = range(0, len(pictures), size)
    portions = []
    for number, start in enumerate(starts, start=1):
        mine, digest = pictures[start : start + size], shared.copy()
        for picture in mine:
            digest.update(f"{_line(picture, boxes)} {_stamp(picture.path)}\n".encode())
        portions.append(Portion(f"part {number}/{len(starts)}", mine, place / f"{start:09d}-{digest.hexdigest()[:24]}"))
    return portions


def _line(picture: PictureFile, boxes: Boxes | None) -> str:
    return json.dumps([picture.id, str(picture.path), None if boxes is None else boxes.get(picture.id, ())])


def _stamp(path: Path) -> str:
    """By which a file is known again: its size and its time of change, as reading all of them twice would take long."""
    try:
        about = path.stat()
    except OSError:
        return "missing"  # whoever reads it says why
    return f"{about.st_size} {about.st_mtime_ns}"


def write_list(portion: Portion, boxes: Boxes | None) -> None:
    """Leave what ``read_list`` reads."""
    write_text(_list_of(portion.place), "".join(f"{_line(picture, boxes)}\n" for picture in portion.pictures))


def read_list(place: Path) -> tuple[list[PictureFile], dict[str, list[Box]]]:
    """The pictures of a part, and the boxes of their faces, none where they are to be looked for."""
    entries = [parse_json(line) for line in _list_of(place).read_text(encoding="utf-8").splitlines()]
    pictures = [PictureFile(name, Path(file)) for name, file, _ in entries]
    return pictures, {name: [Box(*box) for box in found] for name, _, found in entries if found}


def _list_of(place: Path) -> Path:
    return place.parent / _LISTS / f"{place.name}.jsonl"


def write_portion(place: Path, fill: Callable[[Path], Done]) -> Done:
    """Put the results of a part in their place, all at once.

    Args:
        place: of the part.
        fill: writes tables and pictures into a folder.
    """
    remove_abandoned(place)
    working = temporary_of(place)
    shutil.rmtree(working, ignore_errors=True)
    try:
        working.mkdir(parents=True)
        done = fill(working)
        tables = checksums(path for path in sorted(working.iterdir()) if path.is_file())
        header = {
            "class_names": done.class_names,
            "tally": vars(done.tally),
            "tables": {name: asdict(one) for name, one in tables.items()},
            "pictures": _count_pictures(working),
        }
        write_json(working / _HEADER, header)
        for path in [*working.rglob("*"), working]:
            sync(path)
        try:
            working.rename(place)
        except OSError:
            if load(place) is None:  # else it was done twice, as where a cluster took one process for lost
                raise
        return done
    finally:
        shutil.rmtree(working, ignore_errors=True)


def load(place: Path) -> Done | None:
    """A part that is there and whole; None if it is not."""
    try:
        header = load_json(place / _HEADER)
        for name, wanted in header["tables"].items():
            if checksum(place / name) != Checksum(**wanted):
                return None
        if _count_pictures(place) != header["pictures"]:
            return None
        tally = Tally(**header["tally"])
        tally.labels = Counter(tally.labels)
        return Done(tuple(header["class_names"]), tally)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def find_missing(portions: Sequence[Portion]) -> Iterator[Portion]:
    """Those that are not there; what is damaged is removed."""
    for portion in portions:
        if load(portion.place) is None:
            shutil.rmtree(portion.place, ignore_errors=True)
            yield portion


def _count_pictures(place: Path) -> int:
    return len(os.listdir(place / PICTURES)) if (place / PICTURES).is_dir() else 0
