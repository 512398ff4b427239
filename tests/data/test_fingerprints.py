"""Fingerprints: of the examples alone, and of all that makes an example what it is."""

from __future__ import annotations

import dataclasses

import pytest

from fer_tl.data.fingerprints import Stamp, content_hash, split_fingerprints

CLASSES = ("angry", "happy")
SHAPE = (2, 2, 1)
STAMPS = [Stamp("train", "a", "a", 0, "1"), Stamp("train", "b", "b", 1, "2"), Stamp("test", "c", "c", 1, "3")]


def test_hashes_do_not_depend_on_the_order_of_reading() -> None:
    assert split_fingerprints(STAMPS, CLASSES, SHAPE) == split_fingerprints(STAMPS[::-1], CLASSES, SHAPE)
    assert content_hash(STAMPS, CLASSES) == content_hash(STAMPS[::-1], CLASSES)


@pytest.mark.parametrize(
    ("field", "value", "same_content"),
    [
        ("split", "validation", False),
        ("id", "z", True),
        ("group", "z", True),
        ("label", 1, False),
        ("pixels", "9", False),
        ("targets", b"9", True),
    ],
)
def test_each_part_of_an_example_counts(field: str, value: object, same_content: bool) -> None:
    changed = [dataclasses.replace(STAMPS[0], **{field: value}), *STAMPS[1:]]  # type: ignore[arg-type]
    assert split_fingerprints(changed, CLASSES, SHAPE) != split_fingerprints(STAMPS, CLASSES, SHAPE)
    assert (content_hash(changed, CLASSES) == content_hash(STAMPS, CLASSES)) == same_content


def test_class_names_and_shape_count() -> None:
    first = split_fingerprints(STAMPS, CLASSES, SHAPE)
    assert split_fingerprints(STAMPS, ("sad", "happy"), SHAPE) != first
    assert split_fingerprints(STAMPS, CLASSES, (2, 2, 3)) != first


def test_a_split_more_changes_no_other() -> None:
    first, less = split_fingerprints(STAMPS, CLASSES, SHAPE), split_fingerprints(STAMPS[:2], CLASSES, SHAPE)
    assert first["train"] == less["train"] and set(first) == {"train", "test"} and set(less) == {"train"}
