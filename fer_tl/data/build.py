"""Builds a dataset: from what a person has to sharded TFRecords with a manifest, all or nothing."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.data.manifest import (
    FILE_NAME,
    Manifest,
    Tally,
    build_arguments,
    dataset_directory,
    describe,
    read_manifest,
    write_manifest,
)
from fer_tl.data.prepare import prepare
from fer_tl.data.staging import put_in_place, workplace
from fer_tl.errors import UserError
from tfrecords_builder.box_table import read_box_table
from tfrecords_builder.face_crop import describe_crops
from tfrecords_builder.records import SPLITS, VERSION

if TYPE_CHECKING:
    from tfrecords_builder.records import Source

DATASETS = ("fer2013", "folder", "toyfaces")
DEFAULT_DATA_DIR = "data"
DEFAULT_SHARDS = 16
"""Enough for every core of one machine, and 2 MB each for FER-2013; TFDS alone would write one shard."""
DEFAULT_IMAGE_SIZE = 96

Say = Callable[[str], None]


def build(
    name: str,
    source: str | Path | None = None,
    data_dir: str | Path = DEFAULT_DATA_DIR,
    shards: int | None = None,
    image_size: int | None = None,
    labels: str | None = None,
    boxes: str | Path | None = None,
    box_margin: float | None = None,
    overwrite: bool = False,
    say: Say = print,
) -> Manifest:
    """Builds `<data_dir>/<name>/[<config>/]<version>/`; does nothing if it is built from the same source already.

    The work is done in a hidden folder beside it, which is renamed at the end: a build that is killed leaves nothing
    that looks finished, and the next build clears it away.

    Args:
        name: "fer2013", "toyfaces", "folder", or "folder/NAME" for a name of your choice (the source's, if not given).
        source: file, archive or folder to read; none for toyfaces.
        data_dir: folder that holds all datasets, made if need be.
        shards: files for each split, 16 if not given; never more than the smallest split has examples.
        image_size: height and width in pixels, for folder only, 96 if not given.
        labels: "fer" or "raf": what numbered classes mean, for fer2013 only.
        boxes: a CSV of face boxes to crop the images to, see `read_box_table`; not for toyfaces.
        box_margin: what to add on each side of a box, as a fraction of its height or width, 0 to 1; 0 if not given.
        overwrite: replace a dataset of that name once the new one is complete.
        say: called with each line to tell.

    Raises:
        UserError: wrong arguments or a source that cannot be used; nothing is left behind.
    """
    name, config = _check_arguments(name, source, shards, image_size, labels)
    _check_boxes(name, source, boxes, box_margin)
    root = Path(data_dir)
    if name != "toyfaces" and source is None:
        dataset = f"{name}/{config}" if config else name
        directory = None
        with contextlib.suppress(UserError):
            directory = dataset_directory(root, dataset)
        if directory:
            return _tell_built(directory, say)
        raise UserError(f"{dataset} needs a source: run `fer-tl build {build_arguments(dataset)}`.")
    table = read_box_table(_expanded(boxes)) if boxes is not None else None
    with contextlib.closing(_open(name, source, image_size, labels)) as opened:
        if table:
            opened.use_boxes(table, box_margin or 0.0)
        if name == "folder":
            config = config or _slug(opened.name)
        target = root / name / (config or "") / VERSION
        if not overwrite and (built := _already_built(target, opened, shards)):
            return _tell_built(built, say)
        return _build(name, config or "", opened, target, root, shards or DEFAULT_SHARDS, say)


def _check_arguments(
    name: str,
    source: str | Path | None,
    shards: int | None,
    image_size: int | None,
    labels: str | None,
) -> tuple[str, str | None]:
    """Returns the builder's name and the configuration."""
    name, slash, part = name.partition("/")
    if name not in DATASETS:
        raise UserError(f"There is no dataset {name!r} to build: choose one of {', '.join(DATASETS)}.")
    config = part if slash else None
    if config is not None and name != "folder":
        raise UserError(f"{name} has no variants: write {name}, not {name}/{config}.")
    if name == "toyfaces" and source is not None:
        raise UserError("toyfaces is drawn by code and takes no source: leave --source out.")
    owners = {"image-size": (image_size, "folder"), "labels": (labels, "fer2013")}
    for option, (value, owner) in owners.items():
        if value is not None and name != owner:
            raise UserError(f"--{option} is for {owner}, not for {name}: leave it out.")
    if config is not None and not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", config):
        raise UserError(f"folder/{config}: {config!r} cannot be a folder's name: use a-z, 0-9, - and _.")
    if shards is not None and not 1 <= shards <= 10_000:
        raise UserError(f"shards is {shards}, not 1 to 10,000.")
    if image_size is not None and not 8 <= image_size <= 1024:
        raise UserError(f"image-size is {image_size}, not 8 to 1,024 pixels.")
    return name, config


def _check_boxes(name: str, source: str | Path | None, boxes: str | Path | None, margin: float | None) -> None:
    if boxes is None:
        if margin is not None:
            raise UserError("--box-margin widens the boxes of --boxes: give that as well, or leave it out.")
        return
    if name == "toyfaces":
        raise UserError("toyfaces is drawn by code and takes no face boxes: leave --boxes out.")
    if source is None:
        raise UserError("--boxes crops the images of --source: give that as well.")
    if margin is not None and not 0 <= margin <= 1:
        raise UserError(f"box-margin is {margin:g}, not 0 to 1: a fraction of the box's height and width.")


def _expanded(path: str | Path) -> Path:
    return Path(os.path.expanduser(str(path)))  # Path.expanduser raises for an unknown user


def _open(name: str, source: str | Path | None, image_size: int | None, labels: str | None) -> Source:
    """Opens the source without TensorFlow."""
    if name == "toyfaces":
        from tfrecords_builder.toyfaces.source import ToySource

        return ToySource()
    path = _expanded(str(source))
    if name == "folder":
        from tfrecords_builder.folder.reader import open_folder

        return open_folder(path, image_size or DEFAULT_IMAGE_SIZE)
    from tfrecords_builder.fer2013.sources import open_source

    return open_source(path, labels)


def _source_entry(source: Source) -> dict[str, str]:
    return {"kind": source.kind, "name": source.name, "sha256": source.sha256(), **source.options}


def _already_built(target: Path, source: Source, shards: int | None) -> Path | None:
    """The dataset's directory if it is there, whole, and from the same source.

    Raises:
        UserError: it is there but from another source, with other options, or half built.
    """
    if not target.exists():
        return None
    if not (target / FILE_NAME).is_file():
        raise UserError(f"{target} is half built: it has no {FILE_NAME}. Build again with --overwrite to replace it.")
    manifest = read_manifest(target)
    dataset_directory(target.parents[2] if manifest.config else target.parents[1], manifest.dataset)
    entry = _source_entry(source)
    keys = sorted({*manifest.source, *entry} - {"name"})
    differing = [key for key in keys if manifest.source.get(key) != entry.get(key)]
    if differing:
        what = "another source" if "sha256" in differing else f"other options ({', '.join(differing)})"
        raise UserError(
            f"{target} is already built from {what} ({manifest.source['name']}): build again with --overwrite "
            "to replace it, or into another --data-dir."
        )
    number = max(manifest.shards.values())
    if shards is not None and min(shards, _smallest(manifest.counts)) != number:
        raise UserError(f"{target} is already built with {number} shards: build again with --overwrite to replace it.")
    return target


def _smallest(counts: dict[str, dict[str, int]]) -> int:
    """Examples of the smallest split; TFDS cannot write a shard with none."""
    return min(sum(classes.values()) for classes in counts.values())


def _tell_built(directory: Path, say: Say) -> Manifest:
    manifest = read_manifest(directory)
    _check_shards(directory, manifest)
    say(f"{manifest.dataset} is already built from {manifest.source['name']}; nothing to do.")
    _tell_counts(manifest, say)
    say(f"It is in {directory}")
    return manifest


def _tell_counts(manifest: Manifest, say: Say) -> None:
    say(describe(manifest))
    if manifest.crops:
        say(describe_crops(manifest.crops))


def _check_shards(directory: Path, manifest: Manifest) -> None:
    """Raises `UserError` if a shard is cut short or examples are missing, without reading them."""
    found = 0
    for name in manifest.shard_names:
        records = _count_records(directory / name)
        if not records:
            fault = f"{name} is empty" if records == 0 else f"{name} ends in the middle of a record"
            raise UserError(f"{directory} is damaged ({fault}); build again with --overwrite.")
        found += records
    total = sum(sum(classes.values()) for classes in manifest.counts.values())
    if found != total:
        raise UserError(
            f"{directory} is damaged (it holds {found:,} of {total:,} examples); build again with --overwrite."
        )


def _count_records(path: Path) -> int | None:
    """Counts the records of a TFRecord file by their lengths; None if it does not end where a record does."""
    size = path.stat().st_size
    records = position = 0
    with path.open("rb") as stream:
        while position < size:
            stream.seek(position)
            length = stream.read(8)  # and 4 bytes of checksum, the data, and 4 bytes of checksum
            position += 16 + int.from_bytes(length, "little")
            records += 1
    return records if position == size else None


def _build(name: str, config: str, source: Source, target: Path, root: Path, shards: int, say: Say) -> Manifest:
    say(f"Reading {source.name} ({source.kind})")
    for note in source.notes:
        say(note)
    counts = source.counts()
    absent = [split for split in SPLITS if split not in counts]
    if absent:
        say(f"The source has no {' and no '.join(absent)} split: the dataset has {', '.join(counts)} only.")
    crop = source.crop  # may refuse the boxes, so before TensorFlow
    number = min(shards, _smallest(counts))
    tally = Tally(source.class_names, source.image_shape)
    with workplace(root, name) as place:
        total = sum(sum(classes.values()) for classes in counts.values())
        directory, version = prepare(name, config, source, place, number, tally, total)
        manifest = Manifest(
            name=name,
            config=config,
            version=version,
            source=_source_entry(source),
            class_names=source.class_names,
            image_shape=source.image_shape,
            counts=tally.counts,
            shards=dict.fromkeys(tally.counts, number),
            fingerprints=tally.fingerprints(),
            content=tally.content(),
            warnings=(*source.warnings(), *(crop.warnings if crop else ())),
            crops=crop.counts if crop else {},
        )
        write_manifest(manifest, directory)
        put_in_place(directory, target, place)
    _tell_counts(manifest, say)
    for line in manifest.warnings:
        say(f"Warning: {line}")
    say(f"Built {manifest.dataset} with {number} shards a split in {target}")
    return manifest


def _slug(name: str) -> str:
    """A dataset's name out of a file's or folder's: "My Faces.zip" gives "my-faces"."""
    stem = name.lower().removesuffix(".zip").split(".tar")[0]
    return re.sub(r"[^a-z0-9_]+", "-", stem).strip("-_") or "data"
