"""ExpW from files to records: the split is saved and shared, copies and photos stay whole, bad photos leave a trace."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from expw_files import encode, votes_row
from fer_files import png, write_folder

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.dataset import load_dataset
from fer_tl.data.directory import dataset_directory
from fer_tl.data.examples import Example, read_examples
from fer_tl.data.manifest import Manifest
from fer_tl.sources.votes import COLUMNS

PHOTOS, SIZE = 70, 32


def photo(number: int) -> np.ndarray:
    """Two textures of 32 x 32 side by side, uint8 [32, 64, 3]; the right one of photo 0 is the left one of photo 1."""
    rng = np.random.default_rng([3, number])
    left, right = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    return np.concatenate([photo(0)[:, SIZE:] if number == 1 else left, right], axis=1)


def lines() -> str:
    rows = [f"p{n:02d}.jpg {face} 0 {face * SIZE} {face * SIZE + SIZE} {SIZE} 9 {(n + face) % 7}" for n in range(PHOTOS)
            for face in range(2)]  # fmt: skip
    return "\n".join([*rows, "again.png 0 0 16 48 32 9 3"]) + "\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {f"origin/p{number:02d}.jpg": png(photo(number)) for number in range(PHOTOS)}
    files["origin/again.png"] = png(photo(2))  # with another box
    return write_folder(tmp_path_factory.mktemp("expw"), files | {"label.lst": lines().encode()})


def quiet(*args: object, **options: object) -> Manifest:
    return build(*args, image_size=SIZE, shards=1, say=lambda line: None, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    quiet("expw", source, root)
    return root


def rows_of(data_dir: Path) -> dict[str, Example]:
    return {example.id: example for example in read_examples(dataset_directory(data_dir, "expw"))}


def test_the_records_are_the_faces_and_neither_photos_nor_copies_are_divided(built: Path) -> None:
    examples = rows_of(built)
    again = examples.pop("again.png#0")
    assert len(examples) == 2 * PHOTOS and not again.cluster
    assert {again.group, again.split} == {examples["p02.jpg#0"].group, examples["p02.jpg#0"].split}
    for split, count in (("train", 112), ("test", 28)):
        dataset = load_dataset("expw", built, split)
        assert len(dataset) == pytest.approx(count, abs=4)
        assert {*dataset.ids} - {again.id} == {name for name, example in examples.items() if example.split == split}
        for name, image, label, group in zip(dataset.ids, dataset.images, dataset.labels, dataset.groups, strict=True):
            if name == again.id:
                continue
            number, face = int(name[1:3]), int(name[-1])
            np.testing.assert_array_equal(image, photo(number)[:, face * SIZE : face * SIZE + SIZE])
            assert label == (number + face) % 7
            assert group == {1: "p00.jpg", 2: again.group}.get(number, f"p{number:02d}.jpg")
    assert {name for name, example in examples.items() if example.cluster} == {"p00.jpg#1", "p01.jpg#0"}
    assert len({examples[f"p0{number}.jpg#{face}"].split for number in range(2) for face in range(2)}) == 1


def test_another_seed_is_another_split_and_a_saved_one_is_the_same(built: Path, source: Path, tmp_path: Path) -> None:
    first = {name: example.split for name, example in rows_of(built).items()}
    with pytest.raises(UserError, match=r"already built from other options \(split_seed\)"):
        quiet("expw", source, built, split_seed=1)
    quiet("expw", source, tmp_path / "other", split_seed=1)
    assert {name: example.split for name, example in rows_of(tmp_path / "other").items()} != first
    table = dataset_directory(built, "expw") / "examples.csv"
    shared = quiet("expw", source, tmp_path / "shared", splits=table)
    assert {name: example.split for name, example in rows_of(tmp_path / "shared").items()} == first
    assert "141 ids" in shared.drawn_split["splits"]


def test_bad_photos_stop_the_build_or_leave_a_trace(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "source"
    files = {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*") if path.is_file()}
    files["origin/p05.jpg"] = files["origin/p05.jpg"][:200]
    del files["origin/p09.jpg"]
    write_folder(root, files)
    with pytest.raises(UserError, match=r"line 19 .*p09\.jpg.*--on-error skip"):
        quiet("expw", root, tmp_path / "data")
    assert not list((tmp_path / "data").glob("*")) and not list((tmp_path / "data").glob(".building*"))
    manifest = quiet("expw", root, tmp_path / "data", on_error="skip")
    assert manifest.skipped == 4 and len(rows_of(tmp_path / "data")) == 137
    with (dataset_directory(tmp_path / "data", "expw") / "skipped.csv").open(newline="") as table:
        skipped = list(csv.DictReader(table))
    assert sorted(row["what"] for row in skipped) == ["p05.jpg#0", "p05.jpg#1", "p09.jpg#0", "p09.jpg#1"]
    assert {row["where"] for row in skipped} == {f"label.lst, line {number}" for number in (11, 12, 19, 20)}


def test_soft_votes_and_jpeg_reach_the_reader(tmp_path: Path) -> None:
    files, table = {}, []
    for number in range(PHOTOS):
        files[f"ExpwCleaned/p{number:02d}_0.png"] = encode(photo(number + 100)[:, :SIZE], "png")
        table.append(votes_row(f"p{number:02d}_0.png", **{COLUMNS[number % 7]: 6, COLUMNS[(number + 1) % 7]: 4}))
    write_folder(tmp_path / "source", files | {"label_expw.csv": "\n".join(table).encode()})
    manifest = quiet("expw", tmp_path / "source", tmp_path / "data", votes="soft", encoding="jpeg")
    assert manifest.targets
    dataset = load_dataset("expw", tmp_path / "data", ("train", "test"))
    assert dataset.targets is not None and len(dataset) == PHOTOS
    names = {"anger": "angry", "happiness": "happy", "sadness": "sad"}
    for name, label, target, image in zip(dataset.ids, dataset.labels, dataset.targets, dataset.images, strict=True):
        number = int(name[1:3])
        first, second = (
            CLASS_NAMES.index(names.get(COLUMNS[vote % 7], COLUMNS[vote % 7])) for vote in (number, number + 1)
        )
        assert label == first and {first: 0.6, second: 0.4} == pytest.approx(
            {index: share for index, share in enumerate(target.tolist()) if share}
        )
        difference = np.abs(image.astype(int) - photo(number + 100)[:, :SIZE])
        assert 0 < difference.mean() < 12
    hard = quiet("expw", tmp_path / "source", tmp_path / "hard")
    assert not hard.targets and load_dataset("expw", tmp_path / "hard", "train").targets is None
    assert hard.fingerprints != manifest.fingerprints
