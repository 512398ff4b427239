"""Looks at a whole dataset before it is written: duplicates, groups, the split, and what is left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.progress import CountProgress
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
from fer_tl.data.building.grouping import Photos, hash_pixels, join_named, merge_groups
from fer_tl.data.building.image_buffer import Spool
from fer_tl.data.building.leaving_out import SAME_GROUP, check_left, leave_out_groups, warn_of_groups, why_left_out
from fer_tl.data.building.splitting import choose_splits, describe_split
from fer_tl.data.examples import KEPT, Example
from fer_tl.data.fingerprints import Stamp
from fer_tl.data.records.stream import decode_stored
from fer_tl.data.splits import SPLITS
from fer_tl.data.tones import Tones
from fer_tl.sources.check import checked_records
from fer_tl.sources.records import Source, check_share


@dataclass(slots=True)
class _Row:
    """What is remembered of a record besides its pixels: about 500 bytes."""

    split: str | None
    id: str
    label: int
    group: str
    person: str
    targets: np.ndarray | None
    crop: str
    size: tuple[int, int]
    pixels: str
    measures: Mapping[str, float]


class Curated:
    """A source that was read, and what is to be written of it; close it to free the disk.

    Args:
        source: read once, by this call.
        curation: see there.
        place: an empty folder for the images meanwhile.
        say: called before what may take minutes.

    Attributes:
        class_names: names in label order.
        image_shape: (H, W, C).
        encoding: "png" or "jpeg".
        examples: every example in the order of the source, also those left out.
        duplicates: what was found, for the manifest: see `Manifest.duplicates`.
        tones: of the images that were read.
        warnings: what groups leave out or leave open.

    Raises:
        UserError: an example that cannot be used, an id that occurs twice, or nothing left to train on.
    """

    def __init__(self, source: Source, curation: Curation, place: Path, say: Say = lambda line: None) -> None:
        self.class_names = source.class_names
        self.image_shape = source.image_shape
        self.encoding = curation.encoding
        self.warnings: list[str] = []
        self._spool = Spool(place, curation.encoding, sketched=curation.duplicates != "keep")
        self._photos = Photos(place) if curation.duplicates != "keep" else None
        try:
            self.tones = Tones()
            self._rows = _read(source, self._spool, self._photos, self.tones)
            self._curate(source, curation, say)
        except BaseException:
            self.close()
            raise
        self.duplicates = summarize_copies(self.examples, curation.duplicates)

    def _curate(self, source: Source, curation: Curation, say: Say) -> None:
        """Decides on groups, splits and what is left out of the rows that were read."""
        rows, names = self._rows, {**source.names(), **{row.id: row.id for row in self._rows}}
        ids, labels = np.array([row.id for row in rows]), np.array([row.label for row in rows])  # [N], [N]
        excluded = curation.exclude.match(names) if curation.exclude else frozenset()
        persons = self._persons(names, curation, say)
        found = None
        photographed = self._known = np.array([row.group for row in rows])  # [N]
        if self._photos is not None:
            found = self._find_copies(say)
            photographed = merge_groups(self._photos.merge(photographed), found.clusters)
        groups = photographed
        for each in persons:
            groups, self._known = join_named(groups, each), join_named(self._known, each)
        own = [row.split for row in rows]
        splits = choose_splits(own, ids, labels, groups, self.class_names, curation, names)
        if told := describe_split(own, curation):
            say(told)
        clusters = [] if found is None else _clusters(found, ids)
        counted = ~np.isin(ids, [*excluded])
        for each in persons:
            refuse_one_person(each, labels, counted, self.class_names)
        kept = why_left_out(ids, splits, labels, clusters, curation.duplicates, excluded)
        kept = leave_out_groups(kept, splits, photographed, "same photo as ")
        kept = leave_out_groups(kept, splits, groups, SAME_GROUP)
        check_left(kept, splits, source.name)
        self.examples = _describe(rows, splits, groups, self.class_names, kept, clusters, found)
        if (groups != photographed).any():
            self.warnings += warn_of_groups(kept, splits, labels, groups, self.class_names)

    def _find_copies(self, say: Say) -> Duplicates:
        say(f"Looking for copies among {len(self._rows):,} images.")
        found = find_duplicates([row.pixels for row in self._rows], self._spool.sketches(), self._stored)
        if found.one_scene:
            say(
                "The images share ground, light or a mask: only those of nearly equal pixels are taken for copies, for "
                "others may be takes of one person."
            )
        if found.limited:
            say(
                f"{found.limited:,} images look like more than {MOST} others each: they were compared with the {MOST} "
                "most alike, so copies that were moved or cropped may be missed among the rest."
            )
        return found

    def _persons(self, names: Mapping[str, str | None], curation: Curation, say: Say) -> list[np.ndarray]:
        """Who is in each image, text [N] with "" for unknown, as far as the source says it and as the user does."""
        ids, persons = [row.id for row in self._rows], [np.array([row.person for row in self._rows])]
        if persons[0].any():
            persons[0], told = one_spelling(persons[0], "the source")
            for line in (*told, describe_groups(persons[0], "the source")):
                say(line)
        if curation.groups is not None:
            said = curation.groups.said
            given, told = one_spelling(curation.groups.match(ids, names), said)
            refuse_useless(given, said)
            for line in told:
                say(line)
            say(describe_groups(given, said))
            self.warnings += warn_of_ungrouped(given, ids, said)
            persons.append(given)
        return persons

    def look_over(self, picture: Path, most_lost: float = MOST_LOST) -> None:
        """Stops where copies make up so much that a person has to look; see `refuse_what_is_suspicious`."""
        pixels, known = [row.pixels for row in self._rows], self._known.tolist()
        refuse_what_is_suspicious(self.examples, pixels, self._spool.encoded, picture, most_lost, known)

    @property
    def has_targets(self) -> bool:
        """Whether every example has soft targets."""
        return self._rows[0].targets is not None

    def counts(self) -> dict[str, dict[str, int]]:
        """{split: {class: examples to write}}, splits in the order of `SPLITS`."""
        found = Counter((example.split, example.class_name) for example in self.examples if example.kept == KEPT)
        splits = [split for split in SPLITS if any(key[0] == split for key in found)]
        return {split: {name: found[split, name] for name in self.class_names} for split in splits}

    def crops(self) -> dict[str, dict[str, int]]:
        """See `Manifest.crops`."""
        found = Counter((example.split, example.crop) for example in self.examples if example.kept == KEPT)
        return {
            split: {
                "cropped": found[split, "cropped"] + found[split, "clipped"],
                "whole": found[split, "whole"],
                "clipped": found[split, "clipped"],
            }
            for split in self.counts()
            if any(key[1] for key in found)
        }

    def stamps(self) -> list[Stamp]:
        """What goes into the fingerprints, of every example to write."""
        return [
            Stamp(
                example.split,
                example.id,
                example.group,
                row.label,
                row.pixels if self.encoding == "png" else self._stored_pixels(index),
                b"" if row.targets is None else row.targets.tobytes(),
            )
            for index, (example, row) in enumerate(zip(self.examples, self._rows, strict=True))
            if example.kept == KEPT
        ]

    def _stored_pixels(self, index: int) -> str:
        """The hash of what a compressed image is read back as: that is what is learnt from."""
        return hash_pixels(self._stored(index))

    def _stored(self, index: int) -> np.ndarray:
        return decode_stored(self._spool.encoded(index), self.image_shape)

    def records(self, split: str) -> Iterator[Stored]:
        """The examples of a split to write."""
        for index, (example, row) in enumerate(zip(self.examples, self._rows, strict=True)):
            if example.split == split and example.kept == KEPT:
                yield Stored(example.id, row.label, example.group, self._spool.encoded(index), row.targets)

    def close(self) -> None:
        self._spool.close()
        if self._photos is not None:
            self._photos.close()


def _read(source: Source, spool: Spool, photos: Photos | None, tones: Tones) -> list[_Row]:
    rows: list[_Row] = []
    seen = set()
    with CountProgress(source.total(), "examples read") as progress:
        for record in checked_records(source):
            if record.id in seen:
                raise UserError(f"Two examples have the id {record.id!r}: rename one of the files.")
            seen.add(record.id)
            spool.add(record.image)
            tones.add(record.image)
            if photos is not None:
                photos.add(record)
            rows.append(
                _Row(
                    record.split,
                    record.id,
                    record.label,
                    record.group,
                    record.person,
                    record.targets,
                    record.crop,
                    record.size,
                    hash_pixels(record.image),
                    record.measures,
                )
            )
            progress.step()
    check_share(source.skipped(), len(rows), source.name)
    if not rows:
        raise UserError(f"{source.name} holds no example that can be used: see the reasons above, or give other data.")
    return rows


def _clusters(found: Duplicates, ids: np.ndarray) -> list[list[int]]:
    """The rows of examples that are copies of one another, in the order of their ids, text [N]."""
    members = defaultdict(list)
    for index, first in enumerate(found.clusters.tolist()):
        members[first].append(index)
    return [sorted(rows, key=lambda index: ids[index]) for rows in members.values() if len(rows) > 1]


def _describe(
    rows: list[_Row],
    splits: np.ndarray,
    groups: np.ndarray,
    class_names: tuple[str, ...],
    kept: list[str],
    clusters: list[list[int]],
    found: Duplicates | None,
) -> list[Example]:
    """What is written down of every example."""
    names, copies = [""] * len(rows), [""] * len(rows)
    for cluster in clusters:
        assert found is not None  # there are clusters
        for index in cluster:
            names[index] = rows[cluster[0]].id
            copies[index] = "exact" if found.exact[index] else "near"
    return [
        Example(
            row.id, str(splits[i]), class_names[row.label], str(groups[i]), names[i], copies[i], kept[i], *row.size,
            row.crop, row.measures,
        )
        for i, row in enumerate(rows)
    ]  # fmt: skip
