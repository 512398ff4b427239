"""A build is complete, repeatable and honest, or leaves nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from fer_files import csv_text, image_files, make_faces, png, tar_bytes, write_folder, write_zip

from fer_tl.commands.verify import verify
from fer_tl.core.checksums import Checksum
from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.building.prepare import prepare
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import Manifest, read_manifest, write_manifest

FACES = make_faces(42)
NEW_SINCE_1 = ("duplicates", "drawn_split", "skipped", "targets", "checksums")  # of the manifest's formats


@pytest.fixture
def fer_csv(tmp_path: Path) -> Path:
    path = tmp_path / "fer2013.csv"
    path.write_text(csv_text(FACES))
    return path


def quiet(*args, **kwargs) -> Manifest:
    return build(*args, **kwargs, say=lambda line: None)


def files_of(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def left_in(data_dir: Path) -> list[str]:
    return sorted(path.name for path in data_dir.iterdir()) if data_dir.exists() else []


def test_what_is_built_is_what_was_given(tmp_path: Path, fer_csv: Path) -> None:
    import tensorflow_datasets as tfds

    lines: list[str] = []
    manifest = build("fer2013", fer_csv, tmp_path / "data", say=lines.append)
    directory = dataset_directory(tmp_path / "data", "fer2013")
    assert read_manifest(directory) == manifest
    builder = tfds.builder_from_directory(directory)
    assert builder.info.features["label"].names == list(manifest.class_names)
    found = {}
    for split in ("train", "validation", "test"):
        assert builder.info.splits[split].num_shards == manifest.shards[split] == 14
        for example in tfds.as_numpy(builder.as_dataset(split)):
            assert example["image"].dtype == np.uint8 and example["image"].shape == (48, 48, 1)
            assert example["group"] == example["id"]
            found[int(example["id"])] = split, int(example["label"]), example["image"][..., 0].tobytes()
    assert found == {index: (split, label, pixels.tobytes()) for index, (split, label, pixels) in enumerate(FACES)}
    text = "\n".join(lines)
    assert ["total", "14", "14", "14", "42"] in [line.split() for line in text.splitlines()]
    assert "Warning: your copy differs from the official FER-2013: train has 14 images" in text
    assert str(directory) in text


def test_the_same_source_gives_the_same_bytes(tmp_path: Path, fer_csv: Path) -> None:
    first, second = (quiet("fer2013", fer_csv, tmp_path / name) for name in ("one", "two"))
    assert first == second
    one, two = (files_of(tmp_path / name) for name in ("one", "two"))
    assert one == two and len(one) > 40
    assert not [name for name, data in one.items() if str(tmp_path).encode() in data]


def test_records_do_not_depend_on_the_process(tmp_path: Path, fer_csv: Path) -> None:
    import tensorflow as tf

    quiet("fer2013", fer_csv, tmp_path / "data")
    shards = sorted(map(str, (tmp_path / "data").rglob("*.tfrecord-*")))
    for record in tf.data.TFRecordDataset(shards).as_numpy_iterator():
        assert record == tf.train.Example.FromString(record).SerializeToString(deterministic=True)


def test_the_same_images_have_the_same_content(tmp_path: Path, fer_csv: Path) -> None:
    packed = write_zip(tmp_path / "f.zip", image_files(FACES))
    from_csv, from_zip = quiet("fer2013", fer_csv, tmp_path / "csv"), quiet("fer2013", packed, tmp_path / "zip")
    assert from_csv.content == from_zip.content
    assert from_csv.counts == from_zip.counts
    assert from_csv.fingerprints != from_zip.fingerprints  # the ids differ
    fer_csv.write_text(csv_text(FACES[:-1]))
    assert quiet("fer2013", fer_csv, tmp_path / "less").content != from_csv.content


def test_a_missing_split_is_said(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(csv_text(make_faces(14, ("train", "validation"))))
    lines: list[str] = []
    manifest = build("fer2013", tmp_path / "f.csv", tmp_path / "data", say=lines.append)
    assert list(manifest.counts) == ["train", "validation"]
    assert any("no test split" in line for line in lines)


@pytest.mark.parametrize(("shards", "expected"), [(None, 14), (3, 3), (1, 1)])
def test_shards(tmp_path: Path, fer_csv: Path, shards: int | None, expected: int) -> None:
    manifest = quiet("fer2013", fer_csv, tmp_path / "data", shards=shards)
    assert set(manifest.shards.values()) == {expected}
    assert quiet("fer2013", fer_csv, tmp_path / "data", shards=shards) == manifest
    with pytest.raises(UserError, match="already built with"):
        quiet("fer2013", fer_csv, tmp_path / "data", shards=2)


def test_a_second_build_does_nothing(tmp_path: Path, fer_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = quiet("fer2013", fer_csv, tmp_path / "data")
    monkeypatch.setattr("fer_tl.data.building.build.prepare", None)
    lines: list[str] = []
    moved = fer_csv.rename(tmp_path / "renamed.csv")
    assert build("fer2013", moved, tmp_path / "data", say=lines.append) == manifest
    assert "already built" in lines[0]
    assert quiet("fer2013", None, tmp_path / "data") == manifest


def test_a_dataset_of_an_older_version_is_still_told(tmp_path: Path, fer_csv: Path) -> None:
    manifest = quiet("fer2013", fer_csv, tmp_path / "data")
    directory = dataset_directory(tmp_path / "data", "fer2013")
    old = {key: value for key, value in dataclasses.asdict(manifest).items() if key not in NEW_SINCE_1} | {"format": 1}
    (directory / "manifest.json").write_text(json.dumps(old))
    assert quiet("fer2013", None, tmp_path / "data").duplicates == {}


def test_another_source_needs_a_word(tmp_path: Path, fer_csv: Path) -> None:
    old = quiet("fer2013", fer_csv, tmp_path / "data")
    fer_csv.write_text(csv_text(FACES[:-1]))
    before = files_of(tmp_path / "data")
    with pytest.raises(UserError, match=r"already built from another source .*--overwrite"):
        quiet("fer2013", fer_csv, tmp_path / "data")
    assert files_of(tmp_path / "data") == before
    new = quiet("fer2013", fer_csv, tmp_path / "data", overwrite=True)
    assert new.content != old.content
    assert read_manifest(dataset_directory(tmp_path / "data", "fer2013")) == new
    assert left_in(tmp_path / "data") == ["fer2013"]


def test_the_old_one_survives_a_new_one_that_fails(tmp_path: Path, fer_csv: Path) -> None:
    quiet("fer2013", fer_csv, tmp_path / "data")
    before = files_of(tmp_path / "data")
    fer_csv.write_text(csv_text(FACES).replace("\n3,", "\n3,999 ", 1))
    with pytest.raises(UserError, match="row 4 "):
        quiet("fer2013", fer_csv, tmp_path / "data", overwrite=True)
    assert files_of(tmp_path / "data") == before


def test_what_was_moved_aside_is_replaced_only_where_that_is_asked_for(tmp_path: Path, fer_csv: Path) -> None:
    manifest = quiet("fer2013", fer_csv, tmp_path / "data")
    directory = dataset_directory(tmp_path / "data", "fer2013")
    directory.rename(directory.with_name(f".replaced-{directory.name}"))  # a kill between two renames
    fer_csv.write_text(csv_text(FACES[:-1]))
    with pytest.raises(UserError, match=r"already built from another source .*--overwrite"):
        quiet("fer2013", fer_csv, tmp_path / "data")
    assert read_manifest(directory) == manifest


@pytest.mark.parametrize("equal", [True, False])
def test_what_another_process_built_meanwhile_is_replaced_only_where_that_is_asked_for(
    tmp_path: Path, fer_csv: Path, monkeypatch: pytest.MonkeyPatch, equal: bool
) -> None:
    other = tmp_path / "other.csv"
    other.write_text(csv_text(FACES if equal else FACES[:-1]))
    built = []

    def meanwhile(*arguments: object) -> tuple[Path, str]:
        if not built:
            built.append(None)
            built[0] = quiet("fer2013", other, tmp_path / "data")
        return prepare(*arguments)

    monkeypatch.setattr("fer_tl.data.building.build.prepare", meanwhile)
    if equal:
        assert quiet("fer2013", fer_csv, tmp_path / "data").content == built[0].content
    else:
        with pytest.raises(UserError, match=r"already built from another source .*--overwrite"):
            quiet("fer2013", fer_csv, tmp_path / "data")
    assert read_manifest(dataset_directory(tmp_path / "data", "fer2013")).content == built[0].content
    assert left_in(tmp_path / "data") == ["fer2013"]


def test_a_half_built_directory_is_not_taken_for_a_dataset(tmp_path: Path, fer_csv: Path) -> None:
    manifest = quiet("fer2013", fer_csv, tmp_path / "data")
    shard = next((tmp_path / "data").rglob("*.tfrecord-00002*"))
    shard.unlink()
    with pytest.raises(UserError, match=r"half built.*" + shard.name):
        quiet("fer2013", fer_csv, tmp_path / "data")
    assert quiet("fer2013", fer_csv, tmp_path / "data", overwrite=True) == manifest
    assert shard.exists()


@pytest.mark.parametrize("size", [0, 7, -1, None])
def test_a_damaged_shard_is_noticed(tmp_path: Path, fer_csv: Path, size: int | None) -> None:
    manifest = quiet("fer2013", fer_csv, tmp_path / "data", shards=1)
    shard = next((tmp_path / "data").rglob("*train.tfrecord-*"))
    data = shard.read_bytes()
    first = 16 + int.from_bytes(data[:8], "little")
    shard.write_bytes(data[first:] if size is None else data[:size])
    said = r"(split 'train'|-train.tfrecord-\S+) (is damaged|does not hold).*--overwrite"
    for known in (manifest, dataclasses.replace(manifest, checksums={})):  # and as before format 3
        write_manifest(known, shard.parent)
        for source in (fer_csv, None):
            with pytest.raises(UserError, match=said):
                quiet("fer2013", source, tmp_path / "data")
    assert quiet("fer2013", fer_csv, tmp_path / "data", shards=1, overwrite=True) == manifest


def test_checksums_are_those_of_all_files(tmp_path: Path, fer_csv: Path) -> None:
    manifest = quiet("fer2013", fer_csv, tmp_path / "data")
    files = files_of(dataset_directory(tmp_path / "data", "fer2013"))
    del files["manifest.json"]
    assert {"examples.csv", "dataset_info.json", "features.json", *manifest.shard_names} <= files.keys()
    assert manifest.checksums == {
        name: Checksum(len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()
    }
    lines: list[str] = []
    verify("fer2013", tmp_path / "data", lines.append)
    assert lines[:3] == [f"{split}: 14 files, 14 images, whole" for split in ("train", "validation", "test")]


TEXT = csv_text(FACES)
PIXELS = png(FACES[0][2])
BAD_SOURCES = {
    "bad pixel in the last row": (TEXT.rsplit(",", 2)[0] + ",1 2 3,PrivateTest\n", "row 42 .*3 pixel values"),
    "cut": (TEXT[:-20_000], "row [0-9]+ .*truncated"),
    "columns": ("a,b\n1,2\n", "no column emotion"),
    "empty": ("", "is empty"),
    "tar truncated": (tar_bytes({"fer2013.csv": TEXT.encode()})[:50_000], "damaged or truncated"),
    "bad image": ({"train/sad/1.png": PIXELS, "train/sad/2.png": PIXELS[:500]}, "2.png.*is truncated"),
    "unknown class": ({"train/bored/1.png": PIXELS}, "bored"),
    "RAF": ({f"train/{n}/{n}.png": PIXELS for n in range(1, 8)}, "--labels raf"),
}


@pytest.mark.parametrize(("data", "message"), BAD_SOURCES.values(), ids=BAD_SOURCES)
def test_a_bad_source_leaves_nothing(tmp_path: Path, data, message: str) -> None:
    source = tmp_path / "source.csv"
    if isinstance(data, dict):
        write_folder(source, data)
    else:
        source.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(UserError, match=message) as caught:
        quiet("fer2013", source, tmp_path / "data")
    assert "\n" not in str(caught.value)
    assert left_in(tmp_path / "data") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "fer2014"}, "no dataset 'fer2014'"),
        ({"name": "fer2013"}, "needs a source: run `fer-tl build fer2013 --source PATH`"),
        ({"name": "fer2013", "source": "missing.csv"}, "missing.csv does not exist"),
        (
            {"name": "fer2013", "source": "x", "image_size": 96},
            "--image-size is for .*expw, .*folder.*, not for fer2013",
        ),
        ({"name": "fer2013/a", "source": "x"}, "fer2013 has no variants"),
        ({"name": "fer2013", "source": ".", "labels": "abc"}, "--labels abc: no such choice"),
        ({"name": "expw", "source": "x", "labels": "raf"}, "--labels is for .*fer2013, folder.*, not for expw"),
        ({"name": "folder/../x", "source": "x"}, "cannot be a folder's name"),
        ({"name": "folder", "source": "x", "image_size": 2}, "--image-size is 2, not 8 to 1,024"),
        ({"name": "toyfaces", "source": "x"}, "--source is for .*expw, fer2013, folder.*, not for toyfaces"),
        ({"name": "toyfaces", "boxes": "x"}, "--boxes is for .*fer2013, folder"),
        ({"name": "fer2013", "boxes": "x"}, "--boxes crops the images of --source"),
        ({"name": "fer2013", "source": "x", "box_margin": 0.1}, "--box-margin widens the boxes of --boxes"),
        ({"name": "folder", "source": "x", "boxes": "b.csv", "box_margin": 1.5}, "box-margin is 1.5, not 0 to 1"),
        ({"name": "folder", "source": "x", "boxes": "b.csv", "box_margin": float("nan")}, "--box-margin is nan"),
        ({"name": "fer2013", "source": "missing.csv", "boxes": "b.csv"}, "b.csv does not exist"),
        ({"name": "toyfaces", "shards": 0}, "--shards is 0"),
    ],
)
def test_wrong_arguments_are_told_before_tensorflow(
    tmp_path: Path, arguments, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fer_tl.data.building.build.prepare", None)
    with pytest.raises(UserError, match=message):
        quiet(**arguments, data_dir=tmp_path / "data")
    assert left_in(tmp_path / "data") == []


def test_tensorflow_is_not_imported_to_refuse_a_source(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("version https://git-lfs.github.com/spec/v1")
    code = f"""
        import sys
        from fer_tl.data.building.build import build
        from fer_tl.core.errors import UserError
        try:
            build("fer2013", {str(tmp_path / "f.csv")!r}, {str(tmp_path / "data")!r})
        except UserError:
            assert not [name for name in sys.modules if name.startswith("tensorflow")]
            print("refused")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_a_killed_build_leaves_nothing_that_looks_finished(tmp_path: Path, fer_csv: Path) -> None:
    code = f"""
        import os, signal
        from fer_tl.data.building import build as module

        def killed(*arguments):
            os.kill(os.getpid(), signal.SIGKILL)  # everything is written but not yet in place

        module.put_in_place = killed
        module.build("fer2013", {str(fer_csv)!r}, {str(tmp_path / "data")!r})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = left_in(tmp_path / "data")
    assert left.startswith(".building-fer2013-")
    with pytest.raises(UserError, match=r"not built.*there: nothing"):
        dataset_directory(tmp_path / "data", "fer2013")
    (tmp_path / "data" / f".building-other-{os.getppid()}").mkdir()  # of a build that still runs
    quiet("fer2013", fer_csv, tmp_path / "data")
    assert left_in(tmp_path / "data") == [f".building-other-{os.getppid()}", "fer2013"]


def test_a_build_leaves_no_folder_for_temporary_files(
    tmp_path: Path, fer_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    quiet("fer2013", fer_csv, tmp_path / "data")
    assert not list((tmp_path / "temporary").iterdir())
    assert tempfile.tempdir == str(tmp_path / "temporary")


def test_interrupted_by_the_keyboard(tmp_path: Path, fer_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fer_tl.data.building.reading.SpoolWriter.add", interrupt)
    with pytest.raises(KeyboardInterrupt):
        quiet("fer2013", fer_csv, tmp_path / "data")
    assert left_in(tmp_path / "data") == []


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "My Faces", {f"{c}/{c}{i}.png": PIXELS for c in ("calm", "wild") for i in range(4)})
    manifest = quiet("folder", root, tmp_path / "data", image_size=32)
    assert (manifest.dataset, manifest.image_shape, manifest.shards) == ("folder/my-faces", (32, 32, 1), {"train": 8})
    assert dataset_directory(tmp_path / "data", "folder/my-faces").parent.name == "my-faces"
    named = quiet("folder/mine", root, tmp_path / "data", image_size=32)
    assert dataclasses.replace(named, config="my-faces", checksums=manifest.checksums) == manifest
    different = {name for name, found in named.checksums.items() if found != manifest.checksums[name]}
    assert different == {"dataset_info.json"}  # which has the name
    with pytest.raises(UserError, match=r"other options \(image_size\)"):
        quiet("folder", root, tmp_path / "data", image_size=48)


BOXES = "id,top,left,bottom,right\n" + "".join(f"{index:05d},8,8,40,40\n" for index in range(20))


def test_examples_are_excluded_by_any_of_their_names_and_that_is_part_of_what_was_built(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    names = ("train/a/1.png", "train/a/2.png", "train/b/3.png", "train/b/same.png", "test/b/same.png", "test/a/5.png")
    files = {name: png(draw.integers(0, 256, (20, 20), dtype=np.uint8)) for name in names}
    source = write_folder(tmp_path / "own", files)

    def exclude(*rows: str) -> Path:
        (tmp_path / "leave.csv").write_text("\n".join(["id", *rows]))
        return tmp_path / "leave.csv"

    manifest = quiet("folder/own", source, tmp_path, image_size=20, exclude=exclude("2", "train/b/same.png", "5.png"))
    assert manifest.counts == {"train": {"a": 1, "b": 1}, "test": {"a": 0, "b": 1}}
    assert manifest.duplicates["dropped"] == {"excluded": 3}
    assert manifest.source["exclude"].startswith("3 ids, sha256 ")
    again = exclude("5.png", "2", "train/b/same.png", "2")
    assert quiet("folder/own", source, tmp_path, image_size=20, exclude=again) == manifest
    for fewer in ({"exclude": exclude("2", "5.png")}, {}):
        with pytest.raises(UserError, match=r"is already built from other options \(exclude\)"):
            quiet("folder/own", source, tmp_path, image_size=20, **fewer)
    with pytest.raises(UserError, match=r"leave.csv, row 1 .*: several examples are called 'same.png'"):
        quiet("folder/own", source, tmp_path, image_size=20, exclude=exclude("same.png"), overwrite=True)


def test_face_boxes_are_part_of_what_was_built(tmp_path: Path, fer_csv: Path) -> None:
    boxes, data = tmp_path / "boxes.csv", tmp_path / "data"
    boxes.write_text(BOXES + "00020,,,,\n00041,-9,-9,24,24\nstranger,1,1,9,9\n")
    lines: list[str] = []
    built = build("fer2013", fer_csv, data, boxes=boxes, say=lines.append)
    half = {"cropped": 7, "whole": 7, "clipped": 0}
    assert built.crops == {"train": half, "validation": half, "test": half | {"clipped": 1}}
    assert any("no image for 1 of its 23 ids (first: 'stranger'" in line for line in built.warnings)
    assert any("train 7 cropped (0 of them reach beyond the image), 7 whole" in line for line in lines)
    lines.clear()
    assert build("fer2013", fer_csv, data, boxes=boxes, box_margin=0, say=lines.append) == built
    assert any("test 7 cropped (1 of them reach beyond the image), 7 whole" in line for line in lines)
    for options in ({}, {"boxes": boxes, "box_margin": 0.1}):
        with pytest.raises(UserError, match=r"already built from other options \(.*box_margin"):
            quiet("fer2013", fer_csv, data, **options)
    boxes.write_text(BOXES)
    with pytest.raises(UserError, match=r"already built from other options \(boxes\)"):
        quiet("fer2013", fer_csv, data, boxes=boxes)
    whole = quiet("fer2013", fer_csv, data, overwrite=True)
    assert whole.crops == {} and "boxes" not in whole.source
    assert all(whole.fingerprints[split] != built.fingerprints[split] for split in whole.fingerprints)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("00030,48,0,60,20", r"boxes\.csv, row 21 \(line 22\).*covers no pixel of image '00030', which has 48 rows"),
        ("00003,0,0,9,9", "row 21 .*'00003' is in boxes.csv, row 4 "),
    ],
)
def test_a_wrong_box_leaves_nothing(tmp_path: Path, fer_csv: Path, line: str, message: str) -> None:
    (tmp_path / "boxes.csv").write_text(f"{BOXES}{line}\n")
    with pytest.raises(UserError, match=message):
        quiet("fer2013", fer_csv, tmp_path / "data", boxes=tmp_path / "boxes.csv", box_margin=1.0)
    assert left_in(tmp_path / "data") == []


def test_another_dataset_s_boxes_are_told_before_tensorflow(
    tmp_path: Path, fer_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fer_tl.data.building.build.prepare", None)
    (tmp_path / "boxes.csv").write_text(BOXES.replace("\n000", "\nface_"))
    with pytest.raises(UserError, match=r"none of its 20 ids is an image's \(the first is 'face_00', .* '00000'\)"):
        quiet("fer2013", fer_csv, tmp_path / "data", boxes=tmp_path / "boxes.csv")
    assert left_in(tmp_path / "data") == []


def test_toyfaces_needs_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_tl.sources.toyfaces.source.COUNTS", {"train": 40, "validation": 20, "test": 20})
    manifest = quiet("toyfaces", data_dir=tmp_path / "data")
    assert {split: sum(row.values()) for split, row in manifest.counts.items()} == {
        "train": 40,
        "validation": 20,
        "test": 20,
    }
    assert manifest.image_shape == (48, 48, 1)
    assert quiet("toyfaces", data_dir=tmp_path / "data") == manifest
