"""Reads every byte of a built dataset: is it what was built, and is what it holds what its manifest says?"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fer_tl.core.checksums import find_damage
from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.core.json_files import load_json
from fer_tl.core.say import Say
from fer_tl.data.building.grouping import hash_pixels
from fer_tl.data.directory import build_command, data_dir_of, newest_version, stamps_file
from fer_tl.data.examples import FILE_NAME as EXAMPLES
from fer_tl.data.examples import KEPT, read_examples
from fer_tl.data.fingerprints import Stamp, content_hash, split_fingerprints
from fer_tl.data.manifest import CACHE, Manifest, read_manifest
from fer_tl.data.manifest import FILE_NAME as MANIFEST
from fer_tl.data.records.cache import DIGESTS, IMAGES, INDEX, cache_folder, fault_of
from fer_tl.data.records.index import read_example
from fer_tl.data.records.stream import decode_stored
from fer_tl.data.records.tfrecord import DamagedRecord, Record, read_records

_PARTS = {"dataset_info.json": "splits", "features.json": "featuresDict"}  # what TFDS needs of its files

_TOLD = 5  # findings of one file; a manifest with a wrong image size has one for every record


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        file: in which file: its name, of a kept array with its folder.
        what: is wrong with it.
    """

    file: str
    what: str


@dataclass
class _Reading:
    """What was read of a dataset so far.

    Attributes:
        directory: of the dataset.
        manifest: what it should be.
        damage: what is wrong with its files by their checksums, by name.
        findings: what is wrong with it.
        stamps: of the examples that could be read.
    """

    directory: Path
    manifest: Manifest
    damage: dict[str, str]
    findings: list[Finding] = field(default_factory=list)
    stamps: list[Stamp] = field(default_factory=list)

    @property
    def has_pixels(self) -> bool:
        """Whether the fingerprints are of the pixels that the records hold; of JPEG they once were of those before."""
        return self.manifest.source.get("encoding") != "jpeg" or bool(self.manifest.checksums)


def verify_dataset(name: str, data_dir: Path | str, say: Say) -> None:
    """Read and compare all there is of a built dataset, about 6,000 grey images of 48x48 a second.

    Every file with its checksum, whatever was found earlier; every record with its own checksum, its features and its
    image; ids, classes and pixels with the counts and fingerprints of the manifest and with the table of examples; the
    arrays that are kept of it with their checksums.

    Args:
        name: "fer2013", or "folder/mine" for a dataset with a configuration.
        data_dir: folder that holds the built datasets.
        say: is called with a line for each split and for each finding.

    Raises:
        UserError: not built, or damaged, after all of it has been told.
    """
    directory = newest_version(data_dir, name)
    manifest = read_manifest(directory)
    damage = find_damage(directory, manifest.checksums, stamps_file(directory, manifest), trust=False)
    reading = _Reading(directory, manifest, damage)
    if not manifest.checksums:
        say("It was built before files had checksums: its records are compared with their own.")
    if not reading.has_pixels:
        say("Its images are JPEG: the fingerprints, of the pixels before compression, are not compared.")
    for split in manifest.counts:
        _read_split(reading, split, say)
    others = [*_compare_files(reading), *([] if reading.findings else _compare_content(reading))]
    kept = list(_compare_kept(reading))
    _tell([*others, *kept], say)
    files = {finding.file for finding in [*reading.findings, *others]}
    if files:
        command = f"{build_command(name, data_dir, manifest)} --overwrite"
        raise UserError(f"{directory} is damaged ({len(files)} of its files); build it again: `{command}`")
    if kept:
        cache = data_dir_of(directory, manifest) / CACHE
        raise UserError(
            f"{directory} is whole, but not all that is kept of it: delete {cache} "
            "(fer-tl clean --yes), it is made again"
        )
    say(f"{manifest.dataset} is whole: {directory}")


def _tell(findings: Sequence[Finding], say: Say) -> None:
    told: Counter[str] = Counter()
    for finding in findings:
        told[finding.file] += 1
        if told[finding.file] <= _TOLD:
            say(f"{finding.file}: {finding.what}")
    for file, number in told.items():
        if number > _TOLD:
            say(f"{file}: {number - _TOLD:,} more findings")


def _read_split(reading: _Reading, split: str, say: Say) -> None:
    findings: list[Finding] = []
    stamps: list[Stamp] = []
    files = reading.manifest.shards_of(split)
    for file in files:
        read, faults = _read_file(reading, split, file)
        stamps += read
        if file in reading.damage and not faults:  # else the record tells more
            faults.append(reading.damage[file])
        findings += [Finding(file, fault) for fault in faults]
    if not findings:
        findings += _compare_split(reading, split, stamps)
    _tell(findings, say)
    total = sum(reading.manifest.counts[split].values())
    images = counted(total, "image")
    images = f"{len(stamps):,} of {images} can be read" if findings else f"{images}, whole"
    say(f"{split}: {counted(len(files), 'file')}, {images}")
    reading.findings += findings
    reading.stamps += stamps


def _read_file(reading: _Reading, split: str, file: str) -> tuple[list[Stamp], list[str]]:
    """The examples of a shard, and what is wrong with the others."""
    stamps, faults = [], []
    try:
        for record in read_records(reading.directory / file):
            try:
                stamps.append(_read_record(record, split, reading.manifest))
            except DamagedRecord as error:
                faults.append(str(error))
    except DamagedRecord as error:
        faults.append(f"{error}; what follows it is lost")
    except OSError as error:
        faults.append("is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})")
    return stamps, faults


def _read_record(record: Record, split: str, manifest: Manifest) -> Stamp:
    example = read_example(record)
    classes = len(manifest.class_names)
    if not 0 <= example.label < classes:
        raise DamagedRecord(record.number, f"has the label {example.label}, of {classes} classes")
    if len(example.targets) not in (0, classes):
        raise DamagedRecord(record.number, f"has {len(example.targets)} soft targets, of {classes} classes")
    try:
        image = decode_stored(record.data[slice(*example.image)], manifest.image_shape)
    except ValueError as error:
        raise DamagedRecord(record.number, f"has an image that {error}") from None
    return Stamp(split, example.id, example.group, example.label, hash_pixels(image), example.targets.tobytes())


def _compare_split(reading: _Reading, split: str, stamps: Sequence[Stamp]) -> Iterator[Finding]:
    """Compare the examples of a split, all of which could be read, with the manifest."""
    manifest = reading.manifest
    found = Counter(manifest.class_names[stamp.label] for stamp in stamps)
    for name, number in manifest.counts[split].items():
        if number != found[name]:
            yield Finding(
                MANIFEST, f"has {counted(number, 'image')} of {name} in {split}, the records have {found[name]:,}"
            )
    if reading.has_pixels:
        prints = split_fingerprints(stamps, manifest.class_names, manifest.image_shape)
        if prints.get(split) != manifest.fingerprints[split]:
            yield Finding(MANIFEST, f"has another fingerprint of {split} than its records")


def _compare_files(reading: _Reading) -> Iterator[Finding]:
    """The files beside the shards."""
    directory, manifest = reading.directory, reading.manifest
    shards = set(manifest.shard_names)
    yield from (Finding(file, fault) for file, fault in reading.damage.items() if file not in shards)
    for path in sorted(directory.glob("*.tfrecord*")):
        if path.name not in shards:
            yield Finding(path.name, "is not a shard of this dataset: delete it")
    for file, key in _PARTS.items():
        if file in manifest.checksums:
            continue
        try:
            if key not in load_json(directory / file):
                yield Finding(file, f"has no '{key}'")
        except OSError as error:
            yield Finding(file, f"cannot be read ({error.strerror})")
        except (ValueError, TypeError) as error:
            yield Finding(file, f"is not what a build writes ({error})")


def _compare_content(reading: _Reading) -> Iterator[Finding]:
    """Compare the examples of all splits, all of which are whole, with what tells about the dataset as a whole."""
    manifest = reading.manifest
    twice = [name for name, number in Counter(stamp.id for stamp in reading.stamps).items() if number > 1]
    if twice:
        yield Finding(MANIFEST, f"has {counted(len(twice), 'id')} more than once, such as {twice[0]!r}")
    if reading.has_pixels and content_hash(reading.stamps, manifest.class_names) != manifest.content:
        yield Finding(MANIFEST, "has another hash of all images than the records")
    if EXAMPLES in reading.damage or not (reading.directory / EXAMPLES).exists():
        return  # it has been told, or it was built before 1.1.0
    try:
        listed = {
            (one.id, one.split, one.class_name, one.group)
            for one in read_examples(reading.directory)
            if one.kept == KEPT
        }
    except UserError as error:
        yield Finding(EXAMPLES, str(error))
        return
    stored = {(one.id, one.split, manifest.class_names[one.label], one.group) for one in reading.stamps}
    if listed != stored:
        yield Finding(EXAMPLES, f"differs from the records in {counted(len(listed ^ stored), 'row')}")


def _compare_kept(reading: _Reading) -> Iterator[Finding]:
    """The arrays that are kept of the splits."""
    for split in reading.manifest.counts:
        with contextlib.suppress(OSError):  # shards without checksums are missing: nothing is found that was kept
            folder = cache_folder(reading.directory, reading.manifest, split)
            for name in (INDEX, IMAGES, DIGESTS):
                fault = fault_of(folder, name, trust=False)
                if fault:
                    yield Finding(f"{folder.name}/{name}", f"{fault}; it is made again when it is needed")
