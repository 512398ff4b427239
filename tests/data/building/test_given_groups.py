"""Persons: whoever is named as one is never divided, whatever the class, the order and the copies."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fer_files import png, write_folder
from test_drop_copies import Given, by_id, curate, picture, record, varied

from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.building.curation import Curation
from fer_tl.data.building.drop_copies import Curated
from fer_tl.data.building.exclusions import read_exclusions
from fer_tl.data.building.given_groups import GroupTable, one_spelling, read_groups, read_pattern
from fer_tl.data.building.grouping import join_named
from fer_tl.data.building.request import BuildRequest
from fer_tl.data.folds import make_folds
from fer_tl.data.manifest import Manifest
from fer_tl.sources.records import Record

PERSONS, EACH = 12, 6


def images(split: str | None = None) -> list[Record]:
    """Six images of each of twelve persons, three of each class; persons 0 and 1 share a copy, 2 and 3 a photo."""
    records = []
    for person in range(PERSONS):
        for take in range(EACH):
            name, image = f"S{person:02d}_{take}", picture(EACH * person + take)
            records.append(record(name, picture(0) if name == "S01_3" else image, split, take % 2))
    rows = {record.id: row for row, record in enumerate(records)}
    for name in ("S02_1", "S03_4"):
        records[rows[name]] = replace(records[rows[name]], group="party")
    return records


def table(path: Path, *rows: str) -> GroupTable:
    path.write_text("\n".join(["id,group", *rows]))
    return read_groups(path)


def divided(splits: dict[str, str]) -> list[str]:
    """Persons whose images are in several splits or folds."""
    found = defaultdict(set)
    for name, split in splits.items():
        found[name[:3]].add(split)
    return [person for person, values in found.items() if len(values) > 1]


def test_persons_are_divided_by_no_drawn_split_and_no_fold_whatever_the_order(tmp_path: Path) -> None:
    assert divided({name: example.split for name, example in by_id(curate(tmp_path, images())).items()})
    rows = [f"{record.id},{record.id[:3]}" for record in images()]
    orders = (images(), rows), (images()[::-1], rows[::-1])
    one, other = (by_id(curate(tmp_path, order, groups=table(tmp_path / "g.csv", *lines))) for order, lines in orders)
    splits = {name: example.split for name, example in one.items()}
    assert not divided(splits) and {*splits.values()} == {"train", "test"}
    assert one == other
    groups = {name: example.group for name, example in one.items()}
    # Who shares a copy or a photo shares a group, called like the first of them, over both classes.
    joined = {"S01": "S00", "S03": "S02"}
    assert groups == {name: joined.get(name[:3], name[:3]) for name in groups}
    ids, labels = np.array(list(groups)), np.array([one[name].class_name == "happy" for name in groups]).astype(int)
    folds = make_folds(ids, labels, np.array(list(groups.values())), ("angry", "happy"), 4, 0)
    assert not divided(dict(zip(groups, map(str, folds), strict=True)))


def test_what_a_source_knows_of_persons_counts_as_well(tmp_path: Path) -> None:
    known = [replace(record, person=record.id[:3]) for record in images()]
    found = by_id(curate(tmp_path, known))
    assert not divided({name: example.split for name, example in found.items()})
    pairs = table(tmp_path / "g.csv", "S10_0,pair", "S11_0,pair")
    both = {name: example.group for name, example in by_id(curate(tmp_path, known, groups=pairs)).items()}
    assert {name for name, group in both.items() if group == "pair"} == {n for n in both if n[:3] in ("S10", "S11")}
    alone = [replace(record, person=record.id) for record in images()]
    assert by_id(curate(tmp_path, alone, groups=pairs))["S10_0"].group == "pair"


def test_training_images_of_a_person_in_test_or_validation_are_left_out_and_that_is_told(tmp_path: Path) -> None:
    split_of = {"S00": "test", "S01": "test", "S02": "validation"}
    records = [
        replace(
            record, split=split_of[record.id[:3]] if record.id[-1] in "02" and record.id[:3] in split_of else "train"
        )
        for record in images()
    ]
    curated = curate(tmp_path, records, groups=read_pattern(r"(S\d+)_"))
    kept = {name: example.kept for name, example in by_id(curated).items() if example.kept != "yes"}
    assert kept == {
        **{f"S0{person}_{take}": "same group as test" for person in (0, 1) for take in (1, 3, 4, 5)},
        "S01_3": "copy of test",
        "S02_1": "same group as validation",
        **{f"S02_{take}": "same group as validation" for take in (3, 4, 5)},
        # Of one photo with a face of S02, who is in validation.
        **{f"S03_{take}": "same group as validation" for take in range(6)},
    }
    assert curated.warnings == ["17 of 66 training images (26 %) are left out, for their groups are in validation or "
                                "test as well."]  # fmt: skip
    with pytest.raises(UserError, match="every training image of given is of a group that is in validation or test"):
        curate(tmp_path, [replace(r, split="test" if r.id[-1] == "0" else "train") for r in images()],
               groups=read_pattern(r"(S\d+)_"))  # fmt: skip


def test_frames_of_a_person_may_be_alike_if_the_user_names_her(tmp_path: Path) -> None:
    frames = [record(f"anna_{number}", varied(picture(1), number), label=number % 2) for number in range(14)]
    records = [*frames, *(record(f"p{number}_0", picture(number + 2), label=number % 2) for number in range(20))]
    with pytest.raises(UserError, match="one cluster has 14 different images"):
        curate(tmp_path, records).look_over(tmp_path / "sheet.png")
    curate(tmp_path, records, groups=read_pattern("(.*)_")).look_over(tmp_path / "sheet.png")


def test_a_class_of_one_person_is_refused_or_told_where_others_are_in_test(tmp_path: Path) -> None:
    records = [replace(record, label=int(record.id[:3] == "S05")) for record in images("train")]
    pattern = read_pattern(r"(S\d+)_")
    with pytest.raises(UserError, match=r"all 6 images of 'happy' are of one person \('S05'\).*--exclude"):
        curate(tmp_path, records, groups=pattern)
    (tmp_path / "x.csv").write_text("\n".join(["id", *(f"S05_{take}" for take in range(EACH))]))
    curate(tmp_path, records, groups=pattern, exclude=read_exclusions(tmp_path / "x.csv"))
    others = [replace(record, split="test", label=1) if record.id[:3] == "S09" else record for record in records]
    (line,) = curate(tmp_path, others, groups=pattern).warnings
    assert line.startswith("All 6 training images of 'happy' are of one group, 'S05'")


def test_spellings_of_one_group_are_one(tmp_path: Path) -> None:
    names = np.array(["P 1", "p  1", "P 1", "07", "7", "7.0", "", "P 2"])
    found, told = one_spelling(names, "g.csv")
    assert found.tolist() == ["P 1", "P 1", "P 1", "07", "07", "07", "", "P 2"]
    assert told == [
        "Groups of g.csv whose names differ only in capitals, blanks or zeros in front are one: "
        "'P 1' = 'p  1'; '07' = '7' = '7.0'."
    ]
    assert one_spelling(found, "g.csv")[1] == []
    rows = [f"{one.id},{one.id[:3].lower() if one.id[-1] == '0' else one.id[:3]}" for one in images()]
    persons = {
        example.group for example in by_id(curate(tmp_path, images(), groups=table(tmp_path / "g.csv", *rows))).values()
    }
    assert persons == {f"S{person:02d}" for person in range(PERSONS) if person not in (1, 3)}  # a copy, a photo


def test_a_person_may_be_called_like_the_image_of_nobody() -> None:
    groups, names = np.array(["1", "2", "3", "4"]), np.array(["", "1", "1", ""])
    joined = join_named(groups, names)
    assert joined[1] == joined[2] and len({*joined.tolist()}) == 3
    assert join_named(groups[:0], names[:0]).tolist() == []


def test_images_without_a_group_are_counted(tmp_path: Path) -> None:
    told: list[str] = []
    some = table(tmp_path / "g.csv", "S00_1,a", "S04_0,a", "stranger,b", "S05_1,b", "S05_1,b")
    place = tmp_path / "place"
    place.mkdir()
    curated = Curated(Given(images("train")), Curation(groups=some), place, told.append)
    assert "Groups: 2 from --groups g.csv, of 1 to 2 images each; none is divided over folds or splits." in told
    (line,) = curated.warnings
    assert line.startswith("--groups g.csv says nothing about 69 of 72 images, such as 'S00_0'")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["S00_0,"], r"g\.csv, row 1 \(line 2\): no group"),
        (["S00_0,NaN"], r"g\.csv, row 1 \(line 2\): the group is 'NaN', which is none"),
        ([",a"], r"g\.csv, row 1 \(line 2\): no id"),
        (["x,a", "y,a"], r"g\.csv: none of its 2 ids is an example's \(the first is 'x', an example's is 'S00_0'\)"),
        (["S00_0,a", "S00_1,b"], "--groups g.csv gives each of 2 images a group of its own .* holds nothing together"),
        (["S00_0,a", "S00_0,b"], r"row 2 \(line 3\): 'S00_0' is in the group 'a' in g\.csv, row 1"),
        ([f"S{p:02d}_{t},a" for p in range(12) for t in range(6)], "puts all 72 images into one group, 'a'"),
    ],
)
def test_tables_that_say_nothing_are_refused(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        curate(tmp_path, images("train"), groups=table(tmp_path / "g.csv", *rows))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"S\d+_", "captures nothing: put parentheses round what names the person"),
        ("(", "is not a regular expression"),
        (r"(T\d+)_", r"--group-regex '\(T.*\)_' matches none of the 72 images, such as 'S00_0'"),
        (r"(S\d+_\d)", "gives each of 72 images a group of its own"),
        ("(S)", "puts all 72 images into one group, 'S'"),
        (r"S(x*)", "matches none of the 72 images"),
    ],
)
def test_patterns_that_say_nothing_are_refused(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        curate(tmp_path, images("train"), groups=read_pattern(pattern))


def test_a_pattern_is_searched_in_the_path_or_in_the_id_of_all_images() -> None:
    ids, names = ["1", "a/2", "b/2"], {"a/1.png": "1", "1.png": "1", "a/2.png": "a/2", "b/2.png": "b/2", "2.png": None}
    assert read_pattern(r"^(\w)/").match(ids, names).tolist() == ["a", "a", "b"]
    assert read_pattern(r"(\w+)$").match(ids, names).tolist() == ["png"] * 3
    assert read_pattern(r"^(\d)").match(ids, names).tolist() == ["1", "", ""]
    assert read_pattern(r"^(?:\w/)?(2)").match(ids, {}).tolist() == ["", "2", "2"]


def test_one_way_of_naming_groups_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--groups gives the groups and --group-regex reads them from names"):
        BuildRequest("fer2013", tmp_path, groups="g.csv", group_regex="(a)")
    with pytest.raises(UserError, match=r"--groups is for .* not for toyfaces"):
        BuildRequest("toyfaces", groups="g.csv")


def quiet(*args: object, **options: object) -> Manifest:
    return build(*args, image_size=20, say=lambda line: None, **options)  # type: ignore[arg-type]


def test_groups_are_part_of_what_was_built(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    names = [f"{label}/S{person}_{label}{take}.png" for label in "ab" for person in range(2) for take in range(2)]
    source = write_folder(tmp_path / "own", {n: png(draw.integers(0, 256, (20, 20), dtype=np.uint8)) for n in names})
    built = quiet("folder/own", source, tmp_path, group_regex=r"(S\d)_")
    assert built.source["group_regex"] == r"(S\d)_"
    assert quiet("folder/own", source, tmp_path, group_regex=r"(S\d)_") == built
    for options in ({}, {"group_regex": r"(S\d+)_"}):
        with pytest.raises(UserError, match=r"is already built from other options \(group_regex\)"):
            quiet("folder/own", source, tmp_path, **options)
    rows = [f"{name},{name[2:4]}" for name in names]
    for lines in (rows, rows[::-1]):
        table(tmp_path / "g.csv", *lines)
        again = quiet("folder/own", source, tmp_path / "other", groups=tmp_path / "g.csv")
        assert again.fingerprints == built.fingerprints
        assert again.source["groups"].startswith("2 groups of 8 ids, sha256 ")
