"""FER+'s votes on the rows of fer2013.csv, joined by the order of the rows."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.archives import Files, open_files
from fer_tl.core.checksums import hash_stream
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.counting import counted
from fer_tl.core.csv_tables import data_rows, encoding_of, first_row
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import readable, refuse_non_data
from fer_tl.sources.fer2013.csv_survey import Survey
from fer_tl.sources.split_names import canonical_split
from fer_tl.sources.votes import COLUMNS, Verdict, check_mode, decide, describe_left_out, read_votes

TABLE = "fer2013new.csv"
_FIRST_LINE = "Usage,Image name," + ",".join(COLUMNS)
_GIVE = "the votes belong to the rows of the official fer2013.csv in its order, give that"

# Labels in another order agree as chance would have it, a Cohen's kappa of 0; people agree with FER-2013's labels on
# 65 % (Goodfellow et al., "Challenges in representation learning", ICONIP 2013), where chance has about 20 %: 0.55.
_LEAST_KAPPA = 0.2


@dataclass(frozen=True)
class FerPlus:
    """fer2013new.csv as read.

    Attributes:
        where: its name for messages.
        sha256: of the table, 64 hexadecimal digits.
        mode: of ``fer_tl.sources.votes.MODES``.
        splits: of each row.
        verdicts: on each row.
    """

    where: str
    sha256: str
    mode: str
    splits: list[str]
    verdicts: list[Verdict]

    def join(self, survey: Survey, where: str) -> list[int | None]:
        """The label of each row of fer2013.csv, None where the votes leave it out.

        The names of the images in the table are no help: they are not the numbers of the rows, and some are empty.

        Args:
            survey: of fer2013.csv.
            where: its name for messages.

        Raises:
            UserError: it has another number of rows, or they are in another order as far as Usage and emotion tell.
        """
        if len(self.splits) != len(survey.splits):
            raise UserError(
                f"{self.where} has {len(self.splits):,} rows, but {where} has {len(survey.splits):,}: {_GIVE}"
            )
        pairs = zip(self.splits, survey.splits, strict=True)  # "" where a row cannot be used
        wrong = next((row for row, (ours, theirs) in enumerate(pairs) if theirs not in ("", ours)), None)
        if wrong is not None:
            raise UserError(
                f"row {wrong + 1:,} is in {self.splits[wrong]} in {self.where}, but in {survey.splits[wrong]} "
                f"in {where}: {_GIVE}"
            )
        agreement, chance, _ = self._compare(survey)
        if agreement < chance + _LEAST_KAPPA * (1 - chance):
            raise UserError(
                f"{self.where} agrees with the emotions in {where} on {agreement:.0%} of the rows, little more than by "
                f"chance ({chance:.0%}): {_GIVE}"
            )
        return [verdict.label for verdict in self.verdicts]

    def warnings(self, survey: Survey) -> list[str]:
        """What is left out, and how far the labels are those of fer2013.csv."""
        agreement, _, rows = self._compare(survey)
        counts = Counter(verdict.reason for verdict in self.verdicts if verdict.reason)
        return [
            f"FER+ {describe_left_out(counts, self.mode)}",
            f"FER+ has FER-2013's own label in {agreement:.1%} of the {rows:,} rows kept.",
        ]

    def _compare(self, survey: Survey) -> tuple[float, float, int]:
        """Share of the rows that have the same label in both, share expected by chance, and rows with both labels."""
        ours = np.array([-1 if verdict.label is None else verdict.label for verdict in self.verdicts])  # [R]
        theirs = np.array(survey.labels)  # [R]
        both = (ours >= 0) & (theirs >= 0)
        if not both.any():
            return 0.0, 0.0, 0
        shares = [np.bincount(labels[both], minlength=len(CLASS_NAMES)) / both.sum() for labels in (ours, theirs)]
        return float((ours == theirs)[both].mean()), float(shares[0] @ shares[1]), int(both.sum())


def read_ferplus(path: Path, mode: str) -> FerPlus:
    """Read fer2013new.csv.

    Args:
        path: the table, or an archive or a folder that holds it.
        mode: how votes become labels, one of ``fer_tl.sources.votes.MODES``.

    Raises:
        UserError: there is no such table, or a row of it is damaged.
    """
    check_mode(mode)
    with closing(open_files(path)) as files:
        names = [name for name in files.names if name.rsplit("/", 1)[-1].lower() == TABLE] or files.names
        if len(names) != 1:
            raise UserError(f"{files.label} holds {len(names):,} files of which none or several are {TABLE}: give one")
        where = files.where(names[0])
        rows = list(_rows(files, names[0], mode))
        if not rows:
            raise UserError(f"{where} has a header but no rows: download it again")
        with readable(where), files.open(names[0]) as stream:
            sha256 = hash_stream(stream)
    return FerPlus(where, sha256, mode, [split for split, _ in rows], [verdict for _, verdict in rows])


def _rows(files: Files, name: str, mode: str) -> Iterator[tuple[str, Verdict]]:
    where = files.where(name)
    head = files.head(name, 1 << 12)
    refuse_non_data(head[:512], where)
    encoding = encoding_of(head)
    delimiter, cells = first_row(head.decode(encoding, "replace"))
    columns = {cell.lower(): position for position, cell in enumerate(cells)}
    missing = [column for column in ("Usage", *COLUMNS) if column.lower() not in columns]
    if missing:
        raise UserError(f"{where} has no column {missing[0]}: give FER+'s {TABLE}, which begins {_FIRST_LINE}")
    usage, votes = columns["usage"], [columns[column.lower()] for column in COLUMNS]
    with readable(where), files.open(name) as stream:
        text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
        for number, (line, row) in enumerate(data_rows(text, delimiter, where), 1):
            place = f"{where}, row {number:,} (line {line:,})"
            if len(row) < len(cells) or any(cell.strip(" \0") for cell in row[len(cells) :]):
                raise UserError(
                    f"{place}: {counted(len(row), 'cell')} for the {len(cells)} columns: download the table again"
                )
            split = canonical_split(row[usage])
            if split is None:
                raise UserError(f"{place}: unknown Usage {row[usage][:40]!r}: download the table again")
            yield split, decide(read_votes([row[position] for position in votes], place), mode)
