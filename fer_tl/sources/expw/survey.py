"""A look at every line of a list and at the header of every photo, before the first one is decoded."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from fer_tl.core.archives import Files
from fer_tl.faces.cutting import face_window
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.sources.expw.faces import Face, Listing, Problem
from fer_tl.sources.expw.photos import Header, UnusablePhoto, read_header


@dataclass
class Survey:
    """What can be cut.

    Attributes:
        photos: the name in the files of each photo that is needed, in the order of the list, with its faces.
        problems: lines that cannot be used, in the order of the list.
        unsure: faces left out because the detector's confidence is too low.
        turned: photos whose EXIF tag asks for a turn.
    """

    photos: list[tuple[str, list[Face]]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unsure: int = 0
    turned: int = 0


def take_stock(
    files: Files, listing: Listing, images: dict[str, str], recipe: FaceRecipe, min_confidence: float | None
) -> Survey:
    """Find out which faces can be cut, at about 10,000 photos/s if the disk keeps up.

    Args:
        files: the folder or archive that holds the photos.
        listing: the list of faces.
        images: {photo as the list calls it: its name in the files}.
        recipe: how faces are cut.
        min_confidence: faces below it are left out, whatever else is wrong with them; None for all faces.
    """
    survey = Survey(problems=list(listing.problems))
    of_photo: dict[str, list[Face]] = defaultdict(list)
    for face in listing.faces:
        if min_confidence is not None and face.confidence is not None and face.confidence < min_confidence:
            survey.unsure += 1
        else:
            of_photo[face.photo].append(face)
    for photo, faces in of_photo.items():
        usable = []
        header = _header(files, photo, images)
        for face in faces:
            wrong = header if isinstance(header, str) else _outside(face, header, recipe)
            if wrong is None:
                usable.append(face)
            else:
                survey.problems.append(Problem(face.line, face.id, wrong))
        if usable:
            survey.photos.append((images[photo], usable))
            survey.turned += not isinstance(header, str) and header.turned
    survey.problems.sort(key=lambda problem: problem.line)
    return survey


def _header(files: Files, photo: str, images: dict[str, str]) -> Header | str:
    """The header of a photo, or what is wrong with it."""
    if photo not in images:
        return f"{photo} is missing"
    try:
        return read_header(files, images[photo])
    except UnusablePhoto as error:
        return str(error)


def _outside(face: Face, header: Header, recipe: FaceRecipe) -> str | None:
    """What is wrong with a box that covers nothing of its photo."""
    if face.box is None or face_window(face.box, header.height, header.width, recipe):
        return None
    return f"the box ({face.box}) is outside the photo, which has {header.height:,} rows and {header.width:,} columns"
