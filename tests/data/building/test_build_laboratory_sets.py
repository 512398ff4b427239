"""Sets of known persons from files to folds: no person is on both sides of a split or of a fold."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from fer_files import csv_text, make_faces, write_folder
from laboratory_files import ckplus_files, jaffe_files, kdef_files, ravdess_files

from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.dataset import load_dataset
from fer_tl.data.directory import build_arguments
from fer_tl.data.folds import make_folds
from fer_tl.data.manifest import Manifest

PERSONS = [f"S{number:03d}" for number in range(10)]
SETS = {
    "jaffe": (jaffe_files([f"{a}{b}" for a in "KN" for b in "ALMRU"]), {}, ["train"], 10),
    "kdef": (kdef_files(persons=5), {"angles": "half"}, ["train", "test"], 10),
    "ckplus": (
        ckplus_files({f"{person}_00{emotion}": emotion for person in PERSONS for emotion in range(1, 8)}),
        {"neutral": "first"},
        ["train", "test"],
        10,
    ),
    "ravdess": (ravdess_files(actors=range(1, 11)), {"frames": 2}, ["train", "test"], 10),
}


def quiet(*args: object, **options: object) -> Manifest:
    return build(*args, shards=1, say=lambda line: None, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SETS)
def test_persons_stay_together(tmp_path: Path, name: str) -> None:
    files, options, splits, persons = SETS[name]
    manifest = quiet(name, write_folder(tmp_path / "source", files), tmp_path / "data", image_size=24, **options)
    assert list(manifest.counts) == splits
    splits_of = defaultdict(set)
    for split in splits:
        data = load_dataset(name, tmp_path / "data", split)
        assert set(data.labels.tolist()) == set(range(len(manifest.class_names)))
        for group in data.groups.tolist():
            splits_of[group].add(split)
    assert len(splits_of) == persons and all(len(found) == 1 for found in splits_of.values())
    train = load_dataset(name, tmp_path / "data", "train")
    folds = make_folds(train.ids, train.labels, train.groups, train.class_names, 4, seed=0)
    pairs = set(zip(train.groups.tolist(), folds.tolist(), strict=True))
    assert len(pairs) == len(set(train.groups.tolist())) == (10 if name == "jaffe" else 8)
    said = build_arguments(name, manifest)
    for option, value in options.items():
        assert f"--{option} {value}" in said


def test_too_few_persons_for_a_split_are_said_before_anything_is_written(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "source", ravdess_files(actors=(1, 2, 3)))
    with pytest.raises(UserError, match=r"class 'angry' has 3 groups of images, too few.*one person"):
        quiet("ravdess", root, tmp_path / "data")
    assert not any((tmp_path / "data").rglob("*.tfrecord*"))


def test_the_csv_of_ckplus_has_a_drawn_split_and_its_warning_is_kept(tmp_path: Path) -> None:
    faces = [(split, at % 8, pixels) for at, (split, _, pixels) in enumerate(make_faces(64))]
    (tmp_path / "ckextended.csv").write_text(csv_text(faces))
    manifest = quiet("ckplus", tmp_path / "ckextended.csv", tmp_path / "data")
    assert manifest.drawn_split == {"split_seed": "0"} and list(manifest.counts) == ["train", "test"]
    assert any("names no persons" in line for line in manifest.warnings)
    assert build_arguments("ckplus", manifest).startswith("ckplus --source PATH")
    assert "labels" not in build_arguments("ckplus", manifest)
