"""CK+ as sequences with labels, as class folders and as a CSV: which frames are taken, and whose they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from fer_files import csv_text, make_faces, write_folder
from laboratory_files import ckplus_files, picture
from test_laboratory_sets import numbers, told

from fer_tl.core.classes import CLASS_NAMES, CONTEMPT
from fer_tl.core.errors import UserError
from fer_tl.sources.ckplus.reader import open_ckplus
from fer_tl.sources.portraits import STRANGE
from fer_tl.sources.records import UnusableExamples

SEQUENCES = {
    **{f"S005_00{emotion}": emotion for emotion in range(1, 8)},
    **{f"S010_00{emotion}": emotion for emotion in range(1, 8)},
    **{f"S011_00{emotion}": emotion for emotion in range(1, 8)},
    "S010_008": None,
}


def test_the_last_three_frames_of_a_labelled_sequence_have_its_label(tmp_path: Path) -> None:
    files = ckplus_files(SEQUENCES) | {"FACS/S005/001/S005_001_00000006_facs.txt": b"1.7e+01 0.0e+00"}
    source = open_ckplus(write_folder(tmp_path, files))
    found = told(source)
    assert source.class_names == ("angry", "disgust", "fear", "happy", "sad", "surprise", CONTEMPT)
    assert len(found) == source.total() == 21 * 3
    expected = dict(enumerate(("angry", CONTEMPT, "disgust", "fear", "happy", "sad", "surprise"), 1))
    for person in ("S005", "S010", "S011"):
        for emotion, label in expected.items():
            for frame in (4, 5, 6):
                assert found[f"{person}_00{emotion}_{frame:08d}"] == (label, person)
    assert numbers(source) == {
        "files that are not images": 1,
        "frames of sequences without a label": 6,
        "frames between neutral and the height of an expression": 21 * 3,
    }
    assert source.image_shape == (96, 96, 1) and source.options["frames"] == "3"


def test_first_frames_are_neutral_where_they_are_asked_for(tmp_path: Path) -> None:
    root = write_folder(tmp_path, ckplus_files(SEQUENCES))
    found = told(open_ckplus(root, frames=2, neutral="first"))
    assert len(found) == 21 * 3 and found["S005_003_00000001"] == ("neutral", "S005")
    short = open_ckplus(root, frames=6, neutral="first")  # no frame is both
    assert short.total() == 21 * 6 and "neutral" not in short.class_names


def test_labels_are_a_part_of_the_source(tmp_path: Path) -> None:
    root = write_folder(tmp_path, ckplus_files(SEQUENCES))
    before = open_ckplus(root).sha256()
    label = root / "Emotion/S005/001/S005_001_00000006_emotion.txt"
    label.write_text("   3.0000000e+00\n")
    source = open_ckplus(root)
    assert source.sha256() != before and told(source)["S005_001_00000006"] == ("disgust", "S005")


def test_a_label_that_is_none_and_one_without_frames_are_named(tmp_path: Path) -> None:
    files = ckplus_files(SEQUENCES)
    files["Emotion/S005/001/S005_001_00000006_emotion.txt"] = b"8.0000000e+00"
    files["Emotion/S099/001/S099_001_00000006_emotion.txt"] = b"1.0000000e+00"
    source = open_ckplus(write_folder(tmp_path, files))
    with pytest.raises(
        UnusableExamples, match=r"2 of 62 examples.*it says '8\.0000000e\+00'.*no frames of this"
    ) as caught:
        list(source.records())
    assert {skipped.what for skipped in caught.value.skipped} == {"S005_001", "S099_001"}
    source.on_error = "skip"
    assert len(list(source.records())) == 20 * 3 and len(source.skipped()) == 2


def test_ck48_s_class_folders_keep_the_persons_of_their_names(tmp_path: Path) -> None:
    names = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    files = {
        f"CK+48/{name}/{person}_00{at}_000000{frame}.png": picture(at, frame)
        for at, name in enumerate(names)
        for person in ("S010", "S125")
        for frame in (13, 14, 15)
    }
    source = open_ckplus(write_folder(tmp_path, files | {"CK+48/anger/cover.png": picture(99)}), 24)
    found = told(source)
    assert source.class_names == ("angry", "disgust", "fear", "happy", "sad", "surprise", CONTEMPT)
    assert found["S125_001_00000014"] == (CONTEMPT, "S125") and len(found) == 42
    assert numbers(source) == {STRANGE: 1}


def table(rows: int = 32, header: str = "emotion,pixels,Usage") -> bytes:
    faces = [(split, at % 8, pixels) for at, (split, _, pixels) in enumerate(make_faces(rows))]
    return csv_text(faces, header).encode()


def test_kaggle_s_csv_has_eight_classes_a_drawn_split_and_a_warning(tmp_path: Path) -> None:
    write_folder(tmp_path, {"ckextended.csv": table()})
    for path in (tmp_path / "ckextended.csv", tmp_path):
        source = open_ckplus(path)
        found = list(source.records())
        assert source.class_names == (*CLASS_NAMES, CONTEMPT) and source.image_shape == (48, 48, 1)
        assert [record.label for record in found] == [row % 8 for row in range(32)]
        assert {record.split for record in found} == {None}
        assert any("Usage column is not used" in note for note in source.notes)
        assert any("names no persons" in line for line in source.warnings())
        assert not any("official FER-2013" in line for line in source.warnings())
        source.close()


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"c.csv": table()}, {"frames": 2}, "has rows of 48x48 pixels.*leave --frames out"),
        ({"c.csv": table()}, {"image_size": 64}, "leave --image-size out"),
        ({"c.csv": table(), "d.csv": table()}, {}, "several CSVs with pixels"),
        (
            {"anger/S010_001_00000001.png": picture(1)},
            {"neutral": "first"},
            "no labelled sequences: leave --neutral out",
        ),
        ({"S010/001/S010_001_00000001.png": picture(1)}, {}, "frames of CK.* without their labels: give one folder"),
        ({"Emotion/S010_001_00000001_emotion.txt": b"1.0"}, {}, "emotions but no frames"),
        ({"anger/1.png": picture(1)}, {}, "no image called like S005_001_00000011.png.*Passed over: 1 images"),
        (ckplus_files({"S005_001": 1, "S010_001": 1}), {}, "one class only"),
        (ckplus_files({"S005_001": 1, "S010_001": 1, "S010_002": 2}), {}, r"'contempt' are of one person \(S010\)"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    tmp_path: Path, files: dict[str, bytes], options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_ckplus(write_folder(tmp_path / "set", files), **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
