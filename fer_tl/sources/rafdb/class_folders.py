"""RAF-DB as its copies have it: class folders that are called by their numbers, or by names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from fer_tl.core.archives import Files
from fer_tl.core.classes import canonical_class
from fer_tl.core.errors import UserError
from fer_tl.sources.folder.classes import refuse_merged
from fer_tl.sources.image_source import Entry
from fer_tl.sources.images import ImagePath, image_paths, splits_of
from fer_tl.sources.label_orders import LabelOrder, number_of
from fer_tl.sources.origin import Origin
from fer_tl.sources.rafdb.labels import class_names, official_split, order_of
from fer_tl.sources.rafdb.source import RafSource


def open_class_folders(path: Path, files: Files, names: list[str], labels: str | None, image_size: int) -> RafSource:
    """The images ``names`` by the folders that they lie in; for the others see
    ``fer_tl.sources.rafdb.reader.open_rafdb``.

    Raises:
        UserError: a folder that is not a class, numbers that may mean two things, or images in another split than
            RAF-DB's.
    """
    paths = image_paths(names)
    numbers = {number for one in paths if (number := number_of(one.folder)) is not None}
    if labels is not None and not numbers:
        raise UserError(f"{files.label} has names for classes, not numbers: leave --labels out")
    order = order_of(numbers, labels, f"{files.label}, which has no list_patition_label.txt,")
    class_of = {folder: _class(folder, order) for folder in {one.folder for one in paths}}
    strange = next((one for one in paths if class_of[one.folder] is None), None)
    if strange is not None:
        raise UserError(_strange(strange, order, files, bool(numbers)))
    splits, notes = _splits(paths, files)
    refuse_merged([(s, one.folder) for one, s in zip(paths, splits, strict=True)], class_of, files.label)
    classes = class_names({str(name) for name in class_of.values()})
    if numbers:
        notes.append(f"Numbered folders are read in the order of {order.of}: {_meanings(order)}.")
    return RafSource(
        Origin(path, files, names),
        files,
        [
            Entry(one.name, identity, split, classes.index(str(class_of[one.folder])))
            for one, identity, split in zip(paths, _ids(paths), splits, strict=True)
        ],
        class_names=classes,
        size=image_size,
        channels=3,
        options={"image_size": str(image_size)} | ({"labels": labels} if labels else {}),
        notes=notes,
    )


def _ids(paths: list[ImagePath]) -> list[str]:
    """The names that a list would give the images, or their paths where these repeat."""
    stems = [PurePosixPath(path.name).stem.removesuffix("_aligned") for path in paths]
    return stems if len({*stems}) == len(stems) else [path.id for path in paths]


def _class(folder: str, order: LabelOrder) -> str | None:
    number = number_of(folder)
    if number is None:
        return canonical_class(folder)
    return order.names[number - order.first] if order.first <= number <= order.last else None


def _meanings(order: LabelOrder) -> str:
    return ", ".join(f"{number} {name}" for number, name in enumerate(order.names, order.first))


def _strange(path: ImagePath, order: LabelOrder, files: Files, numbered: bool) -> str:
    """What to do about an image whose folder is not a class."""
    if numbered:
        known = f"none of the numbers {order.first} to {order.last} of {order.of}"
        return f"{files.where(path.name)} lies in {path.folder!r}, {known}: rename or remove the folder"
    folder = repr(path.folder) if path.folder else "no folder"
    return (
        f"{files.where(path.name)} lies in {folder}, which is not a class, and there is no list_patition_label.txt: "
        "give the folder or archive that holds that list and the images, or class folders (1 to 7, or names)"
    )


def _splits(paths: list[ImagePath], files: Files) -> tuple[list[str], list[str]]:
    """The split of each image, by its folder or else by its name, and lines to tell.

    Raises:
        UserError: an image lies in training or validation that is one of the official test images, or the other way.
    """
    official = [official_split(PurePosixPath(path.name).stem) for path in paths]
    if all(official) and not any(path.split for path in paths):
        return [str(split) for split in official], ["Splits are taken from the file names (train_, test_)."]
    splits, note = splits_of(paths, files.label)
    for path, split, said in zip(paths, splits, official, strict=True):
        if said is not None and (said == "test") != (split == "test"):
            raise UserError(
                f"{files.where(path.name)} is in {split}, but its name says that RAF-DB has it in {said}: put it back, "
                "or build a split of your own with `fer-tl build folder/NAME`"
            )
    return splits, [note] if note else []
