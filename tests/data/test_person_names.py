"""Names that look like persons are seen, those that only count are not."""

from __future__ import annotations

import pytest

from fer_tl.data.building.given_groups import read_pattern
from fer_tl.data.examples import Example
from fer_tl.data.person_names import describe_person_names, find_person_names

CLASSES = ("happy", "sad")


def examples(*names: str, group: str = "") -> list[Example]:
    """Images of both classes in turn, each a group of its own if there is no other."""
    return [Example(name, "train", CLASSES[row % 2], group or name) for row, name in enumerate(names)]


def told(pattern: str, persons: int = 4, takes: int = 6) -> list[str]:
    return [pattern.format(person=person, take=take) for person in range(persons) for take in range(takes)]


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ("S{person:02d}_{take}", r"(S\d+)_"),
        ("a/subject{person}-{take}", r"(subject\d+)-"),
        ("S{person:03d}/001/S{person:03d}_001_{take:08d}", r"(S\d+)/"),
        ("img_{take}.Actor_{person:02d}.x", r"(Actor_\d+)\."),
    ],
)
def test_codes_that_images_of_several_classes_share_are_persons(names: str, pattern: str) -> None:
    found = find_person_names(examples(*told(names)))
    assert found is not None
    assert (found.pattern, found.persons, found.divided) == (pattern, 4, 4)
    line = describe_person_names(found, "folder/mine")
    assert f"fer-tl build folder/mine ... --group-regex '{pattern}' --overwrite" in line and f"{found.person!r}" in line


@pytest.mark.parametrize(
    "names",
    [
        told("{person}{take}"),
        told("fer{person}{take}_x"),  # counted
        told("img{person}_{take}"),
        told("a{person}{take}_x"),  # each on one image
        [f"{word}{take}_x" for take in range(2) for word in ("p", "q", "r")],  # no letters that most have
        [f"k{row % 2}_{row}" for row in range(12)],  # each on one class
        ["p1_1", "p1_2"],
        [*told("S{person}_{take}"), *map(str, range(24))],  # half of the names
        ["p0_1", "p0_2", "p1_1", "p1_2", "p2_1", "p3_1"],  # hardly two images each
        [],
    ],
)
def test_names_that_count_or_tell_the_class_are_none(names: list[str]) -> None:
    assert find_person_names(examples(*names)) is None


PEOPLE = ("anna", "Ben", "Zoë", "chen")


@pytest.mark.parametrize(
    ("names", "persons"),
    [
        ("{name}_{take:03d}", PEOPLE),
        ("{name}{take}", PEOPLE),
        ("set/{name} ({take}).png", PEOPLE),
        ("happy/{name}-{take}.jpg", PEOPLE),
        ("{name}_{kind}_{take}", PEOPLE),
        ("{kind}/{name}/{take:02d}.png", PEOPLE),
        ("{name}/{kind}/{take:02d}.png", PEOPLE),
        ("{name}/session/{kind}/{take:02d}.png", PEOPLE),
        ("{kind}/{number:03d}/{take:02d}.png", ("000", "001", "002", "003")),
        ("train/{kind}/{name}/{take:02d}.png", PEOPLE),
    ],
)
def test_names_and_folders_of_persons_and_what_is_pasted_for_them(names: str, persons: tuple[str, ...]) -> None:
    ids = [
        names.format(name=name, number=number, take=take, kind=CLASSES[take % 2])
        for number, name in enumerate(PEOPLE)
        for take in range(6)
    ]
    found = find_person_names(examples(*ids))
    assert found is not None and (found.persons, found.divided) == (4, 4)
    # The same with the paths in a source, which have folders around and an ending.
    paths: dict[str, str | None] = {f"Faces 2/S1_x/{one}" + ("" if "." in one else ".png"): one for one in ids}
    for known in ({}, paths):
        groups = read_pattern(found.pattern).match(ids, known).tolist()
        assert groups == [name for name in persons for _ in range(6)]


def test_folders_and_words_that_are_none() -> None:
    for names in (
        [f"{split}_{take}" for split in ("Training", "PublicTest") for take in range(8)],
        [f"{split}/{take}.png" for split in ("train", "test") for take in range(8)],
        [f"{kind}/{take}.png" for kind in CLASSES for take in range(8)],
        [f"{kind}_{take}" for kind in CLASSES for take in range(8)],
        [f"{word}_{who}_{take}.jpg#0" for word in ("amazed", "cheerful") for who in ("boss", "baby") for take in "123"],
        [f"{part}/{take:03x}af.jpg" for part in range(3) for take in range(8)],  # folders that hold so many files each
    ):
        assert find_person_names(examples(*names)) is None, names[0]


def test_where_the_groups_hold_persons_together_nothing_is_said() -> None:
    names = told("S{person:02d}_{take}")
    grouped = [Example(name, "train", CLASSES[row % 2], name[:3]) for row, name in enumerate(names)]
    assert find_person_names(grouped) is None
    torn = [*grouped[:-1], Example(names[-1], "train", "sad", names[-1])]
    found = find_person_names(torn)
    assert found is not None and found.divided == 1


def test_folders_of_takes_are_nothing_where_persons_are_known() -> None:
    names = [
        f"{person}/{take:03d}/{frame}.png" for person in ("S5", "S6", "S7") for take in range(4) for frame in range(4)
    ]
    known = [Example(name, "train", CLASSES[row % 2], name[:2]) for row, name in enumerate(names)]
    assert find_person_names(known) is None
