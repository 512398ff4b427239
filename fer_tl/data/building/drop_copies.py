"""Looks at a whole dataset before it is written: duplicates, groups, the split, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from fer_tl.core.counting import counted, fitting
from fer_tl.core.errors import UserError
from fer_tl.core.say import Say
from fer_tl.data.building.copies_summary import summarize_copies
from fer_tl.data.building.copy_check import MOST_LOST, refuse_what_is_suspicious
from fer_tl.data.building.crowding import MOST
from fer_tl.data.building.curation import Curation, Stored
from fer_tl.data.building.duplicates import Duplicates, find_duplicates
from fer_tl.data.building.given_groups import (
    describe_groups,
    one_spelling,
    refuse_one_person,
    refuse_useless,
    warn_of_ungrouped,
)
from fer_tl.data.building.grouping import join_named, merge_groups, merge_photos
from fer_tl.data.building.image_buffer import Spool, sketches_of
from fer_tl.data.building.leaving_out import SAME_GROUP, check_left, leave_out_groups, warn_of_groups, why_left_out
from fer_tl.data.building.outcome import GroupNames, Outcome
from fer_tl.data.building.reading import ReadPart, read_part
from fer_tl.data.building.rows import Rows, as_text, each, text_of
from fer_tl.data.building.splitting import choose_splits, describe_split
from fer_tl.data.examples import write_examples
from fer_tl.data.fingerprints import fingerprint_in_order
from fer_tl.data.records.stream import decode_stored
from fer_tl.data.tones import Tones
from fer_tl.sources.findings import Findings
from fer_tl.sources.records import SPLITS, Source, check_share

_AT_ONCE = 1 << 20


class Curated:
    """A source that was read, and what is to be written of it; close it to free the disk.

    Args:
        source: where it is from.
        curation: see there.
        place: an empty folder for the images meanwhile.
        say: called before what may take minutes.
        parts: all parts of the source, in their order, if they were read before; else it is read now, as one.

    Attributes:
        class_names: names in label order.
        image_shape: (H, W, C).
        encoding: "png" or "jpeg".
        examples: every example in the order of the source, also those left out.
        order: int64 ``[N]``, the rows in the order of their ids.
        duplicates: what was found, for the manifest: see `Manifest.duplicates`.
        tones: of the images that were read.
        warnings: what groups leave out or leave open.

    Raises:
        UserError: an example that cannot be used, an id that occurs twice, or nothing left to train on.
    """

    def __init__(
        self,
        source: Source,
        curation: Curation,
        place: Path,
        say: Say = lambda line: None,
        parts: Sequence[ReadPart] = (),
    ) -> None:
        looks = curation.duplicates != "keep"
        parts = parts or [read_part(source, place, curation.encoding, looks)]
        source.findings = sum((part.findings for part in parts), Findings())
        _judge(source, sum(part.count for part in parts))
        self.class_names, self.image_shape = source.class_names, parts[0].image_shape
        self.encoding = curation.encoding
        self.warnings: list[str] = []
        self.tones = Tones(source.findings.counts)
        self._source, self._place, self._places = source, place, [part.place for part in parts]
        self._rows = Rows(self._places, place)
        self.order = np.argsort(self._rows.id, kind="stable")
        _refuse_twice(self._rows.id, self.order)
        self._spool = Spool(self._places, self._rows)
        try:
            self._curate(source, curation, say)
        except BaseException:
            self.close()
            raise
        self.duplicates = summarize_copies(self.examples, curation.duplicates)

    def _curate(self, source: Source, curation: Curation, say: Say) -> None:
        """Decides on groups, splits and what is left out of the rows that were read."""
        rows, labels = self._rows, self._rows.label
        left_out = np.zeros(len(rows), bool)
        if curation.exclude:
            left_out = np.isin(rows.id, [name.encode() for name in curation.exclude.match(self._names)])
        persons = self._persons(curation, say)
        found = None
        names, self._known = _own_groups(rows, self.order)
        photographed = self._known
        if curation.duplicates != "keep":
            found = self._find_copies(say)
            photographed = merge_photos(self._places, rows.starts.tolist(), photographed, self._place)
            photographed = merge_groups(photographed, found.clusters)
        groups, of_photos = photographed, names
        for person in persons:
            _, self._known = _join_named(of_photos, self._known, person)
            names, groups = _join_named(names, groups, person)
        splits = self._splits(names, groups, curation, say)
        clusters = [] if found is None else _clusters(found, self.order)
        for person in persons:
            refuse_one_person(person, labels, ~left_out, self.class_names)
        kept = why_left_out(left_out, splits, labels, clusters, curation.duplicates)
        kept = leave_out_groups(kept, splits, photographed, "same photo as ")
        kept = leave_out_groups(kept, splits, groups, SAME_GROUP)
        check_left(kept, splits, source.name)
        first = np.full(len(rows), -1, np.int32)
        for cluster in clusters:
            first[cluster] = cluster[0]
        exact = np.zeros(len(rows), bool) if found is None else found.exact
        codes, (why, reasons) = _codes(splits, SPLITS), _reasons(kept)
        self.examples = Outcome(rows, self.class_names, codes, groups, names, why, reasons, first, exact)
        if persons and (names[groups] != of_photos[photographed]).any():
            self.warnings += warn_of_groups(kept, splits, labels, as_text(names[groups]), self.class_names)

    def _splits(self, names: GroupNames, groups: np.ndarray, curation: Curation, say: Say) -> np.ndarray:
        """The split of each row, text or object ``[N]``."""
        own = self._rows.splits()
        if own[0] is not None and curation.splits is None and curation.test_share is None:
            return own
        texts = as_text(self._rows.id), self._rows.label, as_text(names[groups])
        known = {} if curation.splits is None else self._names
        splits = choose_splits(own.tolist(), *texts, self.class_names, curation, known)
        if told := describe_split(own.tolist(), curation):
            say(told)
        return splits

    @cached_property
    def _names(self) -> dict[str, str | None]:
        """{name: id} for every name that an example goes by, None if several do."""
        return {**self._source.names(), **{name: name for name in map(text_of, self._rows.id)}}

    def _find_copies(self, say: Say) -> Duplicates:
        say(f"Looking for copies among {counted(len(self._rows), 'image')}.")
        found = find_duplicates(self._rows.pixels, sketches_of(self._places, self._place), self._stored)
        if found.one_scene:
            say(
                "The images share ground, light or a mask: only those of nearly equal pixels are taken for copies, for "
                "others may be takes of one person."
            )
        if found.limited:
            say(
                f"{counted(found.limited, 'image')} {fitting(found.limited, 'looks', 'look')} like more than {MOST} "
                f"others each: only the {MOST} most alike were compared, so copies that were moved or cropped may be "
                "missed among the rest."
            )
        return found

    def _persons(self, curation: Curation, say: Say) -> list[np.ndarray]:
        """Who is in each image, text [N] with "" for unknown, as far as the source says it and as the user does."""
        persons = []
        if self._rows.person is not None:
            named, told = one_spelling(as_text(self._rows.person), "the source")
            for line in (*told, describe_groups(named, "the source")):
                say(line)
            persons.append(named)
        if curation.groups is not None:
            ids, said = list(map(text_of, self._rows.id)), curation.groups.said
            given, told = one_spelling(curation.groups.match(ids, self._names), said)
            refuse_useless(given, said)
            for line in told:
                say(line)
            say(describe_groups(given, said))
            self.warnings += warn_of_ungrouped(given, ids, said)
            persons.append(given)
        return persons

    def look_over(self, picture: Path, most_lost: float = MOST_LOST) -> None:
        """Stops where copies make up so much that a person has to look; see `refuse_what_is_suspicious`."""
        if (self.examples.cluster >= 0).any():
            refuse_what_is_suspicious(
                self.examples, self._rows.pixels, self._spool.encoded, picture, most_lost, self._known
            )

    @property
    def has_targets(self) -> bool:
        """Whether every example has soft targets."""
        return self._rows.has_targets

    def counts(self) -> dict[str, dict[str, int]]:
        """{split: {class: examples to write}}, splits in the order of `SPLITS`."""
        return self.examples.counts()

    def fingerprints(self) -> dict[str, str]:
        """See ``split_fingerprints``."""
        stamps = self.examples.stamps(self.order)
        return fingerprint_in_order(stamps, self.examples.first_splits(), self.class_names, self.image_shape)

    def write_examples(self, directory: Path) -> None:
        """See ``examples.write_examples``."""
        write_examples(self.examples, directory, each(self.order), self._rows.measures)

    def _stored(self, row: int) -> np.ndarray:
        return decode_stored(self._spool.encoded(row), self.image_shape)

    def records(self, split: str) -> Iterator[Stored]:
        """The examples of a split to write."""
        examples, rows = self.examples, self._rows
        for row in each(examples.rows_of(split)):
            encoded, targets = self._spool.encoded(row), rows.targets(row)
            yield Stored(text_of(rows.id[row]), int(rows.label[row]), examples.group_of(row), encoded, targets)

    def close(self) -> None:
        self._spool.close()


def _judge(source: Source, good: int) -> None:
    """Raise ``UserError`` for what all parts together do not allow."""
    source.stop_at_errors(good)
    check_share(source.skipped(), good, source.name)
    if not good:
        raise UserError(f"{source.name} holds no example that can be used: see the reasons above, or give other data.")
    source.judge()


def _refuse_twice(ids: np.ndarray, order: np.ndarray) -> None:
    """Raise ``UserError`` if an id is there twice; ``order`` sorts them, those that are equal by their rows."""
    again = len(ids)
    for start in range(1, len(ids), _AT_ONCE):
        later = order[start : start + _AT_ONCE]
        equal = later[ids[later] == ids[order[start - 1 : start - 1 + len(later)]]]
        again = min(again, int(equal.min(initial=again)))
    if again < len(ids):
        raise UserError(f"Two examples have the id {text_of(ids[again])!r}: rename one of the files.")


def _own_groups(rows: Rows, order: np.ndarray) -> tuple[GroupNames, np.ndarray]:
    """The groups that the source knows, as places in their names: int ``[N]``; ``order`` sorts the ids."""
    if rows.group is rows.id:
        own = np.empty(len(rows), np.int64)
        own[order] = np.arange(len(rows))
        return GroupNames(rows.id, order), own
    _, first, groups = np.unique(rows.group, return_index=True, return_inverse=True)
    return GroupNames(rows.group, first), groups


def _join_named(names: GroupNames, groups: np.ndarray, persons: np.ndarray) -> tuple[GroupNames, np.ndarray]:
    """``join_named`` of groups that are places in names, both ways."""
    joined = join_named(as_text(names[groups]), persons)
    found, places = np.unique(np.char.encode(joined, "utf-8"), return_inverse=True)
    return GroupNames(found), places


def _codes(words: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Places of words, object or text ``[N]``, in names: uint8 ``[N]``."""
    found = np.zeros(len(words), np.uint8)
    for code, name in enumerate(names):
        found[words == name] = code
    return found


def _reasons(kept: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reasons, object ``[N]``, as places in those that there are."""
    different = tuple(sorted(set(kept)))
    return _codes(kept, different), different


def _clusters(found: Duplicates, order: np.ndarray) -> list[list[int]]:
    """The rows of examples that are copies of one another, in ``order``, which sorts them by their ids."""
    sizes = np.bincount(found.clusters, minlength=len(order))
    several = order[sizes[found.clusters[order]] > 1]
    members: dict[int, list[int]] = {int(first): [] for first in np.flatnonzero(sizes > 1)}
    for row, first in zip(several.tolist(), found.clusters[several].tolist(), strict=True):
        members[first].append(row)
    return list(members.values())
