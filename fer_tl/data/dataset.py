"""A built dataset as arrays, or with its images left in the records: the same examples either way."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import psutil

from fer_tl.core.errors import UserError
from fer_tl.data.digests import digest_images
from fer_tl.data.directory import check_shards, dataset_directory
from fer_tl.data.manifest import Manifest, read_manifest
from fer_tl.data.records.cache import DIGESTS, IMAGES, INDEX, cache_folder, find_kept, is_kept, keep
from fer_tl.data.records.index import RecordIndex, index_split, load_index, save_index
from fer_tl.data.records.stream import StreamedImages
from fer_tl.faces.recipe import FaceRecipe

INPUTS = ("auto", "resident", "stream")

_BLOCK_BYTES = 1 << 24  # of pixels, decoded before they are written


@dataclass(frozen=True, repr=False)
class Dataset:
    """Examples of one or more splits.

    Attributes:
        name: such as ``fer2013``.
        splits: text ``[N]``, the official split of each example.
        images: uint8 ``[N, H, W, C]``, 0..255, C is 1 or 3; usually a read-only memory map, or ``StreamedImages``, read
            by rows like an array.
        labels: int64 ``[N]``, indices into ``class_names``.
        ids: text ``[N]``, unique.
        groups: text ``[N]``; examples of one group must never be split over folds.
        class_names: the K names.
        fingerprint: of these splits, from the manifest.
        targets: float32 ``[N, K]``, what training aims at for each example, rows that sum to 1: the shares of people's
            votes; None where the label is all there is.
        recipe: how pictures became the images.
        loaded_digests: uint64 ``[N, 2]``, see ``fer_tl.data.digests``; None where they were not asked for.
    """

    name: str
    splits: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    groups: np.ndarray
    class_names: tuple[str, ...]
    fingerprint: str
    targets: np.ndarray | None = None
    recipe: FaceRecipe = field(default_factory=FaceRecipe)
    loaded_digests: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        counted = ", ".join(f"{split} {count:,}" for split, count in Counter(self.splits.tolist()).items())
        height, width, channels = self.image_shape
        classes = ", ".join(self.class_names)
        return f"<Dataset {self.name}: {counted} images of {height} x {width} x {channels}; classes {classes}>"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @property
    def digests(self) -> np.ndarray:
        """What tells the images from others, uint64 ``[N, 2]``; worked out each time where they were not loaded."""
        return digest_images(self.images) if self.loaded_digests is None else self.loaded_digests

    def select(self, rows: np.ndarray | slice) -> Dataset:
        """Some of the examples, in this order; of images in the records none is read, of a slice none is copied."""
        return replace(
            self,
            splits=self.splits[rows],
            images=self.images[rows] if isinstance(self.images, np.ndarray) else self.images.select(rows),
            labels=self.labels[rows],
            ids=self.ids[rows],
            groups=self.groups[rows],
            targets=None if self.targets is None else self.targets[rows],
            loaded_digests=None if self.loaded_digests is None else self.loaded_digests[rows],
        )


def load_dataset(
    name: str = "toyfaces",
    data_dir: str | Path = "data",
    split: str | tuple[str, ...] = "train",
    input: Literal["auto", "resident", "stream"] = "resident",
    digests: bool = False,
) -> Dataset:
    """Load splits of a built dataset, without TensorFlow, after making sure that its records are whole.

    The first call reads the records, decodes them (together about 10,000 grey images of 48x48 a second) and keeps the
    arrays under ``<data_dir>/.cache``, from where later ones map them into memory. Both ways of input give the same
    examples in the same order and the same pixels.

    Args:
        name: ``fer2013``, ``toyfaces``, ``folder/mine``.
        data_dir: folder that holds the built datasets.
        split: one split or several, in this order.
        input: "resident" for images as an array; "stream" for images that stay in the records, see ``StreamedImages``;
            "auto" for an array if it takes at most a quarter of the memory that is free.
        digests: whether the images' digests are loaded, which are kept too.

    Raises:
        UserError: not built, half built, damaged, or a split that it does not have.
    """
    if input not in INPUTS:
        raise UserError(f"input '{input}' is none of {', '.join(INPUTS)}")
    splits = (split,) if isinstance(split, str) else split
    directory = dataset_directory(Path(data_dir), name)
    manifest = read_manifest(directory)
    for wanted in splits:
        if wanted not in manifest.counts:
            raise UserError(f"dataset '{name}' has no split '{wanted}', only: {', '.join(manifest.counts)}")
    parts = [_open_split(directory, manifest, wanted) for wanted in splits]
    ids = np.concatenate([part.index.ids for part in parts])
    if len(np.unique(ids)) != len(ids):
        raise UserError(f"dataset '{name}': the ids of {' and '.join(splits)} are not unique; build it again")
    if input == "auto":
        size = len(ids) * int(np.prod(manifest.image_shape))  # bytes
        input = "resident" if size <= psutil.virtual_memory().available // 4 else "stream"
    targets = np.concatenate([part.index.targets for part in parts])  # [N, K], or [N, 0] where there are none
    return Dataset(
        name=name,
        splits=np.repeat(splits, [len(part.index) for part in parts]),
        images=cast(np.ndarray, _stream(parts, manifest)) if input == "stream" else _resident(parts, manifest),
        labels=np.concatenate([part.index.labels for part in parts]),
        ids=ids,
        groups=np.concatenate([part.index.groups for part in parts]),
        class_names=manifest.class_names,
        fingerprint=join_fingerprints(manifest, splits),
        targets=targets if targets.shape[1] else None,
        recipe=manifest.recipe,
        loaded_digests=np.concatenate([_digested(part, manifest) for part in parts]) if digests else None,
    )


def group_by_id(dataset: Dataset) -> dict[str, str]:
    """The group of each example by its id."""
    return dict(zip(dataset.ids.tolist(), dataset.groups.tolist(), strict=True))


def cached_groups(name: str, data_dir: str | Path, splits: tuple[str, ...]) -> dict[str, str]:
    """Group of each example by id, of those of the splits that were loaded before: this opens none.

    Returns:
        Nothing for a split, or a dataset, that is not there.

    Raises:
        UserError: the records are damaged.
    """
    try:
        directory = dataset_directory(Path(data_dir), name)
        manifest = read_manifest(directory)
    except UserError:
        return {}
    found: dict[str, str] = {}
    for split in splits:
        if split in manifest.counts and is_kept(cache_folder(directory, manifest, split), INDEX):
            index = _open_split(directory, manifest, split).index
            found |= dict(zip(index.ids.tolist(), index.groups.tolist(), strict=True))
    return found


def join_fingerprints(manifest: Manifest, splits: tuple[str, ...]) -> str:
    """One fingerprint of several splits, in this order; a single split's is its own. Splits that are not there count
    for nothing."""
    present = [manifest.fingerprints[split] for split in splits if split in manifest.fingerprints]
    return present[0] if len(present) == 1 else hashlib.sha256("".join(present).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class _Split:
    """A split whose records are whole: its shards, what is in them, and where its arrays are kept."""

    files: list[Path]
    index: RecordIndex
    folder: Path


def _open_split(directory: Path, manifest: Manifest, split: str) -> _Split:
    check_shards(directory, manifest, [split])
    files = [directory / name for name in manifest.shards_of(split)]
    folder = cache_folder(directory, manifest, split)
    kept = find_kept(folder, INDEX)
    if kept:
        return _Split(files, load_index(kept), folder)
    index = index_split(directory, manifest, split)
    with contextlib.suppress(OSError):  # no room, or a folder that must not be written to
        keep(folder, INDEX, lambda path: save_index(index, path))
    return _Split(files, index, folder)


def _stream(parts: Sequence[_Split], manifest: Manifest) -> StreamedImages:
    """The images of splits one after the other, all their files open."""
    firsts = np.cumsum([0, *(len(part.files) for part in parts)])
    return StreamedImages(
        [file for part in parts for file in part.files],
        np.concatenate([part.index.shards + first for part, first in zip(parts, firsts, strict=False)]),
        np.concatenate([part.index.offsets for part in parts]),
        np.concatenate([part.index.lengths for part in parts]),
        manifest.image_shape,
    )


def _resident(parts: Sequence[_Split], manifest: Manifest) -> np.ndarray:
    """The images of splits one after the other: uint8 ``[N, H, W, C]``, of a single split a read-only memory map."""
    arrays = [_decoded(part, manifest) for part in parts]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _decoded(part: _Split, manifest: Manifest) -> np.ndarray:
    kept = find_kept(part.folder, IMAGES)
    if kept is None:
        images = _stream([part], manifest)
        try:
            kept = keep(part.folder, IMAGES, lambda path: _write_images(images, path))
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                reason = error.strerror or error
                raise UserError(f"decoded images cannot be kept in {part.folder} ({reason})") from None
            note = "must not be written to; the images are decoded again each time"
            print(f"fer-tl: {part.folder.parent} {note}", file=sys.stderr)
            return images[:]
    return np.load(kept, mmap_mode="r", allow_pickle=False)


def _digested(part: _Split, manifest: Manifest) -> np.ndarray:
    """The digests of the images of a split: uint64 ``[N, 2]``."""
    kept = find_kept(part.folder, DIGESTS)
    if kept:
        return np.load(kept, allow_pickle=False)
    decoded = find_kept(part.folder, IMAGES)
    images = np.load(decoded, mmap_mode="r", allow_pickle=False) if decoded else _stream([part], manifest)
    found = digest_images(images)
    with contextlib.suppress(OSError):  # as of the index
        keep(part.folder, DIGESTS, lambda path: np.save(path, found))
    return found


def _write_images(images: StreamedImages, path: Path) -> None:
    """Decode all images into a ``.npy`` file, a block of them in memory at a time."""
    step = max(1, _BLOCK_BYTES // int(np.prod(images.shape[1:])))
    with path.open("wb") as file:
        # Not through a memory map: a full disk would end the process without a word.
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": images.shape})
        for start in range(0, len(images), step):
            file.write(images[start : start + step].data)
