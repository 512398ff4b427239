"""The records of a split: where each example's image is, and all that is known of it but the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.data.manifest import Manifest
from fer_tl.data.records.example import StoredExample, parse_example
from fer_tl.data.records.tfrecord import DamagedRecord, Record, read_records


@dataclass(frozen=True, eq=False)
class RecordIndex:
    """N examples of a split.

    Attributes:
        shards: int32 ``[N]``, which of the files each is in.
        offsets: int64 ``[N]``, where its PNG or JPEG begins in that file, bytes.
        lengths: int64 ``[N]``, bytes of it.
        labels: int64 ``[N]``, indices into the class names.
        ids: text ``[N]``.
        groups: text ``[N]``.
        targets: float32 ``[N, K]``, what training aims at; K is 0 where the label is all there is.
    """

    shards: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    groups: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def index_split(directory: Path, manifest: Manifest, split: str) -> RecordIndex:
    """``index_records`` of a split of a built dataset, which must be what its manifest says.

    Raises:
        UserError: it is not, or a record is damaged.
    """
    index = index_records([directory / name for name in manifest.shards_of(split)])
    expected = list(manifest.counts[split].values())
    known = index.labels[(index.labels >= 0) & (index.labels < len(expected))]
    found = np.bincount(known, minlength=len(expected)).tolist()
    if found != expected or len(index) != sum(expected) or index.targets.shape[1] not in (0, len(expected)):
        raise UserError(
            f"{directory}: split '{split}' does not hold the {sum(expected):,} examples of its manifest; build it "
            "again with --overwrite"
        )
    return index


def index_records(files: Sequence[Path]) -> RecordIndex:
    """Read the shards of a split once, compare each record with its checksum, and list them in the order of the shards.

    A second for about 25,000 examples of 2 kB; the memory is that of the index and of the examples of one shard.

    Raises:
        UserError: a record is damaged or has not the features of our builders.
    """
    try:
        parts = [_columns(shard, _read_file(path)) for shard, path in enumerate(files)]
        return RecordIndex(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    except ValueError:
        where = f"{files[0].parent} is damaged (not all of its examples have the same targets)"
        raise UserError(f"{where}; build it again with --overwrite") from None


def _read_file(path: Path) -> list[tuple[int, StoredExample]]:
    """Where the data of each record of a shard begin, and the example in it."""
    try:
        examples = [(record.offset, read_example(record)) for record in read_records(path)]
    except DamagedRecord as error:
        raise UserError(f"{path} is damaged ({error}); build it again with --overwrite") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    if not examples:
        raise UserError(f"{path} is damaged (it holds no record); build it again with --overwrite")
    return examples


def read_example(record: Record) -> StoredExample:
    """What a record holds.

    Raises:
        DamagedRecord: it is not what it was, or no example of ours.
    """
    if not record.is_whole:
        raise DamagedRecord(record.number, "fails its checksum")
    try:
        return parse_example(record.data)
    except ValueError as error:
        raise DamagedRecord(record.number, f"is not an example of ours: {error}") from None


def save_index(index: RecordIndex, path: Path) -> None:
    """Write an index as ``.npz``."""
    np.savez(path, **vars(index))


def load_index(path: Path) -> RecordIndex:
    """Read what ``save_index`` wrote."""
    # Opened here: NumPy leaves a file that is no archive open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return RecordIndex(**{field.name: data[field.name] for field in fields(RecordIndex)})


def _columns(shard: int, rows: Sequence[tuple[int, StoredExample]]) -> tuple[np.ndarray, ...]:
    """The fields of an index of one shard, in their order; ``ValueError`` if the targets differ in length."""
    starts, stops = np.array([example.image for _, example in rows], np.int64).T
    return (
        np.full(len(rows), shard, np.int32),
        np.array([offset for offset, _ in rows], np.int64) + starts,
        stops - starts,
        np.array([example.label for _, example in rows], np.int64),
        np.array([example.id for _, example in rows], np.str_),
        np.array([example.group for _, example in rows], np.str_),
        np.stack([example.targets for _, example in rows]),
    )
