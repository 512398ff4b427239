"""RAF-DB as its authors give it: a list of file names and labels, and images in folders of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fer_tl.core.archives import Files
from fer_tl.core.csv_tables import encoding_of
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import refuse_non_data
from fer_tl.sources.findings import Skipped
from fer_tl.sources.image_source import Entry
from fer_tl.sources.images import IMAGE_SUFFIXES
from fer_tl.sources.label_orders import LabelOrder, number_of
from fer_tl.sources.origin import Origin
from fer_tl.sources.rafdb.labels import class_names, official_split, order_of
from fer_tl.sources.rafdb.source import RafSource
from fer_tl.sources.records import UnusableExamples

NAMES = ("list_patition_label.txt", "list_partition_label.txt")
"""Of the list: as it is called officially, and as it is meant."""

_SUFFIX = {"aligned": "_aligned", "original": ""}
_NOT_LISTED = "images that the list does not name"


class Line(NamedTuple):
    """A line of the list: its number from 1, the image's name without an ending, its split, the number of its class."""

    number: int
    stem: str
    split: str
    label: int


class Problem(NamedTuple):
    """A line that cannot be used: its number, the image's name and what is wrong."""

    number: int
    stem: str
    reason: str


def find_list(files: Files) -> str | None:
    """The name of the list in the files, None if there is none.

    Raises:
        UserError: there are two that differ, as where the basic and the compound set lie side by side.
    """
    found = sorted(name for name in files.names if PurePosixPath(name).name.lower() in NAMES)
    for other in found[1:]:
        if files.read(other) != files.read(found[0]):
            raise UserError(
                f"{files.label} has two lists, {found[0]} and {other}: give the folder of one set, basic or compound, "
                "with its images"
            )
    return found[0] if found else None


def open_list(
    path: Path, files: Files, name: str, labels: str | None, images: str | None, image_size: int
) -> RafSource:
    """The images that the list ``name`` has; for the others see ``fer_tl.sources.rafdb.reader.open_rafdb``.

    Raises:
        UserError: it is not such a list, its numbers may mean two things, or none of its images is there.
        UnusableExamples: no line of it can be used.
    """
    data = files.read(name)
    refuse_non_data(data[:512], files.where(name))
    lines, problems = read_list(data.decode(encoding_of(data[:64]), "replace"))
    order = order_of({line.label for line in lines}, labels, files.where(name))
    kind, pictures = _find_pictures(files, lines, images)
    if lines and not pictures:
        raise UserError(_no_pictures(files, name, lines[0], images))
    class_of: dict[str, str] = {}
    for line in lines:
        reason = _fault(line, order, kind, pictures)
        if reason:
            problems.append(Problem(line.number, line.stem, reason))
        else:
            class_of[line.stem] = order.names[line.label - order.first]
    base = PurePosixPath(name).name
    unusable = [Skipped(f"{base}, line {at:,}", stem, reason) for at, stem, reason in sorted(problems)]
    if not class_of:
        raise (
            UnusableExamples(unusable, 0, files.where(name), "Correct the list.")
            if unusable
            else UserError(f"{files.where(name)} is empty: download it again")
        )
    names = class_names(set(class_of.values()))
    entries = [
        Entry(pictures[line.stem], line.stem, line.split, names.index(class_of[line.stem]))
        for line in lines
        if line.stem in class_of
    ]
    given = {"labels": labels, "images": images}
    source = RafSource(
        Origin(path, files, [name, *(entry.name for entry in entries)]),
        files,
        entries,
        class_names=names,
        size=image_size,
        channels=3,
        options={"image_size": str(image_size)} | {key: value for key, value in given.items() if value is not None},
        notes=[f"{files.where(name)} is about {order.of}, the {kind} images are read."],
    )
    source.unusable, source.original = unusable, kind == "original"
    source.passed_over = {**files.passed_over, _NOT_LISTED: _not_listed(files, lines)}
    return source


def read_list(text: str) -> tuple[list[Line], list[Problem]]:
    """Read a list: in each line the name of an original image, or of an aligned one, and a number.

    Returns:
        The first line about each image, and what is wrong with the others.
    """
    lines: dict[str, Line] = {}
    problems = []
    for number, row in enumerate(text.splitlines(), 1):
        words = row.split()
        if not words:
            continue
        stem = PurePosixPath(words[0].replace("\\", "/")).stem.removesuffix("_aligned")
        label, split = number_of(words[-1]), official_split(stem)
        if len(words) != 2:
            reason = f"{len(words)} words, not 2 (a file's name, such as train_00001.jpg, and the number of its class)"
        elif label is None:
            reason = f"label {words[1][:20]!r} is not a number"
        elif split is None:
            reason = "the name is not train_ or test_ and a number, which is how RAF-DB says its split"
        elif stem in lines:
            reason = f"it is in line {lines[stem].number:,} already"
        else:
            lines[stem] = Line(number, stem, split, label)
            continue
        problems.append(Problem(number, stem[:80], reason))
    return [*lines.values()], problems


def _fault(line: Line, order: LabelOrder, kind: str, pictures: dict[str, str]) -> str:
    """Why a line cannot be used; "" if it can."""
    if not order.first <= line.label <= order.last:
        return f"label {line.label} is not {order.first} to {order.last}, those of {order.of}"
    return "" if line.stem in pictures else f"its {kind} image {line.stem}{_SUFFIX[kind]}.jpg is missing"


def _find_pictures(files: Files, lines: Iterable[Line], images: str | None) -> tuple[str, dict[str, str]]:
    """Aligned or original, and {name in the list without its ending: the image's name in the files}.

    Raises:
        UserError: an image is in two folders, and not in just one that is called as its kind is.
    """
    paths = defaultdict(list)
    for name in files.names:
        path = PurePosixPath(name)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            paths[path.stem].append(path)
    stems = [line.stem for line in lines]
    kind = images or ("aligned" if any(f"{stem}{_SUFFIX['aligned']}" in paths for stem in stems) else "original")
    pictures = {}
    for stem in stems:
        found = paths.get(stem + _SUFFIX[kind], [])
        if len(found) > 1:
            found = [path for path in found if path.parent.name == kind] or found
        if len(found) > 1:
            raise UserError(
                f"{files.label} has {found[0].name} twice, {found[0]} and {found[1]}, and neither folder alone is "
                f"called {kind}: remove the folder that does not belong to the list"
            )
        if found:
            pictures[stem] = str(found[0])
    return kind, pictures


def _no_pictures(files: Files, name: str, first: Line, images: str | None) -> str:
    """What to do about a list none of whose images is there."""
    packed = next((one for one in files.names if one.lower().endswith((".zip", ".rar", ".7z", ".tar", ".gz"))), None)
    if files.names == [files.label]:
        return f"{name} is a list alone: give the folder or archive that holds it and the images"
    if packed:
        return f"{files.where(name)} is there but none of its images: unpack {packed} there, then give the folder"
    wanted = " or ".join(f"{first.stem}{_SUFFIX[kind]}.jpg" for kind in ([images] if images else _SUFFIX))
    asked = f" --images {images} asks for" if images else ""
    return (
        f"none of the images that{asked or f' {files.where(name)} lists'} is there (the first would be {wanted}): give "
        "the folder that holds the list and Image/aligned or Image/original"
    )


def _not_listed(files: Files, lines: Iterable[Line]) -> list[str]:
    listed = {line.stem for line in lines}
    pictures = (name for name in files.names if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES)
    return [name for name in pictures if PurePosixPath(name).stem.removesuffix("_aligned") not in listed]
