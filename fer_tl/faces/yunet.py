"""YuNet, a face detector by OpenCV, and the file of its model."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fer_tl.core.checksums import checksum
from fer_tl.core.downloads import fetch
from fer_tl.core.errors import UserError
from fer_tl.faces.boxes import Eyes, Face, face_of, largest_first, reduced

# MIT licence. Size and hash are those of the Git LFS pointer in the repository at that commit. It takes any image size
# on OpenCV's own DNN engine, and is what the score of YuNet was defined on.
_YUNET_FILE = "face_detection_yunet_2023mar.onnx"
_YUNET_URL = (
    "https://media.githubusercontent.com/media/opencv/opencv_zoo/82b38c8f98e7b52aa171400f3e4c722352d0669f/models/"
    f"face_detection_yunet/{_YUNET_FILE}"
)
_YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
_LFS_POINTER = b"version https://git-lfs"


class YuNet:
    """Wu et al. (2023), "YuNet: A Tiny Millisecond-level Face Detector", as OpenCV runs it."""

    name = "yunet"
    margin = 0.0
    _SCORE = 0.7
    _OVERLAP = 0.3  # IoU from which two boxes are one face: the default of OpenCV

    def __init__(self, cv2: ModuleType, model: Path, fast: bool) -> None:
        _check_model(model)
        # Pixels. It finds faces of 10 to 300 (README of opencv_zoo), and its time grows with the area.
        self._longest = 320 if fast else 640
        if not hasattr(cv2, "FaceDetectorYN"):
            raise UserError(f"OpenCV {cv2.__version__} has no YuNet: pip install --upgrade 'fer-tl[vision]'")
        self._cv2, self._model = cv2, model
        self._own = threading.local()  # a network must not be used by two threads at once
        self._network()

    def find(self, image: np.ndarray) -> list[Face]:
        cv2 = self._cv2
        small, down = reduced(cv2, image, self._longest)
        network = self._network()
        network.setInputSize((small.shape[1], small.shape[0]))
        rows = network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]  # [F, 15]: box, 5 landmarks, score
        return largest_first([_face(row, down) for row in (() if rows is None else rows)])

    def _network(self) -> Any:
        if not hasattr(self._own, "network"):
            try:
                self._own.network = self._cv2.FaceDetectorYN.create(
                    str(self._model), "", (320, 320), self._SCORE, self._OVERLAP
                )
            except self._cv2.error as error:
                reason = " ".join(str(error).split())[:200]
                raise UserError(f"{self._model} is no YuNet model ({reason}): give {_YUNET_FILE}") from None
        return self._own.network


def open_yunet(cv2: ModuleType, model: Path | None, fast: bool) -> YuNet:
    """See ``fer_tl.faces.detectors.KnownDetector``; without a model the one in the cache, which is fetched once.

    Raises:
        UserError: OpenCV has no YuNet, or there is no such model.
    """
    return YuNet(cv2, model if model is not None else fetched_model(), fast)


def _face(row: np.ndarray, down: float) -> Face:
    """``row``: float32 [15], left, top, width, height, columns and rows of five points of which the eyes are the first
    two, that on the left before the other, score."""
    left_x, left_y, right_x, right_y = (float(value) * down for value in row[4:8])
    return face_of(row[:4], row[14], down)._replace(eyes=Eyes(left_y, left_x, right_y, right_x))


def _check_model(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            head = stream.read(len(_LFS_POINTER))
    except OSError as error:
        raise UserError(
            f"--detector-model {path} cannot be read ({error.strerror}): get it from {_YUNET_URL}"
        ) from None
    if head == _LFS_POINTER:
        raise UserError(f"{path} is a Git LFS pointer, not the model itself: get it from {_YUNET_URL}")


def fetched_model() -> Path:
    """YuNet's model in the cache, from the network if it is not there yet; its hash is checked each time."""
    path = Path(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "fer-tl" / _YUNET_FILE
    if path.is_file():
        try:
            digest = checksum(path).sha256
        except OSError as error:
            digest = str(error)
        if digest != _YUNET_SHA256:
            raise UserError(
                f"{path} is not YuNet's model (the sha256 is {digest}, not {_YUNET_SHA256}): delete it, and it is "
                "fetched again"
            )
        return path
    try:
        fetch(_YUNET_URL, path, "sha256", _YUNET_SHA256)
    except (OSError, ValueError) as error:
        raise UserError(
            f"YuNet's model is not in {path} and could not be fetched ({getattr(error, 'reason', error)}): put "
            f"{_YUNET_URL} there, give the file with --detector-model, or give --detector mtcnn, which needs no "
            "network"
        ) from None
    return path
