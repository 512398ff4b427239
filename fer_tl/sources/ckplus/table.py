"""CK+ as Kaggle's ckextended.csv: rows of pixels like FER-2013's, with contempt and without persons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fer_tl.core.classes import CLASS_NAMES, CONTEMPT
from fer_tl.sources.fer2013.csv_reader import CsvFile
from fer_tl.sources.fer2013.csv_source import CsvSource
from fer_tl.sources.fer2013.labels import CONTEMPT_LABEL
from fer_tl.sources.origin import FileSource, Origin
from fer_tl.sources.records import Record

NO_PERSONS = (
    "{} names no persons: the same one is in training, in test and in several folds, which makes results look better "
    "than they are. Build from cohn-kanade-images or from CK+48's files, or say who is in each row with --groups."
)
_USAGE = (
    "Its Usage column is not used, for it divides the frames of one sequence: a split is drawn in which copies stay "
    "together."
)


class CkTable(CsvSource):
    """Rows of ckextended.csv, 0 to 6 as FER-2013's and 7 contempt; a split is drawn.

    Args:
        origin: where the file was found.
        table: the file.
    """

    def __init__(self, origin: Origin, table: CsvFile) -> None:
        super().__init__(origin, [table], "ckplus", [])
        self.class_names, self.options = (*CLASS_NAMES, CONTEMPT), {}
        self.notes = [_USAGE] if table.split is None else []

    def records(self) -> Iterator[Record]:
        for record in super().records():
            yield replace(record, split=None)

    def warnings(self) -> list[str]:
        return [NO_PERSONS.format(self.name), *FileSource.warnings(self)]

    @property
    def _emotions(self) -> list[list[int | None]]:
        contempt = self.class_names.index(CONTEMPT)
        known = {CONTEMPT_LABEL: contempt, **{label: label for label in range(len(CLASS_NAMES))}}
        return [[known.get(label) for label in found.labels] for found in self._surveys]
