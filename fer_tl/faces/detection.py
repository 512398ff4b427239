"""Face detectors behind one name, a function of somebody's, or none; and crops to what they find."""

from __future__ import annotations

import hashlib
import os
import pkgutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from fer_tl.core.counting import fitting
from fer_tl.core.errors import UserError, suggest
from fer_tl.faces.boxes import Box, Detector, Face, window_of
from fer_tl.faces.detectors import DEFAULT, KNOWN, WITH_EYES, is_function
from fer_tl.faces.given_detector import DetectorFunction, GivenDetector, code_of, import_function, name_of

# What is counted of a detector, see ``fer_tl.sources.findings.Findings``.
_SEARCHED_IMAGES, _FACELESS, _UPRIGHT = "searched", "without a face", "without eyes"

NAMES = ("auto", *KNOWN, "none")


def open_detector(detector: str | DetectorFunction = "auto", model: Path | None = None, fast: bool = False) -> Detector:
    """A face detector.

    Args:
        detector: ``mtcnn``, three small networks that are installed with ``fer-tl[vision]``; ``yunet``, the best one
            here, whose file is fetched once; ``haar``, OpenCV's frontal cascade, which comes with OpenCV 4; ``none``:
            the whole image is the face; ``auto``: YuNet if its model is given, else MTCNN; "package.module:function",
            or a function, see ``given_detector.DetectorFunction``.
        model: YuNet's ONNX file. By default it is fetched into a cache and its hash checked.
        fast: for videos, where faces are larger and time is short: in a third of the time, without the smallest faces.

    Raises:
        UserError: no such detector, OpenCV or a part of it is missing, or no such model.
    """
    check_detector(detector)
    name = detector if isinstance(detector, str) else name_of(detector)
    if name == "auto":
        name = DEFAULT if model is None else "yunet"
    if model is not None and not (name in KNOWN and KNOWN[name].model):
        raise UserError(f"--detector-model is for --detector yunet, not for {name}: leave it out")
    if name == "none":
        return _Whole()
    if not isinstance(detector, str):
        return GivenDetector(detector)
    if name not in KNOWN:
        return GivenDetector(import_function(name))
    opened: Detector = pkgutil.resolve_name(KNOWN[name].opener)(import_opencv(), model, fast)
    return opened


def check_detector(detector: str | DetectorFunction) -> None:
    """Refuse what names no detector.

    Raises:
        UserError: it is none of ``NAMES``, no "package.module:function" and no function.
    """
    if isinstance(detector, str):
        if detector not in NAMES and not is_function(detector):
            near = suggest(detector, NAMES)
            own = ", and package.module:function for one of yours" if "valid are" in near else ""
            raise UserError(f"--detector {detector}: no such face detector{near}{own}")
    elif not callable(detector):
        raise UserError(f"the detector is a {type(detector).__name__}: give the name of one, or a function of an image")


def check_align(detector: str | DetectorFunction) -> None:
    """Refuse to align faces by the eyes where a detector does not find any.

    Raises:
        UserError: with those that do.
    """
    if isinstance(detector, str) and detector in KNOWN and not KNOWN[detector].eyes:
        raise UserError(
            f"--align turns a face by its eyes, which the detector {detector} does not find: give --detector "
            f"{' or '.join(WITH_EYES)}"
        )


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
        return [face for face in detector.find(image) if window_of(face.box, height, width)]
    scale = max(1.0, _SEARCHED / longer)
    if scale > 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    room = round(_ROOM * longer * scale)
    padded = np.pad(image, ((room, room), (room, room), (0, 0)), mode="edge")  # [H, W, 3]
    faces = [face.moved(room, scale) for face in detector.find(padded)]
    return [face for face in faces if window_of(face.box, height, width)]


class _Whole:
    name = "none"
    margin = 0.0

    def find(self, image: np.ndarray) -> list[Face]:
        height, width = image.shape[:2]
        return [Face(Box(0, 0, height, width), 1.0)]


class DetectedCrop:
    """Finds the largest face of each image; where there is none it stays whole.

    Args:
        detector: looks for the faces.
        margin: see ``face_crop.Crop``.
        options: which detector it is, as text for the manifest.
        align: whether faces are turned by their eyes.

    Attributes:
        detector: as given.
        name: of it.
        margin: as given.
        options: as given.
        align: as given.
    """

    def __init__(self, detector: Detector, margin: float, options: dict[str, str], align: bool = False) -> None:
        self.detector = detector
        self.name, self.margin, self.align = detector.name, margin, align
        self.options = options

    def find(self, image: Image.Image, identity: str, counts: Counter[str]) -> Face | None:
        """See ``boxes.Crop.find``."""
        faces = find_faces(self.detector, np.asarray(image.convert("RGB")))
        counts[_SEARCHED_IMAGES] += 1
        if not faces:
            counts[_FACELESS] += 1
            return None
        counts[_UPRIGHT] += faces[0].tilt is None
        return faces[0]

    def warnings(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        """How many faces could not be aligned."""
        upright, found = counts.get(_UPRIGHT, 0), counts.get(_SEARCHED_IMAGES, 0) - counts.get(_FACELESS, 0)
        if not self.align or not upright:
            return ()
        are = fitting(upright, "is", "are")
        return (f"{upright:,} of {found:,} faces {are} not aligned: {self.name} did not find their eyes.",)

    def refuse_unfound(self, counts: Mapping[str, int]) -> None:
        """Refuse to go on with images of which most have no face that was found, after they were searched.

        Raises:
            UserError: more than half have none, or no face has eyes to align it by.
        """
        whole, searched = counts.get(_FACELESS, 0), counts.get(_SEARCHED_IMAGES, 0)
        if whole > searched / 2:
            others = " or ".join(name for name in KNOWN if name != self.name)
            raise UserError(
                f"{self.name} finds no face in {whole:,} of {searched:,} images ({100 * whole / searched:.0f} %), "
                f"which would stay whole beside the cropped ones: give another --detector ({others}), the boxes with "
                "--boxes, or neither where each image is a face already"
            )
        if self.align and searched and counts.get(_UPRIGHT, 0) == searched - whole:
            raise UserError(
                f"--align: {self.name} gives no eyes for any face: let it give them, or give --detector "
                f"{' or '.join(WITH_EYES)}"
            )


def open_detected_crop(
    detector: str | DetectorFunction, model: Path | None = None, margin: float | None = None, align: bool = False
) -> DetectedCrop:
    """What crops images with a detector.

    Args:
        detector: see ``open_detector``.
        model: its file, where one is needed; None for the one that the detector fetches, whose hash is fixed.
        margin: see ``boxes.Crop``; None for the detector's own.
        align: whether faces are turned by their eyes.

    Raises:
        UserError: OpenCV or the model is missing, or a detector without eyes should align.
    """
    if align:
        check_align(detector)
    opened = open_detector(detector, model)
    margin = float(opened.margin if margin is None else margin)
    options = {"detector": detector if isinstance(detector, str) else opened.name, "box_margin": repr(margin)}
    if isinstance(opened, GivenDetector):
        options["detector_code"] = code_of(opened.function)
    else:
        # The cascade of Haar is a part of OpenCV, and another release may find other faces with the same model.
        options["opencv"] = ".".join(import_opencv().__version__.split(".")[:2])
    if model is not None:
        options["detector_model"] = hashlib.sha256(model.read_bytes()).hexdigest()
    if align:
        options["align"] = "eyes"
    return DetectedCrop(opened, margin, options, align)
