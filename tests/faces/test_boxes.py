"""A face box becomes whole pixels of its image, and every source crops to the same ones."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from fer_files import csv_text, image_files, make_faces, png, write_folder
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.faces.box_table import read_box_table
from fer_tl.faces.boxes import Box, Face, FaceCrop, Window, describe_crops, window_of
from fer_tl.faces.cutting import cut_face, face_window, to_square
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.sources.fer2013.open_source import open_source
from fer_tl.sources.folder.reader import open_folder
from fer_tl.sources.records import Record, Source

FACES = make_faces(28)
PHOTO = np.random.default_rng(5).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("box", "margin", "window"),
    [
        ((4, 6, 20, 16), 0.0, (4, 6, 20, 16, False)),
        ((4, 6, 20, 16), 0.25, (0, 4, 24, 19, False)),  # 4 above and below, 2.5 left and right
        ((0, 0, 30, 50), 0.0, (0, 0, 30, 50, False)),
        ((0, 0, 30, 50), 0.1, (0, 0, 30, 50, True)),
        ((-9, 45, 5, 80), 0.0, (0, 45, 5, 50, True)),
        ((-9.0, -9.0, 900.0, 900.0), 1.0, (0, 0, 30, 50, True)),
        ((0.4, 0.6, 9.4, 9.6), 0.0, (0, 1, 9, 10, False)),
        ((0.5, 1.5, 1.5, 2.5), 0.0, (1, 2, 2, 3, False)),  # a box of one pixel keeps its pixel
        ((-0.4, -0.4, 30.4, 50.4), 0.0, (0, 0, 30, 50, False)),
    ],
)
def test_a_box_is_widened_rounded_and_clipped(box, margin: float, window) -> None:
    assert window_of(Box(*box), 30, 50, margin) == Window(*window)


@pytest.mark.parametrize("box", [(30, 0, 40, 9), (0, 50, 9, 60), (-9, 0, 0, 9), (0, -9, 9, 0), (3.1, 3, 3.4, 9)])
@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_a_box_outside_is_none_whatever_its_margin(box, margin: float) -> None:
    assert window_of(Box(*box), 30, 50, margin) is None


def square(pixels: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    """A square of an image, black where it lies outside: uint8 [side, side, ...]."""
    around = [(side, side), (side, side), *[(0, 0)] * (pixels.ndim - 2)]
    return np.pad(pixels, around)[top + side : top + 2 * side, left + side : left + 2 * side]


def test_a_box_becomes_a_square_about_its_middle_and_is_not_stretched() -> None:
    crop = FaceCrop({"a": (Box(3, 7, 33, 27), "row 1"), "b": (Box(-1, 7, 33, 70), "row 2")}, 0.0)
    image = Image.fromarray(PHOTO)
    for name, top, left, side, crop_said in (("a", 3, 2, 30, "cropped"), ("b", -15, 7, 63, "clipped")):
        cut = cut_face(image, crop.find(image, name, Counter()), side, FaceRecipe())
        assert cut is not None
        np.testing.assert_array_equal(cut.pixels, square(PHOTO, top, left, side))
        assert cut.crop == crop_said and cut.size == (side, side)
    assert crop.find(image, "c", Counter()) is None


@pytest.mark.parametrize("margin", [0.0, 0.25, 1.0])
def test_a_margin_is_added_on_every_side_of_the_square(margin: float) -> None:
    side = round(20 * (1 + 2 * margin))
    window = face_window(Box(10, 24, 30, 34), 40, 60, FaceRecipe(margin=margin))
    assert window is not None
    assert (window.bottom - window.top, window.right - window.left) == (side, side)
    assert (window.top + window.bottom, window.left + window.right) == (40, 58)


def test_a_recipe_of_before_clips_a_box_and_fits_it_as_a_picture() -> None:
    image = Image.fromarray(PHOTO)
    for fit in ("stretch", "pad", "crop"):
        cut = cut_face(image, Face(Box(-1, 7, 33, 70), 1.0), 16, FaceRecipe(fit, "clip"))
        assert cut is not None
        np.testing.assert_array_equal(cut.pixels, to_square(Image.fromarray(PHOTO[:33, 7:]), 16, fit))


def test_a_box_of_any_size_asks_for_a_bounded_picture() -> None:
    window = face_window(Box(0, 0, 1e9, 1e9), 40, 60, FaceRecipe(margin=2.0))
    assert window is not None and window.bottom - window.top <= 240


def test_counts_are_told() -> None:
    half = {"cropped": 1, "whole": 1, "clipped": 0}
    line = describe_crops({"train": half, "test": {"cropped": 1, "whole": 0, "clipped": 1}})
    assert "train 1 cropped (0 of them reach beyond the image), 1 whole" in line
    assert "test 1 cropped (1 of them reach beyond the image), 0 whole" in line


def test_a_box_outside_its_image_names_row_and_size() -> None:
    crop = FaceCrop({"a": (Box(40, 0, 50.5, 9), "b.csv, row 3 (line 4)")}, 0.5)
    with pytest.raises(UserError, match=r"b\.csv, row 3 \(line 4\).*bottom 50\.5.* 'a'.* 40 rows and 60 columns"):
        crop.find(Image.fromarray(PHOTO), "a", Counter())


def with_boxes(source: Source, path: Path, lines: list[str], margin: float = 0.0) -> dict[str, Record]:
    """All records of a source, by id, with boxes of the columns id, top, left, bottom, right."""
    path.write_text("\n".join(["id,top,left,bottom,right", *lines]))
    source.use_boxes(read_box_table(path), margin)
    with closing(source):
        return {record.id: record for record in source.records()}


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS))


def test_fer2013_crops_alike_from_csv_and_images(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text(csv_text(FACES))
    root = write_folder(tmp_path / "images", image_files(FACES, "{split}/{name}/{index:05d}.png"))
    for path in (tmp_path / "fer2013.csv", root):
        lines = ["00000,8,4,40,44", "00001,,,,", "00009,0,0,48,48", "00027,-5,-5,24,24"]
        found = with_boxes(open_source(path), tmp_path / "boxes.csv", lines)
        assert len(found) == len(FACES)
        for index, (_, _, pixels) in enumerate(FACES):
            part = {0: square(pixels, 4, 4, 40), 27: square(pixels, -5, -5, 29)}.get(index, pixels)
            expected = pixels if part is pixels else resized(part, 48)
            np.testing.assert_array_equal(found[f"{index:05d}"].image[..., 0], expected, err_msg=f"{path} {index}")


def test_a_margin_is_written_down_in_one_way(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("id,top,left,bottom,right\n00000,1,1,9,9\n")
    (tmp_path / "f.csv").write_text(csv_text(FACES))
    table = read_box_table(tmp_path / "b.csv")
    written = []
    for margin in (1, 1.0):
        with closing(open_source(tmp_path / "f.csv")) as source:
            source.use_boxes(table, margin)
            written.append(source.options)
    assert written == [{"boxes": table.sha256, "box_margin": "1.0", "copies": "of whole images"}] * 2


def test_a_cropped_image_was_not_converted(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "images", image_files(FACES, "{split}/{name}/{index}.png"))
    source = open_source(root)
    with_boxes(source, tmp_path / "boxes.csv", [f"{index},8,8,40,40" for index in range(28)])
    assert not any("converted" in line for line in source.warnings())


def test_a_photo_is_cropped_before_it_is_resized(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: 40 rows and 60 columns are shown as 60 rows and 40 columns
    stream = io.BytesIO()
    Image.fromarray(PHOTO).save(stream, "png", exif=exif)
    root = write_folder(tmp_path / "r", {"x/flat.png": png(PHOTO), "y/turned.png": stream.getvalue()})
    found = with_boxes(
        open_folder(root, 16, "stretch"), tmp_path / "b.csv", ["flat,10,20,30,50", "turned,45,5,58,35"], 0.1
    )
    np.testing.assert_array_equal(found["flat"].image, resized(square(PHOTO, 2, 17, 36), 16))
    shown = np.rot90(PHOTO, -1)  # [60, 40, 3]
    np.testing.assert_array_equal(found["turned"].image, resized(square(shown, 34, 2, 36), 16))


@pytest.mark.parametrize("name", ["b", "b.png", "top/train/y/b.png"])
def test_an_image_goes_by_id_file_name_and_path(tmp_path: Path, name: str) -> None:
    files = {"top/train/x/a.png": png(PHOTO), "top/train/y/b.png": png(PHOTO), "top/test/y/c.png": png(PHOTO)}
    root = write_folder(tmp_path / "r", files)
    found = with_boxes(open_folder(root, 20, "stretch"), tmp_path / "b.csv", [f"{name},0,0,20,20"])
    np.testing.assert_array_equal(found["b"].image, PHOTO[:20, :20])
    np.testing.assert_array_equal(found["a"].image, resized(PHOTO, 20))


def test_a_name_that_several_images_have_needs_the_path(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "r", {f"{c}/1.png": png(PHOTO) for c in "xy"})
    for name in ("1", "1.png"):
        with pytest.raises(UserError, match=rf"row 1 .*several images are called '{name}'.*path"):
            with_boxes(open_folder(root, 20), tmp_path / "b.csv", [f"{name},0,0,20,20"])
    found = with_boxes(open_folder(root, 20), tmp_path / "b.csv", ["y/1.png,0,0,20,20"])
    np.testing.assert_array_equal(found["y/1.png"].image, PHOTO[:20, :20])


def test_rows_of_contempt_have_no_image(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(csv_text(FACES[:7]).replace("\n2,", "\ncontempt,"))
    source = open_source(tmp_path / "f.csv")
    found = with_boxes(source, tmp_path / "b.csv", ["00001,0,0,9,9", "00002,0,0,9,9"])
    assert sorted(record.crop for record in found.values()) == ["cropped", *["whole"] * 5]
    assert source.crop
    assert "no image for 1 of its 2 ids (first: '00002', row 2 (line 3))" in source.crop.warnings({})[0]
