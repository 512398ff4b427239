"""Boxes and labels in pictures: where they are, what they cover, and that they can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from fer_tl.faces.boxes import Box
from fer_tl.inference.predict.annotate import Mark, annotate


def drawn(image: np.ndarray, *marks: Mark, enlarge: bool = False) -> np.ndarray:
    return np.asarray(annotate(image, marks, enlarge))


def plain(level: int, height: int = 400, width: int = 600) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_frame_is_seen_on_any_ground_and_leaves_the_face_free(level: int):
    picture = drawn(plain(level), Mark(Box(150, 200, 250, 320), "happy 93%", 3))
    changed = np.abs(picture.astype(int) - level).max(axis=2) > 60
    for line in (changed[148:153, 230:300], changed[248:253, 230:300]):
        assert line.any(axis=0).all()
    for line in (changed[170:230, 197:204], changed[170:230, 317:324]):
        assert line.any(axis=1).all()
    assert not changed[160:240, 210:310].any()
    assert changed[100:146, 195:330].sum() > 500  # the plate, above


@pytest.mark.parametrize(
    "box", [Box(-20, -30, 60, 50), Box(-5, 540, 90, 650), Box(330, 500, 450, 640), Box(0, 0, 400, 600)]
)
def test_at_the_edge_of_a_picture_frame_and_text_are_whole_within_it(box: Box):
    inside = drawn(plain(90), Mark(Box(150, 200, 250, 320), "surprise 93%", 5))
    edge = drawn(plain(90), Mark(box, "surprise 93%", 5))
    plate = (232, 102, 26)  # the sixth colour: on the plate there is much of it

    def widest(picture: np.ndarray) -> int:
        return int((picture == plate).all(axis=2).sum(axis=1).max())

    assert edge.shape == (400, 600, 3) and widest(edge) >= 0.7 * widest(inside) > 60


def test_texts_of_neighbours_do_not_cover_each_other_or_a_face():
    faces = [Box(100, 100, 160, 160), Box(100, 170, 160, 230), Box(165, 100, 225, 160), Box(165, 170, 225, 230)]
    marks = [Mark(box, "neutral 50%", i) for i, box in enumerate(faces)]
    together = drawn(plain(255), *marks)
    for box in faces:
        top, left, bottom, right = map(int, box)
        assert (together[top + 25 : bottom - 25, left + 8 : right - 8] == 255).all()
    areas = [(drawn(plain(255), mark) != 255).any(axis=2).sum() for mark in marks]
    assert (together != 255).any(axis=2).sum() > 0.9 * sum(areas)


def test_small_pictures_are_enlarged_unless_their_size_must_stay():
    small = plain(30, 48, 48)
    mark = Mark(Box(4, 4, 44, 44), "surprise 93%", 5)
    assert drawn(small, mark, enlarge=True).shape == (336, 336, 3)
    assert drawn(small, mark).shape == (48, 48, 3)
    assert drawn(plain(30, 3, 2), Mark(Box(0, 0, 3, 2), "?", None), enlarge=True).shape[2] == 3
    large = drawn(plain(30, 1500, 2000), Mark(Box(700, 700, 1300, 1300), "?", None), enlarge=True)
    assert large.shape == (1500, 2000, 3) and (large == 255).all(axis=2).sum() > 4 * 600 * 5
