"""A built dataset as arrays: decoded once, memory-mapped from then on."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.data.manifest import Manifest, dataset_directory, read_manifest
from fer_tl.errors import UserError
from fer_tl.files import BROKEN_ARRAYS
from fer_tl.quiet import import_tensorflow


@dataclass(frozen=True)
class Dataset:
    """Examples of one or more splits.

    Attributes:
        name: such as ``fer2013``.
        splits: text ``[N]``, the official split of each example.
        images: uint8 ``[N, H, W, C]``, 0..255, C is 1 or 3; usually a read-only memory map.
        labels: int64 ``[N]``, indices into ``class_names``.
        ids: text ``[N]``, unique.
        groups: text ``[N]``; examples of one group must never be split over folds.
        class_names: the K names.
        fingerprint: of these splits, from the manifest.
        targets: float32 ``[N, K]``, what training aims at for each example, rows that sum to 1: the shares of people's
            votes; None where the label is all there is.
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

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels


def load_dataset(
    name: str = "toyfaces", data_dir: str | Path = "data", split: str | tuple[str, ...] = "train"
) -> Dataset:
    """Load splits of a built dataset.

    The first call decodes the records (about 10,000 images/s a core) and keeps the arrays under
    ``<data_dir>/.cache/<fingerprint>``; later ones map them into memory and need no TensorFlow.

    Args:
        name: ``fer2013``, ``toyfaces``, ``folder/mine``.
        data_dir: folder that holds the built datasets.
        split: one split or several, in this order.

    Raises:
        UserError: not built, half built, changed on disk, or a split that it does not have.
    """
    splits = (split,) if isinstance(split, str) else split
    directory = dataset_directory(Path(data_dir), name)
    manifest = read_manifest(directory)
    for wanted in splits:
        if wanted not in manifest.counts:
            raise UserError(f"dataset '{name}' has no split '{wanted}', only: {', '.join(manifest.counts)}")
    cache = Path(data_dir) / ".cache"
    parts = [_load_split(directory, manifest, wanted, cache / manifest.fingerprints[wanted][:32]) for wanted in splits]
    images, labels, ids, groups, targets = (_joined(arrays) for arrays in zip(*parts, strict=True))
    if len(np.unique(ids)) != len(ids):
        raise UserError(f"dataset '{name}': the ids of {' and '.join(splits)} are not unique; build it again")
    return Dataset(
        name=name,
        splits=np.repeat(splits, [len(part[1]) for part in parts]),
        images=images,
        labels=labels,
        ids=ids,
        groups=groups,
        class_names=manifest.class_names,
        fingerprint=join_fingerprints(manifest, splits),
        targets=targets,
    )


def _joined(arrays: tuple[Any, ...]) -> Any:
    # One split stays the memory map that it is. The splits of a dataset have the same features: all targets or none.
    return arrays[0] if len(arrays) == 1 or arrays[0] is None else np.concatenate(arrays)


def group_by_id(dataset: Dataset) -> dict[str, str]:
    """The group of each example by its id."""
    return dict(zip(dataset.ids.tolist(), dataset.groups.tolist(), strict=True))


def cached_groups(name: str, data_dir: str | Path, splits: tuple[str, ...]) -> dict[str, str]:
    """Group of each example by id, of those of the splits that were decoded before: needs no TensorFlow.

    Returns:
        Nothing for a split, or a dataset, that is not there.

    Raises:
        UserError: the cache is damaged.
    """
    try:
        directory = dataset_directory(Path(data_dir), name)
        manifest = read_manifest(directory)
    except UserError:
        return {}
    found: dict[str, str] = {}
    for split in splits:
        cache = Path(data_dir) / ".cache" / manifest.fingerprints.get(split, "none")[:32]
        if cache.exists():
            _, _, ids, groups, _ = _load_split(directory, manifest, split, cache)
            found |= dict(zip(ids.tolist(), groups.tolist(), strict=True))
    return found


def join_fingerprints(manifest: Manifest, splits: tuple[str, ...]) -> str:
    """One fingerprint of several splits, in this order; a single split's is its own. Splits that are not there count
    for nothing."""
    present = [manifest.fingerprints[split] for split in splits if split in manifest.fingerprints]
    return present[0] if len(present) == 1 else hashlib.sha256("".join(present).encode()).hexdigest()


Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]


def _load_split(directory: Path, manifest: Manifest, split: str, cache: Path) -> Arrays:
    if not cache.exists():
        _decode(directory, manifest, split, cache)
    try:
        images = np.load(cache / "images.npy", mmap_mode="r", allow_pickle=False)
        # Opened here: NumPy leaves a file that is no archive open.
        with (cache / "examples.npz").open("rb") as file, np.load(file, allow_pickle=False) as data:
            return images, data["labels"], data["ids"], data["groups"], data.get("targets")
    except BROKEN_ARRAYS as error:
        raise UserError(f"the cache {cache} is damaged ({error}); delete that folder, it is made again") from None


def _decode(directory: Path, manifest: Manifest, split: str, cache: Path) -> None:
    """Decode one split into ``cache``, which appears whole or not at all."""
    import_tensorflow()
    import tensorflow as tf
    import tensorflow_datasets as tfds

    count = sum(manifest.counts[split].values())
    temporary = cache.with_name(f".{cache.name}-{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        images = np.lib.format.open_memmap(
            temporary / "images.npy", mode="w+", dtype=np.uint8, shape=(count, *manifest.image_shape)
        )
        records = tfds.builder_from_directory(str(directory)).as_dataset(split=split)
        columns: dict[str, Any] = {"label": np.empty(count, np.int64)}
        if "targets" in records.element_spec:
            columns["targets"] = np.empty((count, len(manifest.class_names)), np.float32)
        ids, groups = [], []
        row = 0
        for batch in records.batch(256).as_numpy_iterator():
            stop = row + len(batch["label"])
            if stop > count:
                break
            images[row:stop] = batch["image"]
            for name, values in columns.items():
                values[row:stop] = batch[name]
            ids += [value.decode() for value in batch["id"]]
            groups += [value.decode() for value in batch["group"]]
            row = stop
        if row != count or len(ids) != count:
            raise UserError(
                f"{directory}: split '{split}' does not hold the {count} examples of its manifest; build it again"
            )
        images.flush()
        columns |= {"labels": columns.pop("label"), "ids": np.array(ids), "groups": np.array(groups)}
        np.savez(temporary / "examples.npz", **columns)
        try:
            os.replace(temporary, cache)
        except OSError:
            if not cache.is_dir():  # else another process was faster: its arrays are the same
                raise
    except tf.errors.OpError as error:
        reason = re.sub(r"\{\{.*?\}\} *", "", " ".join(error.message.split()))  # less TensorFlow's graph names
        raise UserError(
            f"{directory}: split '{split}' is damaged ({reason}); build it again with --overwrite"
        ) from None
    except OSError as error:
        raise UserError(f"{directory}: split '{split}' cannot be kept in {cache} ({error.strerror or error})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
