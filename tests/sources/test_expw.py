"""ExpW: every face is the right part of the right photo, and what cannot be used is told or left out."""

from __future__ import annotations

import csv
import io
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from expw_files import (
    HEIGHT,
    PHOTOS,
    ROWS,
    SIZE,
    WIDTH,
    cleaned_files,
    draw,
    empty_png,
    encode,
    expw_files,
    read,
    slice_of,
    votes_row,
)
from fer_files import png, tar_bytes, write_folder, write_zip
from PIL import Image

from fer_tl.core.archives import open_files
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.faces.boxes import Box, Eyes, Face
from fer_tl.faces.cutting import to_square
from fer_tl.faces.detection import open_detected_crop
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.sources.expw.cleaned import photo_of
from fer_tl.sources.expw.photos import Picture, Places, cut_photos
from fer_tl.sources.expw.source import ExpwSource, open_expw
from fer_tl.sources.votes import COLUMNS

ORIGIN = "image/origin/"


def open_rows(root: Path, rows: list[str], **options: object) -> ExpwSource:
    """The photos with another list."""
    return open_expw(write_folder(root, expw_files(rows)), SIZE, **options)  # type: ignore[arg-type]


def skipping(source: ExpwSource) -> ExpwSource:
    source.on_error = "skip"
    return source


@pytest.mark.parametrize("packing", ["folder", "zip", "tar"])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_face_is_the_box_of_its_photo(tmp_path: Path, packing: str, workers: int) -> None:
    path = tmp_path / "expw"
    if packing == "folder":
        write_folder(path, expw_files())
    elif packing == "zip":
        write_zip(path, expw_files())
    else:
        path.write_bytes(tar_bytes(expw_files()))
    with closing(open_expw(path, SIZE, workers=workers)) as source:
        assert source.total() == 5
        records = list(source.records())
    assert source.kind == "expw" and source.class_names == CLASS_NAMES and source.image_shape == (SIZE, SIZE, 3)
    # Photos in the order of the list, the faces of one together.
    assert [(r.split, r.id, r.group, r.label, r.crop, r.size) for r in records] == [
        (None, "angry_man_3.jpg#0", "angry_man_3.jpg", 6, "cropped", (16, 16)),
        (None, "angry_man_1.jpg#0", "angry_man_1.jpg", 3, "cropped", (32, 32)),
        (None, "angry_man_1.jpg#7", "angry_man_1.jpg", 4, "cropped", (16, 16)),
        (None, "angry_man_0.jpg#2", "angry_man_0.jpg", 0, "cropped", (16, 16)),
        (None, "angry_man_2.jpg#0", "angry_man_2.jpg", 5, "clipped", (20, 20)),
    ]
    boxes = [(5, 20, 21, 36), (2, 30, 34, 62), (0, 3, 16, 19), (10, 1, 26, 17), (-4, 50, 16, 70)]
    for record, box in zip(records, boxes, strict=True):
        np.testing.assert_array_equal(record.image, slice_of(record.group, *box))
    np.testing.assert_array_equal(records[0].image, PHOTOS["angry_man_3.jpg"][5:21, 20:36])
    assert source.warnings() == ["1 boxes reach beyond their photo, which is black there."]
    assert source.skipped() == [] and source.notes == []


def test_a_margin_widens_the_box_and_is_an_option(tmp_path: Path) -> None:
    source = open_rows(tmp_path, [ROWS[0]], box_margin=0.25)
    (record,) = source.records()
    assert record.size == (24, 24) and record.crop == "cropped"
    np.testing.assert_array_equal(record.image, slice_of(record.group, 1, 16, 25, 40))
    assert source.options != open_expw(tmp_path, SIZE).options != open_expw(tmp_path, SIZE + 1).options


LARGE = {name: np.pad(pixels, ((0, 88), (0, 64), (0, 0))) for name, pixels in PHOTOS.items()}  # not close crops


def detecting(root: Path, faces: dict[str, list[Face]], rows: Sequence[str] = ROWS, **options: object) -> ExpwSource:
    """The photos made larger, with a detector that finds these faces in the photos called so, and none in others."""
    write_folder(root, expw_files(rows) | {f"{ORIGIN}{name}": png(pixels) for name, pixels in LARGE.items()})
    known = {LARGE[name].tobytes(): found for name, found in faces.items()}
    source = open_expw(root, SIZE)
    source.use_detector(open_detected_crop(lambda image: known.get(image.tobytes(), []), **options))  # type: ignore[arg-type]
    return source


# Off by 2 pixels from the list's box, nearer to the second face of angry_man_1.jpg than to its first, and elsewhere.
FOUND = {
    "angry_man_3.jpg": [Face(Box(7, 20, 23, 36), 1.0), Face(Box(5, 21, 21, 37), 1.0)],
    "angry_man_1.jpg": [Face(Box(1, 3, 17, 19), 1.0), Face(Box(4, 30, 36, 62), 1.0)],
    "angry_man_0.jpg": [Face(Box(10, 12, 26, 28), 1.0)],
}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_detector_gives_the_boxes_of_the_faces_it_finds_where_the_list_has_them(tmp_path: Path, workers: int) -> None:
    source = detecting(tmp_path, FOUND, margin=0.0)
    records = {record.id: record for record in source.records()}
    assert list(records) == list(read(open_expw(tmp_path, SIZE)))
    boxes = {
        "angry_man_3.jpg#0": (5, 21, 21, 37),
        "angry_man_1.jpg#0": (4, 30, 36, 62),
        "angry_man_1.jpg#7": (1, 3, 17, 19),
        "angry_man_0.jpg#2": (10, 1, 26, 17),  # the list's
        "angry_man_2.jpg#0": (-4, 50, 16, 70),  # likewise, beyond the photo
    }
    for identity, box in boxes.items():
        np.testing.assert_array_equal(records[identity].image, slice_of(records[identity].group, *box))
    assert source.cropped is not None
    source.cropped.refuse_unfound(source.findings.counts)
    assert any(
        "2 of 5 faces are cut by the list's box" in line for line in source.cropped.warnings(source.findings.counts)
    )
    assert source.recipe.cutter and source.options != open_expw(tmp_path, SIZE).options


def test_one_found_face_stands_for_one_listed(tmp_path: Path) -> None:
    rows = ["angry_man_3.jpg 0 5 20 36 21 50.5 6", "angry_man_3.jpg 1 5 22 38 21 50.5 6"]
    found = {"angry_man_3.jpg": [Face(Box(6, 22, 22, 38), 1.0)]}
    first, second = detecting(tmp_path, found, rows, margin=0.0).records()
    np.testing.assert_array_equal(first.image, slice_of(first.group, 5, 20, 21, 36))
    np.testing.assert_array_equal(second.image, slice_of(second.group, 6, 22, 22, 38))


def test_a_margin_of_the_detector_widens_all_boxes_and_eyes_turn_those_found(tmp_path: Path) -> None:
    found = FOUND | {"angry_man_3.jpg": [Face(Box(5, 20, 21, 36), 1.0, Eyes(9, 24, 13, 30))]}
    level = {record.id: record for record in detecting(tmp_path, found, margin=0.25).records()}
    source = detecting(tmp_path, found, margin=0.25, align=True)
    turned = {record.id: record for record in source.records()}
    assert level["angry_man_0.jpg#2"].size == (24, 24)
    assert source.cropped is not None and any(
        "are not aligned" in line for line in source.cropped.warnings(source.findings.counts)
    )
    changed = {name for name, record in level.items() if (record.image != turned[name].image).any()}
    assert changed == {"angry_man_3.jpg#0"}


def test_a_detector_that_misses_most_faces_or_has_no_photos_is_refused(tmp_path: Path) -> None:
    source = detecting(tmp_path / "photos", {})
    list(source.records())
    assert source.cropped is not None
    with pytest.raises(UserError, match=r"does not find 5 of 5 listed faces \(100 %\)"):
        source.cropped.refuse_unfound(source.findings.counts)
    crops = open_expw(write_folder(tmp_path / "crops", cleaned_files(VOTES)), SIZE)
    with pytest.raises(UserError, match="lists face crops, in which no face is looked for: leave --detector out"):
        crops.use_detector(open_detected_crop(lambda image: []))


@pytest.mark.parametrize(
    ("label", "photo"),
    [
        ("label.lst", "{name}"),
        ("ExpW/data/label/label.lst", "ExpW/data/image/origin/{name}"),
        ("label/label.txt", "image/{name}"),
        ("faces.lst", "a/b/c/{name}"),
    ],
)
def test_the_photos_are_found_by_name(tmp_path: Path, label: str, photo: str) -> None:
    assert open_expw(write_folder(tmp_path, expw_files(label=label, photo=photo)), SIZE).total() == 5


def test_of_two_folders_the_one_called_origin_counts(tmp_path: Path) -> None:
    aligned = {f"image/aligned/{name}": png(draw(99)) for name in PHOTOS}
    source = open_expw(write_folder(tmp_path, expw_files() | aligned), SIZE)
    np.testing.assert_array_equal(next(source.records()).image, PHOTOS["angry_man_3.jpg"][5:21, 20:36])
    write_folder(tmp_path, {f"copy/origin/{name}": png(draw(98)) for name in PHOTOS})
    with pytest.raises(UserError, match=r"angry_man_3\.jpg twice, copy/origin/.* and image/origin/.*remove"):
        open_expw(tmp_path, SIZE)


def test_the_list_may_have_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    files = expw_files()
    files["label/label.lst"] = b"\xef\xbb\xbf" + files["label/label.lst"].replace(b"\n", b"\r\n")
    assert next(iter(read(open_expw(write_folder(tmp_path, files), SIZE)))) == "angry_man_3.jpg#0"


def test_unsure_faces_are_left_out_and_counted(tmp_path: Path) -> None:
    source = open_rows(tmp_path, [*ROWS], min_confidence=40)
    assert sorted(read(source)) == ["angry_man_0.jpg#2", "angry_man_1.jpg#7", "angry_man_3.jpg#0"]
    assert source.total() == 3 and source.skipped() == []
    assert source.warnings() == ["2 faces left out: the detector's confidence is below 40."]
    with pytest.raises(UserError, match=r"gives no face\. 5 faces left out.*below 99"):
        open_expw(tmp_path, SIZE, min_confidence=99).total()


@pytest.mark.parametrize(
    ("row", "what", "reason"),
    [
        ("angry_man_4.jpg 0 5 20 36 21 50.5", "angry_man_4.jpg#0", "7 fields, not 8"),
        ("angry_man_4.jpg 0 5 20 36 21 50.5 6 1", "angry_man_4.jpg#0", "9 fields, not 8"),
        ("angry_man_4.jpg x 5 20 36 21 50.5 6", "angry_man_4.jpg#x", "face_id_in_image is 'x'"),
        ("angry_man_4.jpg 0 5 nan 36 21 50.5 6", "angry_man_4.jpg#0", "left is 'nan', not a number"),
        ("angry_man_4.jpg 0 5 20 36 21 high 6", "angry_man_4.jpg#0", "confidence is 'high'"),
        ("angry_man_4.jpg 0 5 36 20 21 50.5 6", "angry_man_4.jpg#0", "no area (top 5, left 36, right 20, bottom 21)"),
        ("angry_man_4.jpg 0 5 20 36 5 50.5 6", "angry_man_4.jpg#0", "no area"),
        ("angry_man_4.jpg 0 40 20 36 56 50.5 6", "angry_man_4.jpg#0", "outside the photo, which has 40 rows and 64"),
        ("angry_man_4.jpg 0 5 20 36 21 50.5 7", "angry_man_4.jpg#0", "unknown label '7', not 0..6"),
        ("angry_man_1.jpg 7 0 3 19 16 40 4", "angry_man_1.jpg#7", "it is in line 4 already"),
        ("angry_man_1.jpg 7 9 9 29 29 40 3", "angry_man_1.jpg#7", "it is in line 4 already"),
        ("angry_man_9.jpg 0 5 20 36 21 50.5 6", "angry_man_9.jpg#0", "angry_man_9.jpg is missing"),
    ],
)
def test_a_line_that_cannot_be_used(tmp_path: Path, row: str, what: str, reason: str) -> None:
    rows = [*ROWS, "", row, "gone.jpg 0 5 20 36 21 50.5 6"]
    with pytest.raises(UserError) as stopped:
        read(open_rows(tmp_path, rows))
    message = str(stopped.value)
    assert f"line 7 ({what}): " in message and reason in message
    assert "line 8 (gone.jpg#0): gone.jpg is missing" in message
    assert "2 of 7 examples in " in message and "(28.6 %) cannot be used" in message
    source = skipping(open_rows(tmp_path, rows))
    assert source.total() == 5 and len(read(source)) == 5
    first, second = source.skipped()
    assert (first.where, first.what) == ("label.lst, line 7", what) and reason in first.reason
    assert (second.where, second.reason) == ("label.lst, line 8", "gone.jpg is missing")


BROKEN_PHOTOS = {
    "truncated": (encode(np.tile(draw(4), (4, 4, 1)), "jpeg")[:9000], "cannot be decoded (image file is truncated"),
    "text": (b"this is not an image", "is text, not a picture"),
    "nothing": (b"", "is empty"),
    "web page": (b"<!DOCTYPE html><html>", "is a web page, not the data"),
    "bomb": (empty_png(20_000, 20_000), "says that it has 400,000,000 pixels: at most 89 million"),
    "half a bomb": (empty_png(10_000, 10_000), "says that it has 100,000,000 pixels: at most 89 million"),
    "deep": (png(np.full((HEIGHT, WIDTH), 300, np.int32), "tiff"), "integers of 32 bits, whose range it does not say"),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", BROKEN_PHOTOS)
def test_a_photo_that_cannot_be_used(tmp_path: Path, kind: str, workers: int) -> None:
    data, reason = BROKEN_PHOTOS[kind]
    write_folder(tmp_path, expw_files() | {f"{ORIGIN}angry_man_1.jpg": data})
    with pytest.raises(UserError) as stopped:
        read(open_expw(tmp_path, SIZE, workers=workers))
    message = str(stopped.value)
    assert "label.lst, line 2 (angry_man_1.jpg#0), label.lst, line 4 (angry_man_1.jpg#7): image/origin/" in message
    assert reason in message and "2 of 5 examples" in message
    source = skipping(open_expw(tmp_path, SIZE, workers=workers))
    assert sorted(read(source)) == ["angry_man_0.jpg#2", "angry_man_2.jpg#0", "angry_man_3.jpg#0"]
    skipped = source.skipped()
    assert [one.what for one in skipped] == ["angry_man_1.jpg#0", "angry_man_1.jpg#7"]
    assert all(reason in one.reason for one in skipped)


def test_lines_and_photos_that_cannot_be_used_are_told_at_once(tmp_path: Path) -> None:
    broken = {f"{ORIGIN}angry_man_0.jpg": BROKEN_PHOTOS["truncated"][0]}
    del (files := expw_files() | broken)[f"{ORIGIN}angry_man_2.jpg"]
    with pytest.raises(UserError, match=r"2 of 5 .*line 3 \(angry_man_0\.jpg#2\).*angry_man_2\.jpg is missing"):
        read(open_expw(write_folder(tmp_path, files), SIZE))


def test_no_usable_line_is_an_error_even_if_all_may_be_left_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 of 1 .*line 1 .*Correct the list or its photos\.$"):
        skipping(open_rows(tmp_path, [f"{ROWS[0]} 1"])).total()


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_broken_exif_data_does_not_matter(tmp_path: Path, kind: str) -> None:
    block = b"Exif\0\0II*\0\x08\0\0\0\x09\0\x0f\x01"  # truncated in its first entry
    data = encode(draw(4), kind, exif=block)
    with pytest.warns(UserWarning, match="Corrupt EXIF"):
        Image.open(io.BytesIO(data)).getexif()
    write_folder(tmp_path, expw_files([ROWS[0]]) | {f"{ORIGIN}angry_man_3.jpg": data})
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert len(read(open_expw(tmp_path, SIZE))) == 1
    assert not heard


def test_photos_are_taken_as_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stream_of = {"angry_man_3.jpg": (draw(3), {"exif": exif}), "angry_man_0.jpg": (draw(0)[..., 0], {})}
    files = expw_files([ROWS[0], ROWS[2]])
    for name, (pixels, options) in stream_of.items():
        files[f"{ORIGIN}{name}"] = encode(pixels, "png", **options)
    source = open_expw(write_folder(tmp_path, files), SIZE)
    records = read(source)
    np.testing.assert_array_equal(records["angry_man_3.jpg#0"].image, PHOTOS["angry_man_3.jpg"][5:21, 20:36])
    grey = records["angry_man_0.jpg#2"].image
    assert grey.shape == (SIZE, SIZE, 3) and (grey == grey[..., :1]).all()
    assert source.warnings() == ["1 photos have an EXIF tag that asks for a turn; they are taken as they are stored."]


def test_a_flat_face_is_counted(tmp_path: Path) -> None:
    flat = {f"{ORIGIN}angry_man_3.jpg": png(np.full((HEIGHT, WIDTH, 3), 7, np.uint8))}
    source = open_expw(write_folder(tmp_path, expw_files([ROWS[0]]) | flat), SIZE)
    read(source)
    assert source.warnings() == ["1 image is one flat colour, without a face."]


def test_threads_read_a_little_ahead_in_order_and_end(tmp_path: Path) -> None:
    files = open_files(
        write_folder(tmp_path, {f"{i:03d}.png": png(np.full((8, 8, 3), i, np.uint8)) for i in range(60)})
    )
    asked = []

    def photos() -> Iterator[tuple[str, Places]]:
        for name in files.names:
            asked.append(name)
            yield name, lambda photo: [None, Face(Box(1, 2, 5, 6), 1.0)]

    with closing(cut_photos(files, photos(), 8, FaceRecipe(), workers=3)) as pictures:
        for number, found in zip(range(40), pictures, strict=False):
            assert isinstance(found, list)
            cuts = [picture.cut for picture in found]
            assert [(cut.pixels.max(), cut.size) for cut in cuts] == [(number, (8, 8)), (number, (4, 4))]
            assert len(asked) <= number + 6
        assert any(thread.name.startswith("ahead") for thread in threading.enumerate())
    assert not any(thread.name.startswith("ahead") for thread in threading.enumerate())
    assert len(asked) <= 46


def test_every_photo_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = open_files(write_folder(tmp_path, {"a.png": png(draw(1))}))
    opened = []
    monkeypatch.setattr(files, "open", lambda name, real=files.open: opened.append(name) or real(name))
    (pictures,) = cut_photos(files, [("a.png", lambda photo: [None] * 5)], 8, FaceRecipe(), workers=1)
    assert opened == ["a.png"] and isinstance(pictures, list) and isinstance(pictures[4], Picture)


def test_the_hash_is_of_the_list_and_its_photos(tmp_path: Path) -> None:
    def digest(files: dict[str, bytes]) -> str:
        with closing(open_expw(write_folder(tmp_path, files), SIZE)) as source:
            return source.sha256()

    first = digest(expw_files([ROWS[0]]))
    assert digest({"image/other.jpg": b"x"}) == first
    assert digest({f"{ORIGIN}angry_man_3.jpg": png(draw(8))}) != first


VOTES = (
    votes_row("angry_man_0_0.png", anger=8, sadness=2),
    votes_row("angry_man_1_0.png", contempt=10),
    votes_row("angry_man_2_0.png", surprise=6, fear=3, unknown=1),
    votes_row("angry_man_3_0.png", fear=5, disgust=5),
    votes_row("angry_man_4_0.png", neutral=1),
    votes_row("angry_man_5_0.png", NF=9),
)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_cleaned_crops_get_the_label_of_the_votes(tmp_path: Path, suffix: str) -> None:
    source = open_expw(write_folder(tmp_path, cleaned_files(VOTES, suffix)), SIZE)
    records = list(source.records())
    assert [(r.id, r.group, source.class_names[r.label], r.split, r.crop, r.size, r.targets) for r in records] == [
        ("angry_man_0_0", "angry_man_0", "angry", None, "", (HEIGHT, WIDTH), None),
        ("angry_man_2_0", "angry_man_2", "surprise", None, "", (HEIGHT, WIDTH), None),
        ("angry_man_4_0", "angry_man_4", "neutral", None, "", (HEIGHT, WIDTH), None),
    ]
    for record, number in zip(records, (0, 2, 4), strict=True):
        np.testing.assert_array_equal(
            record.image, to_square(Image.fromarray(PHOTOS[f"angry_man_{number}.jpg"]), SIZE, "pad")
        )
    assert source.kind == "expw cleaned" and source.total() == 3
    (warning,) = source.warnings()
    assert "more than half" in warning and "3 images left out" in warning
    assert all(text in warning for text in ("1 contempt", "1 no majority", "1 not a face"))


def test_soft_votes_become_shares(tmp_path: Path) -> None:
    write_folder(tmp_path, cleaned_files(VOTES))
    records = read(open_expw(tmp_path, SIZE, votes="soft"))
    assert sorted(records) == [f"angry_man_{number}_0" for number in (0, 2, 3, 4)]
    np.testing.assert_allclose(records["angry_man_0_0"].targets, [0.8, 0, 0, 0, 0.2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(records["angry_man_2_0"].targets, [0, 0, 1 / 3, 0, 0, 2 / 3, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("angry_man_1_0.png,box,1,0", "4 cells, not 12"),
        (votes_row("angry_man_1_0.png").replace(",0,", ",x,", 1), "neutral is 'x'"),
        (votes_row("angry_man_0_0.jpg", fear=9), "it is in line 1 already"),
        (votes_row("angry_man_9_0.png", fear=9), "angry_man_9_0.png is missing"),
        (votes_row("", fear=9), "no image name"),
    ],
)
def test_a_row_of_votes_that_cannot_be_used(tmp_path: Path, row: str, reason: str) -> None:
    write_folder(tmp_path, cleaned_files([VOTES[0], row]))
    with pytest.raises(UserError, match=r"1 of 2 examples.*label_expw\.csv, line 2[ :]") as stopped:
        read(open_expw(tmp_path, SIZE))
    assert reason in str(stopped.value)
    source = skipping(open_expw(tmp_path, SIZE))
    assert source.total() == 1
    assert [one.where for one in source.skipped()] == ["label_expw.csv, line 2"]


def test_a_header_of_votes_in_another_order_is_obeyed(tmp_path: Path) -> None:
    """Read in the usual order, anger would be neutral; with `--on-error skip` nobody would hear of it."""
    plain = read(open_expw(write_folder(tmp_path / "a", cleaned_files(VOTES)), SIZE))
    files = cleaned_files(VOTES)
    table = [["name", "box", *COLUMNS], *csv.reader(io.StringIO(files["label_expw.csv"].decode()))]
    turned = io.StringIO()
    csv.writer(turned).writerows([*row[:2], *row[:1:-1]] for row in table)
    files["label_expw.csv"] = turned.getvalue().encode()
    for allow in (lambda source: source, skipping):
        records = read(allow(open_expw(write_folder(tmp_path / allow.__name__, files), SIZE)))
        assert {name: record.label for name, record in records.items()} == {
            name: record.label for name, record in plain.items()
        }
    files["label_expw.csv"] = turned.getvalue().replace("neutral", "sleepy").encode()
    with pytest.raises(UserError, match=r"label_expw\.csv in c, line 1: the columns are .*sleepy.* expected"):
        open_expw(write_folder(tmp_path / "c", files), SIZE)


@pytest.mark.parametrize(
    ("stem", "photo"),
    [("angry_man_7_0", "angry_man_7"), ("angry_man_7_12", "angry_man_7"), ("angry_man_7", "angry_man_7"), ("7", "7")],
)
def test_the_photo_of_a_crop(stem: str, photo: str) -> None:
    assert photo_of(stem) == photo


def test_of_two_lists_the_one_with_images_is_used(tmp_path: Path) -> None:
    cleaned = cleaned_files(VOTES)
    both = open_expw(write_folder(tmp_path / "both", expw_files() | cleaned), SIZE)
    assert both.kind == "expw" and "label_expw.csv in both is not used" in both.notes[0]
    crops = open_expw(write_folder(tmp_path / "crops", expw_files(photo="x/a{name}") | cleaned), SIZE)
    assert crops.kind == "expw cleaned" and "label/label.lst in crops is not used" in crops.notes[0]


LIST = expw_files()["label/label.lst"]
TABLE = cleaned_files(VOTES)["label_expw.csv"]
CROPS = {name: data for name, data in cleaned_files(VOTES).items() if name.endswith(".png")}
PHOTO_FILES = {name: data for name, data in expw_files().items() if name.endswith(".jpg")}
LANDMARKS = b"angry_man_3.jpg 0 5 20 36 21 6 1 2 3 4 5 6 7 8 9 10\n"
FER_PLUS = b"Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"label.lst": LIST} | CROPS, "label.lst in expw lists whole photos, but here are the crops.*label_expw.csv"),
        ({"label_expw.csv": TABLE} | PHOTO_FILES, "lists face crops, but here are the whole photos: give label.lst"),
        ({"label.lst": TABLE} | CROPS, "label.lst in expw is the vote table of ExpW Cleaned.*call it label_expw.csv"),
        ({"label_expw.csv": LIST} | PHOTO_FILES, "is ExpW's original list of faces.*call it label.lst"),
        ({"train_list_5landmarks.txt": LANDMARKS} | PHOTO_FILES, "ExpW's faces with landmarks, not label.lst"),
        ({"label.txt": LANDMARKS} | PHOTO_FILES, "ExpW's faces with landmarks, not ExpW's original list"),
        ({"fer2013new.csv": FER_PLUS} | CROPS, "FER[+], which is about FER-2013"),
        ({"label.csv": votes_row("fer0000000.png", fear=9).encode()} | CROPS, "FER[+], which is about FER-2013"),
        ({"label.lst": LIST, "image/origin.7z.002": b"x", "image/origin.7z.001": b"7z"}, "7z x image/origin.7z.001`"),
        ({"label.lst": LIST, "image/origin.zip": b"PK"}, "none of its images: unpack image/origin.zip there"),
        ({"label.zip": b"PK"} | PHOTO_FILES, "neither label.lst nor label_expw.csv: unpack label.zip"),
        ({"label.lst": b"PK\x03\x04"} | PHOTO_FILES, "label.lst in expw is an archive: unpack it"),
        ({"label.lst": b""} | PHOTO_FILES, "label.lst in expw is empty"),
        ({"label.lst": "a.jpg".encode("utf-16")} | PHOTO_FILES, "line 1 .*1 fields, not 8"),
        ({"label.lst": LIST + b"\xff"} | PHOTO_FILES, "not text in UTF-8"),
        ({"label.lst": LIST, "b/label.lst": LIST[:-1]} | PHOTO_FILES, "two lists, b/label.lst and label.lst"),
        ({"label.lst": LIST, "x/cat.jpg": b"x"}, "none of the images that label.lst.*first is angry_man_3.jpg"),
        (PHOTO_FILES, "holds images but neither.*fer-tl build folder"),
        ({"a.txt": b"hello"}, "neither label.lst nor label_expw.csv: give the folder"),
    ],
)
def test_what_is_not_expw_is_named(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_expw(write_folder(tmp_path / "expw", files), SIZE).total()


@pytest.mark.parametrize("name", ["origin.7z.003", "origin.7z.001", "label.lst"])
def test_a_single_file_is_not_enough(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(LIST if name == "label.lst" else b"7z\xbc\xaf\x27\x1c")
    wanted = "list alone" if name == "label.lst" else "7z x origin.7z.001`"
    with pytest.raises(UserError, match=wanted):
        open_expw(tmp_path / name, SIZE)


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (expw_files(), {"votes": "soft"}, "no votes: --votes soft needs ExpW Cleaned"),
        (expw_files(), {"votes": "best"}, "votes is 'best'"),
        (expw_files(), {"min_confidence": float("nan")}, "min-confidence is nan"),
        (cleaned_files(VOTES), {"box_margin": 0.1}, "leave --box-margin out"),
        (cleaned_files(VOTES), {"min_confidence": 1.0}, "leave --min-confidence out"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, files: dict[str, bytes], options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_expw(write_folder(tmp_path, files), SIZE, **options)


@pytest.mark.skipif("FER_TL_REAL_DATA" not in os.environ, reason="needs FER_TL_REAL_DATA")
def test_the_real_subset() -> None:
    with closing(open_expw(Path(os.environ["FER_TL_REAL_DATA"]) / "expw-subset.zip", SIZE)) as source:
        assert source.total() == 2711
        records = [record for _, record in zip(range(100), source.records(), strict=False)]
    assert len({record.id for record in records}) == 100 and all(record.split is None for record in records)
    assert all(record.id.startswith(f"{record.group}#") and record.crop in ("cropped", "clipped") for record in records)
    # Boxes are square but for those that were clipped: rows and columns are not mixed up.
    assert all(record.size[0] == record.size[1] for record in records if record.crop == "cropped")
