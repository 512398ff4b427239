"""Grad-CAM of single faces; its model is loaded on first request."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_tl.core.errors import UserError, suggest
from fer_tl.inference.explain.maps import enlarge, normalize, overlay, place_of_maximum

if TYPE_CHECKING:
    from fer_tl.inference.explain.gradients import GradientModel


@dataclass(frozen=True, eq=False)
class FaceMap:
    """What of a face speaks for a class.

    Attributes:
        class_name: of the map.
        picture: uint8 ``[D, D, 3]``, the face under the map.
        place: where the map is largest, in words, as of ``fer_tl.inference.explain.maps.place_of_maximum``.
        layer: whose features it is of.
        map_size: its height and width.
    """

    class_name: str
    picture: np.ndarray
    place: str
    layer: str
    map_size: tuple[int, int]


class FaceExplainer:
    """Explains faces one after the other. The model is loaded at the first, in some seconds, and kept: it is a second
    one beside that which answers, since that has BatchNorm folded and no gradients.

    Args:
        path: of the ``.keras`` file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._loaded: tuple[GradientModel, tuple[str, ...]] | None = None

    def explain(self, pixels: np.ndarray, shown: np.ndarray, class_name: str) -> FaceMap:
        """Grad-CAM of a class. Several threads may ask.

        Args:
            pixels: uint8 ``[H, W, C]``, as the model takes a face.
            shown: uint8 ``[D, D, C]``, the same part of the picture, larger.
            class_name: one of the model's.

        Raises:
            UserError: no such class, or a model that is not convolutional.
        """
        from fer_tl.inference.explain.explain import compute_maps
        from fer_tl.inference.explain.gradients import GradientModel
        from fer_tl.runs.saved_model import load_model

        with self._lock:
            if self._loaded is None:
                loaded, names = load_model(self._path)
                self._loaded = GradientModel(loaded), names
            model, classes = self._loaded
            if class_name not in classes:
                raise UserError(f"the model has no class {class_name!r}{suggest(class_name, classes)}")
            asked = np.array([classes.index(class_name)])
            _, maps = compute_maps(model, pixels[None], asked, ["gradcam"])
        heat = maps["gradcam"][0]  # [h, w]
        side = shown.shape[0]
        picture = overlay(shown, enlarge(normalize(heat), (side, side)))
        return FaceMap(class_name, picture, place_of_maximum(heat), model.layer, model.map_size)
