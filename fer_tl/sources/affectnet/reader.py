"""Opens AffectNet in either of its layouts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from fer_tl.core.archives import Files, open_files
from fer_tl.core.classes import CLASS_NAMES, CONTEMPT
from fer_tl.core.errors import UserError
from fer_tl.faces.box_table import BoxRow, BoxTable
from fer_tl.sources.affectnet.annotations import find_annotations, read_annotations
from fer_tl.sources.affectnet.faces import Listing
from fer_tl.sources.affectnet.lists import find_lists, other_lists, read_lists
from fer_tl.sources.format import DEFAULT_IMAGE_SIZE
from fer_tl.sources.image_source import Entry, ImageSource
from fer_tl.sources.images import IMAGE_SUFFIXES
from fer_tl.sources.origin import Origin
from fer_tl.sources.records import Record, UnusableExamples

_NOT_NAMED = "images of which no list or annotation says anything"
_GIVE = (
    "give the folder or archive that holds training.csv, validation.csv and the photos, or train_set and val_set with "
    "images and annotations"
)


class AffectNet(ImageSource):
    """Faces with valence and arousal; the group of a face is its photo."""

    kind = "affectnet"
    listing: Listing

    def records(self) -> Iterator[Record]:
        measures = {face.id: face.measures for face in self.listing.faces}
        for record in super().records():
            yield replace(record, measures=measures[record.id])

    def warnings(self) -> list[str]:
        told = self.listing.describe_left_out()
        return [told, *super().warnings()] if told else super().warnings()


def open_affectnet(path: Path, image_size: int = DEFAULT_IMAGE_SIZE, box_margin: float = 0.0) -> AffectNet:
    """Open AffectNet: CSV lists with photos, whose faces are cut by the boxes of the lists, or folders of faces with
    annotations.

    Images that have no expression (none, uncertain, no face) are left out and counted. Images are read in colour.

    Args:
        path: the folder or archive.
        image_size: height and width of the faces to hand out, pixels.
        box_margin: what to add on each side of a box, see ``FaceRecipe``.

    Raises:
        UserError: nothing usable is there.
        UnusableExamples: no face can be used.
    """
    files = open_files(path)
    try:
        return _open(path, files, image_size, box_margin)
    except BaseException:
        files.close()
        raise


def _open(path: Path, files: Files, image_size: int, box_margin: float) -> AffectNet:
    lists, annotations = find_lists(files), find_annotations(files)
    if lists and annotations:
        raise UserError(
            f"{files.label} has lists ({next(iter(lists.values()))}) and annotations ({annotations[0]}): give the "
            "folder of one of the two layouts"
        )
    if not lists and not annotations:
        raise UserError(_nothing(files))
    listing = read_lists(files, lists) if lists else read_annotations(files, annotations)
    if not listing.faces:
        if listing.problems:
            raise UnusableExamples(listing.problems, 0, files.label, "Correct the lists.")
        raise UserError(f"{files.label} holds no face with an expression. {listing.describe_left_out()}".rstrip())
    classes = listing.class_names
    source = AffectNet(
        Origin(path, files, [*listing.lists, *(face.image for face in listing.faces)]),
        files,
        [Entry(face.image, face.id, face.split, classes.index(face.class_name)) for face in listing.faces],
        class_names=classes,
        size=image_size,
        channels=3,
        options={"image_size": str(image_size)},
        notes=_notes(classes) + _unread(files, lists),
    )
    source.listing, source.unusable = listing, listing.problems
    source.passed_over = {**files.passed_over, _NOT_NAMED: _not_named(files, listing)}
    if lists:
        source.use_boxes(_table(listing), box_margin)
    return source


def _table(listing: Listing) -> BoxTable:
    """The boxes of the lists."""
    names = " and ".join(PurePosixPath(name).name for name in listing.lists)
    rows = tuple(BoxRow(face.id, face.box, face.place) for face in listing.faces)
    written = "".join(f"{row.name}\0{row.box}\n" for row in rows)
    return BoxTable(names, hashlib.sha256(written.encode()).hexdigest(), rows)


def _not_named(files: Files, listing: Listing) -> list[str]:
    named = {face.image for face in listing.faces} | listing.seen
    return [name for name in files.names if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and name not in named]


def _notes(classes: tuple[str, ...]) -> list[str]:
    if CONTEMPT not in classes:
        return []
    return [f"{CONTEMPT} is an eighth class: train with --classes '[{', '.join(CLASS_NAMES)}]' to leave it out."]


def _unread(files: Files, lists: dict[str, str]) -> list[str]:
    return [
        f"Warning: {name} is not read, for its name says no split: call it training.csv or validation.csv."
        for name in (other_lists(files, lists) if lists else ())
    ]


def _nothing(files: Files) -> str:
    """What to do about a source that is not AffectNet."""
    if files.names == [files.label]:
        return f"{files.label} is one file: {_GIVE}"
    table = next((name for name in files.names if name.lower().endswith(".csv")), None)
    if table is not None:
        return f"{files.label} has no list with the column subDirectory_filePath ({table} is none): {_GIVE}"
    if any(PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES for name in files.names):
        return (
            f"{files.label} holds images but neither lists nor annotations: {_GIVE}. Class folders are built with "
            "`fer-tl build folder/NAME`, numbered ones with --labels affectnet"
        )
    return f"{files.label} holds neither lists nor annotations: {_GIVE}"
