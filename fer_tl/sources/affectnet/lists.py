"""AffectNet's first layout: CSV lists of whole photos with a face's box in each."""

from __future__ import annotations

import io
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from fer_tl.core.archives import Files
from fer_tl.core.counting import counted
from fer_tl.core.csv_tables import data_rows, decimal, encoding_of, first_row
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import readable, refuse_non_data
from fer_tl.faces.boxes import Box
from fer_tl.sources.affectnet.faces import MEASURES, NO_EXPRESSION, ORDER, Face, Listing, read_expression, read_measures
from fer_tl.sources.findings import Skipped
from fer_tl.sources.images import IMAGE_SUFFIXES
from fer_tl.sources.split_names import canonical_split

PATH = "subdirectory_filepath"
_BOX = ("face_x", "face_y", "face_width", "face_height")
_NEEDED = (PATH, "expression")
_HEAD = 1 << 14  # bytes


def find_lists(files: Files) -> dict[str, str]:
    """{split: name} of the lists that are there: CSV files that are called like a split and have the column of paths.

    Raises:
        UserError: two lists of one split.
    """
    found: dict[str, str] = {}
    for name in sorted(files.names):
        path = PurePosixPath(name)
        split = canonical_split(path.stem) if path.suffix.lower() == ".csv" else None
        if split is None or PATH not in _header(files, name)[1]:
            continue
        if split in found:
            raise UserError(
                f"{files.label} has two lists of {split} images, {found[split]} and {name}: remove the wrong one"
            )
        found[split] = name
    return found


def other_lists(files: Files, lists: Mapping[str, str]) -> list[str]:
    """CSV files with the column of paths that are no lists, for their names say no split."""
    tables = [name for name in files.names if name.lower().endswith(".csv") and name not in lists.values()]
    return [name for name in tables if PATH in _header(files, name)[1]]


def read_lists(files: Files, lists: Mapping[str, str]) -> Listing:
    """Read lists and find their images.

    Args:
        files: the folder or archive.
        lists: {split: name}.

    Raises:
        UserError: a list lacks a column, or none of its images is there, or one is there twice.
    """
    listing = Listing([*lists.values()])
    find = _image_finder(files)
    first: dict[str, str] = {}  # where each image was named first
    for split, name in lists.items():
        _read_list(files, name, split, find, first, listing)
    return listing


def _header(files: Files, name: str) -> tuple[str, list[str]]:
    """The delimiter of a list and its columns in lower case."""
    head = files.head(name, _HEAD)
    refuse_non_data(head[:512], files.where(name))
    delimiter, cells = first_row(head.decode(encoding_of(head[:64]), "replace"))
    return delimiter, [cell.lower() for cell in cells]


def _read_list(
    files: Files, name: str, split: str, find: Callable[[str], str | None], first: dict[str, str], listing: Listing
) -> None:
    delimiter, header = _header(files, name)
    # Without any box, as where somebody cut the faces, the images stay whole; some of the four are a mistake.
    wanted = (*_NEEDED, *_BOX) if {*_BOX} & {*header} else _NEEDED
    missing = [column for column in wanted if column not in header]
    if missing:
        raise UserError(f"{files.where(name)} has no column {' or '.join(missing)}: give AffectNet's own list")
    base, faces, lost = PurePosixPath(name).name, len(listing.faces), []
    encoding = encoding_of(files.head(name, 64))
    # As a stream: the official list of training images has some 400 MB, most of them landmarks.
    with readable(files.where(name)), files.open(name) as stream:
        text = io.TextIOWrapper(stream, encoding, errors="replace", newline="")
        for line, cells in data_rows(text, delimiter, files.where(name)):
            place, row = f"{base}, line {line:,}", dict(zip(header, (cell.strip() for cell in cells), strict=False))
            path = row.get(PATH, "").replace("\\", "/")
            try:
                number = _expression(row, path, wanted)
                if number in NO_EXPRESSION:
                    listing.leave_out(number, find(path))
                    continue
                measures = read_measures({key: row[key] for key in MEASURES if key in row})
                box = _box(row)
                if first.setdefault(path, place) != place:
                    raise ValueError(f"it is in {first[path]} already")
                image = find(path)
                if image is None:
                    lost.append(path)
                    raise ValueError("there is no such image")
            except ValueError as error:
                listing.problems.append(Skipped(place, path[-80:], str(error)))
                continue
            listing.faces.append(Face(image, path, split, ORDER.names[number], measures, box, place))
    if lost and len(listing.faces) == faces:
        raise UserError(
            f"none of the images that {files.where(name)} lists is there (the first is {lost[0]}): give the folder or "
            "archive that holds the lists and Manually_Annotated_Images"
        )


def _expression(row: Mapping[str, str], path: str, wanted: Sequence[str]) -> int:
    if any(column not in row for column in wanted):
        raise ValueError(f"{counted(len(row), 'cell')}, fewer than columns")
    if not path:
        raise ValueError("no path of an image")
    return read_expression(row["expression"])


def _box(row: Mapping[str, str]) -> Box | None:
    """None where all cells are blank: the image is the face. Raises ``ValueError`` if it is not a box."""
    numbers = []
    if not any(row.get(column) for column in _BOX):
        return None
    for column in _BOX:
        try:
            numbers.append(decimal(row[column]))
        except ValueError:
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise ValueError(f"{column} is {row[column][:20]!r}, not a number of pixels")
    left, top, width, height = numbers
    if width <= 0 or height <= 0:
        raise ValueError(f"the box has no area (face_width {width:g}, face_height {height:g})")
    return Box(top, left, top + height, left + width)


def _image_finder(files: Files) -> Callable[[str], str | None]:
    """A function from a path in a list to the image's name in the files: by its last two parts, or else by its file
    name alone, which is a hash; None if it is not there."""
    named = defaultdict(list)
    for name in files.names:
        if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
            named[PurePosixPath(name).name].append(name)

    def find(path: str) -> str | None:
        candidates = named.get(path.rsplit("/", 1)[-1], [])
        found = [name for name in candidates if f"/{name}".endswith(f"/{path}")] or candidates
        if len(found) > 1:
            raise UserError(f"{files.label} has {path} twice, {found[0]} and {found[1]}: remove one of these folders")
        return found[0] if found else None

    return find
