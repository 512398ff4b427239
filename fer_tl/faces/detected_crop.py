"""Crops images to the largest face that a detector finds in each."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from fer_tl.faces.boxes import Box
from fer_tl.faces.detection import find_faces, import_opencv, open_detector
from fer_tl.faces.face import Detector


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
