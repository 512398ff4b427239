"""The images that a table is about: files beside it, or pixels in its own cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_tl.core.archive_members import PassedOver, describe_passed_over, summarize_passed_over
from fer_tl.core.archives import Files
from fer_tl.core.csv_tables import Table, parse_table, read_table
from fer_tl.core.errors import UserError
from fer_tl.sources.findings import Skipped
from fer_tl.sources.images import find_images
from fer_tl.sources.table.pixel_rows import find_pixels, read_pixel_rows

_TABLES = (".csv", ".tsv")
_WHAT = "images and their classes"


@dataclass(frozen=True)
class TableImages:
    """A table and its images.

    Attributes:
        table: read.
        inside: its name in what was given; None if it lies elsewhere.
        files: that hold the images.
        names: of the images.
        passed: what else was given.
        side: that all images have, pixels; None if it is not known.
        unusable: rows whose picture cannot be used.
    """

    table: Table
    inside: str | None
    files: Files
    names: list[str]
    passed: PassedOver
    side: int | None = None
    unusable: Sequence[Skipped] = ()


def open_images(files: Files, table: Path | None, path_column: str | None) -> TableImages:
    """Find the images and read the table.

    Raises:
        UserError: there are no images, also not in a table, or no table.
    """
    names, passed = find_images(files)
    tables = [name for name in files.names if name.lower().endswith(_TABLES)]
    if not names and not table and len(tables) == 1 and (pixels := find_pixels(files, tables[0], path_column)):
        rows = read_pixel_rows(files, tables[0], pixels)
        return TableImages(rows.table, tables[0], rows.files, rows.files.names, passed, rows.side, rows.unusable)
    if not names:
        told = describe_passed_over(summarize_passed_over(passed))
        raise UserError(f"{files.label} holds no images: give their folder or archive with --source. {told}".strip())
    if table:
        return TableImages(read_table(table, (), _WHAT), None, files, names, passed)
    inside = _only_table(files)
    return TableImages(parse_table(files.read(inside), inside, (), _WHAT), inside, files, names, passed)


def _only_table(files: Files) -> str:
    found = [name for name in files.names if name.lower().endswith(_TABLES)]
    if len(found) == 1:
        return found[0]
    there = f"has several ({', '.join(found[:3])})" if found else "has none"
    raise UserError(f"{files.label} {there}: give the CSV of the images' classes with --table")
