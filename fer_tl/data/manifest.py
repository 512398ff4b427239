"""The manifest of a prepared dataset: what was built, from what, and how to tell that it is whole."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fer_tl.errors import UserError

FILE_NAME = "manifest.json"
FORMAT = 2
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
        fingerprints: of each split, see `fingerprints.split_fingerprints`.
        content: see `fingerprints.content_hash`.
        warnings: what the build warned of.
        crops: {split: {"cropped": n, "whole": n, "clipped": n}} if there were face boxes; those whose box reached
            beyond the image are in `cropped` too.
        duplicates: {"policy": see `curate.Curation`, "exact": images with an exact copy, "near": images with near ones
            only, "clusters": n, "conflicting": clusters with different labels, "dropped": {why: images left out}}; of
            all examples read. Empty in datasets built before 1.1.0.
        drawn_split: {"split_seed": n} if the split was drawn, {"splits": its size and hash} if a table was given,
            empty if it is the source's own.
        skipped: examples left out because they could not be used.
        targets: whether the records have soft targets.
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
    duplicates: dict[str, Any] = dataclasses.field(default_factory=dict)
    drawn_split: dict[str, str] = dataclasses.field(default_factory=dict)
    skipped: int = 0
    targets: bool = False
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
        known = re.fullmatch(r"fer2013|expw|toyfaces|folder/[a-z0-9][a-z0-9_-]*", name)
        built = ", ".join(built_datasets(root)) or "nothing"
        names = "toyfaces, fer2013, expw, and folder/NAME for your own images"
        advice = f"run `{command}`" if known else f"there are {names}"
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
