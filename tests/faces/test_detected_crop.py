"""Images are cropped to the largest face that a detector finds, and a build says which detector it was."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fer_files import csv_text, image_files, make_faces, write_folder
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.building.request import BuildRequest
from fer_tl.faces import detection
from fer_tl.faces.boxes import Box, Eyes, Face
from fer_tl.faces.detection import DetectedCrop, find_faces, open_detector
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference.predict.find_faces import Looker
from fer_tl.inference.predict.sources import PictureFile
from fer_tl.sources.fer2013.open_source import open_source


class BrightParts:
    """Stands for a detector: a face is what is brighter than half, in the left and in the right half of the image."""

    name = "haar"
    margin = 0.125

    def __init__(self) -> None:
        self.searched: list[tuple[int, ...]] = []

    def find(self, image: np.ndarray) -> list[Face]:
        self.searched.append(image.shape)
        middle = image.shape[1] // 2
        found = []
        for start, part in ((0, image[:, :middle, 1]), (middle, image[:, middle:, 1])):
            rows, columns = np.nonzero(part > 127)
            if len(rows):
                box = Box(rows.min(), columns.min() + start, rows.max() + 1, columns.max() + 1 + start)
                found.append(Face(box, float(len(rows))))
        return sorted(found, key=lambda face: -face.score)


def bright(height: int, width: int, *parts: tuple[int, int, int, int]) -> np.ndarray:
    """Grey noise below half, uint8 [height, width], with white parts: top, left, bottom, right."""
    pixels = np.random.default_rng(1).integers(0, 60, (height, width), dtype=np.uint8)
    for top, left, bottom, right in parts:
        pixels[top:bottom, left:right] = 200
    return pixels


def found_in(pixels: np.ndarray) -> tuple[Box | None, tuple[int, ...]]:
    """The box, and the shape that was searched."""
    detector = BrightParts()
    face = DetectedCrop(detector, 0.0, {}).find(Image.fromarray(pixels), "a", Counter())
    return face and face.box, detector.searched[0]


def test_the_largest_face_is_found() -> None:
    photo = bright(150, 200, (10, 20, 50, 60), (20, 120, 120, 190))
    assert found_in(photo) == (Box(20, 120, 120, 190), (150, 200, 3))


@pytest.mark.parametrize(("height", "width", "searched"), [(48, 48, (108, 108, 3)), (24, 48, (72, 108, 3))])
def test_a_small_image_is_enlarged_and_gets_room(height: int, width: int, searched: tuple[int, ...]) -> None:
    box, shape = found_in(bright(height, width, (4, 2, 20, 22)))
    assert box is not None and np.allclose(box, (4, 2, 20, 22), atol=0.7)
    assert shape == searched


def test_the_room_repeats_the_edge_and_is_taken_off_the_box() -> None:
    box, shape = found_in(bright(100, 100, (0, 0, 60, 40)))
    assert box == Box(-25, -25, 60, 40) and shape == (150, 150, 3)


def test_a_picture_that_is_asked_about_is_searched_as_one_of_a_dataset() -> None:
    image = bright(48, 48, (4, 2, 20, 22))
    colour = np.repeat(image[..., None], 3, axis=2)
    assert find_faces(BrightParts(), colour)[0].box == found_in(image)[0]


def test_without_a_face_the_image_stays_whole() -> None:
    assert found_in(bright(48, 48))[0] is None


def test_csv_and_images_are_cropped_alike(tmp_path: Path) -> None:
    faces = [(split, label, bright(48, 48, (8, 2, 40, 22))) for split, label, _ in make_faces(28)]
    faces[9] = (*faces[9][:2], bright(48, 48))
    (tmp_path / "fer2013.csv").write_text(csv_text(faces))
    root = write_folder(tmp_path / "images", image_files(faces, "{split}/{name}/{index:05d}.png"))
    # 32 rows and 20 columns, widened to a square of which 4 columns lie outside.
    square = np.pad(faces[0][2], ((0, 0), (4, 0)))[8:40, :32]
    expected = np.asarray(Image.fromarray(square).resize((48, 48), Image.Resampling.LANCZOS))
    for path in (tmp_path / "fer2013.csv", root):
        source = open_source(path)
        source.use_detector(DetectedCrop(BrightParts(), 0.0, {"detector": "haar"}))
        with closing(source):
            found = {record.id: record for record in source.records()}
        assert [key for key, record in found.items() if record.crop == "whole"] == ["00009"]
        np.testing.assert_array_equal(found["00000"].image[..., 0], expected)
        np.testing.assert_array_equal(found["00009"].image[..., 0], faces[9][2])
        for index in (0, 9):  # copies are looked for among these as well: a detector may cut them otherwise
            photo = found[f"{index:05d}"].photo
            assert photo is not None
            np.testing.assert_array_equal(photo[::2, ::2, 0], faces[index][2])
        assert source.options["detector"] == "haar"


def test_a_build_says_which_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f.csv").write_text(csv_text(make_faces(7)))
    model = tmp_path / "model.onnx"
    model.write_bytes(b"a model")
    asked: list[Any] = []

    def open_detector(*arguments: Any) -> BrightParts:
        asked.append(arguments)
        return BrightParts()

    monkeypatch.setattr(detection, "open_detector", open_detector)
    monkeypatch.setattr(detection, "import_opencv", lambda: SimpleNamespace(__version__="4.14.0"))
    written = []
    for given in ({"detector": "haar"}, {"detector": "yunet", "detector_model": model, "box_margin": 0.5}):
        with closing(BuildRequest("fer2013", tmp_path / "f.csv", **given).open()) as source:
            written.append(source.options)
    assert asked == [("haar", None), ("yunet", model)]
    assert written[0] == {"detector": "haar", "opencv": "4.14", "box_margin": "0.125"}
    digest = hashlib.sha256(b"a model").hexdigest()
    assert written[1] == {"detector": "yunet", "opencv": "4.14", "box_margin": "0.5", "detector_model": digest}


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("fer2013", {"detector": "haar", "boxes": "b.csv"}, "--boxes gives the faces and --detector looks for them"),
        (
            "fer2013",
            {"detector": "hair"},
            "--detector hair: no such face detector; did you mean 'haar'",
        ),
        ("fer2013", {"detector": "haar", "detector_model": "m.onnx"}, "--detector-model is for --detector yunet"),
        ("fer2013", {"align": True}, "--align turns faces by the eyes .*: give --detector mtcnn or yunet"),
        ("fer2013", {"align": True, "boxes": "b.csv"}, "--align turns faces by the eyes .*: give --detector mtcnn"),
        (
            "fer2013",
            {"align": True, "detector": "haar"},
            "the detector haar does not find: give --detector mtcnn or yun",
        ),
        ("fer2013", {"detector": "none"}, "leave --detector out, and the images stay whole"),
        ("fer2013", {"detector_model": "m.onnx"}, "--detector-model is for --detector yunet"),
        ("fer2013", {"detector": "haar", "source": None}, "--detector crops the images of --source"),
        ("expw", {"boxes": "b.csv"}, "--boxes is for .*fer2013, folder.*, not for expw"),
    ],
)
def test_unclear_requests_are_refused(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        BuildRequest(name, **{"source": "x", **given})


def searched(faces: list[list[Face]], align: bool = False) -> tuple[DetectedCrop, Counter[str]]:
    """A crop that has searched an image for each of these lists of faces, and what it has counted."""
    given = iter(faces)
    detector = SimpleNamespace(name="yunet", margin=0.0, find=lambda image: next(given))
    crop, counts = DetectedCrop(detector, 0.0, {}, align), Counter[str]()
    for i in range(len(faces)):
        crop.find(Image.new("RGB", (200, 200)), str(i), counts)
    return crop, counts


def refuse(faces: list[list[Face]], align: bool = False) -> None:
    crop, counts = searched(faces, align)
    crop.refuse_unfound(counts)


def warnings(faces: list[list[Face]], align: bool = False) -> tuple[str, ...]:
    crop, counts = searched(faces, align)
    return crop.warnings(counts)


FACE = Face(Box(10, 10, 60, 60), 0.9, Eyes(30, 20, 30, 50))
BLIND = FACE._replace(eyes=None)
PROFILE = FACE._replace(eyes=Eyes(30, 20, 31, 23))


def test_a_detector_that_finds_little_is_refused() -> None:
    refuse([[FACE], []])
    refuse([])
    with pytest.raises(UserError, match=r"yunet finds no face in 2 of 3 images \(67 %\).*--detector \(mtcnn or haar\)"):
        refuse([[FACE], [], []])


def test_faces_without_eyes_are_counted() -> None:
    some = [[FACE], [BLIND], [PROFILE], []]
    refuse(some, align=True)
    assert warnings(some, align=True) == ("2 of 3 faces are not aligned: yunet did not find their eyes.",)
    assert warnings([[BLIND]]) == () and warnings([[FACE]], align=True) == ()
    refuse([[BLIND]])
    with pytest.raises(
        UserError, match=r"--align: yunet gives no eyes for any face: .* give --detector mtcnn or yunet"
    ):
        refuse([[BLIND], [PROFILE]], align=True)


def test_a_build_that_finds_little_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f.csv").write_text(csv_text(make_faces(21)))
    with pytest.raises(UserError, match=r"finds no face in 21 of 21 images"):
        build("fer2013", tmp_path / "f.csv", data_dir=tmp_path / "data", detector=find_nothing, say=lambda line: None)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def find_nothing(image: np.ndarray) -> list[Face]:
    return []


def tilted(image: np.ndarray) -> list[Any]:
    """One face in the middle half, its eyes falling to the right by 45 degrees."""
    height, width = image.shape[:2]
    top, left, bottom, right = height // 4, width // 4, 3 * height // 4, 3 * width // 4
    y, x, step = height / 2, width / 2, height / 16
    return [(top, left, bottom, right, 1.0, y - step, x - step, y + step, x + step)]


def test_build_and_predict_align_alike(tmp_path: Path) -> None:
    """What a dataset holds is what predict makes of the same picture, and the recipe goes from one to the other."""
    for index, name in enumerate(("happy", "sad", "sad")):
        folder = tmp_path / "faces" / name
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((160, 140)).save(folder / f"{index}.png")
    request = BuildRequest("folder/x", tmp_path / "faces", detector=tilted, align=True, image_size=24, box_margin=0.1)
    with closing(request.open()) as source:
        stored = {record.id: record.image for record in source.records()}
        recipe, shape, options = source.recipe, source.image_shape, source.options
    assert recipe == FaceRecipe(margin=0.1, cutter="test_detected_crop:tilted", align=True)
    assert options["align"] == "eyes"
    looker = Looker(shape, open_detector(tilted), None, recipe, False, False)
    plain = Looker(shape, open_detector(tilted), None, replace(recipe, align=False), False, False)
    for name, image in stored.items():
        (path,) = (tmp_path / "faces").rglob(f"{name}.png")
        picture = PictureFile(name, path)
        np.testing.assert_array_equal(looker.look_at_picture(picture).crops[0], image)
        assert (plain.look_at_picture(picture).crops[0] != image).any()
