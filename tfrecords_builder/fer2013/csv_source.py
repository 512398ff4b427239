"""FER-2013 out of one CSV, or out of one for each split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from PIL import Image

from fer_tl.data.classes import CLASS_NAMES
from fer_tl.errors import UserError
from tfrecords_builder.fer2013.csv_reader import SIZE, CsvFile, Survey, survey
from tfrecords_builder.fer2013.labels import CONTEMPT_LABEL, count_warnings
from tfrecords_builder.files import Origin
from tfrecords_builder.images import is_constant, to_square
from tfrecords_builder.records import Record, Source, tabulate


class CsvSource(Source):
    """FER-2013 rows; an id is the row's number from 0 in five digits, after the file's name if there are several.

    Args:
        origin: where the files were found.
        tables: the CSV files, in the order of their splits.
        options: see `Source`.
        notes: see `Source`.
    """

    kind = "csv"

    def __init__(self, origin: Origin, tables: list[CsvFile], options: dict[str, str], notes: list[str]) -> None:
        self.name = origin.name
        self.class_names = CLASS_NAMES
        self.options = options
        self.notes = notes + [
            f"{table.where} has no Usage column: all rows go to {table.split}."
            + (" (Its name says no split.)" if table.guessed else "")
            for table in tables
            if table.split
        ]
        self._origin = origin
        self._tables = tables
        self._surveyed: list[Survey] | None = None
        self._constant = 0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (SIZE, SIZE, 1)

    def counts(self) -> dict[str, dict[str, int]]:
        """Rows of each split and class, those of contempt left out."""
        return tabulate(sum((found.counts for found in self._survey()), Counter()), self.class_names)

    def names(self) -> dict[str, str | None]:
        ids = [
            self._id(table, index)
            for table, found in zip(self._tables, self._survey(), strict=True)
            for index in range(found.rows)
            if index not in found.contempt
        ]
        return {identity: identity for identity in ids}

    def total(self) -> int:
        return sum(sum(found.counts.values()) for found in self._survey())

    def records(self) -> Iterator[Record]:
        cropping = self.crop  # before a table is open: finding the image of each box reads them all
        for table in self._tables:
            for row in table.rows():
                if row.label == CONTEMPT_LABEL:
                    continue
                image, crop, size = table.image(row), "", (SIZE, SIZE)  # [48, 48, 1]
                identity = self._id(table, row.index)
                if cropping:
                    picture, crop = cropping.cut(Image.fromarray(image[..., 0]), identity)
                    image, size = to_square(picture, SIZE), (picture.height, picture.width)
                self._constant += is_constant(image)
                yield Record(row.split, identity, row.label, image, group=identity, crop=crop, size=size)

    def sha256(self) -> str:
        return self._origin.sha256()

    def warnings(self) -> list[str]:
        lines = []
        contempt = sum(len(found.contempt) for found in self._survey())
        if contempt:
            lines.append(f"{contempt:,} rows of contempt left out: FER-2013 has no such class.")
        if self._constant:
            lines.append(f"{self._constant:,} images are one flat colour (no face in them); they are kept.")
        return lines + count_warnings(self.counts(), whole=False)

    def close(self) -> None:
        self._origin.files.close()

    def _id(self, table: CsvFile, index: int) -> str:
        return f"{table.stem}-{index:05d}" if len(self._tables) > 1 else f"{index:05d}"

    def _survey(self) -> list[Survey]:
        if self._surveyed is None:
            found = [survey(table) for table in self._tables]
            if not any(one.counts for one in found):
                raise UserError(f"{self._tables[0].where} has a header but no rows: download it again.")
            self._surveyed = found
        return self._surveyed
