"""Builds a dataset: from what a person has to sharded TFRecords with a manifest, all or nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.core.archive_members import describe_passed_over, summarize_passed_over
from fer_tl.core.checksums import checksums
from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_text
from fer_tl.core.safe_text import csv_line, printable
from fer_tl.core.say import Say, say_line
from fer_tl.core.staging import put_in_place, recover, workplace
from fer_tl.data.building.copies_summary import describe_duplicates
from fer_tl.data.building.copy_check import MOST_LOST
from fer_tl.data.building.drop_copies import Curated
from fer_tl.data.building.options import options_of
from fer_tl.data.building.prepare import check_can_prepare, prepare
from fer_tl.data.building.request import BuildRequest
from fer_tl.data.directory import build_arguments, check_shards, dataset_directory
from fer_tl.data.examples import write_examples
from fer_tl.data.fingerprints import content_hash, split_fingerprints
from fer_tl.data.manifest import DEFAULT_SHARDS, FILE_NAME, Manifest, describe, read_manifest, write_manifest
from fer_tl.data.records.index import index_split
from fer_tl.data.splits import SPLITS
from fer_tl.faces.boxes import describe_crops
from fer_tl.sources.check import check_source
from fer_tl.sources.records import VERSION, UnusableExamples

if TYPE_CHECKING:
    from fer_tl.sources.records import Skipped, Source

SKIPPED = "skipped.csv"


def build(
    name: str,
    source: str | Path | None = None,
    data_dir: str | Path = "data",
    *,
    accept_copies: bool = False,
    overwrite: bool = False,
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
        say: called with each line to tell.
        options: the other options of ``fer-tl build --help``, with ``_`` for ``-``: ``image_size=64``,
            ``duplicates="drop"``.

    Raises:
        UserError: wrong arguments or a source that cannot be used; nothing is left behind.
        UnusableExamples: examples that cannot be used; where they are more than the message names, all are listed in
            ``<data_dir>/<name>-unusable.csv``.
    """
    request = BuildRequest(name, source, **options)
    root, form = Path(data_dir), request.format
    if not form.drawn and source is None:
        directory = None
        with contextlib.suppress(UserError):
            directory = dataset_directory(root, name)
        if directory:
            return _tell_built(directory, say)
        raise UserError(f"{name} needs a source: run `fer-tl build {build_arguments(name)}`")
    with contextlib.closing(request.open()) as opened:
        config = request.config or (_slug(opened.name) if form.variants else "")
        target = root / form.name / config / VERSION
        sha256 = check_source(opened)
        entry = {"kind": opened.kind, "name": opened.name, "sha256": sha256, **opened.options}
        entry |= request.options

        def look() -> Path | None:
            return None if overwrite else _already_built(target, entry, request.given.get("shards"))

        recover(target)
        if built := look():
            return _tell_built(built, say)
        try:
            return _build(request, config, opened, entry, target, root, accept_copies, look, say)
        except UnusableExamples as error:
            if error.unnamed:  # a message cannot hold them all
                table = root / f"{name.replace('/', '-')}-unusable.csv"
                _write_skipped(error.skipped, table)
                say(f"All of them are listed in {table}")
            raise


def _already_built(target: Path, entry: dict[str, str], shards: int | None) -> Path | None:
    """The dataset's directory if it is there, whole, and from the same source.

    Raises:
        UserError: it is there but from another source, with other options, or half built.
    """
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
    if shards is not None and min(shards, _smallest(manifest.counts)) != number:
        raise UserError(f"{target} is already built with {number} shards: build again with --overwrite to replace it")
    return target


def _smallest(counts: dict[str, dict[str, int]]) -> int:
    """Examples of the smallest split; TFDS cannot write a shard with none."""
    return min(sum(classes.values()) for classes in counts.values())


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


def _build(
    request: BuildRequest,
    config: str,
    source: Source,
    entry: dict[str, str],
    target: Path,
    root: Path,
    accept_copies: bool,
    look: Callable[[], Path | None],
    say: Say,
) -> Manifest:
    check_can_prepare()
    say(f"Reading {source.name} ({source.kind})")
    for note in source.notes:
        say(note)
    if told := describe_passed_over(summarize_passed_over(source.passed_over)):
        say(told)
    with workplace(root, request.format.name) as place:
        (place / "spool").mkdir()
        with contextlib.closing(Curated(source, request.curation, place / "spool", say)) as curated:
            if source.cropped:
                source.cropped.refuse_unfound()
            examples_of_copies = root / f"{request.name.replace('/', '-')}-copies.png"
            if not accept_copies:
                curated.look_over(examples_of_copies, request.format.most_lost or MOST_LOST)
            examples_of_copies.unlink(missing_ok=True)  # of a build that stopped
            absent = [split for split in SPLITS if split not in curated.counts()]
            if absent:
                splits = ", ".join(curated.counts())
                say(f"The source has no {' and no '.join(absent)} split: the dataset has {splits} only.")
            number = min(request.given.get("shards", DEFAULT_SHARDS), _smallest(curated.counts()))
            directory, version = prepare(request.format, config, curated, place, number)
            write_examples(curated.examples, directory)
            skipped = source.skipped()
            if skipped:
                _write_skipped(skipped, directory / SKIPPED)
            manifest = _describe(request, config, version, source, entry, curated, number)
            # Last: it has the checksums of all other files.
            manifest = dataclasses.replace(manifest, checksums=checksums(sorted(directory.iterdir())))
            write_manifest(manifest, directory)
        put_in_place(directory, target, place, look)
    _tell_counts(manifest, say)
    for line in manifest.warnings:
        say(f"Warning: {line}")
    for example in skipped[:3]:
        say(f"Left out: {printable(f'{example.where}, {example.what}')}: {example.reason}")
    if skipped:
        say(f"{counted(len(skipped), 'example')} could not be used, listed in {target / SKIPPED}")
    say(f"Built {manifest.dataset} with {number} shards a split in {target}")
    return manifest


def _describe(
    request: BuildRequest,
    config: str,
    version: str,
    source: Source,
    entry: dict[str, str],
    curated: Curated,
    number: int,
) -> Manifest:
    stamps = curated.stamps()
    drawn = {key: value for key, value in entry.items() if key in ("split_seed", "splits", "test_share")}
    return Manifest(
        name=request.format.name,
        config=config,
        version=version,
        source=entry,
        class_names=source.class_names,
        image_shape=source.image_shape,
        counts=curated.counts(),
        shards=dict.fromkeys(curated.counts(), number),
        fingerprints=split_fingerprints(stamps, source.class_names, source.image_shape),
        content=content_hash(stamps, source.class_names),
        warnings=(
            *source.warnings(),
            *curated.warnings,
            *curated.tones.warnings(choosable="channels" in options_of(request.format)),
            *(source.cropped.warnings if source.cropped else ()),
        ),
        crops=curated.crops(),
        duplicates=curated.duplicates,
        drawn_split=drawn,
        skipped=len(source.skipped()),
        passed_over=summarize_passed_over(source.passed_over),
        targets=curated.has_targets,
        faces=source.recipe.to_dict(),
    )


def _write_skipped(skipped: Sequence[Skipped], path: Path) -> None:
    rows = [("where", "what", "reason"), *map(dataclasses.astuple, skipped)]
    write_text(path, "".join(map(csv_line, rows)))


def _slug(name: str) -> str:
    """A dataset's name out of a file's or folder's: "My Faces.zip" gives "my-faces"."""
    stem = name.lower().removesuffix(".zip").split(".tar")[0]
    return re.sub(r"[^a-z0-9_]+", "-", stem).strip("-_") or "data"
