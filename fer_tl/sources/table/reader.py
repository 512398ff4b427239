"""Images in a folder or archive, and a table of what is in each; or a table that holds the pictures themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fer_tl.core.archive_members import PassedOver
from fer_tl.core.archives import open_files
from fer_tl.core.csv_tables import Table, TableRow, is_missing
from fer_tl.core.errors import UserError
from fer_tl.sources.findings import Skipped
from fer_tl.sources.folder.classes import name_classes
from fer_tl.sources.format import DEFAULT_IMAGE_SIZE
from fer_tl.sources.image_source import Entry, ImageSource
from fer_tl.sources.images import NO_IMAGES, image_paths
from fer_tl.sources.origin import Origin
from fer_tl.sources.records import SPLITS, Record
from fer_tl.sources.split_names import canonical_split
from fer_tl.sources.table.boxes import read_boxes, read_sides
from fer_tl.sources.table.columns import describe_guess, find_columns
from fer_tl.sources.table.images import open_images
from fer_tl.sources.table.matching import Finder, Match
from fer_tl.sources.table.pixel_rows import PICTURE

_NOT_LISTED = "images that the table does not list"


class TableSource(ImageSource):
    """Images that a table lists; faces of one photo are one group.

    Attributes:
        photo_of_id: {id: name of its image file}, of files with several rows.
    """

    photo_of_id: Mapping[str, str]

    def records(self) -> Iterator[Record]:
        for record in super().records():
            yield replace(record, group=self.photo_of_id.get(record.id, record.group))


@dataclass(frozen=True)
class _Listed:
    """A row whose image was found."""

    row: TableRow
    name: str
    split: str
    label: str
    person: str


def open_table(
    path: Path,
    table: Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
    box_columns: str | None = None,
    image_size: int | None = None,
    fit: str = "pad",
    channels: int | None = None,
    labels: str | None = None,
    box_margin: float | None = None,
) -> TableSource:
    """Open images and the CSV that says what is in them.

    Args:
        path: the folder or archive of the images, or a CSV with a column of pixels, see ``pixel_rows``.
        table: the CSV; None for the only one in there.
        path_column: where it names the image, see ``matching.Finder``, or has its pixels; this and the others as
            ``find_columns`` does it.
        label_column: where it says the class, a name, or a number of the order ``labels``.
        split_column: where it says the split.
        group_column: where it says who is in the image.
        box_columns: see ``boxes.read_sides``.
        image_size: height and width of the images to hand out, pixels; None for those of pixels in the table, else
            ``DEFAULT_IMAGE_SIZE``.
        fit: see ``fer_tl.faces.recipe.FaceRecipe``.
        channels: 1 or 3; None for 1 if every image is stored in grey, else 3.
        labels: what numbers mean, a key of ``LABEL_ORDERS``.
        box_margin: see ``fer_tl.faces.recipe.FaceRecipe``.

    Raises:
        UserError: no images, no table, columns that cannot be told, or rows that contradict one another.
    """
    files = open_files(path)
    try:
        opened = open_images(files, table, path_column)
        read, inside, names = opened.table, opened.inside, opened.names
        if opened.side:
            path_column, image_size = PICTURE, image_size or opened.side
        image_size = image_size or DEFAULT_IMAGE_SIZE
        given = {"path": path_column, "label": label_column, "split": split_column, "group": group_column}
        columns, guessed = find_columns(read.header, given, read.name)
        sides = read_sides(box_columns, read.header, read.name) if box_columns else {}
        listed, unusable = _find_rows(read, columns, names, files.label)
        lines = describe_guess(columns, guessed, read.name)
        if "group" in columns and _is_useless(listed, "group" in guessed, columns["group"], read.name):
            lines.append(
                f"{read.name}: each image has another {columns['group']!r}: it is not a person, and holds nothing."
            )
            listed = [replace(each, person="") for each in listed]
        if "split" not in columns:
            lines.append(f"{read.name} names no splits: all images go to train.")
        options = {"table": read.sha256, "image_size": str(image_size), "fit": fit}
        options |= {f"{role}_column": column for role, column in columns.items() if column != PICTURE}
        own = {"labels": labels, "channels": channels, "box_columns": box_columns}
        options |= {key: str(value) for key, value in own.items() if value is not None}
        ids = _ids(listed, bool(sides))
        classes = name_classes([(each.split, each.label) for each in listed], labels, read.name, "label")
        if len(classes.names) < 2:
            raise UserError(f"{read.name} has one class only ({classes.names[0]}): give images of others as well")
        source = TableSource(
            Origin(path, files, [str(inside)] if opened.side else sorted({each.name for each in listed})),
            opened.files,
            [
                Entry(each.name, identity, each.split, classes.label_of[each.label], each.person)
                for each, identity in zip(listed, ids, strict=True)
            ],
            class_names=classes.names,
            size=image_size,
            channels=channels,
            options=options,
            notes=lines + classes.notes,
            fit=fit,
        )
    except BaseException:
        files.close()
        raise
    source.kind = "pixels in a table" if opened.side else "images and table"
    source.unusable = [*opened.unusable, *unusable]
    source.passed_over = _passed_over(opened.passed, inside, sorted({*names} - {each.name for each in listed}))
    times = Counter(each.name for each in listed)
    pairs = zip(ids, listed, strict=True)
    source.photo_of_id = {identity: each.name for identity, each in pairs if times[each.name] > 1}
    if sides:
        rows = {identity: each.row for identity, each in zip(ids, listed, strict=True)}
        source.use_boxes(read_boxes(rows, sides, read), box_margin or 0.0)
        # The boxes are those of the table, whose hash is there; not those of --boxes.
        source.options = {key: value for key, value in source.options.items() if key != "boxes"}
    return source


def _passed_over(passed: PassedOver, table: str | None, others: list[str]) -> PassedOver:
    """What is not read: without the table, with images that it does not list."""
    return {**passed, NO_IMAGES: [name for name in passed.get(NO_IMAGES, []) if name != table], _NOT_LISTED: others}


def _find_rows(
    table: Table, columns: Mapping[str, str], names: list[str], where: str
) -> tuple[list[_Listed], list[Skipped]]:
    """The rows whose images are there, and those that cannot be used.

    Raises:
        UserError: a split that is none, a row without a person where others have one, or no image of any row.
    """
    finder, listed, unusable = Finder(names), [], []
    best: dict[str, int] = {}
    found = [finder.find(row.cells[columns["path"]]) for row in table.rows]
    for match in found:
        if isinstance(match, Match):
            best[match.name] = max(best.get(match.name, 0), match.parts)
    for row, match in zip(table.rows, found, strict=True):
        path, label = row.cells[columns["path"]], _said(row, columns, "label")
        split, person = _split(row, columns), _said(row, columns, "group")
        if "group" in columns and not person:
            raise UserError(f"{row.place}: no {columns['group']}: fill it in, or leave it out with --group-column none")
        if isinstance(match, Match) and label and match.parts == best[match.name]:
            listed.append(_Listed(row, match.name, split, label, person))
        elif isinstance(match, Match):
            # Another row names more of the path of that file.
            reason = "there is no such file" if label else f"no {columns['label']}"
            unusable.append(Skipped(row.place, path, reason))
        else:
            unusable.append(Skipped(row.place, path, match if path else f"no {columns['path']}"))
    if not listed:
        first = unusable[0]
        raise UserError(
            f"{table.name}: none of its {len(table.rows):,} rows can be used (the first, {first.what[:80]!r}: "
            f"{first.reason}); images in {where} are called like {names[0]!r}: give their folder or archive, or "
            "another --path-column"
        )
    return listed, unusable


def _said(row: TableRow, columns: Mapping[str, str], role: str) -> str:
    """What a row says of a role; "" if nothing."""
    text = row.cells[columns[role]] if role in columns else ""
    return "" if is_missing(text) else text


def _split(row: TableRow, columns: Mapping[str, str]) -> str:
    if "split" not in columns:
        return "train"
    text = row.cells[columns["split"]]
    split = canonical_split(text)
    if split is None:
        raise UserError(
            f"{row.place}: {columns['split']} is {text[:40]!r}, none of {', '.join(SPLITS)}: correct it, or leave the "
            "column out with --split-column none"
        )
    return split


def _is_useless(listed: list[_Listed], guessed: bool, column: str, name: str) -> bool:
    """Whether each image has a person of its own, where there are some.

    Raises:
        UserError: and the user names that column, or all images have one person.
    """
    persons = {each.person for each in listed}
    if len(persons) == 1 and len(listed) > 1:
        raise UserError(
            f"{name}: all images are of one {column}, {listed[0].person[:40]!r}, so that nothing can be divided: give "
            "another --group-column, or none"
        )
    if len(persons) < len({each.name for each in listed}):
        return False
    if not guessed:
        raise UserError(
            f"{name}: each image has another {column}, which holds nothing together: give another "
            "--group-column, or none"
        )
    return True


def _ids(listed: list[_Listed], boxed: bool) -> list[str]:
    """Unique ids of rows: that of the image file, with the number of the face where a photo has several.

    Raises:
        UserError: two rows are about one image, and there are no boxes to tell them apart.
    """
    id_of = {path.name: path.id for path in image_paths(sorted({each.name for each in listed}))}
    rows_of: dict[str, list[_Listed]] = {}
    for each in listed:
        rows_of.setdefault(each.name, []).append(each)
    numbers: dict[str, int] = dict.fromkeys(rows_of, 0)
    found = []
    for each in listed:
        rows = rows_of[each.name]
        if len(rows) > 1 and not boxed:
            raise UserError(
                f"{rows[1].row.place}: {each.name} is in {rows[0].row.place} already: keep one row of each image, "
                "or say with --box-columns which face each row is about"
            )
        found.append(id_of[each.name] if len(rows) == 1 else f"{id_of[each.name]}#{numbers[each.name]}")
        numbers[each.name] += 1
    return found
