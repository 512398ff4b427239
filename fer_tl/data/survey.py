"""What is in a built dataset: duplicates, blank pictures, brightness, sizes, crops. The test split stays closed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.randomness import example_keys, uniform
from fer_tl.data.dataset import load_dataset
from fer_tl.data.directory import dataset_directory
from fer_tl.data.examples import FILE_NAME, KEPT, Example, read_examples
from fer_tl.data.looks import Looks, join_looks, measure
from fer_tl.data.manifest import Manifest, read_manifest

CLOSED_SPLIT = "test"
"""Its pictures are neither shown nor measured: ``fer-tl evaluate`` alone opens them. Its counts are known."""


@dataclass(frozen=True)
class Cluster:
    """Images that are copies of each other, exact or near: two or more, in order of their ids."""

    members: tuple[Example, ...]

    @cached_property
    def splits(self) -> set[str]:
        """Official splits of its members."""
        return {member.split for member in self.members}

    @cached_property
    def class_names(self) -> set[str]:
        """Labels of its members."""
        return {member.class_name for member in self.members}


@dataclass(frozen=True, eq=False)
class Survey:
    """A built dataset and what was found in it. The arrays hold the N examples of the records outside the closed split.

    Attributes:
        manifest: of the dataset.
        examples: everything that its build has read, in the records or not, of all splits.
        clusters: duplicates among them, the largest first.
        ids: text ``[N]``.
        labels: int64 ``[N]``.
        splits: text ``[N]``.
        looks: of the N images.
        images: pixels by id, uint8 ``[H, W, C]``, 0..255.
    """

    manifest: Manifest
    examples: tuple[Example, ...]
    clusters: tuple[Cluster, ...]
    ids: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    looks: Looks
    images: Mapping[str, np.ndarray]

    @cached_property
    def by_id(self) -> dict[str, Example]:
        """The examples by their ids."""
        return {example.id: example for example in self.examples}

    @property
    def all_splits(self) -> list[str]:
        """Those of the records, then those that have lost all their examples."""
        return list(dict.fromkeys([*self.manifest.counts, *sorted({example.split for example in self.examples})]))

    @property
    def open_splits(self) -> list[str]:
        """Those of the N examples."""
        return [split for split in self.manifest.counts if split != CLOSED_SPLIT]

    @property
    def conflicts(self) -> list[Cluster]:
        """Clusters whose members have different labels."""
        return [cluster for cluster in self.clusters if len(cluster.class_names) > 1]

    def sample(self, class_name: str, count: int) -> list[str]:
        """Ids of some images of a class, at most ``count``: the same ones whenever the examples are the same."""
        ids = self.ids[self.labels == self.manifest.class_names.index(class_name)]
        drawn = uniform(example_keys(ids), "inspect")
        return [str(identity) for identity in ids[np.argsort(drawn, kind="stable")[:count]]]

    def lowest(self, values: np.ndarray, count: int) -> list[str]:
        """Ids of the images with the lowest values, float64 ``[N]``; those on which nothing is seen are passed over."""
        order = np.lexsort((self.ids, values))  # equal values in order of their ids
        seen = order[~(self.looks.is_blank | self.looks.is_nearly_blank)[order]]
        return [str(identity) for identity in self.ids[seen[:count]]]

    def counts(self) -> dict[str, dict[str, int]]:
        """Images by property and split, in the order in which they are told. What needs pixels is not counted in the
        closed split, so it is not there."""
        height, width, _ = self.manifest.image_shape
        enlarged = Counter(e.split for e in self.examples if 0 < e.height < height or 0 < e.width < width)
        reasons = sorted({example.kept for example in self.examples} - {KEPT})
        return {
            "read": self._count("copy", "exact", "near", ""),
            "exact copies": self._count("copy", "exact"),
            "near copies": self._count("copy", "near"),
            **{f"left out: {reason}": self._count("kept", reason) for reason in reasons},
            "in the records": self._count("kept", KEPT),
            "cropped to a box": self._count("crop", "cropped", "clipped"),
            "box beyond the image": self._count("crop", "clipped"),
            "whole, without a box": self._count("crop", "whole"),
            "enlarged": {split: enlarged[split] for split in self.all_splits},
            "blank": self._count_open(self.looks.is_blank),
            "nearly blank": self._count_open(self.looks.is_nearly_blank),
        }

    def _count(self, field: str, *values: str) -> dict[str, int]:
        found = Counter((example.split, getattr(example, field)) for example in self.examples)
        return {split: sum(found[split, value] for value in values) for split in self.all_splits}

    def _count_open(self, chosen: np.ndarray) -> dict[str, int]:
        return {split: int(chosen[self.splits == split].sum()) for split in self.open_splits}


def survey(name: str, data_dir: str | Path = "data") -> Survey:
    """Look at all that a built dataset holds, but for the pixels of the closed split.

    Needs no TensorFlow.

    Args:
        name: ``fer2013``, ``toyfaces``, ``folder/mine``.
        data_dir: folder that holds the built datasets.

    Raises:
        UserError: not built, half built, or built by a version that wrote no table of examples.
    """
    directory = dataset_directory(Path(data_dir), name)
    manifest = read_manifest(directory)
    examples = tuple(read_examples(directory))
    _check(directory, manifest, examples)
    # One by one: several splits at once would be copied into memory, a single one is mapped.
    parts = [load_dataset(name, data_dir, split) for split in manifest.counts if split != CLOSED_SPLIT]
    if not parts:
        raise UserError(f"{name} has only a {CLOSED_SPLIT} split, which stays closed: there is nothing to look at")
    told = {example.id for example in examples}
    untold = next((str(identity) for part in parts for identity in part.ids if str(identity) not in told), None)
    if untold is not None:
        raise UserError(
            f"{directory / FILE_NAME} does not name {untold[:80]!r}, which is in the records: build the dataset again "
            "with --overwrite"
        )
    return Survey(
        manifest,
        examples,
        find_clusters(examples),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.splits for part in parts]),
        join_looks([measure(part.images) for part in parts]),
        {str(i): image for part in parts for i, image in zip(part.ids, np.asarray(part.images), strict=True)},
    )


def find_clusters(examples: Sequence[Example]) -> tuple[Cluster, ...]:
    """Clusters of duplicates, the largest first, equally large ones in order of their ids."""
    members = defaultdict(list)
    for example in sorted(examples, key=lambda example: example.id):
        if example.cluster:
            members[example.cluster].append(example)
    return tuple(
        Cluster(tuple(found)) for _, found in sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))
    )


def _check(directory: Path, manifest: Manifest, examples: Sequence[Example]) -> None:
    """Raise ``UserError`` if the table of examples is not that of the records."""
    kept = Counter((example.split, example.class_name) for example in examples if example.kept == KEPT)
    told = Counter(
        {(split, name): number for split, classes in manifest.counts.items() for name, number in classes.items()}
    )
    if +kept != +told or not manifest.duplicates:
        raise UserError(f"{directory / FILE_NAME} does not fit the manifest: build the dataset again with --overwrite")
