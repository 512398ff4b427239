"""Image files of known persons: sets recorded in a laboratory, whose file names tell who shows which expression."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fer_tl.core.archive_members import PassedOver, describe_passed_over, summarize_passed_over
from fer_tl.core.archives import Files, open_files
from fer_tl.core.classes import canonical_class
from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.core.safe_text import printable
from fer_tl.sources.findings import Skipped
from fer_tl.sources.image_source import Entry, ImageSource
from fer_tl.sources.images import find_images, image_paths
from fer_tl.sources.origin import Origin
from fer_tl.sources.records import UnusableExamples

STRANGE = "images whose names do not tell expression and person"


@dataclass(frozen=True)
class Portrait:
    """An image file: its name in the folder or archive, the class of what it shows, and who shows it."""

    name: str
    shows: str
    person: str


@dataclass(frozen=True)
class Portraits:
    """What was found in a folder or archive.

    Attributes:
        images: those to read.
        passed_over: files that are not read: {why: names}.
        beside: names of other files that were read.
        unusable: examples that are no use before an image is read.
        notes: lines to tell before the build.
    """

    images: list[Portrait]
    passed_over: PassedOver
    beside: list[str] = field(default_factory=list)
    unusable: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_names(files: Files, tell: Callable[[str], Portrait | str | None], example: str) -> Portraits:
    """The images of a set, each of whose names tells everything.

    Args:
        files: the folder or archive that holds the set.
        tell: what the name of an image tells; why it is passed over; or None for a name of no such form.
        example: a name of the form, for messages.

    Raises:
        UserError: no name has the form.
    """
    names, passed = find_images(files)
    images, strange = [], []
    for name in names:
        told = tell(name)
        if isinstance(told, Portrait):
            images.append(told)
        elif told is None:
            strange.append(name)
        else:
            passed.setdefault(told, []).append(name)
    found = Portraits(images, {**passed, STRANGE: strange}, notes=_contradictions(images))
    if not images:
        raise nothing_found(
            files, found, f"no image called like {example}, the published name that tells who shows what"
        )
    return found


def _contradictions(images: Sequence[Portrait]) -> list[str]:
    """A line about images that lie in a folder called like another class than their names say."""
    other = [each for each in images if canonical_class(PurePosixPath(each.name).parent.name) not in (None, each.shows)]
    if not other:
        return []
    return [
        f"Warning: {counted(len(other), 'image')} in a folder of another class than the name says, such as "
        f"{printable(other[0].name)} ({other[0].shows}): the names count."
    ]


def nothing_found(files: Files, found: Portraits, lacking: str) -> UserError:
    """The error where no image of a set was found; ``lacking`` says what."""
    told = describe_passed_over(summarize_passed_over(found.passed_over))
    return UserError(
        f"{files.label} holds {lacking}: give the set as it is published"
        + (f". {told}" if told else "")
        + " (Class folders of any names are read by `fer-tl build folder`.)"
    )


def open_portraits(
    path: Path,
    find: Callable[[Files], Portraits],
    classes: Sequence[str],
    *,
    image_size: int,
    fit: str,
    channels: int | None,
    options: dict[str, str],
    split: str | None = None,
) -> ImageSource:
    """Open a set whose persons are known, so that none is divided over splits or folds.

    Args:
        path: the folder or archive.
        find: finds its images.
        classes: all classes that it may have, in label order; those without an image are left out.
        image_size: height and width of the images to hand out, pixels.
        fit: how images that are not square become so, see ``fer_tl.faces.recipe.FaceRecipe``.
        channels: 1 or 3; None for 1 if every image is stored in grey, else 3.
        options: what else changes the examples, for the manifest.
        split: of all images; None to have one drawn.

    Raises:
        UserError: no images, one class only, or a class that one person alone shows.
    """
    files = open_files(path)
    try:
        found = find(files)
        if not found.images and found.unusable:
            raise UnusableExamples(found.unusable, 0, files.label, "Correct or replace them.")
        names = find_classes(found.images, classes, files.label)
        paths = image_paths(portrait.name for portrait in found.images)
        source = ImageSource(
            Origin(path, files, [*found.beside, *(portrait.name for portrait in found.images)]),
            files,
            [
                Entry(image.name, image.id, split, names.index(portrait.shows), portrait.person)
                for image, portrait in zip(paths, found.images, strict=True)
            ],
            class_names=names,
            size=image_size,
            channels=channels,
            options={"image_size": str(image_size), "fit": fit}
            | ({} if channels is None else {"channels": str(channels)})
            | options,
            notes=[*found.notes],
            fit=fit,
        )
    except BaseException:
        files.close()
        raise
    if any(image.split for image in paths):
        source.notes.append("Its folders that are called like splits are not used: they may divide persons.")
    source.unusable, source.passed_over = found.unusable, found.passed_over
    return source


def find_classes(images: Sequence[Portrait], classes: Sequence[str], label: str) -> tuple[str, ...]:
    """The classes that are there, of all that may be in label order.

    Raises:
        UserError: there is one only, or one that one person alone shows.
    """
    numbers = Counter(portrait.shows for portrait in images)
    names = tuple(name for name in classes if name in numbers)
    if len(names) < 2:
        raise UserError(f"{label} has one class only ({names[0]}): give the other expressions as well")
    shown_by = defaultdict(set)
    for portrait in images:
        shown_by[portrait.shows].add(portrait.person)
    alone = [name for name in names if len(shown_by[name]) == 1]
    if alone:
        name, (person,) = alone[0], shown_by[alone[0]]
        raise UserError(
            f"{label}: all {numbers[name]:,} images of '{name}' are of one person ({person}), who would have to be in "
            f"training and in test: add other persons' images of '{name}', or take these away"
        )
    return names
