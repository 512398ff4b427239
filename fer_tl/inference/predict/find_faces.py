"""From pictures and frames to faces as a model takes them, and to its answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.faces.box_table import read_box_table
from fer_tl.faces.boxes import Box, Detector, Face
from fer_tl.faces.cutting import cut_face
from fer_tl.faces.detection import find_faces, import_opencv
from fer_tl.faces.films import VideoFrame
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference.predict.outputs import Row
from fer_tl.inference.predict.smoothing import Smoother
from fer_tl.inference.predict.sources import PictureBytes, PictureFile
from fer_tl.inference.predict.tracking import Tracker
from fer_tl.inference.predictor import ExpressionModel


class Seen(NamedTuple):
    """A picture or frame that was looked at.

    Attributes:
        id: of the picture or video.
        frame: its number, of a video.
        time: seconds, of a video.
        image: uint8 ``[H, W, 3]``, red, green, blue; None where nobody will draw on it.
        faces: in it; None if it was not looked for any.
        crops: uint8 ``[F, H, W, C]``, as the model takes them.
        problem: why it could not be read, "" if it could.
        several: whether it is the first of several frames or pages of a picture file.
    """

    id: str
    frame: int | None
    time: float | None
    image: np.ndarray | None
    faces: list[Face] | None
    crops: np.ndarray
    problem: str = ""
    several: bool = False


@dataclass(frozen=True, eq=False)
class Looker:
    """Decodes, finds faces and cuts them out; several threads may use one.

    Attributes:
        image_shape: height, width and channels that the model takes.
        detector: None where pictures are faces already.
        boxes: {picture id: boxes} in place of a detector; None to use it.
        recipe: how faces are cut.
        largest: keep only the largest face of each picture.
        keep: whether to keep pictures for drawing.
    """

    image_shape: tuple[int, int, int]
    detector: Detector | None
    boxes: Mapping[str, Sequence[Box]] | None
    recipe: FaceRecipe
    largest: bool
    keep: bool

    @property
    def whole(self) -> bool:
        """Whether each picture is a face."""
        return self.boxes is None and (self.detector is None or self.detector.name == "none")

    def look_at_picture(self, picture: PictureFile | PictureBytes) -> Seen:
        """Decode a picture and find its faces; what is wrong with it is its ``problem``."""
        try:
            if self.whole:
                return self._whole(picture)
            opened = picture.read(3, self.recipe.bits)
            image = np.asarray(opened.image)  # [H, W, 3]
            faces = self._find(image, picture.id)
            crops = cut_faces(image, faces, self.image_shape, self.recipe)
        except UserError as error:
            return Seen(picture.id, None, None, None, None, self._none(), str(error))
        kept = image if self.keep else None
        return Seen(picture.id, None, None, kept, faces, crops, several=opened.several)

    def look_at_frame(self, frame: VideoFrame, name: str, analysed: bool) -> Seen:
        """Find the faces of a video's frame; where it is not analysed, only its pixels are there."""
        if frame.pixels is None:
            return Seen(name, frame.number, frame.time, None, None, self._none())
        cv2 = import_opencv()
        image = cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2RGB)
        faces = self._find(image, name) if analysed else None
        crops = self._none()
        if faces and self.whole:
            crops = cut_whole(Image.fromarray(image), self.image_shape, self.recipe)
        elif faces:
            crops = cut_faces(image, faces, self.image_shape, self.recipe)
        return Seen(name, frame.number, frame.time, image if self.keep else None, faces, crops)

    def _find(self, image: np.ndarray, name: str) -> list[Face]:
        if self.boxes is not None:
            faces = [Face(box, 1.0) for box in self.boxes.get(name, ())]
        elif self.detector is None or self.whole:
            faces = [_whole(*image.shape[:2])]
        else:
            faces = find_faces(self.detector, image)
        return faces[:1] if self.largest else faces

    def _whole(self, picture: PictureFile | PictureBytes) -> Seen:
        """A picture that is a face, with no copy in colour where nobody needs one."""
        opened = picture.read(3 if self.keep else self.image_shape[2], self.recipe.bits)
        stored = opened.image
        image = np.asarray(stored) if self.keep else None
        crops = cut_whole(stored, self.image_shape, self.recipe)
        face = _whole(stored.height, stored.width)
        return Seen(picture.id, None, None, image, [face], crops, several=opened.several)

    def _none(self) -> np.ndarray:
        return np.empty((0, *self.image_shape), np.uint8)


def batches(seen: Iterable[Seen], most: int, border: int = 0) -> Iterator[list[Seen]]:
    """Pictures in groups for one call of the network: ``most`` of them, or fewer with as many faces.

    No group has pictures on both sides of a border, which is behind each ``border`` pictures unless that is 0: how many
    faces a call is about decides the last bits of its answers.
    """
    batch: list[Seen] = []
    faces = 0
    for number, each in enumerate(seen, start=1):
        batch.append(each)
        faces += len(each.crops)
        if len(batch) >= most or faces >= most or (border and number % border == 0):
            yield batch
            batch, faces = [], 0
    if batch:
        yield batch


def read_boxes(path: Path, pictures: Sequence[PictureFile]) -> dict[str, list[Box]]:
    """{picture id: its boxes, largest first} of a CSV as ``fer-tl build --boxes`` reads; several rows may be about one
    picture, which they name by its id, its file's name or its path.

    Raises:
        UserError: no such table, or no row is about any of the pictures.
    """
    known: dict[str, str] = {}
    for picture in pictures:
        for name in (str(picture.path), picture.path.name, picture.path.stem, picture.id):
            known[name] = picture.id
    found: dict[str, list[Box]] = {}
    table = read_box_table(path)
    for row in table.rows:
        identity = known.get(row.name)
        if identity is not None and row.box is not None:
            found.setdefault(identity, []).append(row.box)
    if not any(row.name in known for row in table.rows):
        raise UserError(
            f"{path}: none of its {len(table.rows):,} ids is a picture's (the first is {table.rows[0].name!r}, a "
            f"picture's is {pictures[0].id!r}): give the boxes of these pictures"
        )
    for boxes in found.values():
        boxes.sort(key=lambda box: box.area, reverse=True)
    return found


def _whole(height: int, width: int) -> Face:
    return Face(Box(0, 0, height, width), 1.0)


def answer(
    seen: Iterable[Seen], model: ExpressionModel, most: int, smoother: Smoother, min_confidence: float, border: int = 0
) -> Iterator[tuple[Seen, list[Row]]]:
    """Each picture with its rows, in order: one a face, or one without a face; none where it was not analysed.

    Args:
        seen: pictures or frames.
        model: answers.
        most: pictures, or faces, of one call of the network.
        smoother: of a video; one without smoothing for pictures.
        min_confidence: 0..1, below which a row has no label.
        border: of ``batches``.
    """
    tracker = Tracker()
    for batch in batches(seen, most, border):
        probabilities = model.answer(np.concatenate([each.crops for each in batch])).probabilities  # [F, K]
        done = 0
        for each in batch:
            mine = probabilities[done : done + len(each.crops)]
            done += len(each.crops)
            numbers = None
            if each.time is not None and each.faces is not None:
                numbers = tracker.update(each.time, [face.box for face in each.faces])
                mine = smoother.update(each.time, numbers, mine)
            yield each, _rows(each, mine, model.class_names, numbers, min_confidence)


def _rows(
    seen: Seen, probabilities: np.ndarray, names: tuple[str, ...], numbers: list[int] | None, min_confidence: float
) -> list[Row]:
    if seen.faces is None:
        return []
    if not seen.faces:
        return [Row(seen.id, seen.frame, seen.time, None, "", None)]
    rows = []
    for i, (face, p) in enumerate(zip(seen.faces, probabilities, strict=True)):
        best = int(p.argmax())
        label = names[best] if p[best] >= min_confidence else ""
        rows.append(Row(seen.id, seen.frame, seen.time, face, label, p, numbers[i] if numbers else None))
    return rows


def cut_faces(
    image: np.ndarray, faces: Sequence[Face], image_shape: tuple[int, int, int], recipe: FaceRecipe
) -> np.ndarray:
    """The faces of a picture as images for ``ExpressionModel.answer``, uint8 ``[F, H, W, C]`` of ``image_shape``, cut
    as the dataset builders do.

    Args:
        image: uint8 ``[H, W, 3]``, red, green, blue, 0..255.
        faces: F of them, with boxes in pixels of ``image``.
        image_shape: height, width and channels that the model takes; a square.
        recipe: how.

    Raises:
        UserError: a box that covers no pixel of the picture.
    """
    side, _, channels = image_shape
    picture = Image.fromarray(image)
    cuts = np.empty((len(faces), *image_shape), np.uint8)
    for i, face in enumerate(faces):
        cut = cut_face(picture, face, side, recipe, channels)
        if cut is None:
            raise UserError(
                f"the box ({face.box}) covers no pixel of the picture, {picture.height} rows of {picture.width} pixels"
            )
        cuts[i] = cut.pixels
    return cuts


def cut_whole(picture: Image.Image, image_shape: tuple[int, int, int], recipe: FaceRecipe) -> np.ndarray:
    """A picture in mode "L" or "RGB" that is a face itself: uint8 ``[1, H, W, C]``; else as ``cut_faces``."""
    side, _, channels = image_shape
    cut = cut_face(picture, None, side, recipe, channels)
    assert cut is not None  # a whole picture has pixels
    return cut.pixels[None]
