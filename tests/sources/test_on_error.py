"""Examples that cannot be used, of every source: all named at once, or left out as long as they are few."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from fer_files import csv_text, image_files, make_faces, png, tar_bytes, write_folder, write_zip

from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.directory import dataset_directory
from fer_tl.sources.fer2013.open_source import open_source
from fer_tl.sources.folder.reader import open_folder

FACES = make_faces(63)
CUT = png(FACES[0][2])[:600]
BAD = {"a/empty.png": b"", "b/cut.png": CUT, "b/words.jpg": b"this is not an image at all"}


def folder_files(good: int) -> dict[str, bytes]:
    return {f"{c}/{c}{i:03d}.png": png(FACES[i % 63][2] ^ np.uint8(i)) for c in "ab" for i in range(good // 2)}


def test_all_bad_files_of_a_folder_are_named_at_once_with_their_share(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "mine", folder_files(60) | BAD)
    with pytest.raises(UserError) as stopped:
        list(open_folder(root, 48).records())
    message = str(stopped.value)
    assert message.startswith("3 of 63 examples in mine (4.8 %) cannot be used: ") and "\n" not in message
    assert "a/empty.png: is empty" in message and "b/cut.png: is truncated" in message
    assert "b/words.jpg: is text, not a picture" in message
    assert message.endswith("Correct or remove them, or leave them out with --on-error skip.")


def test_skipped_files_of_a_folder_are_left_out_counted_and_listed(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "mine.zip", folder_files(60) | BAD)
    lines: list[str] = []
    manifest = build("folder", archive, tmp_path / "data", image_size=48, on_error="skip", say=lines.append)
    assert manifest.skipped == 3 and manifest.counts == {"train": {"a": 30, "b": 30}}
    with (dataset_directory(tmp_path / "data", "folder/mine") / "skipped.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert {row["where"] for row in rows} == set(BAD)
    assert any("3 examples could not be used" in line for line in lines)


@pytest.mark.parametrize("good", [56, 58])
def test_more_than_5_in_100_bad_files_stop_even_where_they_may_be_left_out(tmp_path: Path, good: int) -> None:
    root = write_folder(tmp_path / "mine", folder_files(good) | BAD)  # 3 of 59 are 5.1 %, 3 of 61 are 4.9 %
    if good == 58:
        assert build("folder", root, tmp_path / "data", image_size=48, on_error="skip").skipped == 3
        return
    with pytest.raises(UserError, match=r"^3 of 59 .*5\.1 %.*--on-error skip leaves out 5 % at most"):
        build("folder", root, tmp_path / "data", image_size=48, on_error="skip")
    assert not list((tmp_path / "data").glob("*"))


def test_a_folder_of_unreadable_colour_stays_grey(tmp_path: Path) -> None:
    source = open_folder(write_folder(tmp_path / "mine", folder_files(4) | BAD), 48)
    source.on_error = "skip"
    assert source.image_shape == (48, 48, 1)
    assert [record.id for record in source.records()] == ["a000", "a001", "b000", "b001"]
    assert {row.where for row in source.skipped()} == set(BAD)


def test_bad_images_of_fer2013_are_named_at_once_or_left_out(tmp_path: Path) -> None:
    files = image_files(FACES)
    for name in list(files)[::30]:
        files[name] = CUT
    bad = sorted(list(files)[::30])
    source = open_source(write_zip(tmp_path / "fer.zip", files))
    with pytest.raises(UserError, match=rf"^3 of 63 .*{re.escape(bad[0])}.*{re.escape(bad[2])}.*--on-error skip"):
        list(source.records())
    source.on_error = "skip"
    assert len(list(source.records())) == 60 and {row.where for row in source.skipped()} == set(bad)


def damaged_csv() -> str:
    lines = csv_text(FACES).splitlines()
    lines[1] = lines[1].replace(",", ",300 ", 1)  # a pixel that is none
    lines[9] = "17" + lines[9][1:]  # no such emotion
    lines[-1] = lines[-1][:1000]  # truncated
    return "\n".join(lines) + "\n"


def test_bad_rows_of_a_csv_are_named_at_once_or_left_out(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(damaged_csv())
    with pytest.raises(UserError) as stopped:
        build("fer2013", path, tmp_path / "data")
    message = str(stopped.value)
    assert message.startswith("3 of 63 examples in fer2013.csv (4.8 %) cannot be used: ")
    assert all(f"fer2013.csv, row {n} (line {n + 1}): " in message for n in (1, 9, 63))
    assert "unknown emotion '17'" in message and "--on-error skip" in message
    source = open_source(path)
    source.on_error = "skip"
    found = {record.id: record for record in source.records()}
    left = {f"{index:05d}" for index in range(63)} - {"00000", "00008", "00062"}
    assert set(found) == left and source.total() >= 60
    for identity in left:  # the rows behind a bad one keep their number, label and pixels
        split, label, pixels = FACES[int(identity)]
        assert (found[identity].split, found[identity].label) == (split, label)
        np.testing.assert_array_equal(found[identity].image[..., 0], pixels)
    assert [row.what for row in source.skipped()] == ["00000", "00008", "00062"]


def test_votes_of_fer_plus_stay_with_their_rows_when_a_row_is_left_out(tmp_path: Path) -> None:
    names = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
    column = {0: "anger", 1: "disgust", 2: "fear", 3: "happiness", 4: "sadness", 5: "surprise", 6: "neutral"}
    usage = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
    votes = ["Usage,Image name," + ",".join(names)]
    for split, label, _ in FACES:
        cells = ["10" if name == column[label] else "0" for name in names]
        votes.append(f"{usage[split]},x.png," + ",".join(cells))
    (tmp_path / "fer2013new.csv").write_text("\n".join(votes) + "\n")
    path = tmp_path / "fer2013.csv"
    path.write_text(damaged_csv())
    source = open_source(path, ferplus=tmp_path / "fer2013new.csv")
    with pytest.raises(UserError, match=r"fer2013\.csv, row 9 .*unknown emotion"):
        source.total()
    source.on_error = "skip"
    found = {record.id: record.label for record in source.records()}
    assert found == {f"{i:05d}": FACES[i][1] for i in range(63) if i not in (0, 8, 62)}


def test_what_a_message_cannot_hold_is_in_a_table(tmp_path: Path) -> None:
    bad = {f"a/bad{i:02d}.png": b"words" for i in range(40)}
    root = write_folder(tmp_path / "mine", folder_files(60) | bad)
    lines: list[str] = []
    with pytest.raises(UserError, match=r"^40 of 100 .*a/bad09\.png: is text.*; and 30 more") as stopped:
        build("folder/x", root, tmp_path / "data", image_size=48, say=lines.append)
    assert "--on-error" not in str(stopped.value)  # which would not help
    table = tmp_path / "data" / "folder-x-unusable.csv"
    assert lines[-1].endswith(str(table))
    with table.open(newline="") as stream:
        assert [row["where"] for row in csv.DictReader(stream)] == sorted(bad)


def test_a_tar_reads_on_behind_a_bad_image(tmp_path: Path) -> None:
    path = tmp_path / "mine.tar"
    path.write_bytes(tar_bytes(folder_files(60) | BAD))
    with pytest.raises(UserError, match=r"^3 of 63 "):
        list(open_folder(path, 48).records())
