"""Fingerprints of a dataset: what tells one build from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Stamp:
    """What of one example goes into the fingerprint.

    Attributes:
        split: train, validation or test.
        id: unique.
        group: as in the records.
        label: index into the class names.
        pixels: SHA-256 of its pixels as they are read back from the records, 64 hexadecimal digits.
        targets: bytes of its soft targets, none if it has none.
    """

    split: str
    id: str
    group: str
    label: int
    pixels: str
    targets: bytes = b""


def split_fingerprints(
    stamps: Sequence[Stamp], class_names: tuple[str, ...], image_shape: tuple[int, int, int]
) -> dict[str, str]:
    """SHA-256 of each split over class names, image shape, and id, group, label, pixels and targets of every example:
    one a split, so that a test split added later changes none but its own."""
    ordered, splits = sorted(stamps, key=lambda stamp: stamp.id), dict.fromkeys(stamp.split for stamp in stamps)
    return fingerprint_in_order(ordered, splits, class_names, image_shape)


def fingerprint_in_order(
    stamps: Iterable[Stamp], splits: Iterable[str], class_names: tuple[str, ...], image_shape: tuple[int, int, int]
) -> dict[str, str]:
    """``split_fingerprints`` of stamps that come in the order of their ids, which need not be in memory; ``splits`` are
    all that there are."""
    start = json.dumps([class_names, image_shape]).encode()
    digests = {split: hashlib.sha256(start) for split in splits}
    for stamp in stamps:
        row = [stamp.split, stamp.id, stamp.group, stamp.label, stamp.pixels]
        digests[stamp.split].update(json.dumps(row).encode() + stamp.targets)
    return {split: digest.hexdigest() for split, digest in digests.items()}


def content_hash(stamps: Sequence[Stamp], class_names: tuple[str, ...]) -> str:
    """SHA-256 over split, class and pixels of every example: equal for the same images under other ids."""
    lines = sorted(f"{stamp.split} {class_names[stamp.label]} {stamp.pixels}\n" for stamp in stamps)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
