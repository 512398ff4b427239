"""Anyone's own images: classes, splits, size and channels."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from fer_files import png, write_folder, write_zip
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.data.building.given_groups import read_pattern
from fer_tl.sources.folder.reader import open_folder
from fer_tl.sources.records import Record, Source

RANDOM = np.random.default_rng(3)
GREY = RANDOM.integers(0, 256, (30, 30), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (30, 30, 3), dtype=np.uint8)


def read(source: Source) -> dict[str, Record]:
    return {record.id: record for record in source.records()}


def test_names_of_ones_own_are_kept(tmp_path: Path) -> None:
    source = open_folder(
        write_folder(tmp_path, {f"{c}/{c}{i}.png": png(GREY) for c in ("Zzz", "Awake") for i in (1, 2)}), 30
    )
    assert source.class_names == ("Awake", "Zzz")
    assert source.counts() == {"train": {"Awake": 2, "Zzz": 2}}
    assert {identity: record.label for identity, record in read(source).items()} == {
        "Awake1": 0,
        "Awake2": 0,
        "Zzz1": 1,
        "Zzz2": 1,
    }


def test_expressions_get_their_names_and_order(tmp_path: Path) -> None:
    source = open_folder(
        write_folder(tmp_path, {f"{c}/{c}.png": png(GREY) for c in ("normal", "Joy", "1anger", "Zzz")}), 30
    )
    assert source.class_names == ("angry", "happy", "neutral", "Zzz")
    labels = {identity: record.label for identity, record in read(source).items()}
    assert labels == {"1anger": 0, "Joy": 1, "normal": 2, "Zzz": 3}


def test_a_strange_class_follows_the_seven(tmp_path: Path) -> None:
    source = open_folder(write_folder(tmp_path, {f"{c}/{c}.png": png(GREY) for c in ("Sadness", "bored")}), 30)
    assert source.class_names == ("sad", "bored")


@pytest.mark.parametrize("packed", [False, True])
def test_splits_of_a_folder_or_a_zip(tmp_path: Path, packed: bool) -> None:
    files = {f"mine/{s}/{c}/{s}{c}.png": png(GREY) for s in ("Train", "valid", "testing") for c in "ab"}
    source = open_folder(write_zip(tmp_path / "m.zip", files) if packed else write_folder(tmp_path, files), 30)
    assert source.counts() == {split: {"a": 1, "b": 1} for split in ("train", "validation", "test")}
    assert source.notes == []


def test_all_grey_gives_one_channel_and_any_colour_three(tmp_path: Path) -> None:
    grey = open_folder(write_folder(tmp_path / "g", {f"{c}/{c}.png": png(GREY) for c in "ab"}), 30)
    assert grey.image_shape == (30, 30, 1)
    np.testing.assert_array_equal(read(grey)["a"].image[..., 0], GREY)
    mixed = open_folder(write_folder(tmp_path / "m", {"a/a.png": png(GREY), "b/b.png": png(COLOUR)}), 30)
    assert mixed.image_shape == (30, 30, 3)
    np.testing.assert_array_equal(read(mixed)["b"].image, COLOUR)
    np.testing.assert_array_equal(read(mixed)["a"].image, np.stack([GREY] * 3, axis=-1))


def test_the_camera_s_turn_is_undone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it 90 degrees clockwise
    stream = io.BytesIO()
    Image.fromarray(GREY).save(stream, "png", exif=exif)
    source = open_folder(write_folder(tmp_path, {"a/a.png": stream.getvalue(), "b/b.png": png(GREY)}), 30)
    np.testing.assert_array_equal(read(source)["a"].image[..., 0], np.rot90(GREY, -1))


def deep(levels: np.ndarray, bits: int) -> bytes:
    """A PNG file of 16 bits that holds grey levels 0..255 in the lower bits and does not say so."""
    return png((levels.astype(np.uint16) * 257) >> (16 - bits))


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_bits_that_are_not_used_are_asked_for_and_then_obeyed(tmp_path: Path, bits: int) -> None:
    dark = GREY // 8  # its own brightest pixel would make it as bright as the other
    root = write_folder(tmp_path, {"a/a.png": deep(GREY, bits), "b/b.png": deep(dark, bits), "b/c.png": png(GREY)})
    silent = open_folder(root, 30)
    read(silent)
    with pytest.raises(
        UserError, match=rf"2 images of .* 16 bits, but none uses all of them.*--bits {bits}`, or --bits 16"
    ):
        silent.judge()
    source = open_folder(root, 30, bits=bits)
    images = {identity: record.image[..., 0].astype(int) for identity, record in read(source).items()}
    for identity, expected in {"a": GREY, "b": dark, "c": GREY}.items():
        assert np.abs(images[identity] - expected).max() <= 1
    assert source.recipe.bits == bits and source.options["bits"] == str(bits)
    assert max(record.image.max() for record in read(open_folder(root, 30, bits=16)).values() if record.id != "c") < 70


def test_sixteen_bits_of_which_one_image_uses_all_need_no_word(tmp_path: Path) -> None:
    source = open_folder(write_folder(tmp_path, {"a/a.png": deep(GREY, 16), "b/b.png": deep(GREY // 4, 16)}), 30)
    found = read(source)
    np.testing.assert_array_equal(found["a"].image[..., 0], GREY)
    assert np.abs(found["b"].image[..., 0].astype(int) - GREY // 4).max() <= 1


def test_channels_are_as_asked_for(tmp_path: Path) -> None:
    root = write_folder(tmp_path, {"a/a.png": png(np.stack([GREY] * 3, axis=-1)), "b/b.png": png(GREY)})
    assert open_folder(root, 30).image_shape == (30, 30, 3)
    source = open_folder(root, 30, channels=1)
    assert source.image_shape == (30, 30, 1) and source.options["channels"] == "1"
    np.testing.assert_array_equal(read(source)["a"].image[..., 0], GREY)


def test_several_frames_or_pages_of_a_picture_are_counted(tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    files = {"b/b.png": png(GREY)}
    for form in ("gif", "tiff"):
        stream = io.BytesIO()
        frames[0].save(stream, form, save_all=True, append_images=frames[1:])
        files[f"a/{form}.{form}"] = stream.getvalue()
    source = open_folder(write_folder(tmp_path, files), 30)
    np.testing.assert_array_equal(read(source)["tiff"].image[..., 0], GREY)
    assert source.warnings() == ["2 pictures have several frames or pages: the first of each was taken."]


def test_shrinking_is_antialiased(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))  # [64, 64]; every 4th column alone would be all black
    source = open_folder(write_folder(tmp_path, {f"{c}/{c}.png": png(stripes) for c in "ab"}), 16)
    image = read(source)["a"].image
    assert image.shape == (16, 16, 1)
    np.testing.assert_allclose(image[2:-2, 2:-2], 127.5, atol=12)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a/readme.txt": b"x"}, "holds no images"),
        ({"a/1.png": png(GREY)}, "one class only"),
        ({"1.png": png(GREY), "a/2.png": png(GREY)}, "1.png.*no class folder"),
        ({"a/1.png": b"x", "b/2.png": png(GREY)}, "a/1.png.*text, not a picture"),
        ({"train/a/1.png": png(GREY), "b/2.png": png(GREY)}, "b/2.png.*no split"),
        ({f"{c}/{s}/1.png": png(GREY) for c in "ab" for s in ("s1", "s2")}, "a/s1/1.png .*hold images directly"),
        ({f"train/{n}.png": png(GREY) for n in ("a/1", "a/sub/x", "b/2")}, "train/a/sub/x.png .*hold images directly"),
        ({f"mine/{n}.png": png(GREY) for n in ("1", "a/1", "b/2")}, "mine/a/1.png .*hold images directly"),
        ({os.fsdecode(f): png(GREY) for f in (b"a/caf\xe9.png", b"b/1.png")}, r"a/caf\\xe9\.png .*UTF-8"),
        ({os.fsdecode(f): png(GREY) for f in (b"caf\xe9/1.png", b"b/1.png")}, r"caf\\xe9/1\.png .*UTF-8"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(open_folder(write_folder(tmp_path, files), 30))


@pytest.mark.parametrize("path", ["top/{c}/{s}.png", "a/b/{s}/{c}/1.png", "{s}/{s}/{c}/1.png", "{s}/images/{c}/1.png"])
def test_folders_around_the_classes_do_not_count(tmp_path: Path, path: str) -> None:
    files = {path.format(s=s, c=c): png(GREY) for s in ("train", "test") for c in "xy"}
    assert open_folder(write_folder(tmp_path, files), 30).class_names == ("x", "y")


def test_a_class_folder_without_images_is_said(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "r", {f"top/{s}/{c}/1.png": png(GREY) for s in ("train", "test") for c in "ab"})
    (root / "top" / "train" / "c").mkdir()
    (root / "top" / "train" / ".c").mkdir()
    assert open_folder(root, 30).notes == ["top/train/c in r holds no images: it is passed over."]


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "root", {"a/1.png": png(GREY)})
    write_folder(tmp_path / "away", {"2.png": png(GREY)})
    os.symlink(tmp_path / "away", root / "b")
    os.symlink(root, root / "a" / "loop")
    assert open_folder(root, 30).counts() == {"train": {"a": 1, "b": 1}}


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("{kind}/{who}/{take}.png", "([^/]+)/[^/]+$"),
        ("x/{split}/{kind}/{who}/{take}.png", "([^/]+)/[^/]+$"),
        ("{who}/{kind}/{take}.png", "([^/]+)/[^/]+/[^/]+$"),
        ("{split}/{who}/{kind}/{take}.png", "([^/]+)/[^/]+/[^/]+$"),
    ],
)
def test_folders_of_persons_around_or_in_known_classes(tmp_path: Path, form: str, pattern: str) -> None:
    names = {
        form.format(kind=kind, who=who, take=take, split="test" if who == "dora" else "train"): (kind, who)
        for kind in ("Happy", "sadness")
        for who in ("anna", "ben", "dora")
        for take in range(2)
    }
    source = open_folder(write_folder(tmp_path / "set", dict.fromkeys(names, png(GREY))), 30)
    found = read(source)
    assert source.class_names == ("happy", "sad") and len(found) == len(names) == 12
    paths = {identity: name for name, identity in source.names().items() if name in names}
    for identity, record in found.items():
        kind, who = names[paths[identity]]
        assert source.class_names[record.label] == {"Happy": "happy", "sadness": "sad"}[kind]
        assert record.split == ("test" if "{split}" in form and who == "dora" else "train")
    (line,) = (note for note in source.notes if "are not used" in note)
    assert f"build with --group-regex '{pattern}'" in line and "(anna, ben, dora)" in line
    groups = read_pattern(pattern).match([*found], source.names()).tolist()
    assert groups == [names[paths[identity]][1] for identity in found]


def test_a_level_of_folders_is_not_guessed(tmp_path: Path) -> None:
    for forms in (
        ("awake/anna/1.png", "awake/ben/1.png", "asleep/anna/1.png", "asleep/ben/1.png"),  # no known classes
        ("happy/anna/1.png", "happy/ben/1.png", "sad/anna/1.png", "sad/1.png"),  # not all images
        ("happy/sad/1.png", "sad/happy/1.png"),
    ):
        with pytest.raises(UserError, match="lies too deep: class folders hold images directly, or folders for each"):
            open_folder(write_folder(tmp_path / str(len(forms[0])), dict.fromkeys(forms, png(GREY))), 30)
