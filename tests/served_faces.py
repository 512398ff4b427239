"""A service without a trained network: faces are squares whose level says their class."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.faces.boxes import Box, Face
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference.predictor import Answers
from fer_tl.inference.serve.batching import Batcher
from fer_tl.inference.serve.face_explainer import FaceExplainer, FaceMap
from fer_tl.inference.serve.run_facts import RunFacts
from fer_tl.inference.serve.server import Service

CLASSES = ("angry", "happy", "sad")
LEVELS = (70, 140, 210)
SIDE = 12
SQUARE, STEP = 20, 30  # pixels


def draw(classes: Sequence[int]) -> np.ndarray:
    """Squares of the levels of these classes from left to right on black: uint8 ``[40, 30 or more, 3]``."""
    image = np.zeros((40, STEP * max(1, len(classes)), 3), np.uint8)
    for k, number in enumerate(classes):
        image[5 : 5 + SQUARE, 5 + STEP * k : 5 + STEP * k + SQUARE] = LEVELS[number]
    return image


def picture(classes: Sequence[int]) -> bytes:
    """The same as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(draw(classes)).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Squares:
    """A detector of such squares."""

    name: str = "squares"
    margin: float = 0.0

    def find(self, image: np.ndarray) -> list[Face]:
        lit = (image.min(axis=2) > 35).astype(int)  # [H, W]
        edges = np.diff(np.pad(lit[lit.sum(axis=1).argmax()], 1))
        rows = np.flatnonzero(lit.any(axis=1))
        spans = zip(np.flatnonzero(edges > 0).tolist(), np.flatnonzero(edges < 0).tolist(), strict=True)
        return [Face(Box(int(rows[0]), left, int(rows[-1]) + 1, right), 5.0) for left, right in spans]


@dataclass
class Fakes:
    """What answers, what it was shown, and what goes wrong."""

    shown: list[np.ndarray] = field(default_factory=list)
    explained: list[tuple[np.ndarray, np.ndarray, str]] = field(default_factory=list)
    failure: Exception | None = None
    service: Service = field(init=False)

    def answer(self, pixels: np.ndarray) -> Answers:
        if self.failure:
            raise self.failure
        self.shown.append(pixels)
        levels = pixels.reshape(len(pixels), -1).max(axis=1).astype(np.float32)
        z = np.exp(-np.abs(levels[:, None] - LEVELS) / 20)
        return Answers(tuple(CLASSES[k] for k in z.argmax(axis=1)), z / z.sum(axis=1, keepdims=True))


class _Explainer(FaceExplainer):
    def __init__(self, fakes: Fakes) -> None:
        self._fakes = fakes

    def explain(self, pixels: np.ndarray, shown: np.ndarray, class_name: str) -> FaceMap:
        if class_name not in CLASSES:
            raise UserError(f"the model has no class {class_name!r}")
        self._fakes.explained.append((pixels, shown, class_name))
        return FaceMap(class_name, np.full((240, 240, 3), 90, np.uint8), "centre", "conv", (3, 3))


def make_service() -> Fakes:
    """One that answers; close its batcher in the end."""
    fakes = Fakes()
    facts = RunFacts("squares", "a rule for squares", "Held-out accuracy of the run: 100.0 %.", ("It is a rule.",))
    batcher = Batcher(fakes.answer, (SIDE, SIDE, 1))
    fakes.service = Service(facts, CLASSES, (SIDE, SIDE, 1), batcher, _Explainer(fakes), Squares(), FaceRecipe())
    return fakes
