"""Anybody's function finds faces: by itself or by name, its answers checked, and its name and code kept."""

from __future__ import annotations

import re
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fer_files import csv_text, make_faces

from fer_tl.core.errors import UserError
from fer_tl.data.building.request import BuildRequest
from fer_tl.faces.boxes import Box, Eyes, Face
from fer_tl.faces.detection import open_detector

IMAGE = np.zeros((200, 300, 3), np.uint8)


def corners(image: np.ndarray) -> list[Any]:
    """A small face without score or eyes, a larger one with both."""
    height, width = image.shape[:2]
    return [
        (0, 0, 10, 10),
        (height - 40, width - 40, height, width, 0.5, height - 30, width - 30, height - 28, width - 9),
    ]


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of one's own in the folder at hand, which no path names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    path = tmp_path / "my_faces.py"
    path.write_text("def find(image):\n    return [(1, 2, 30, 40)]\n\nnumber = 3\n")
    monkeypatch.delitem(sys.modules, "my_faces", raising=False)
    return path


def test_a_function_finds_faces_largest_first() -> None:
    detector = open_detector(corners)
    assert detector.name == "test_given_detector:corners"
    first, second = detector.find(IMAGE)
    assert first == Face(Box(160, 260, 200, 300), 0.5, Eyes(170, 270, 172, 291))
    assert second == Face(Box(0, 0, 10, 10), 1.0, None)
    faces = open_detector(lambda image: iter([Face(Box(1, 2, 3, 4), 2.0)])).find(IMAGE)
    assert faces == [Face(Box(1, 2, 3, 4), 2.0)]


def test_a_function_is_found_by_name_in_the_folder_at_hand(own_module: Path) -> None:
    detector = open_detector("my_faces:find")
    assert detector.name == "my_faces:find" and detector.find(IMAGE)[0].box == (1, 2, 30, 40)
    for name, message in (
        ("my_faces:lost", "cannot be imported: AttributeError: .*lost"),
        ("no_such_module:find", "cannot be imported: ModuleNotFoundError: .*no_such_module"),
        ("my_faces:number", "is a int, not a function of an image"),
    ):
        with pytest.raises(UserError, match=f"--detector {name} {message}"):
            open_detector(name)
    with pytest.raises(UserError, match="the detector is a int: give the name of one, or a function"):
        open_detector(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [[(1, 2, 3)], [(30, 2, 3, 40)], [(1, 2, float("nan"), 40)], ["face"], [None], [(1, 2, 3, 4, 5, 6)],
     [{"box": (1, 2, 3, 4)}]],
)  # fmt: skip
def test_what_is_no_face_is_refused(given: Any) -> None:
    with pytest.raises(UserError, match=r"the detector .* gave .* for a face: it should give top, left, bottom, right"):
        open_detector(lambda image: given).find(IMAGE)


def test_a_function_that_fails_is_named_with_the_line() -> None:
    def fails(image: np.ndarray) -> list[Any]:
        raise ValueError("no weights")

    message = "the detector .*fails fails on an image of 200 rows and 300 columns: ValueError: no weights .*, line "
    with pytest.raises(UserError, match=message):
        open_detector(fails).find(IMAGE)
    with pytest.raises(UserError, match="TypeError"):
        open_detector(lambda image: None).find(IMAGE)  # type: ignore[arg-type,return-value]


def test_a_build_keeps_name_and_code(own_module: Path) -> None:
    source = own_module.parent / "f.csv"
    source.write_text(csv_text(make_faces(7)))

    def options() -> dict[str, str]:
        sys.modules.pop("my_faces", None)
        with closing(BuildRequest("fer2013", source, detector="my_faces:find").open()) as opened:
            assert opened.recipe.cutter == "my_faces:find"
            return opened.options

    first = options()
    assert first["detector"] == "my_faces:find" and re.fullmatch("[0-9a-f]{64}", first["detector_code"])
    assert options() == first
    own_module.write_text(own_module.read_text().replace("30, 40", "30, 41 + 0"))
    assert options()["detector_code"] != first["detector_code"]
    with closing(BuildRequest("fer2013", source, detector=corners).open()) as opened:
        assert opened.options["detector"] == "test_given_detector:corners"
