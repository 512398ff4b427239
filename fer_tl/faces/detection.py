"""Face detectors behind one name: OpenCV's Haar cascade, YuNet, or none; and crops to what they find."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
from PIL import Image

from fer_tl.core.errors import UserError, suggest
from fer_tl.faces.boxes import Box, Detector, Face, face_of, largest_first, reduced
from fer_tl.faces.yunet import YuNet, fetched_model

NAMES = ("auto", "haar", "yunet", "none")


def open_detector(name: str = "auto", model: Path | None = None, fast: bool = False) -> Detector:
    """A face detector by its name.

    Args:
        name: ``haar``: OpenCV's frontal cascade, which comes with OpenCV 4; ``yunet``: a small network, which finds
            turned and covered faces as well, in OpenCV 4 and 5; ``none``: the whole image is the face; ``auto``: YuNet
            if its model is given, else Haar, and YuNet where OpenCV has no Haar.
        model: YuNet's ONNX file. By default it is fetched into a cache and its hash checked.
        fast: for videos, where faces are larger and time is short: in a third of the time, without the smallest faces.

    Raises:
        UserError: no such detector, OpenCV or a part of it is missing, or no such model.
    """
    check_detector(name)
    if model is not None and name not in ("auto", "yunet"):
        raise UserError(f"--detector-model is for --detector yunet, not for {name}: leave it out")
    if name == "none":
        return _Whole()
    cv2 = import_opencv()
    if model is not None or name == "yunet":
        return YuNet(cv2, model if model is not None else fetched_model(), fast)
    if _has_haar(cv2):
        return _Haar(cv2, fast)
    if name == "auto":
        return YuNet(cv2, fetched_model(), fast)
    raise UserError(
        f"OpenCV {cv2.__version__} has no Haar cascades: give --detector yunet, whose model of 0.2 MB is fetched once, "
        "or pip install 'opencv-python-headless<5'"
    )


def check_detector(name: str) -> None:
    """Refuse a name of no detector.

    Raises:
        UserError: it is none of ``NAMES``.
    """
    if name not in NAMES:
        raise UserError(f"--detector {name}: no such face detector{suggest(name, NAMES)}")


def import_opencv() -> ModuleType:
    """OpenCV, without its own lines on stderr about what cannot be opened unless ``OPENCV_LOG_LEVEL`` asks for them.

    Raises:
        UserError: it is missing, with how to install it.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ModuleNotFoundError:
        raise UserError("OpenCV is not installed: pip install 'fer-tl[vision]'") from None
    except ImportError as error:  # the wheel with windows lacks libGL on most servers
        raise UserError(
            f"OpenCV cannot be loaded ({error}): pip uninstall opencv-python, pip install 'fer-tl[vision]'"
        ) from None
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


# On 1,000 training images of FER-2013, Haar finds a face in 26.7 % as they are, 48 px; in 53.8 % at 72 px, 55.5 % at 96
# and 58.0 % at 192, where 3 in 100 boxes are a part of a face. Its cascade wants some room around a face, which a
# close crop lacks: with its edge repeated for a quarter of the side, 72.2 % at 72 px, no box under half the image,
# and 73.4 % at 96 for twice the time.
_SEARCHED = 72  # pixels of the longer side; smaller images are enlarged to it
_CLOSE = 128  # pixels of the longer side; smaller images are taken for close crops
_ROOM = 0.25


def find_faces(detector: Detector, image: np.ndarray) -> list[Face]:
    """The faces of a picture, the largest first; a close crop is enlarged and given room around it before it is
    searched, for a dataset that is built as for a picture that is asked about.

    Args:
        detector: looks for them.
        image: uint8 ``[H, W, 3]``, red, green, blue, 0..255.

    Returns:
        Boxes in pixels of the image.
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    if detector.name == "none" or longer >= _CLOSE:
        return detector.find(image)
    scale = max(1.0, _SEARCHED / longer)
    if scale > 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    room = round(_ROOM * longer * scale)
    padded = np.pad(image, ((room, room), (room, room), (0, 0)), mode="edge")  # [H, W, 3]
    return [Face(Box(*((edge - room) / scale for edge in face.box)), face.score) for face in detector.find(padded)]


class _Steps(NamedTuple):
    """How the cascade searches: images are made smaller until no side is longer than ``longest`` pixels, faces from
    ``smallest`` pixels on are looked for in sizes that grow by ``scale``, and ``neighbours`` windows must agree."""

    longest: int
    smallest: int
    scale: float
    neighbours: int


# Chosen on 250 photos of ExpW. Steps of 1.05 find 66 % of the labelled faces in 149 ms a photo, 1.1 find 62 %
# in 78 ms, 1.2 with three neighbours 60 % in 41 ms, all with 0.7 to 1.1 other boxes a photo; an equalised histogram
# costs 5 points. benchmarks/results/face-detection.md has what these two find.
_HAAR = _Steps(640, 32, 1.1, 5)
_HAAR_FAST = _Steps(640, 40, 1.2, 3)


class _Whole:
    name = "none"
    margin = 0.0

    def find(self, image: np.ndarray) -> list[Face]:
        height, width = image.shape[:2]
        return [Face(Box(0, 0, height, width), 1.0)]


class _Haar:
    """OpenCV's cascade of frontal faces."""

    name = "haar"
    # FER-2013 was cut by boxes like these; no other margin is surely better: benchmarks/results/face-detection.md.
    margin = 0.0

    def __init__(self, cv2: ModuleType, fast: bool) -> None:
        self._cv2 = cv2
        self._path = _haar_file(cv2)
        self._steps = _HAAR_FAST if fast else _HAAR
        self._own = threading.local()  # a cascade must not be used by two threads at once

    def find(self, image: np.ndarray) -> list[Face]:
        cv2 = self._cv2
        if not hasattr(self._own, "cascade"):
            self._own.cascade = cv2.CascadeClassifier(str(self._path))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        steps = self._steps
        small, down = reduced(cv2, grey, steps.longest)
        boxes, agreeing = self._own.cascade.detectMultiScale2(
            small, scaleFactor=steps.scale, minNeighbors=steps.neighbours, minSize=(steps.smallest, steps.smallest)
        )
        found = zip(np.reshape(boxes, (-1, 4)), np.ravel(agreeing), strict=True)
        return largest_first([face_of(box, score, down) for box, score in found])


def _haar_file(cv2: ModuleType) -> Path:
    return Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"


def _has_haar(cv2: ModuleType) -> bool:
    """OpenCV 4 has the class and, in its wheels, the cascades; OpenCV 5 has neither."""
    return hasattr(cv2, "CascadeClassifier") and hasattr(cv2, "data") and _haar_file(cv2).is_file()


class DetectedCrop:
    """Finds the largest face of each image; where there is none it stays whole.

    Args:
        detector: looks for the faces.
        margin: see ``face_crop.Crop``.
        options: which detector it is, as text for the manifest.

    Attributes:
        name: of the detector.
        margin: as given.
        options: as given.
        warnings: none.
    """

    def __init__(self, detector: Detector, margin: float, options: dict[str, str]) -> None:
        self._detector = detector
        self.name, self.margin = detector.name, margin
        self.options = options
        self.warnings: tuple[str, ...] = ()

    def find(self, image: Image.Image, identity: str) -> Box | None:
        """See ``face_crop.Crop.find``."""
        faces = find_faces(self._detector, np.asarray(image.convert("RGB")))
        return faces[0].box if faces else None


def open_detected_crop(name: str, model: Path | None = None, margin: float | None = None) -> DetectedCrop:
    """What crops images with a detector of ``face_detection``.

    Args:
        name: one of ``fer_tl.faces.recipe.DETECTORS``.
        model: its file, where one is needed; None for the one that the detector fetches, whose hash is fixed.
        margin: see ``face_crop.Crop``; None for the detector's own.

    Raises:
        UserError: OpenCV or the model is missing.
    """
    detector = open_detector(name, model)
    margin = float(detector.margin if margin is None else margin)
    # The cascade of Haar is a part of OpenCV, and another release may find other faces with the same model.
    version = ".".join(import_opencv().__version__.split(".")[:2])
    options = {"detector": name, "opencv": version, "box_margin": repr(margin)}
    if model is not None:
        options["detector_model"] = hashlib.sha256(model.read_bytes()).hexdigest()
    return DetectedCrop(detector, margin, options)
