"""A dataset that somebody asks for: what it is made of, where it will be, and whether it is there already."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.core.errors import UserError
from fer_tl.core.files import write_text
from fer_tl.core.safe_text import csv_line
from fer_tl.core.say import Say
from fer_tl.core.staging import recover
from fer_tl.data.building.request import BuildRequest
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import FILE_NAME, read_manifest
from fer_tl.sources.check import check_source
from fer_tl.sources.findings import Skipped
from fer_tl.sources.records import VERSION, UnusableExamples

if TYPE_CHECKING:
    from fer_tl.sources.records import Source


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        request: as it was given.
        source: opened.
        root: folder of all datasets.
        config: of the dataset, "" for none.
        entry: what it is made of, for the manifest.
        overwrite: whether what is there may be replaced.
    """

    request: BuildRequest
    source: Source
    root: Path
    config: str
    entry: dict[str, str]
    overwrite: bool

    @property
    def target(self) -> Path:
        """Where the dataset will be."""
        return self.root / self.request.format.name / self.config / VERSION

    @property
    def name(self) -> str:
        """As a name of a file."""
        return self.request.name.replace("/", "-")

    def find_built(self) -> Path | None:
        """The dataset's directory if it is there, whole, from the same source, and need not be replaced.

        Raises:
            UserError: it is there but from another source, with other options, or half built.
        """
        return None if self.overwrite else _already_built(self.target, self.entry, self.request.given.get("shards"))

    def list_unusable(self, error: UnusableExamples, say: Say) -> None:
        """Write down examples that are more than a message can hold."""
        if error.unnamed:
            table = self.root / f"{self.name}-unusable.csv"
            write_skipped(error.skipped, table)
            say(f"All of them are listed in {table}")


@contextlib.contextmanager
def opened(request: BuildRequest, root: Path, overwrite: bool) -> Iterator[Order]:
    """Open the source of a request.

    Raises:
        UserError: it is not what it should be.
    """
    with contextlib.closing(request.open()) as source:
        config = request.config or (_slug(source.name) if request.format.variants else "")
        sha256 = check_source(source)
        entry = {"kind": source.kind, "name": source.name, "sha256": sha256, **source.options, **request.options}
        order = Order(request, source, root, config, entry, overwrite)
        recover(order.target)
        yield order


def _already_built(target: Path, entry: dict[str, str], shards: int | None) -> Path | None:
    if not target.exists():
        return None
    if not (target / FILE_NAME).is_file():
        raise UserError(f"{target} is half built: it has no {FILE_NAME}. Build again with --overwrite to replace it")
    manifest = read_manifest(target)
    dataset_directory(target.parents[2] if manifest.config else target.parents[1], manifest.dataset)
    keys = sorted({*manifest.source, *entry} - {"name"})
    differing = [key for key in keys if manifest.source.get(key) != entry.get(key)]
    if differing:
        what = "another source" if "sha256" in differing else f"other options ({', '.join(differing)})"
        raise UserError(
            f"{target} is already built from {what} ({manifest.source['name']}): build again with --overwrite "
            "to replace it, or into another --data-dir"
        )
    number = max(manifest.shards.values())
    if shards is not None and min(shards, smallest(manifest.counts)) != number:
        raise UserError(f"{target} is already built with {number} shards: build again with --overwrite to replace it")
    return target


def smallest(counts: dict[str, dict[str, int]]) -> int:
    """Examples of the smallest split; TFDS cannot write a shard with none."""
    return min(sum(classes.values()) for classes in counts.values())


def write_skipped(skipped: Sequence[Skipped], path: Path) -> None:
    """Write a table of examples that cannot be used."""
    rows = [("where", "what", "reason"), *((one.where, one.what, one.reason) for one in skipped)]
    write_text(path, "".join(map(csv_line, rows)))


def _slug(name: str) -> str:
    """A dataset's name out of a file's or folder's: "My Faces.zip" gives "my-faces"."""
    stem = name.lower().removesuffix(".zip").split(".tar")[0]
    return re.sub(r"[^a-z0-9_]+", "-", stem).strip("-_") or "data"
