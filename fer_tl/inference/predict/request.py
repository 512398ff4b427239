"""What somebody asks of pictures or a video: all that decides the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.core.version import __version__
from fer_tl.inference.choose_detector import changed_recipe, open_fitting, open_named
from fer_tl.models.shipped import NAME

if TYPE_CHECKING:
    from fer_tl.faces.boxes import Detector
    from fer_tl.faces.recipe import FaceRecipe


@dataclass(frozen=True)
class Request:
    """A request; see the arguments of ``fer_tl.predict``. JSON-ready unless the detector is a function.

    Attributes:
        run: None for the network that ships.
        sources: as they were named.
        faces: see there, as are those that follow.
        detector: likewise.
        detector_model: likewise.
        boxes: likewise.
        margin: likewise.
        align: likewise.
        largest: likewise.
        fold: likewise.
        every: likewise.
        min_confidence: likewise.
        smooth: likewise.
        precision: likewise.
        formats: of ``fer_tl.inference.predict.outputs``; none for stdout.
    """

    run: str | None
    sources: list[str]
    faces: str
    detector: str | Callable[..., Any]
    detector_model: str | None
    boxes: str | None
    margin: float | None
    align: bool
    largest: bool
    fold: int | str | None
    every: int
    min_confidence: float
    smooth: float
    precision: str
    formats: tuple[str, ...]

    @property
    def detects(self) -> bool:
        """Whether a detector looks for the faces."""
        return self.faces != "crop" and self.boxes is None

    def open_named(self, fast: bool) -> Detector | None:
        """The detector that was named, if one was, see ``fer_tl.inference.choose_detector``."""
        if not self.detects:
            return None
        return open_named(self.detector, None if self.detector_model is None else Path(self.detector_model), fast)

    def fit(self, named: Detector | None, recipe: FaceRecipe, fast: bool) -> tuple[Detector | None, FaceRecipe]:
        """The detector that looks for the faces, None if none does; and how these are cut.

        Args:
            named: of ``open_named``.
            recipe: of the model's training.
            fast: see ``open_detector``.
        """
        changed = changed_recipe(recipe, self.margin, self.align)
        if not self.detects:
            return None, changed
        return open_fitting(named, changed, str(self.run), self.detector_model, fast), changed

    def describe(
        self, parts: tuple[str, ...], temperature: float, calibration: str, recipe: FaceRecipe, found: Detector | None
    ) -> dict[str, Any]:
        """What the file beside the results says of it, JSON-ready.

        Args:
            parts: of the run, whose models answer.
            temperature: of them, see ``ExpressionModel``.
            calibration: likewise.
            recipe: how faces are cut.
            found: what looks for them.
        """
        return {
            "run": str(self.run or f"{NAME}, which ships with fer-tl {__version__}"),
            "parts": list(parts),
            "source": self.sources,
            "faces": self.faces,
            "detector": None if found is None else found.name,
            "boxes": self.boxes,
            "margin": recipe.margin,
            "recipe": recipe.to_dict(),
            "largest": self.largest,
            "every": self.every,
            "min_confidence": self.min_confidence,
            "smooth": self.smooth,
            "precision": self.precision,
            "temperature": temperature,
            "calibration": calibration,
        }
