"""Images to explain: as the model takes them, and as people look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.json_files import load_member
from fer_tl.faces.boxes import Detector
from fer_tl.faces.cutting import to_square
from fer_tl.faces.detection import find_faces
from fer_tl.faces.opening import open_file
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference.predict.find_faces import cut_faces

# Pixels of a side at which an image is shown, about: five times those of FER-2013.
SHOWN = 240
# Pixels. The crops of published datasets have up to 430 (AffectNet), photographs more.
CROP = 500
_NAMED = 3  # pictures of a remark


@dataclass(frozen=True, eq=False)
class Picture:
    """An image to explain.

    Attributes:
        id: of the dataset's image; or the file's name, or its path as given where names repeat, with the number of the
            face where it shows several.
        pixels: uint8 ``[H, W, C]``, what the model takes.
        shown: uint8 ``[D, D, C]``, the same part of the picture, larger.
        part: of the run, whose model explains it.
        label: its class, "" if that is not known.
        predicted: what the run's saved predictions say, "" if the model is to be asked.
        remark: what it is that the images of the training were not, "" for nothing.
    """

    id: str
    pixels: np.ndarray
    shown: np.ndarray
    part: str
    label: str = ""
    predicted: str = ""
    remark: str = ""


def read_pictures(
    paths: Sequence[Path | str],
    shape: tuple[int, int, int],
    part: str,
    recipe: FaceRecipe,
    detector: Detector | None = None,
) -> list[Picture]:
    """Decode image files, and cut out their faces as ``fer-tl predict`` does.

    Args:
        paths: of the files.
        shape: height, width and channels that the model takes; a square.
        part: whose model explains them.
        recipe: of that model.
        detector: finds the faces; None where each file is a face.

    Returns:
        One a face, the largest of a file first; one of the whole picture where no face is found.

    Raises:
        UserError: a file that is missing, a folder, or no image.
    """
    names = [Path(path).name for path in paths]
    names = names if len(set(names)) == len(names) else [str(path) for path in paths]
    found: list[Picture] = []
    for path, name in zip(paths, names, strict=True):
        faces = [] if detector is None else _read_faces(Path(path), name, shape, part, recipe, detector)
        found += faces or [_read_whole(Path(path), name, shape, part, recipe, searched=detector is not None)]
    return found


def _read_faces(
    path: Path, name: str, shape: tuple[int, int, int], part: str, recipe: FaceRecipe, detector: Detector
) -> list[Picture]:
    """The faces of a picture that a detector finds."""
    opened = open_file(path, 3, recipe.bits)
    image = np.asarray(opened.image)  # [H, W, 3]
    faces = find_faces(detector, image)
    side, _, channels = shape
    larger = side * _times(side)
    pixels = cut_faces(image, faces, shape, recipe)  # [F, S, S, C]
    shown = cut_faces(image, faces, (larger, larger, channels), recipe)
    remark = _SEVERAL if opened.several else ""
    return [
        Picture(_name_face(name, number, len(faces)), pixels[number], shown[number], part, remark=remark)
        for number in range(len(faces))
    ]


def _name_face(name: str, number: int, count: int) -> str:
    """``photo.jpg``, or ``photo-face-2.jpg`` for the second of several."""
    path = PurePath(name)
    return name if count == 1 else str(path.with_name(f"{path.stem}-face-{number + 1}{path.suffix}"))


def _read_whole(
    path: Path, name: str, shape: tuple[int, int, int], part: str, recipe: FaceRecipe, searched: bool
) -> Picture:
    """A picture that is a face, or in which none was found."""
    side, _, channels = shape
    opened = open_file(path, channels, recipe.bits)
    image = opened.image
    pixels = to_square(image, side, recipe.fit)  # [H, W, C]
    larger = max(image.size) > side
    shown = to_square(image, side * _times(side), recipe.fit) if larger else magnify(pixels)
    remark = _remark(image.width, image.height, recipe.fit, opened.several)
    if searched:
        remark = "; ".join(filter(None, ["no face was found, so the whole picture is explained", remark]))
    return Picture(name, pixels, shown, part, remark=remark)


def describe_pictures(pictures: Sequence[Picture]) -> list[str]:
    """What a reader of the maps must know of some of the pictures: a sentence or two for each kind of them."""
    strange: dict[str, list[str]] = {}
    for picture in pictures:
        if picture.remark:
            strange.setdefault(picture.remark, []).append(picture.id)
    notes = []
    for remark, names in strange.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        notes.append(f"{', '.join(names[:_NAMED])}{more}: {remark}.")
    if notes:
        notes.append("The model was trained on crops of faces: what else a picture shows misleads it.")
    return notes


def magnify(pixels: np.ndarray) -> np.ndarray:
    """An image ``[H, W, C]`` about ``SHOWN`` pixels large, each of its own pixels a square of them."""
    times = _times(pixels.shape[0])
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def input_shape(path: Path) -> tuple[int, int, int]:
    """Height, width and channels of the images that a saved model takes, read without Keras.

    Raises:
        UserError: no whole model of fer-tl.
    """
    try:
        layers = load_member(path, "config.json")["config"]["layers"]
        (first,) = (layer for layer in layers if layer["class_name"] == "InputLayer")
        _, height, width, channels = first["config"]["batch_shape"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a whole model of fer-tl ({' '.join(str(error).split())})") from None
    return height, width, channels


def _times(side: int) -> int:
    return max(1, round(SHOWN / side))


_SEVERAL = "the first of several frames or pages"
_FITTED = {"pad": "padded with black", "crop": "cropped to its middle", "stretch": "stretched"}


def _remark(width: int, height: int, fit: str, several: bool) -> str:
    found = [f"not square, so {_FITTED[fit]}"] if width != height else []
    if max(width, height) > CROP:
        found.append(f"larger than {CROP} pixels, so it may show more than a face")
    if several:
        found.append(_SEVERAL)
    return "; ".join(found)
