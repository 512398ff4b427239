"""A picture becomes the same pixels wherever it goes: into a dataset, predict, API, serve, explain, a card's lines."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fer_tl.core.errors import UserError
from fer_tl.faces.box_table import read_box_table
from fer_tl.faces.boxes import Box, Eyes, Face
from fer_tl.faces.cutting import cut_face
from fer_tl.faces.recipe import BEFORE, FaceRecipe, read_recipe
from fer_tl.inference.explain.pictures import read_pictures
from fer_tl.inference.export.formats import FORMATS, usage_text
from fer_tl.inference.predict.find_faces import Looker, cut_faces, cut_whole
from fer_tl.inference.predict.sources import PictureFile
from fer_tl.inference.predictor import ExpressionModel
from fer_tl.inference.serve.uploads import decode_upload
from fer_tl.sources.folder.reader import open_folder

SIDE = 16
UPRIGHT = np.random.default_rng(0).integers(0, 256, (8, 5, 3)).astype(np.uint8)


def photo(mode: str, size: tuple[int, int] = (30, 48)) -> Image.Image:
    return Image.fromarray(UPRIGHT).resize(size, Image.Resampling.BICUBIC).convert(mode)


def pictures(grey: bool) -> dict[str, bytes]:
    """Files of upright pictures, stored in every way that asks for a decision; all grey or not."""
    turned = Image.Exif()
    turned[0x0112] = 6
    plain = photo("L" if grey else "RGB")
    clear = plain.copy()
    clear.putalpha(Image.linear_gradient("L").resize(plain.size))
    deep = Image.fromarray(np.asarray(photo("L")).astype(np.uint16) * 200)
    kept = {"plain": (plain, {}), "turned": (plain, {"exif": turned}), "clear": (clear, {}), "deep": (deep, {})}
    if not grey:
        kept["palette"] = (photo("RGB").quantize(16), {"transparency": bytes([0] * 8 + [255] * 8)})
    found = {}
    for name, (image, options) in kept.items():
        stream = io.BytesIO()
        image.save(stream, "png", **options)
        found[name] = stream.getvalue()
    return found


@pytest.fixture(params=[True, False], ids=["grey", "colour"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for index, (name, data) in enumerate(pictures(request.param).items()):
        place = tmp_path / "faces" / ("happy", "sad")[index % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.png").write_bytes(data)
    return tmp_path / "faces"


def ways(
    folder: Path, shape: tuple[int, int, int], recipe: FaceRecipe
) -> Iterator[tuple[str, Callable[[Path], np.ndarray]]]:
    """Each way from a file to what a model gets, uint8 ``[1, H, W, C]``."""
    asked: list[np.ndarray] = []

    def network(pixels: np.ndarray) -> np.ndarray:
        asked.append(pixels)
        return np.zeros((len(pixels), 2), np.float32)

    model = ExpressionModel(("happy", "sad"), shape, ("model",), 1.0, (network,), recipe)

    def api(open_one: Callable[[Path], object]) -> Callable[[Path], np.ndarray]:
        def call(path: Path) -> np.ndarray:
            model.predict([open_one(path)])  # type: ignore[list-item]
            return asked.pop()

        return call

    looker = Looker(shape, None, None, recipe, False, False)
    drawing = Looker(shape, None, None, recipe, False, True)
    yield "predict", lambda path: looker.look_at_picture(PictureFile("x", path)).crops
    yield "predict, drawn on", lambda path: drawing.look_at_picture(PictureFile("x", path)).crops
    yield "a path", api(lambda path: path)
    yield "Pillow's image", api(Image.open)

    def upload(path: Path) -> Image.Image:
        return Image.fromarray(decode_upload(path.read_bytes(), "image/png", recipe.bits))

    yield "serve", lambda path: cut_whole(upload(path), shape, recipe)
    yield "explain", lambda path: read_pictures([path], shape, "model", recipe)[0].pixels[None]
    for chosen in FORMATS.values():
        lines = usage_text(chosen, shape, recipe).split(chosen.usage)[0]

        def card(path: Path, lines: str = lines) -> np.ndarray:
            found: dict[str, np.ndarray] = {}
            exec(lines.replace('"face.png"', repr(str(path))), found)
            return found["image"]

        yield f"card of {chosen.name}", card


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("bits", [None, 12])
def test_a_whole_picture_is_what_was_stored_by_every_way(folder: Path, fit: str, bits: int | None) -> None:
    with closing(open_folder(folder, SIDE, fit)) as source:
        source.bits = bits
        stored = {record.id: record.image for record in source.records()}
        recipe, shape = source.recipe, source.image_shape
    assert recipe == FaceRecipe(fit, bits=bits)
    paths = sorted(folder.rglob("*.png"))
    assert len(paths) == len(stored) >= 4
    for name, way in ways(folder, shape, recipe):
        for path in paths:
            pixels = way(path)
            # A grey model is shown colours by serve and by drawing, which become grey one step later.
            tolerance = 1 if shape[2] == 1 else 0
            np.testing.assert_allclose(
                pixels.astype(int), stored[path.stem][None].astype(int), atol=tolerance, err_msg=f"{name}, {path.name}"
            )


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_a_face_in_a_photo_is_what_a_table_of_boxes_stored(tmp_path: Path, margin: float) -> None:
    boxes = {"a": Box(6, 4, 40, 24), "b": Box(-3, 10, 21, 44.5), "c": Box(0, 0, 48, 30)}
    for name in boxes:
        (tmp_path / "faces" / name).mkdir(parents=True)
        photo("RGB").save(tmp_path / "faces" / name / f"{name}.png")
    rows = [f"{name},{','.join(map(str, box))}" for name, box in boxes.items()]
    (tmp_path / "boxes.csv").write_text("\n".join(["id,top,left,bottom,right", *rows]))
    with closing(open_folder(tmp_path / "faces", SIDE, "pad")) as source:
        source.use_boxes(read_box_table(tmp_path / "boxes.csv"), margin)
        stored = {record.id: record for record in source.records()}
        recipe, shape = source.recipe, source.image_shape
    assert recipe == FaceRecipe("pad", margin=margin, cutter="boxes")
    for name, box in boxes.items():
        path = tmp_path / "faces" / name / f"{name}.png"
        looker = Looker(shape, None, {"x": [box]}, recipe, False, False)
        np.testing.assert_array_equal(looker.look_at_picture(PictureFile("x", path)).crops[0], stored[name].image)
        served = cut_faces(decode_upload(path.read_bytes(), "image/png"), [Face(box, 1.0)], shape, recipe)
        np.testing.assert_array_equal(served[0], stored[name].image)
        assert stored[name].size[0] == stored[name].size[1]


@pytest.mark.parametrize(
    "recipe",
    [
        FaceRecipe(),
        BEFORE,
        FaceRecipe("crop", "clip", 0.25, "haar", 12),
        FaceRecipe(cutter="my.module:Finder.find", align=True),
    ],
)
def test_a_recipe_is_read_back_and_says_what_it_does(recipe: FaceRecipe) -> None:
    assert read_recipe(recipe.to_dict(), "run.json") == recipe
    assert "\n" not in recipe.describe()


@pytest.mark.parametrize(
    "change",
    [{"fit": "squeeze"}, {"fit": ["pad"]}, {"box": None}, {"margin": float("nan")}, {"margin": -1}, {"margin": True},
     {"cutter": "../x"}, {"cutter": None}, {"cutter": "a:b:c"}, {"align": 1}, {"align": "yes"},
     {"bits": 0}, {"bits": True}, {"more": 1}],
)  # fmt: skip
def test_a_recipe_that_was_changed_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"run\.json is damaged \(.*'faces'"):
        read_recipe(FaceRecipe().to_dict() | change, "run.json")
    with pytest.raises(UserError, match=r"run\.json is damaged \('faces' is not a recipe"):
        read_recipe([1], "run.json")


def test_a_face_that_is_square_is_not_resized_twice() -> None:
    cut = cut_face(photo("L", (SIDE, SIDE)), None, SIDE, FaceRecipe())
    assert cut is not None
    np.testing.assert_array_equal(cut.pixels[..., 0], np.asarray(photo("L", (SIDE, SIDE))))


def test_a_recipe_of_before_alignment_is_what_it_was() -> None:
    values = FaceRecipe(cutter="haar").to_dict()
    assert "align" not in values and read_recipe(values, "run.json") == FaceRecipe(cutter="haar", align=False)


def test_the_detector_of_a_training_is_taken_up_but_no_code_is_run_that_a_file_names() -> None:
    assert [FaceRecipe(cutter=name).detector("run") for name in ("", "boxes", "haar", "yunet", "mtcnn")] == [
        "auto", "auto", "haar", "yunet", "mtcnn"]  # fmt: skip
    with pytest.raises(UserError, match=r"training of run were found by os:system, .*: give --detector os:system, or"):
        FaceRecipe(cutter="os:system").detector("run")


@pytest.mark.parametrize("degrees", [30.0, -50.0])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_tilted_face_is_turned_until_its_eyes_are_level(degrees: float, mode: str) -> None:
    upright = Image.new(mode, (200, 200))
    draw = ImageDraw.Draw(upright)
    draw.rectangle((60, 60, 139, 139), fill="gray")
    draw.rectangle((75, 80, 84, 89), fill="white")
    draw.rectangle((115, 80, 124, 89), fill="white")
    # Pillow turns against the clock, so that the line between the eyes rises to the right.
    turned = upright.rotate(-degrees, Image.Resampling.BICUBIC)
    turn = np.radians(degrees)
    eyes = [(100 - 20 * np.cos(turn) + 15 * np.sin(turn), 100 - 20 * np.sin(turn) - 15 * np.cos(turn)),
            (100 + 20 * np.cos(turn) + 15 * np.sin(turn), 100 + 20 * np.sin(turn) - 15 * np.cos(turn))]  # fmt: skip
    (left_x, left_y), (right_x, right_y) = eyes
    recipe = FaceRecipe(margin=0.1, cutter="yunet", align=True)
    box = Box(60, 60, 140, 140)
    expected = cut_face(upright, Face(box, 1.0), 48, recipe)
    for seen in (Eyes(left_y, left_x, right_y, right_x), Eyes(right_y, right_x, left_y, left_x)):
        face = Face(box, 1.0, seen)
        assert face.tilt == pytest.approx(degrees)
        found = cut_face(turned, face, 48, recipe)
        assert found is not None and expected is not None and found.crop == expected.crop == "cropped"
        assert np.abs(found.pixels.astype(int) - expected.pixels).mean() < 4
        plain = cut_face(turned, face, 48, replace(recipe, align=False))
        assert plain is not None and np.abs(plain.pixels.astype(int) - expected.pixels).mean() > 20
        blind = cut_face(turned, face._replace(eyes=None), 48, recipe)
        assert blind is not None
        np.testing.assert_array_equal(blind.pixels, plain.pixels)


def test_a_turned_face_whose_corners_leave_the_picture_is_black_there() -> None:
    picture = Image.new("L", (100, 100), 200)
    face = Face(Box(0, 0, 100, 100), 1.0, Eyes(30, 30, 70, 70))
    cut = cut_face(picture, face, 100, FaceRecipe(cutter="yunet", align=True))
    assert cut is not None and cut.crop == "clipped"
    assert (cut.pixels[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all() and cut.pixels[50, 50] == 200
    inside = cut_face(picture, Face(Box(25, 25, 75, 75), 1.0, Eyes(40, 40, 60, 60)), 50, FaceRecipe(align=True))
    assert inside is not None and inside.crop == "cropped" and (inside.pixels == 200).all()
