"""Face detectors: chosen by what is installed, boxes where a face is at any size, and bad models refused."""

from __future__ import annotations

import hashlib
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from fer_tl.core.errors import UserError
from fer_tl.faces import yunet
from fer_tl.faces.boxes import Detector
from fer_tl.faces.detection import open_detector

cv2 = pytest.importorskip("cv2")
from detectable_faces import scene  # noqa: E402

has_haar = hasattr(cv2, "CascadeClassifier")
needs_haar = pytest.mark.skipif(not has_haar, reason="OpenCV 5 has no Haar cascades")


@pytest.fixture(scope="module")
def haar() -> Detector:
    return open_detector("haar")


@needs_haar
def test_haar_finds_faces_largest_first_and_says_where_they_are_in_the_image_given(haar: Detector):
    faces = haar.find(scene(240, 400, (70, 20, 90), (40, 200, 160)))
    assert len(faces) == 2
    for face, (top, left, side) in zip(faces, ((40, 200, 160), (70, 20, 90)), strict=True):
        middle = (face.box.top + face.box.bottom) / 2, (face.box.left + face.box.right) / 2
        np.testing.assert_allclose(middle, (top + side / 2, left + side / 2), atol=side / 8)
        assert 0.5 * side < face.box.bottom - face.box.top < 1.1 * side and face.score >= 3
    large = haar.find(scene(900, 1280, (300, 400, 450)))  # searched at half its size
    assert len(large) == 1 and abs((large[0].box.left + large[0].box.right) / 2 - 625) < 56
    assert haar.find(np.full((100, 100, 3), 128, np.uint8)) == [] and haar.find(np.zeros((1, 3000, 3), np.uint8)) == []


def test_without_haar_its_name_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    """As OpenCV 5."""
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    with pytest.raises(UserError, match=r"no Haar cascades: give --detector mtcnn, or .*'opencv-python-headless<5"):
        open_detector("haar")


def test_none_is_the_whole_image_and_needs_no_opencv(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    (face,) = open_detector("none").find(np.zeros((30, 50, 3), np.uint8))
    assert face.box == (0, 0, 30, 50)
    with pytest.raises(UserError, match=r"pip install 'fer-tl\[vision\]'"):
        open_detector("haar")


def test_unknown_names_and_options_that_do_not_fit(tmp_path: Path):
    with pytest.raises(UserError, match="--detector harr: no such face detector; did you mean 'haar'"):
        open_detector("harr")
    with pytest.raises(UserError, match="--detector-model is for --detector yunet, not for haar"):
        open_detector("haar", tmp_path / "yunet.onnx")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot be read .No such file.*: get it from https://media.githubusercontent.com/"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "is a Git LFS pointer, not the model itself"),
        (b"no network at all", "is no YuNet model .*: give face_detection_yunet_2023mar.onnx"),
    ],
)
def test_a_file_that_is_no_model_is_refused(data: bytes | None, message: str, tmp_path: Path):
    path = tmp_path / "face.onnx"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        open_detector("auto", path)


class Networks(types.SimpleNamespace):
    """Stands for ``cv2.FaceDetectorYN``: finds one face from (0.25, 0.5) to (0.5, 0.75) of the image's sides, and a
    smaller one."""

    def __init__(self) -> None:
        super().__init__(sizes=[], colours=[])

    def create(self, *arguments: object) -> Networks:
        return self

    def setInputSize(self, size: tuple[int, int]) -> None:
        self.sizes.append(size)

    def detect(self, image: np.ndarray) -> tuple[int, np.ndarray | None]:
        assert image.shape[1::-1] == self.sizes[-1]
        self.colours.append(tuple(image[0, 0]))
        height, width = image.shape[:2]
        rows = np.zeros((2, 15), np.float32)
        rows[0, :4] = 1, 2, 10, 12
        rows[1, :4] = width / 2, height / 4, width / 4, height / 4
        rows[1, 4:8] = width / 4, height / 2, width / 2, height / 4
        rows[:, 14] = 0.8, 0.9
        return 1, rows if self.colours[-1] == (9, 8, 7) else None


def test_yunet_gets_blue_first_at_a_bounded_size_and_answers_in_pixels_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    networks = Networks()
    monkeypatch.setattr(cv2, "FaceDetectorYN", networks)
    (tmp_path / "yunet.onnx").write_bytes(b"a model")
    detector = open_detector("yunet", tmp_path / "yunet.onnx")
    image = np.empty((800, 1280, 3), np.uint8)
    image[:] = 7, 8, 9
    first, second = detector.find(image)
    assert networks.sizes == [(640, 400)]
    np.testing.assert_allclose(first.box, (200, 640, 400, 960))
    assert first.eyes == (400, 320, 200, 640) and first.tilt == pytest.approx(-32.005, abs=0.01)
    assert first.score == pytest.approx(0.9) and second.box == (4, 2, 28, 22)
    assert detector.find(np.zeros((80, 80, 3), np.uint8)) == []


def test_the_fetched_model_is_kept_if_its_hash_is_right_and_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cv2, "FaceDetectorYN", Networks())
    (tmp_path / "served").write_bytes(b"the model")
    monkeypatch.setattr(yunet, "_YUNET_URL", (tmp_path / "served").as_uri())
    with pytest.raises(UserError, match=r"could not be fetched .its sha256 is .*: put file:.* give .*--detector mtcnn"):
        open_detector("yunet")
    assert not list((tmp_path / "cache").rglob("*.onnx"))
    monkeypatch.setattr(yunet, "_YUNET_SHA256", hashlib.sha256(b"the model").hexdigest())
    assert open_detector("yunet").name == "yunet"
    (tmp_path / "served").unlink()
    assert open_detector("yunet").name == "yunet"  # from the cache
    (cached,) = (tmp_path / "cache").rglob("*.onnx")
    cached.write_bytes(b"another")
    with pytest.raises(UserError, match=r"the sha256 is .*: delete it"):
        open_detector("yunet")
