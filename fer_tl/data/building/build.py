"""Builds a dataset: from what a person has to sharded TFRecords with a manifest, all or nothing."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.core.archive_members import describe_passed_over, summarize_passed_over
from fer_tl.core.checksums import checksums
from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.core.safe_text import printable
from fer_tl.core.say import Say, say_line
from fer_tl.core.staging import put_in_place, workplace
from fer_tl.data.building.copies_summary import describe_duplicates
from fer_tl.data.building.copy_check import MOST_LOST
from fer_tl.data.building.drop_copies import Curated
from fer_tl.data.building.options import options_of
from fer_tl.data.building.order import Order, opened, smallest, write_skipped
from fer_tl.data.building.parts import PartFiles, refuse_undivided
from fer_tl.data.building.prepare import check_can_prepare, prepare
from fer_tl.data.building.reading import ReadPart
from fer_tl.data.building.request import BuildRequest
from fer_tl.data.directory import build_arguments, check_shards, dataset_directory
from fer_tl.data.manifest import DEFAULT_SHARDS, Manifest, describe, read_manifest, write_manifest
from fer_tl.data.records.index import index_split
from fer_tl.data.splits import SPLITS
from fer_tl.faces.boxes import describe_crops
from fer_tl.sources.findings import parse_part
from fer_tl.sources.records import UnusableExamples

if TYPE_CHECKING:
    from fer_tl.sources.records import Source

SKIPPED = "skipped.csv"


def build(
    name: str,
    source: str | Path | None = None,
    data_dir: str | Path = "data",
    *,
    accept_copies: bool = False,
    overwrite: bool = False,
    merge: bool = False,
    say: Say = say_line,
    **options: Any,
) -> Manifest:
    """Build ``<data_dir>/<name>/[<config>/]<version>/``; does nothing if it is built from the same source already.

    The work is done in a hidden folder beside it, which is renamed at the end: a build that is killed leaves nothing
    that looks finished, and the next build clears it away.

    Args:
        name: a format, such as "fer2013", or "folder/NAME" for a name of your choice (the source's, if not given).
        source: file, archive or folder to read; none for drawn faces.
        data_dir: folder that holds all datasets, made if need be.
        accept_copies: whether copies may make up as much as they do: else a build stops where a cluster is large or its
            labels differ or a class loses much, and writes a picture of examples into ``data_dir``, see ``suspicions``.
        overwrite: replace a dataset of that name once the new one is complete.
        merge: make it of the parts that ``fer_tl.data.building.parts`` has put into ``data_dir``, which are removed
            then; the source is opened, but no image of it is read.
        say: called with each line to tell.
        options: the other options of ``fer-tl build --help``, with ``_`` for ``-``: ``image_size=64``,
            ``duplicates="drop"``.

    Raises:
        UserError: wrong arguments or a source that cannot be used; nothing is left behind.
        UnusableExamples: examples that cannot be used; where they are more than the message names, all are listed in
            ``<data_dir>/<name>-unusable.csv``.
    """
    request = BuildRequest(name, source, **options)
    root = Path(data_dir)
    if not request.format.drawn and source is None:
        directory = None
        with contextlib.suppress(UserError):
            directory = dataset_directory(root, request.name)
        if directory:
            return _tell_built(directory, say)
        raise UserError(f"{request.name} needs a source: run `fer-tl build {build_arguments(request.name)}`")
    with opened(request, root, overwrite) as order:
        parts = PartFiles(order)
        if built := order.find_built():
            if merge:
                parts.remove()  # of a merge that was killed before it did
            return _tell_built(built, say)
        try:
            manifest = _build(order, parts.load_all() if merge else [], accept_copies, say)
        except UnusableExamples as error:
            order.list_unusable(error, say)
            raise
        if merge:
            parts.remove()
        return manifest


def build_part(
    name: str,
    source: str | Path | None = None,
    data_dir: str | Path = "data",
    *,
    part: str,
    overwrite: bool = False,
    say: Say = say_line,
    **options: Any,
) -> None:
    """Read one part of a source, and leave it where ``build`` with ``merge`` finds it; does nothing if it is there, or
    the dataset is.

    Args:
        name: see ``build``; so are the others.
        source: likewise.
        data_dir: likewise.
        part: such as "2/8".
        overwrite: whether a dataset of that name is to be replaced.
        say: called with each line to tell.
        options: likewise.

    Raises:
        UserError: there is no such part, or its source cannot be used or divided.
        UnusableExamples: as ``build``, of this part.
    """
    chosen, request = parse_part(part), BuildRequest(name, source, **options)
    if not request.format.drawn and source is None:
        raise UserError(f"--part {part} of {request.name} needs the --source that it is a part of")
    with opened(request, Path(data_dir), overwrite) as order:
        parts = PartFiles(order)
        if built := order.find_built():
            say(f"{request.name} is already built in {built}; nothing to do.")
            return
        if parts.has(chosen):
            say(f"Part {chosen} is already there; nothing to do.")
            return
        refuse_undivided(order.source)
        tell_source(order.source, f", part {chosen}", say)
        try:
            found = parts.write(chosen)
        except UnusableExamples as error:
            order.list_unusable(error, say)
            raise
        say(f"Part {chosen} is read, {counted(found.count, 'example')}: {found.place}")


def _tell_built(directory: Path, say: Say) -> Manifest:
    manifest = read_manifest(directory)
    _check_records(directory, manifest)
    say(f"{manifest.dataset} is already built from {manifest.source['name']}; nothing to do.")
    _tell_counts(manifest, say)
    say(f"It is in {directory}")
    return manifest


def _tell_counts(manifest: Manifest, say: Say) -> None:
    say(describe(manifest))
    if manifest.crops:
        say(describe_crops(manifest.crops))
    found = manifest.duplicates  # empty in datasets built before 1.1.0
    if found and (found["policy"] != "keep" or found["dropped"]):
        say(describe_duplicates(found))


def _check_records(directory: Path, manifest: Manifest) -> None:
    """Raise ``UserError`` if a shard is damaged."""
    check_shards(directory, manifest, manifest.shards)
    if not manifest.checksums:  # built before format 3: each record has a checksum of its own
        for split in manifest.counts:
            index_split(directory, manifest, split)


def _build(order: Order, parts: Sequence[ReadPart], accept_copies: bool, say: Say) -> Manifest:
    """Write the dataset, of parts that were read, or of what is read now."""
    check_can_prepare()
    request, source, target = order.request, order.source, order.target
    if parts:
        say(f"Merging {counted(len(parts), 'part')} of {source.name} ({source.kind})")
    else:
        tell_source(source, "", say)
    with workplace(order.root, request.format.name) as place:
        (place / "spool").mkdir()
        with contextlib.closing(Curated(source, request.curation, place / "spool", say, parts)) as curated:
            examples_of_copies = order.root / f"{order.name}-copies.png"
            if not accept_copies:
                curated.look_over(examples_of_copies, request.format.most_lost or MOST_LOST)
            examples_of_copies.unlink(missing_ok=True)  # of a build that stopped
            absent = [split for split in SPLITS if split not in curated.counts()]
            if absent:
                splits = " and ".join(curated.counts())
                say(f"The source has no {' and no '.join(absent)} split: the dataset has only {splits}.")
            number = min(request.given.get("shards", DEFAULT_SHARDS), smallest(curated.counts()))
            say(f"Writing {counted(sum(sum(split.values()) for split in curated.counts().values()), 'image')}.")
            directory, version = prepare(request.format, order.config, curated, place, number)
            curated.write_examples(directory)
            skipped = source.skipped()
            if skipped:
                write_skipped(skipped, directory / SKIPPED)
            manifest = _describe(order, version, curated, number)
            # Last: it has the checksums of all other files.
            manifest = dataclasses.replace(manifest, checksums=checksums(sorted(directory.iterdir())))
            write_manifest(manifest, directory)
        put_in_place(directory, target, place, order.find_built)
    _tell_counts(manifest, say)
    for line in manifest.warnings:
        say(f"Warning: {line}")
    for example in skipped[:3]:
        say(f"Left out: {printable(f'{example.where}, {example.what}')}: {example.reason}")
    if skipped:
        say(f"{counted(len(skipped), 'example')} could not be used, listed in {target / SKIPPED}")
    say(f"Built {manifest.dataset} with {counted(number, 'shard')} a split in {target}")
    return manifest


def tell_source(source: Source, how: str, say: Say) -> None:
    """Say what is read, and what a careful reader should know before."""
    say(f"Reading {source.name} ({source.kind}){how}")
    for note in source.notes:
        say(note)
    if told := describe_passed_over(summarize_passed_over(source.passed_over)):
        say(told)


def _describe(order: Order, version: str, curated: Curated, number: int) -> Manifest:
    request, source, entry = order.request, order.source, order.entry
    drawn = {key: value for key, value in entry.items() if key in ("split_seed", "splits", "test_share")}
    return Manifest(
        name=request.format.name,
        config=order.config,
        version=version,
        source=entry,
        class_names=source.class_names,
        image_shape=curated.image_shape,
        counts=curated.counts(),
        shards=dict.fromkeys(curated.counts(), number),
        fingerprints=curated.fingerprints(),
        content=curated.examples.content(),
        warnings=(
            *source.warnings(),
            *curated.warnings,
            *curated.tones.warnings(choosable="channels" in options_of(request.format)),
            *(source.cropped.warnings(source.findings.counts) if source.cropped else ()),
        ),
        crops=curated.examples.crops(),
        duplicates=curated.duplicates,
        drawn_split=drawn,
        skipped=len(source.skipped()),
        passed_over=summarize_passed_over(source.passed_over),
        targets=curated.has_targets,
        faces=source.recipe.to_dict(),
    )
