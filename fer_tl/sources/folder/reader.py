"""Anyone's images in class folders, with or without splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from fer_tl.core.archive_members import describe_passed_over, summarize_passed_over
from fer_tl.core.archives import Files, open_files
from fer_tl.core.classes import canonical_class
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import refuse_names_that_are_no_text
from fer_tl.sources.folder.classes import name_classes
from fer_tl.sources.format import DEFAULT_IMAGE_SIZE
from fer_tl.sources.image_source import Entry, ImageSource
from fer_tl.sources.images import ImagePath, find_images, image_paths, split_is_below, splits_of
from fer_tl.sources.origin import Origin
from fer_tl.sources.records import SPLITS
from fer_tl.sources.split_names import canonical_split

_NOT_USED = "{} are not used: if each is a person, build with --group-regex '{}', or folds divide them."
_TABLES = (".csv", ".tsv", ".lst", ".xlsx", ".json")


def open_folder(
    path: Path,
    image_size: int = DEFAULT_IMAGE_SIZE,
    fit: str = "pad",
    labels: str | None = None,
    channels: int | None = None,
    bits: int | None = None,
) -> ImageSource:
    """Open ``root/<class>/*``, ``root/<split>/<class>/*`` or ``root/<class>/<split>/*``, or an archive of it.

    Folders that hold one folder and no images may lie around these. Where all classes have known names, a folder for
    each person may lie in each class, or around its classes.

    Which classes the folders are, says ``name_classes``.

    Args:
        path: the folder or archive.
        image_size: height and width of the images to hand out, pixels.
        fit: how images that are not square become so, see ``fer_tl.faces.recipe.FaceRecipe``.
        labels: what numbered folders mean, a key of ``LABEL_ORDERS``; None if they have names.
        channels: 1 or 3; None for 1 if every image is stored in grey, else 3.
        bits: used of images with samples of 16 bits that do not say so; None for all.

    Raises:
        UserError: no images, numbered folders of unknown meaning, images outside class folders or deeper in them, or
            splits for only some of them.
    """
    files = open_files(path)
    try:
        source = _read(path, files, image_size, fit, labels, channels)
    except BaseException:
        files.close()
        raise
    source.bits = bits
    given = {"channels": channels, "bits": bits}
    source.options |= {name: str(value) for name, value in given.items() if value is not None}
    return source


def _read(path: Path, files: Files, image_size: int, fit: str, labels: str | None, channels: int | None) -> ImageSource:
    names, passed = find_images(files)
    if not names:
        told = describe_passed_over(summarize_passed_over(passed))
        raise UserError(
            f"{files.label} holds no images: give a folder or zip with a folder of images for each class."
            + (f" {told}" if told else "")
        )
    paths, others = _of_known_classes(image_paths(names))
    splits, note = splits_of(paths, files.label)
    _refuse_classless(paths, files)
    classes = name_classes(((s, p.folder) for p, s in zip(paths, splits, strict=True)), labels, files.label)
    if len(classes.names) < 2:
        raise UserError(
            f"{files.label} has one class only ({classes.names[0]}): put the images of each class in a folder"
        )
    if split_is_below(_folders(path) for path in paths):
        note = f"{files.label} has its splits below its classes: class/split/image."
    depth = _class_depth(paths) + bool(others)
    deeper = next((path for path in paths if len(_folders(path)) != depth + 1), None)
    if deeper is not None:
        raise UserError(
            f"{files.where(deeper.name)} lies too deep: class folders hold images directly, or folders for "
            "each person where all classes have known names"
        )
    source = ImageSource(
        Origin(path, files, [image.name for image in paths]),
        files,
        [Entry(p.name, p.id, split, classes.label_of[p.folder]) for p, split in zip(paths, splits, strict=True)],
        class_names=classes.names,
        size=image_size,
        channels=channels,
        options={"image_size": str(image_size), "fit": fit} | ({"labels": labels} if labels else {}),
        fit=fit,
        notes=[line for line in (note, others) if line]
        + classes.notes
        + ([] if others else _empty_classes(paths, files)),
    )
    source.passed_over = passed
    return source


def _of_known_classes(paths: list[ImagePath]) -> tuple[list[ImagePath], str]:
    """The images with their classes, and a line to tell, where other folders lie between the classes and all images, or
    divide all classes: ``happy/anna/1.png``, ``anna/happy/1.png``. Known names tell which of the two are classes."""
    folders = [_folders(path) for path in paths]
    if not folders or min(map(len, folders)) < 2 or split_is_below(folders):
        return paths, ""
    nearest, above = ({parts[place] for parts in folders} for place in (-1, -2))
    if len(above) < 2 or all(map(canonical_split, above)) or len({parts[:-2] for parts in folders}) > len(SPLITS):
        return paths, ""
    if all(map(canonical_class, nearest)) and not any(map(canonical_class, above)):
        return paths, _NOT_USED.format(f"Folders that hold the classes ({_some(above)})", "([^/]+)/[^/]+/[^/]+$")
    if all(map(canonical_class, above)) and not any(map(canonical_class, nearest)):
        line = _NOT_USED.format(f"Folders in the classes ({_some(nearest)})", "([^/]+)/[^/]+$")
        return [replace(path, folder=parts[-2]) for path, parts in zip(paths, folders, strict=True)], line
    return paths, ""


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")


def _folders(path: ImagePath) -> tuple[str, ...]:
    return PurePosixPath(path.name).parent.parts


def _class_depth(paths: list[ImagePath]) -> int:
    """How many folders lie above the class folders: those that all images share, and those that are splits."""
    folders = [_folders(path) for path in paths]
    depth = 0
    if split_is_below(folders):
        folders = [(*parts[:-2], parts[-1], parts[-2]) for parts in folders]
    while all(len(parts) > depth + 1 for parts in folders):
        names = {parts[depth] for parts in folders}
        if len(names) > 1 and not all(map(canonical_split, names)):
            break
        depth += 1
    return depth


def _empty_classes(paths: list[ImagePath], files: Files) -> list[str]:
    """A line for each folder beside the class folders that holds no images."""
    if split_is_below(_folders(path) for path in paths):
        return []
    classes = {PurePosixPath(path.name).parent for path in paths}
    beside = {folder.parent for folder in classes}
    empty = [
        folder for folder in map(PurePosixPath, files.folders) if folder.parent in beside and folder not in classes
    ]
    refuse_names_that_are_no_text(map(str, empty))
    return [f"{files.where(str(folder))} holds no images: it is passed over." for folder in empty if folder.name]


def _refuse_classless(paths: list[ImagePath], files: Files) -> None:
    """Raise ``UserError`` for images whose folders are not classes, or one class only."""
    outside = next((path for path in paths if not path.folder), None)
    if outside is not None:
        raise UserError(f"{files.where(outside.name)} lies in no class folder: move it into one or remove it")
    folders = sorted({path.folder for path in paths})
    if all(map(canonical_split, folders)) and not any(path.split for path in paths):
        raise UserError(
            f"{files.label} has no class folders: the folders of its images are called like splits "
            f"({', '.join(folders)}). Put the images of each class in a folder of its own, such as train/happy"
        )
    if len(folders) < 2:
        table = next((name for name in files.names if name.lower().endswith(_TABLES)), None)
        raise UserError(
            f"{files.label} has one class only ({folders[0]}): put the images of each class in a folder."
            + (f" Labels in a table ({table}) are not read." if table else "")
        )
