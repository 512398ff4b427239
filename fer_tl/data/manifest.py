"""The manifest of a prepared dataset: what was built, from what, and how to tell that it is whole."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from fer_tl.core.checksums import Checksum
from fer_tl.core.errors import UserError
from fer_tl.core.json_files import load_json
from fer_tl.core.safe_text import aligned, for_terminal
from fer_tl.faces.recipe import FaceRecipe, read_recipe

FILE_NAME = "manifest.json"
FORMAT = 4
"""Raised when a reader of the old format could not read the new one."""

CACHE = ".cache"
"""Folder beside the datasets for what can be made again from them."""

DEFAULT_SHARDS = 16
"""Enough for every core of one machine, and 2 MB each for FER-2013; TFDS alone would write one shard."""

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a prepared dataset holds.

    Attributes:
        name: the builder, "fer2013".
        config: the builder's configuration, "" if it has none.
        version: the builder's version, "1.0.0".
        source: ``kind``, ``name`` (a base name) and ``sha256`` of what it was built from, and the options that changed
            it.
        class_names: names in label order.
        image_shape: (H, W, C).
        counts: {split: {class: examples}}.
        shards: {split: files}.
        fingerprints: of each split, see ``fingerprints.split_fingerprints``.
        content: see ``fingerprints.content_hash``.
        warnings: what the build warned of.
        crops: {split: {"cropped": n, "whole": n, "clipped": n}} if there were face boxes; those whose box reached
            beyond the image are in ``cropped`` too.
        duplicates: {"policy": see ``curate.Curation``, "exact": images with an exact copy, "near": images with near
            ones only, "clusters": n, "conflicting": clusters with different labels, "dropped": {why: images left out}};
            of all examples read. Empty in datasets built before 1.1.0.
        drawn_split: {"split_seed": n} if the split was drawn, with "test_share" if another share than 80:20 of all was
            asked for, {"splits": its size and hash} if a table was given, empty if it is the source's own.
        skipped: examples left out because they could not be used.
        passed_over: {why: {"count": files of the source that were not read, "first": some of their names}}. Empty in
            datasets built before format 4.
        targets: whether the records have soft targets.
        checksums: of every file of the build but this one, by name. Empty in datasets built before format 3.
        faces: ``fer_tl.faces.recipe.FaceRecipe.to_dict`` of how pictures became images. Empty in datasets built before
            format 4, see ``recipe``.
        format: the layout of this file, ``FORMAT``.
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
    passed_over: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    targets: bool = False
    checksums: dict[str, Checksum] = dataclasses.field(default_factory=dict)
    faces: dict[str, Any] = dataclasses.field(default_factory=dict)
    format: int = FORMAT

    @property
    def recipe(self) -> FaceRecipe:
        """How pictures became images."""
        return FaceRecipe(**self.faces) if self.faces else _recipe_before(self)

    @property
    def dataset(self) -> str:
        """The name to ask for: "fer2013" or "folder/mine"."""
        return f"{self.name}/{self.config}" if self.config else self.name

    @property
    def shard_names(self) -> list[str]:
        """File names of all shards."""
        return [name for split in self.shards for name in self.shards_of(split)]

    def shards_of(self, split: str) -> list[str]:
        """File names of the shards of one split, as TFDS names them."""
        number = self.shards[split]
        return [f"{self.name}-{split}.tfrecord-{index:05d}-of-{number:05d}" for index in range(number)]


def _recipe_before(manifest: Manifest) -> FaceRecipe:
    """What builders did before they wrote it down: boxes were clipped to the picture; of FER-2013 and ExpW what came
    out was stretched to a square, of folders (those with a config) since version 1.1.0 fitted as was asked for."""
    source = manifest.source
    cutter = source.get("detector") or ("boxes" if "box_margin" in source else "")
    fit = source.get("fit", "stretch" if manifest.config or cutter else "pad")
    return FaceRecipe(fit, "clip", float(source.get("box_margin", 0)), cutter)


def write_manifest(manifest: Manifest, directory: Path) -> None:
    """Write ``manifest.json`` into a prepared dataset's directory."""
    text = json.dumps(dataclasses.asdict(manifest), indent=2, ensure_ascii=False)
    (directory / FILE_NAME).write_text(text + "\n", encoding="utf-8")


def read_manifest(directory: Path | str) -> Manifest:
    """Read the manifest of a prepared dataset's directory.

    Raises:
        UserError: there is none, or it was written by another version of this package.
    """
    path = Path(directory) / FILE_NAME
    try:
        values: dict[str, Any] = load_json(path)
        if values["format"] > FORMAT:
            raise UserError(f"{path} was written by a newer fer-tl: update fer-tl, or build the dataset again")
        for key in ("class_names", "image_shape", "warnings"):
            values[key] = tuple(values[key])
        values["checksums"] = {name: Checksum(**found) for name, found in values.get("checksums", {}).items()}
        if values.get("faces"):
            read_recipe(values["faces"], str(path))
        manifest = Manifest(**values)
        _check(manifest)
        _ = manifest.recipe  # of options that may not be numbers
        return manifest
    except FileNotFoundError as error:
        raise UserError(f"{directory} is half built: it has no {FILE_NAME}. Build it again") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read ({why}): build the dataset again with --overwrite") from error


def _check(manifest: Manifest) -> None:
    """Raise ``ValueError`` if the values of a manifest are not of the kinds that they should be, or do not agree."""
    names, shape = manifest.class_names, manifest.image_shape
    kinds = {
        "format": isinstance(manifest.format, int),
        # The name and those of splits become names of files: they must not lead elsewhere.
        "name": all(isinstance(text, str) for text in (manifest.name, manifest.config, manifest.version))
        and bool(_PLAIN.fullmatch(manifest.name)),
        **{key: isinstance(getattr(manifest, key), dict) for key in ("drawn_split", "faces")},
        "source": all(isinstance(text, str) for text in manifest.source.values()),
        "content": isinstance(manifest.content, str),
        "warnings": all(isinstance(text, str) for text in manifest.warnings),
        "skipped": type(manifest.skipped) is int,
        "targets": isinstance(manifest.targets, bool),
        "crops": all(_counts(found) for found in manifest.crops.values()),
        "duplicates": not manifest.duplicates
        or (
            isinstance(manifest.duplicates["policy"], str)
            and _counts({key: manifest.duplicates[key] for key in ("exact", "near", "clusters", "conflicting")})
            and _counts(manifest.duplicates["dropped"])
        ),
        "passed_over": all(
            isinstance(found.get("count"), int)
            and isinstance(found.get("first"), list)
            and all(isinstance(name, str) for name in found["first"])
            for found in manifest.passed_over.values()
        ),
        "class_names": len(names) > 0 and all(isinstance(name, str) for name in names),
        "image_shape": len(shape) == 3 and all(isinstance(side, int) and side > 0 for side in shape),
        "counts": all(_PLAIN.fullmatch(split) for split in manifest.counts)
        and all(
            tuple(classes) == names and all(isinstance(number, int) and number >= 0 for number in classes.values())
            for classes in manifest.counts.values()
        ),
        "shards": manifest.shards.keys() == manifest.counts.keys()
        and all(isinstance(number, int) and 0 < number < 10**5 for number in manifest.shards.values()),
        "fingerprints": manifest.fingerprints.keys() == manifest.counts.keys()
        and all(isinstance(text, str) for text in manifest.fingerprints.values()),
        "checksums": not manifest.checksums
        or (
            manifest.checksums.keys() >= set(manifest.shard_names)
            and all(_PLAIN.fullmatch(name) for name in manifest.checksums)
            and all(type(c.size) is int and isinstance(c.sha256, str) for c in manifest.checksums.values())
        ),
    }
    wrong = [name for name, right in kinds.items() if not right]
    if wrong:
        raise ValueError(f"'{wrong[0]}' is not what a build writes")


def _counts(found: Any) -> bool:
    return isinstance(found, dict) and all(type(number) is int and number >= 0 for number in found.values())


def describe(manifest: Manifest) -> str:
    """The class table as plain text: a row for each class, a column for each split, and the totals."""
    splits = list(manifest.counts)
    header = ["class", *splits, "total"]
    rows = {for_terminal(name): [manifest.counts[split][name] for split in splits] for name in manifest.class_names}
    rows["total"] = [sum(manifest.counts[split].values()) for split in splits]
    body = [[name, *(f"{number:,}" for number in [*row, sum(row)])] for name, row in rows.items()]
    return "\n".join(aligned([header, *body]))
