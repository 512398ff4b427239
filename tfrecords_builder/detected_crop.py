"""Crops images to the largest face that a detector finds in each."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from tfrecords_builder.face_crop import Box, cut_window, window_of
from tfrecords_builder.face_detection import Detector, import_opencv, open_detector

DETECTORS = ("haar", "yunet")

# On 1,000 training images of FER-2013, Haar finds a face in 26.7 % as they are, 48 px; in 53.8 % at 72 px, 55.5 % at 96
# and 58.0 % at 192, where 3 in 100 boxes are a part of a face. Its cascade wants some room around a face, which a
# close crop lacks: with its edge repeated for a quarter of the side, 72.2 % at 72 px, no box under half the image,
# and 73.4 % at 96 for twice the time.
_SEARCHED = 72  # pixels of the longer side; smaller images are enlarged to it
_CLOSE = 128  # pixels of the longer side; smaller images are taken for close crops
_ROOM = 0.25


class DetectedCrop:
    """Crops each image to the largest face found in it; where there is none it stays whole.

    Args:
        detector: looks for the faces.
        margin: see `face_crop.window_of`.
        options: which detector it is, as text for the manifest.

    Attributes:
        options: as given.
        warnings: none.
    """

    def __init__(self, detector: Detector, margin: float, options: dict[str, str]) -> None:
        self._detector, self._margin = detector, margin
        self.options = options
        self.warnings: tuple[str, ...] = ()

    def cut(self, image: Image.Image, identity: str) -> tuple[Image.Image, str]:
        """See `face_crop.Crop.cut`."""
        box = self._largest(image)
        window = None if box is None else window_of(box, image.height, image.width, self._margin)
        return (image, "whole") if window is None else cut_window(image, window)

    def _largest(self, image: Image.Image) -> Box | None:
        """In pixels of the image."""
        longer = max(image.size)
        scale = max(1.0, _SEARCHED / longer)
        searched = image.convert("RGB")
        if scale > 1:
            size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
            searched = searched.resize(size, Image.Resampling.BICUBIC)
        room = round(_ROOM * longer * scale) if longer < _CLOSE else 0
        pixels = np.pad(np.asarray(searched), ((room, room), (room, room), (0, 0)), mode="edge")  # [H, W, 3]
        faces = self._detector.find(pixels)
        return Box(*((edge - room) / scale for edge in faces[0].box)) if faces else None


def open_detected_crop(name: str, model: Path | None = None, margin: float | None = None) -> DetectedCrop:
    """What crops images with a detector of `face_detection`.

    Args:
        name: one of `DETECTORS`.
        model: its file, where one is needed; None for the one that the detector fetches, whose hash is fixed.
        margin: see `face_crop.window_of`; None for the detector's own.

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
