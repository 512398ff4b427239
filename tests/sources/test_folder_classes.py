"""Which classes folders stand for: twins joined, different ones kept apart, numbers not guessed."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from fer_files import png, write_folder, write_zip

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.data.building.request import BuildRequest
from fer_tl.sources.fer2013.open_source import open_source
from fer_tl.sources.folder.classes import name_classes
from fer_tl.sources.folder.reader import open_folder
from fer_tl.sources.image_source import ImageSource
from fer_tl.sources.label_orders import LABEL_ORDERS

IMAGE = png(np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8))


def opened(tmp_path: Path, folders: str | list[str], labels: str | None = None) -> ImageSource:
    """A source with one image in each of some folders."""
    names = folders.split() if isinstance(folders, str) else folders
    return open_folder(
        write_zip(tmp_path / "x.zip", {f"{n}/{i}.png": IMAGE for i, n in enumerate(names)}), 20, "pad", labels
    )


def labels_by_folder(source: ImageSource) -> dict[str, str]:
    return {entry.name.rpartition("/")[0]: source.class_names[entry.label] for entry in source._entries}


def test_the_eight_classes_of_ravdess_stay_eight(tmp_path: Path) -> None:
    source = opened(tmp_path, "neutral calm happy sad angry fearful disgust surprised")
    assert source.class_names == (*CLASS_NAMES, "calm")
    assert labels_by_folder(source)["calm"] == "calm" and labels_by_folder(source)["fearful"] == "fear"


def test_known_classes_get_their_names_beside_unknown_ones(tmp_path: Path) -> None:
    source = opened(tmp_path, "Anger disgusted fearful Happiness sad. suprise Neutral Contempt Bored")
    assert source.class_names == (*CLASS_NAMES, "Bored", "contempt")


def test_capitals_across_splits_are_one_class_and_said(tmp_path: Path) -> None:
    source = opened(tmp_path, "train/Contempt train/Bored train/Happy test/contempt test/bored test/happiness")
    assert source.class_names == ("happy", "Bored", "contempt")
    assert {n: sum(c.values()) for n, c in source.counts().items()} == {"train": 3, "test": 3}
    assert all(number == 1 for split in source.counts().values() for number in split.values())
    assert [n for n in source.notes if "one class" in n and "'Bored' = 'bored'" in n]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("open mouth", "open mouth "), ("open mouth", " Open Mouth"), ("open mouth", "open_mouth"),
        ("open mouth", "open-mouth."),
        (unicodedata.normalize("NFC", "fröhlich"), unicodedata.normalize("NFD", "fröhlich")),
        ("STRASSE", "straße"), ("1", "01"),
    ],
)  # fmt: skip
def test_what_makes_no_class_of_its_own(tmp_path: Path, one: str, other: str) -> None:
    source = opened(tmp_path, [f"train/{one}", "train/shut", f"test/{other}", "test/shut"])
    assert len(source.class_names) == 2
    assert source.counts()["train"] == source.counts()["test"]
    assert any(repr(one) in note and repr(other) in note for note in source.notes)


def test_names_that_differ_in_one_split_by_more_stay_apart(tmp_path: Path) -> None:
    assert opened(tmp_path, ["C", "C++", "C#"]).class_names == ("C", "C#", "C++")
    assert opened(tmp_path, ["train/a+b", "train/ab", "test/a+b", "test/ab"]).class_names == ("a+b", "ab")


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        ("joy happy sad", ("happy", "sad", "joy")),
        ("Joy joyful sad", ("sad", "Joy", "joyful")),
        ("train/joy train/happy train/sad test/happy test/sad", ("happy", "sad", "joy")),
        ("normal Neutral sad", ("sad", "neutral", "normal")),
    ],
)
def test_two_folders_of_one_split_are_never_merged_unseen(tmp_path: Path, folders: str, names: tuple[str, ...]) -> None:
    source = opened(tmp_path, folders)
    assert source.class_names == names
    assert any("both mean" in note and "--classes" in note for note in source.notes)


def test_other_spellings_in_other_splits_are_the_same_class(tmp_path: Path) -> None:
    source = opened(tmp_path, "train/joy train/sad test/happy test/sadness")
    assert source.class_names == ("happy", "sad")
    assert source.counts() == {split: {"happy": 1, "sad": 1} for split in ("train", "test")}


@pytest.mark.parametrize(
    "numbers", ["1 2 3 4 5 6 7", "0 1 2 3 4 5 6", "0 1 2 3 4 5 6 7", "1 2 3 4 5 6", "01 02 03 04 05"]
)
def test_numbers_of_a_known_order_are_refused_with_the_option(tmp_path: Path, numbers: str) -> None:
    folders = [f"{split}/{number}" for split in ("train", "test") for number in numbers.split()]
    with pytest.raises(UserError, match=r"x\.zip has numbers for classes \(.*whose meaning is a guess.*--labels "):
        opened(tmp_path, folders)


@pytest.mark.parametrize("order", ["raf", "fer", "affectnet", "ferplus", "ckplus"])
def test_numbers_get_the_names_of_the_order_that_is_said(tmp_path: Path, order: str) -> None:
    known = LABEL_ORDERS[order]
    source = opened(tmp_path, [str(known.first + index) for index in range(len(known.names))], order)
    assert labels_by_folder(source) == {str(known.first + i): name for i, name in enumerate(known.names)}
    assert source.class_names == tuple(n for n in (*CLASS_NAMES, "contempt") if n in known.names)
    assert source.options["labels"] == order


def test_other_numbers_stay_names_with_a_warning(tmp_path: Path) -> None:
    source = opened(tmp_path, "10 20 30")
    assert source.class_names == ("10", "20", "30") and any("numbered folders" in note for note in source.notes)


def test_orders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--labels raf \(RAF-DB\) does not have: it has 1 to 7"):
        opened(tmp_path, "0 1 2", "raf")
    with pytest.raises(UserError, match="has names for classes, not numbers: leave --labels out"):
        opened(tmp_path, "happy sad", "raf")
    with pytest.raises(UserError, match="--labels rafdb: no such choice; did you mean 'raf'"):
        BuildRequest("folder", source=tmp_path, labels="rafdb")


def test_the_option_reaches_the_folder_builder(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "r", {f"{n}/{n}.png": IMAGE for n in range(1, 8)})
    source = BuildRequest("folder/x", source=root, labels="raf").open()
    assert source.class_names == CLASS_NAMES
    source.close()


def test_twins_by_spelling_alone_are_no_second_class(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has one class only \(happy\)"):
        opened(tmp_path, "Happy happy")


def test_fer2013_does_not_merge_two_folders_either(tmp_path: Path) -> None:
    files = {f"train/{c}/{c}.png": IMAGE for c in ("joy", "happy", "sad")}
    with pytest.raises(UserError, match=r"two names for one class in train, happy and joy"):
        open_source(write_zip(tmp_path / "x.zip", files))
    files = {f"{p}.png": IMAGE for p in ("train/joy/1", "train/Sad/2", "train/sad./3", "test/happy/4")}
    assert open_source(write_zip(tmp_path / "y.zip", files)).total() == 4


def test_a_slip_of_the_keyboard_is_told(tmp_path: Path) -> None:
    names = [("train", "happy")] * 12 + [("train", "hapy")] * 2 + [("train", "awe")] + [("train", "disgustt")]
    found = name_classes(names, None, "mine")
    assert found.names == ("happy", "awe", "disgustt", "hapy")
    (note,) = found.notes
    assert note == "Warning: 'hapy' is a class of its own, of 2 images: is it happy? Correct the folder."
    assert not name_classes([("train", "awe")] * 12 + [("train", "awed")] * 3, None, "mine").notes  # hardly rarer
