"""The manifest of a prepared dataset: what was built, from what, and how to tell that it is whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.errors import UserError

FILE_NAME = "manifest.json"
FORMAT = 1
"""Raised when a reader of the old format could not read the new one."""

_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a prepared dataset holds.

    Attributes:
        name: the builder, "fer2013".
        config: the builder's configuration, "" if it has none.
        version: the builder's version, "1.0.0".
        source: `kind`, `name` (a base name) and `sha256` of what it was built from, and the options that changed it.
        class_names: names in label order.
        image_shape: (H, W, C).
        counts: {split: {class: examples}}.
        shards: {split: files}.
        fingerprints: {split: SHA-256 over class names, image shape, and id, group, label and pixels of every example}.
        content: SHA-256 over split, class and pixels of every example: equal for the same images under other ids.
        warnings: what the build warned of.
        crops: {split: {"cropped": n, "whole": n, "clipped": n}} if there were face boxes, see `face_crop.FaceCrop`.
        format: the layout of this file, `FORMAT`.
    """

    name: str
    config: str
    version: str
    source: dict[str, str]
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    counts: dict[str, dict[str, int]]
    shards: dict[str, int]
    fingerprints: dict[str, str]
    content: str
    warnings: tuple[str, ...] = ()
    crops: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    format: int = FORMAT

    @property
    def dataset(self) -> str:
        """The name to ask for: "fer2013" or "folder/mine"."""
        return f"{self.name}/{self.config}" if self.config else self.name

    @property
    def shard_names(self) -> list[str]:
        """File names of all shards, as TFDS names them."""
        return [
            f"{self.name}-{split}.tfrecord-{index:05d}-of-{number:05d}"
            for split, number in self.shards.items()
            for index in range(number)
        ]


class Tally:
    """Counts examples and hashes them as they go by; keeps about 200 bytes for each, not its image.

    Args:
        class_names: names in label order.
        image_shape: (H, W, C) that every image must have.
    """

    def __init__(self, class_names: tuple[str, ...], image_shape: tuple[int, int, int]) -> None:
        self._class_names = class_names
        self._image_shape = image_shape
        self._examples: dict[str, tuple[str, str, int, str]] = {}  # id -> split, group, label, pixel hash
        self.counts: dict[str, dict[str, int]] = {}

    def add(self, split: str, identity: str, group: str, label: int, image: np.ndarray) -> None:
        """Takes one example; `image` is uint8 [H, W, C].

        Raises:
            UserError: the id was there before, so examples could not be told apart.
        """
        if image.shape != self._image_shape or image.dtype != np.uint8:
            raise ValueError(f"{identity}: image is {image.dtype} {image.shape}, not uint8 {self._image_shape}")
        if identity in self._examples:
            raise UserError(f"Two examples have the id {identity!r}: rename one of the files.")
        pixels = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
        self._examples[identity] = split, group, label, pixels
        counts = self.counts.setdefault(split, dict.fromkeys(self._class_names, 0))
        counts[self._class_names[label]] += 1

    def fingerprints(self) -> dict[str, str]:
        """See `Manifest.fingerprints`: one a split, so that a test split added later changes none but its own."""
        digests = {
            split: hashlib.sha256(json.dumps([self._class_names, self._image_shape]).encode()) for split in self.counts
        }
        for identity, (split, group, label, pixels) in sorted(self._examples.items()):
            digests[split].update(json.dumps([split, identity, group, label, pixels]).encode())
        return {split: digest.hexdigest() for split, digest in digests.items()}

    def content(self) -> str:
        """See `Manifest.content`."""
        names = self._class_names
        lines = sorted(f"{split} {names[label]} {pixels}\n" for split, _, label, pixels in self._examples.values())
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def write_manifest(manifest: Manifest, directory: Path) -> None:
    """Writes `manifest.json` into a prepared dataset's directory."""
    text = json.dumps(dataclasses.asdict(manifest), indent=2, ensure_ascii=False)
    (directory / FILE_NAME).write_text(text + "\n", encoding="utf-8")


def read_manifest(directory: Path | str) -> Manifest:
    """Reads the manifest of a prepared dataset's directory.

    Raises:
        UserError: there is none, or it was written by another version of this package.
    """
    path = Path(directory) / FILE_NAME
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] > FORMAT:
            raise UserError(f"{path} was written by a newer fer-tl: update fer-tl, or build the dataset again.")
        for key in ("class_names", "image_shape", "warnings"):
            values[key] = tuple(values[key])
        return Manifest(**values)
    except FileNotFoundError as error:
        raise UserError(f"{directory} is half built: it has no {FILE_NAME}. Build it again.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}): build the dataset again with --overwrite.") from error


def dataset_directory(data_dir: Path | str, name: str) -> Path:
    """Finds the newest version of a prepared dataset and checks that all its files are there.

    Args:
        data_dir: the folder that holds the datasets.
        name: "fer2013", or "folder/mine" for a dataset with a configuration.

    Returns:
        `<data_dir>/<name>/<version>`.

    Raises:
        UserError: it is not built, or only half.
    """
    root = Path(data_dir)
    command = f"fer-tl build {build_arguments(name)} --data-dir {data_dir}"
    versions = _versions(root / name)
    if not versions:
        known = re.fullmatch(r"fer2013|toyfaces|folder/[a-z0-9][a-z0-9_-]*", name)
        built = ", ".join(built_datasets(root)) or "nothing"
        advice = f"run `{command}`" if known else "there are toyfaces, fer2013, and folder/NAME for your own images"
        raise UserError(f"{name} is not built under {data_dir} (there: {built}); {advice}.")
    directory = versions[-1]
    if not (directory / FILE_NAME).is_file():
        raise UserError(f"{directory} is half built: it has no {FILE_NAME}. Run `{command} --overwrite`.")
    expected = ["dataset_info.json", "features.json", *read_manifest(directory).shard_names]
    missing = [file for file in expected if not (directory / file).is_file()]
    if missing:
        raise UserError(
            f"{directory} is half built: {len(missing)} of {len(expected)} files are missing (first: {missing[0]}). "
            f"Run `{command} --overwrite`."
        )
    return directory


def built_datasets(data_dir: Path | str) -> list[str]:
    """Names of the datasets under a folder that have a manifest, sorted."""
    root = Path(data_dir)
    found = {
        path.parent.parent.relative_to(root).as_posix()
        for pattern in (f"*/*/{FILE_NAME}", f"*/*/*/{FILE_NAME}")
        for path in root.glob(pattern)
        if _VERSION.fullmatch(path.parent.name)
    }
    return sorted(name for name in found if not name.startswith("."))


def build_arguments(name: str) -> str:
    """What follows `fer-tl build` to make a dataset: "fer2013 --source PATH"."""
    if name == "toyfaces":
        return name
    return f"{name} --source PATH"


def describe(manifest: Manifest) -> str:
    """The class table as plain text: a row for each class, a column for each split, and the totals."""
    splits = list(manifest.counts)
    header = ["class", *splits, "total"]
    rows = {name: [manifest.counts[split][name] for split in splits] for name in manifest.class_names}
    rows["total"] = [sum(manifest.counts[split].values()) for split in splits]
    body = [[name, *(f"{number:,}" for number in [*row, sum(row)])] for name, row in rows.items()]
    return "\n".join(_aligned([header, *body]))


def _aligned(table: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        first, *numbers = row
        cells = [first.ljust(widths[0]), *(n.rjust(w) for n, w in zip(numbers, widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()


def _versions(folder: Path) -> list[Path]:
    """Version folders below a dataset's folder, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.is_dir() and _VERSION.fullmatch(path.name)]
    return sorted(found, key=lambda path: tuple(map(int, path.name.split("."))))
