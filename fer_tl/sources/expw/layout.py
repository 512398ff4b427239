"""Which of the files at hand are ExpW: its list of faces, and the photos or crops that the list names."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fer_tl.core.archives import Files
from fer_tl.core.csv_tables import encoding_of
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import is_archive, refuse_non_data
from fer_tl.sources.expw.cleaned import WIDTH, is_vote_header, read_vote_table
from fer_tl.sources.expw.faces import FIELDS, Listing, is_label_line, read_label_list
from fer_tl.sources.images import IMAGE_SUFFIXES

ORIGINAL, CLEANED = "expw", "expw cleaned"
_LANDMARKS, _FER_PLUS = "landmarks", "FER+"

_OFFICIAL_NAMES = {ORIGINAL: ("label.lst", "label.txt"), CLEANED: ("label_expw.csv",)}
_LIST_SUFFIXES = (".lst", ".txt", ".csv")
_WHAT = {
    ORIGINAL: "ExpW's original list of faces",
    CLEANED: "the vote table of ExpW Cleaned",
    _LANDMARKS: "a list of ExpW's faces with landmarks",
    _FER_PLUS: "a vote table of FER+, which is about FER-2013",
}
_GIVE = "give the folder or archive that holds label.lst and the photos, or label_expw.csv and its face crops"
_SEVEN_ZIP = re.compile(r".*\.7z(\.\d{3})*", re.IGNORECASE)
_PACKED = re.compile(r".*\.(zip|tar|tgz|gz|bz2|xz|rar|7z|7z\.\d{3})", re.IGNORECASE)


@dataclass
class Found:
    """ExpW as it was found.

    Attributes:
        kind: ``ORIGINAL`` or ``CLEANED``.
        name: the list's name in the files.
        listing: what the list says.
        images: {photo or crop as the list calls it: its name in the files}; without those that are missing.
        notes: lines to tell before the build.
    """

    kind: str
    name: str
    listing: Listing
    images: dict[str, str]
    notes: list[str] = field(default_factory=list)


def find_expw(files: Files, votes: str) -> Found:
    """Find a list of faces and its images.

    If both lists are there, it is the original one, unless none of its photos is there but crops of the other are.

    Args:
        files: the folder or archive to look through.
        votes: see ``read_vote_table``.

    Raises:
        UserError: no list, one that is not what its name says, none of its images, or images that cannot be told apart.
    """
    names = _lists(files)
    found = []
    for kind, name in names.items():
        text = _text(files, name)
        listing = read_label_list(text) if kind == ORIGINAL else _read_votes(files, name, text, votes)
        found.append(Found(kind, name, listing, _images(files, listing)))
    if not found:
        raise UserError(_no_list(files))
    usable = [one for one in found if one.images] or [one for one in found if not one.listing.faces]
    if not usable:
        raise UserError(_no_images(files, found[0]))
    chosen = usable[0]
    for other in found:
        if other is not chosen:
            why = "both have images here" if other.images else "none of its images is here"
            chosen.notes.append(f"{files.where(other.name)} is not used, {files.where(chosen.name)} is: {why}.")
    return chosen


def refuse_seven_zip(name: str) -> None:
    """Raise ``UserError`` if a file that somebody gives as ExpW is called like a 7-Zip archive or a part of one."""
    if _SEVEN_ZIP.fullmatch(name):
        raise UserError(f"{name} is a 7-Zip archive, which is not read here: {_unpack_seven_zip([name])}; {_GIVE}")


def _lists(files: Files) -> dict[str, str]:
    """{kind: name} of the lists that are there, the original one first."""
    ranked: dict[str, list[tuple[int, str]]] = {ORIGINAL: [], CLEANED: []}
    for name in files.names:
        base = PurePosixPath(name).name.lower()
        if not base.endswith(_LIST_SUFFIXES):
            continue
        official = next((kind for kind, bases in _OFFICIAL_NAMES.items() if base in bases), None)
        kind = _kind(files, name, official)
        if kind in ranked:
            bases = _OFFICIAL_NAMES[kind]
            ranked[kind].append((bases.index(base) if base in bases else len(bases), name))
    return {kind: _best(files, sorted(names)) for kind, names in ranked.items() if names}


def _kind(files: Files, name: str, official: str | None) -> str | None:
    """What a file is by its first line; a file whose first line tells nothing is what its name says.

    Raises:
        UserError: it has the name of one list and is another.
    """
    head = files.head(name, 1 << 12)
    if official:
        refuse_non_data(head[:512], files.where(name))
        if is_archive(head):
            raise UserError(f"{files.where(name)} is an archive: unpack it")
    kind = _kind_of_line(_first_line(head))
    if official and kind and kind != official:
        advice = f"call it {_OFFICIAL_NAMES[kind][0]}" if kind in _OFFICIAL_NAMES else _GIVE
        raise UserError(f"{files.where(name)} is {_WHAT[kind]}, not {_WHAT[official]}: {advice}")
    return kind or official


def _first_line(head: bytes) -> str:
    lines = head.decode(encoding_of(head[:64]), "replace").splitlines()
    return next((line for line in lines if line.strip()), "")


def _kind_of_line(line: str) -> str | None:
    words = line.split()
    if is_label_line(words) and len(words) == len(FIELDS):
        return ORIGINAL
    if is_label_line(words) and len(words) > len(FIELDS) + 4:  # five landmarks are ten numbers
        return _LANDMARKS
    cells = [cell.strip() for cell in next(csv.reader([line]), [])]
    if len(cells) != WIDTH:
        return None
    if is_vote_header(cells):
        return _FER_PLUS if cells[0].lower() == "usage" else CLEANED
    if not all(re.fullmatch(r"[\d.]+", cell) for cell in cells[2:]):
        return None
    return _FER_PLUS if re.match(r"fer\d{7}\.", cells[0]) else CLEANED


def _best(files: Files, ranked: list[tuple[int, str]]) -> str:
    """The first of the lists of one kind; those of equal rank must be copies of it."""
    (rank, first), *others = ranked
    for other_rank, name in others:
        if other_rank == rank and files.read(name) != files.read(first):
            raise UserError(f"{files.label} has two lists, {first} and {name}: remove the wrong one")
    return first


def _text(files: Files, name: str) -> str:
    data = files.read(name)
    try:
        return data.decode(encoding_of(data[:64]))
    except UnicodeDecodeError as error:
        raise UserError(f"{files.where(name)} is not text in UTF-8: download it again") from error


def _read_votes(files: Files, name: str, text: str, mode: str) -> Listing:
    try:
        return read_vote_table(text, mode)
    except UserError as error:
        raise UserError(f"{files.where(name)}, {error}") from error


def _images(files: Files, listing: Listing) -> dict[str, str]:
    """{photo: file}: by its name in whatever folder, or, for a PNG that is a JPEG here, by its name without ending.

    Raises:
        UserError: a name is in two folders, and not in just one that is called ``origin``.
    """
    named, stems = defaultdict(list), defaultdict(list)
    for name in files.names:
        path = PurePosixPath(name)
        named[path.name].append(path)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            stems[path.stem].append(path)
    images = {}
    for face in listing.faces:
        paths = named.get(face.photo) or (stems.get(face.id) if face.box is None else None)
        if not paths:
            continue
        if len(paths) > 1:
            paths = [path for path in paths if path.parent.name == "origin"] or paths
        if len(paths) > 1:
            raise UserError(
                f"{files.label} has {face.photo} twice, {paths[0]} and {paths[1]}, and neither folder alone is called "
                "origin: remove the folder that does not belong to the list"
            )
        images[face.photo] = str(paths[0])
    return images


def _no_list(files: Files) -> str:
    kinds = {name: _kind(files, name, None) for name in files.names if name.lower().endswith(_LIST_SUFFIXES)}
    other = next(((name, kind) for name, kind in kinds.items() if kind), None)
    if other:
        return f"{files.where(other[0])} is {_WHAT[other[1]]}, not label.lst or label_expw.csv: {_GIVE}."
    if packed := _packed(files):
        return f"{files.label} holds neither label.lst nor label_expw.csv: {packed}."
    if any(PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES for name in files.names):
        return (
            f"{files.label} holds images but neither label.lst nor label_expw.csv: {_GIVE}. Face crops in class "
            "folders are built with `fer-tl build folder`."
        )
    return f"{files.label} holds neither label.lst nor label_expw.csv: {_GIVE}."


def _no_images(files: Files, found: Found) -> str:
    """What to do about a list none of whose images is there."""
    where, faces = files.where(found.name), found.listing.faces
    if packed := _packed(files):
        return f"{where} is there but none of its images: {packed}."
    if files.names == [files.label]:
        return f"{where} is a list alone: {_GIVE}."
    stems = {PurePosixPath(name).stem for name in files.names}
    if found.kind == ORIGINAL:
        prefix = {stem.rsplit("_", 1)[0] for stem in stems}
        if any(PurePosixPath(face.photo).stem in prefix for face in faces):
            return f"{where} lists whole photos, but here are the crops of ExpW Cleaned: give label_expw.csv with them."
    elif any(face.group in stems for face in faces):
        return f"{where} lists face crops, but here are the whole photos: give label.lst with them."
    return f"none of the images that {where} lists is there (the first is {faces[0].photo}): {_GIVE}."


def _unpack_seven_zip(names: list[str]) -> str:
    first = re.sub(r"\.\d{3}$", ".001", names[0])
    return f"unpack all its parts at once with `7z x {first}`, then give the folder with what comes out"


def _packed(files: Files) -> str:
    """How to unpack the archives that lie there, "" if there are none."""
    packed = [name for name in files.names if _PACKED.fullmatch(name)]
    parts = [name for name in packed if _SEVEN_ZIP.fullmatch(name)]
    if parts:
        return _unpack_seven_zip(parts)
    return f"unpack {', '.join(packed[:3])} there, then give the folder" if packed else ""
