"""Splits: the source's own, a table's, or drawn by whole groups; the same examples and seed give the same split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fer_files import csv_text, make_faces, png, write_folder

from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.building.curation import Curation
from fer_tl.data.building.request import BuildRequest
from fer_tl.data.building.splitting import choose_splits, describe_split
from fer_tl.data.directory import build_arguments, dataset_directory
from fer_tl.data.manifest import Manifest

CLASSES = ("angry", "happy", "sad")
PERSONS, EACH = 40, 6
IDS = np.array([f"{person:02d}-{take}" for person in range(PERSONS) for take in range(EACH)])
GROUPS = np.array([name[:2] for name in IDS])
LABELS = np.array([int(name[3]) % 3 for name in IDS])


def choose(own: list[str | None], rows: np.ndarray | None = None, **settings: object) -> dict[str, str]:
    """{id: split} of the rows in their order."""
    order = np.arange(len(IDS)) if rows is None else rows
    ids = IDS[order]
    curation = Curation(**settings)  # type: ignore[arg-type]
    names: dict[str, str | None] = {f"{name}.png": name for name in ids.tolist()} | {
        name: name for name in ids.tolist()
    }
    found = choose_splits([own[row] for row in order], ids, LABELS[order], GROUPS[order], CLASSES, curation, names)
    return dict(zip(ids.tolist(), found.tolist(), strict=True))


@pytest.mark.parametrize(("share", "persons"), [(0.2, 8), (0.25, 10), (0.3, 12), (0.15, 6), (0.5, 20)])
def test_a_share_of_whole_groups_of_each_class_is_drawn_whatever_the_order(share: float, persons: int) -> None:
    training: list[str | None] = ["train"] * len(IDS)
    found = choose(training, test_share=share)
    assert len({name[:2] for name, split in found.items() if split == "test"}) == persons
    assert not {name[:2] for name, split in found.items() if split == "test"} & {
        name[:2] for name, split in found.items() if split == "train"
    }
    by_class = Counter(int(name[3]) % 3 for name, split in found.items() if split == "test")
    assert by_class == dict.fromkeys(range(3), persons * EACH // 3)
    assert choose(training, np.arange(len(IDS))[::-1], test_share=share) == found
    assert choose(training, test_share=share, split_seed=1) != found


def test_what_is_drawn_of_a_source_without_splits_is_80_to_20_as_before() -> None:
    nothing: list[str | None] = [None] * len(IDS)
    assert choose(nothing) == choose(nothing, test_share=0.2) == choose(["train"] * len(IDS), test_share=0.2)
    assert choose(nothing) != choose(nothing, test_share=0.25)


def test_validation_stays_and_its_groups_are_not_drawn() -> None:
    own: list[str | None] = ["validation" if row < 30 or row in (60, 70) else "train" for row in range(len(IDS))]
    assert {*choose(own).values()} == {"train", "validation"}
    found = choose(own, test_share=0.25)
    assert [name for name, split in found.items() if split == "validation"] == [
        str(name) for name, split in zip(IDS, own, strict=True) if split == "validation"
    ]
    assert not {name[:2] for name, split in found.items() if split == "test"} & {
        "00",
        "01",
        "02",
        "03",
        "04",
        "10",
        "11",
    }
    with pytest.raises(UserError, match="finds no training image whose group is not in validation"):
        choose(["validation" if row % EACH == 0 else "train" for row in range(len(IDS))], test_share=0.25)


def test_a_source_with_a_test_split_keeps_it_unless_a_table_says_otherwise() -> None:
    own: list[str | None] = ["test" if row < 30 else "train" for row in range(len(IDS))]
    with pytest.raises(UserError, match="the source has one of its own, 30 images: leave it out"):
        choose(own, test_share=0.2)
    table = {f"{name}.png": "test" if name.endswith("5") else "validation" for name in IDS.tolist()}
    found = choose(own, splits=table)
    assert found == {name: table[f"{name}.png"] for name in IDS.tolist()}
    assert describe_split(own, Curation(splits=table)) and not describe_split(["train"], Curation(splits=table))
    table.pop("00-0.png")
    with pytest.raises(UserError, match=r"says nothing about 1 of 240 examples, such as '00-0'"):
        choose(own, splits=table)


def test_a_class_with_too_few_groups_for_the_share_is_told_with_what_would_do() -> None:
    labels = np.where(GROUPS < "07", 2, LABELS % 2)
    names: dict[str, str | None] = {name: name for name in IDS.tolist()}
    with pytest.raises(UserError, match=r"class 'sad' has 7 groups of images, too few for a 70:30 split.* it needs 10"):
        choose_splits(["train"] * len(IDS), IDS, labels, GROUPS, CLASSES, Curation(test_share=0.3), names)


@pytest.mark.parametrize(("persons", "fits"), [(2, False), (3, True)])
def test_fewer_groups_than_classes_are_divided_by_no_drawn_split(persons: int, fits: bool) -> None:
    ids = np.array([f"{row:02d}" for row in range(36)])
    labels, groups = np.arange(36) % 3, np.arange(36) // 3 % persons  # each person shows every class
    names: dict[str, str | None] = {name: name for name in ids.tolist()}
    given = (["train"] * 36, ids, labels, groups.astype(str), CLASSES, Curation(test_share=0.5), names)
    if fits:
        assert {"train", "test"} == set(choose_splits(*given))
        return
    with pytest.raises(
        UserError, match=r"of 2 groups \(persons, photos, copies\), fewer than the 3 classes: .*--splits"
    ):
        choose_splits(*given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"splits": "s.csv", "test_share": 0.2}, "--splits gives the split and --test-share draws one"),
        ({"splits": "s.csv", "split_seed": 1}, "--splits gives the split and --split-seed draws one"),
        ({"split_seed": 1}, "--split-seed draws the split of --test-share: give that as well"),
        ({"test_share": 0.9}, "--test-share is 0.9, not 0.05 to 0.5"),
        ({"test_share": 0}, "--test-share is 0, not 0.05 to 0.5"),
    ],
)
def test_unclear_requests_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        BuildRequest("folder/mine", "x", **given)


def test_of_a_format_without_splits_none_may_be_drawn(tmp_path: Path) -> None:
    assert {*choose([None] * len(IDS), test_share=0.0).values()} == {"train"}
    options = BuildRequest("kdef", tmp_path, test_share=0).options
    assert options["test_share"] == "0.0" and "split_seed" not in options
    with pytest.raises(UserError, match="--split-seed draws a split, and --test-share 0 draws none"):
        BuildRequest("kdef", tmp_path, test_share=0, split_seed=1)
    with pytest.raises(UserError, match=r"--test-share is 0.01, not 0 or 0.05 to 0.5"):
        BuildRequest("kdef", tmp_path, test_share=0.01)


def test_of_a_format_without_splits_the_usual_share_is_what_was_built_before(tmp_path: Path) -> None:
    plain, asked, other = (
        BuildRequest("expw", tmp_path, **given).options for given in ({}, {"test_share": 0.2}, {"test_share": 0.25})
    )
    assert plain == asked and other == plain | {"test_share": "0.25"} and plain["split_seed"] == "0"
    assert "split_seed" not in BuildRequest("folder", tmp_path).options
    assert BuildRequest("folder", tmp_path, test_share=0.2).options["test_share"] == "0.2"


def quiet(*args: object, **options: object) -> Manifest:
    return build(*args, say=lambda line: None, **options)  # type: ignore[arg-type]


def test_a_drawn_split_is_kept_by_id_and_used_again(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    names = [f"{label}/{label}{take}.png" for label in "ab" for take in range(6)]
    source = write_folder(tmp_path / "own", {n: png(draw.integers(0, 256, (20, 20), dtype=np.uint8)) for n in names})
    drawn = quiet("folder/own", source, tmp_path, image_size=20, test_share=0.5, split_seed=3)
    assert drawn.counts == {"train": {"a": 3, "b": 3}, "test": {"a": 3, "b": 3}}
    assert drawn.drawn_split == {"split_seed": "3", "test_share": "0.5"}
    assert "--split-seed 3 --test-share 0.5" in build_arguments("folder/own", drawn)
    table = dataset_directory(tmp_path, "folder/own") / "examples.csv"
    again = quiet("folder/own", source, tmp_path / "again", image_size=20, splits=table)
    assert again.fingerprints == drawn.fingerprints and "12 ids" in again.drawn_split["splits"]
    with pytest.raises(UserError, match=r"already built from other options \(split_seed, test_share\)"):
        quiet("folder/own", source, tmp_path, image_size=20)
    (tmp_path / "f.csv").write_text(csv_text(make_faces(42)))
    with pytest.raises(UserError, match="the source has one of its own, 14 images"):
        quiet("fer2013", tmp_path / "f.csv", tmp_path / "fer", test_share=0.2)
