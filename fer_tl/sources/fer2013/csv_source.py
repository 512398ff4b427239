"""FER-2013 out of one CSV, or out of one for each split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from itertools import islice

from PIL import Image

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.sources.class_counts import tabulate
from fer_tl.sources.csv_pixels import SIZE
from fer_tl.sources.fer2013.csv_reader import CsvFile, Row
from fer_tl.sources.fer2013.csv_survey import NO_LABEL, Survey, survey
from fer_tl.sources.fer2013.ferplus import FerPlus
from fer_tl.sources.fer2013.labels import CONTEMPT_LABEL, READ_AS_FER, count_warnings
from fer_tl.sources.findings import Findings, Skipped
from fer_tl.sources.images import is_constant
from fer_tl.sources.origin import CONSTANT, FileSource, Origin
from fer_tl.sources.records import Record, UnusableExamples, reason_of
from fer_tl.sources.votes import Verdict


class CsvSource(FileSource):
    """FER-2013 rows; an id is the row's number from 0 in five digits, after the file's name if there are several.

    Args:
        origin: where the files were found.
        tables: the CSV files, in the order of their splits.
        labels: what numbers mean as classes, a key of ``LABEL_ORDERS``, or None (FER-2013's if that is certain).
        notes: see ``Source``.
    """

    kind = "csv"
    divides = True

    def __init__(self, origin: Origin, tables: list[CsvFile], labels: str | None, notes: list[str]) -> None:
        said = [
            f"{table.where} has no Usage column: all rows go to {table.split}."
            + (" (Its name says no split.)" if table.guessed else "")
            for table in tables
            if table.split
        ]
        said += [
            f"Warning: the column {table.persons[0]!r} of {table.where} is not read: if it says who is in each row, "
            "give it with --groups, a CSV with columns id (the row's number from 0) and group, or folds divide persons."
            for table in tables
            if table.persons
        ]
        super().__init__(origin, CLASS_NAMES, {"labels": labels} if labels else {}, notes + said)
        self._tables = tables
        self._order = labels
        self._votes: FerPlus | None = None

    def use_votes(self, votes: FerPlus) -> None:
        """Take the labels from FER+ in place of the emotion column; call it before ``records``.

        Raises:
            UserError: there is no table of all splits whose rows they can be compared with.
        """
        if len(self._tables) > 1 or self._tables[0].split:
            raise UserError(
                f"{self.name} is not a single table with a Usage column, which FER+'s votes are joined to: "
                "give fer2013.csv"
            )
        self._votes = votes
        self.options = {**self.options, "ferplus": votes.sha256, "votes": votes.mode}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (SIZE, SIZE, 1)

    def counts(self) -> dict[str, dict[str, int]]:
        """Rows of each split and class, without those that are left out."""
        return self._tabulate(self._labels)

    def names(self) -> dict[str, str | None]:
        ids = [
            self._id(table, index)
            for table, labels in zip(self._tables, self._labels, strict=True)
            for index, label in enumerate(labels)
            if label is not None
        ]
        return {identity: identity for identity in ids}

    def total(self) -> int:
        return sum(label is not None for label in self.part.of([label for labels in self._labels for label in labels]))

    def records(self) -> Iterator[Record]:
        # Before a table is open: labels and the image of each box are found by reading them all.
        _, surveyed = self.crop, self._labels
        self.findings, good = Findings(), 0
        first, stop = self.part.span(sum(map(len, surveyed)))
        for table, found, labels in zip(self._tables, self._surveys, surveyed, strict=True):
            within = max(0, first), max(0, min(stop, len(labels)))
            first, stop = first - len(labels), stop - len(labels)
            for row in islice(table.rows(), *within):
                label = labels[row.index]
                if label is None:
                    continue
                try:
                    record = self._record(table, row, found.splits[row.index], label)
                except UserError as error:
                    place = table.place(row.index, row.line)
                    self.findings.skipped.append(Skipped(place, self._id(table, row.index), reason_of(error, place)))
                    continue
                good += 1
                yield record
        self.stop_at_errors(good)

    def skipped(self) -> list[Skipped]:
        return sorted([*self._unlabelled, *self.findings.skipped], key=lambda row: row.what)

    def _record(self, table: CsvFile, row: Row, split: str, label: int) -> Record:
        image, crop, size, photo = table.image(row), "", (SIZE, SIZE), None  # [48, 48, 1]
        identity = self._id(table, row.index)
        if self.crop:
            picture = Image.fromarray(image[..., 0])
            photo = self.photo_of(picture)
            image, size, crop = self.cut(picture, identity, SIZE)
        self.findings.counts[CONSTANT] += is_constant(image)
        verdict = self._votes.verdicts[row.index] if self._votes else Verdict(label)
        return Record(
            split, identity, label, image, identity, verdict.targets, crop, size, photo, measures=verdict.measures
        )

    def warnings(self) -> list[str]:
        lines = []
        contempt = sum(label == CONTEMPT_LABEL for found in self._surveys for label in found.labels)
        if self._votes:
            lines += self._votes.warnings(self._surveys[0])
        elif contempt:
            lines.append(f"{counted(contempt, 'row')} of contempt left out: FER-2013 has no such class.")
        lines += super().warnings()
        differing = count_warnings(self._tabulate(self._emotions), whole=False)
        guessed = differing and self._order is None and any(found.numbered for found in self._surveys)
        return [*lines, *differing, *([READ_AS_FER] if guessed else [])]

    def _id(self, table: CsvFile, index: int) -> str:
        return f"{table.stem}-{index:05d}" if len(self._tables) > 1 else f"{index:05d}"

    @cached_property
    def _surveys(self) -> list[Survey]:
        found = survey(self._tables, self._order)
        if not any(one.labels for one in found):
            raise UserError(f"{self._tables[0].where} has a header but no rows: download it again")
        return found

    @property
    def _unlabelled(self) -> list[Skipped]:
        """Rows whose cells cannot be used, whatever their pixels are."""
        rows = []
        for table, found in zip(self._tables, self._surveys, strict=True):
            for index, problem in found.problems.items():
                place = problem.removeprefix(table.where).partition(": ")[0]
                reason = reason_of(UserError(problem), f"{table.where}{place}")
                rows.append(Skipped(f"{table.where}{place}", self._id(table, index), reason))
        return rows

    @property
    def _emotions(self) -> list[list[int | None]]:
        """What the emotion column of each table says of each row, None for contempt and where it cannot be used."""
        without = (CONTEMPT_LABEL, NO_LABEL)
        return [[None if label in without else label for label in found.labels] for found in self._surveys]

    @cached_property
    def _labels(self) -> list[list[int | None]]:
        """The label of each row of each table, None if it is left out."""
        if not self._votes:
            return self._emotions
        (found,), (table,) = self._surveys, self._tables
        if found.problems and self.on_error == "stop":  # before rows are compared that may be damaged
            rows = self._unlabelled
            raise UnusableExamples(rows, len(found.labels) - len(rows), self.name, "Correct or remove them.")
        labels = self._votes.join(found, table.where)
        return [[None if index in found.problems else label for index, label in enumerate(labels)]]

    def _tabulate(self, labels: list[list[int | None]]) -> dict[str, dict[str, int]]:
        rows = (
            row
            for found, known in zip(self._surveys, labels, strict=True)
            for row in zip(found.splits, known, strict=True)
        )
        return tabulate(Counter((split, label) for split, label in rows if label is not None), self.class_names)
