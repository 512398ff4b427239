"""Builds a dataset: from what a person has to sharded TFRecords with a manifest, all or nothing."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

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
from fer_tl.errors import UserError
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
        overwrite: replace a dataset of that name once the new one is complete.
        say: called with each line to tell.

    Raises:
        UserError: wrong arguments or a source that cannot be used; nothing is left behind.
    """
    name, config = _check_arguments(name, source, shards, image_size, labels)
    root = Path(data_dir)
    if name != "toyfaces" and source is None:
        dataset = f"{name}/{config}" if config else name
        directory = None
        with contextlib.suppress(UserError):
            directory = dataset_directory(root, dataset)
        if directory:
            return _tell_built(directory, say)
        raise UserError(f"{dataset} needs a source: run `fer-tl build {build_arguments(dataset)}`.")
    with contextlib.closing(_open(name, source, image_size, labels)) as opened:
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


def _open(name: str, source: str | Path | None, image_size: int | None, labels: str | None) -> Source:
    """Opens the source without TensorFlow."""
    if name == "toyfaces":
        from tfrecords_builder.toyfaces.source import ToySource

        return ToySource()
    path = Path(os.path.expanduser(str(source)))  # Path.expanduser raises for an unknown user
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
    say(describe(manifest))
    say(f"It is in {directory}")
    return manifest


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
    number = min(shards, _smallest(counts))
    tally = Tally(source.class_names, source.image_shape)
    with _workplace(root, name) as place:
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
            warnings=tuple(source.warnings()),
        )
        write_manifest(manifest, directory)
        _put_in_place(directory, target, place)
    say(describe(manifest))
    for line in manifest.warnings:
        say(f"Warning: {line}")
    say(f"Built {manifest.dataset} with {number} shards a split in {target}")
    return manifest


@contextlib.contextmanager
def _workplace(root: Path, name: str) -> Iterator[Path]:
    """A hidden folder for this build, gone at the end; those of builds that died are cleared away."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        for left in root.glob(".building-*"):
            if not _is_running(left.name.rsplit("-", 1)[-1]):
                shutil.rmtree(left, ignore_errors=True)
        place = root / f".building-{name}-{os.getpid()}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
    except OSError as error:
        raise UserError(f"{root} cannot be written to ({error.strerror}): choose another --data-dir.") from error
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _is_running(process: str) -> bool:
    return process.isdecimal() and psutil.pid_exists(int(process))


def _put_in_place(directory: Path, target: Path, place: Path) -> None:
    """Renames a complete dataset to its final place; an old one there is replaced only now."""
    for path in [*directory.rglob("*"), directory]:
        _sync(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(place / "replaced")
    directory.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    """Waits until a file or a folder's list of names is on the disk, so that a power cut cannot leave it half there."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no such call for folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _slug(name: str) -> str:
    """A dataset's name out of a file's or folder's: "My Faces.zip" gives "my-faces"."""
    stem = name.lower().removesuffix(".zip").split(".tar")[0]
    return re.sub(r"[^a-z0-9_]+", "-", stem).strip("-_") or "data"
