"""Which detector finds the faces for a model: the one that a person names, else the one of its training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.core.errors import UserError, suggest
from fer_tl.faces import detection

if TYPE_CHECKING:
    from fer_tl.faces.boxes import Detector
    from fer_tl.faces.recipe import FaceRecipe


FACES = ("detect", "crop")


def check_faces(faces: str) -> None:
    """Raise ``UserError`` for another way to take the faces of pictures than ``FACES``."""
    if faces not in FACES:
        raise UserError(f"--faces {faces}: not known{suggest(faces, FACES)}")


def refuse_for_crops(faces: str, given: Sequence[str]) -> None:
    """Raise ``UserError`` for options, by flag, that say how faces are cut out of pictures that are faces."""
    if faces == "crop" and given:
        raise UserError(f"{given[0]} is for faces that are cut out, --faces crop for whole pictures")


def open_named(detector: str | Callable[..., Any], model: Path | str | None, fast: bool = False) -> Detector | None:
    """The detector that a person names, before the model is opened, which takes seconds; None for "auto".

    Raises:
        UserError: see ``open_detector``.
    """
    return None if detector == "auto" else _open(detector, model, fast)


def open_fitting(
    named: Detector | None, recipe: FaceRecipe, where: str, model: Path | str | None, fast: bool = False
) -> Detector:
    """What was named, else the detector of a model's training.

    Args:
        named: of ``open_named``.
        recipe: how faces are cut for the model.
        where: the model, for messages.
        model: file of YuNet's model; None to fetch it where it is needed.
        fast: see ``open_detector``.

    Raises:
        UserError: see ``open_detector`` and ``FaceRecipe.detector``, or it finds no eyes to align faces by.
    """
    found = named or _open(recipe.detector(where), model, fast)
    if recipe.align:
        detection.check_align(found.name)
    return found


def changed_recipe(recipe: FaceRecipe, margin: float | None, align: bool) -> FaceRecipe:
    """A model's recipe with what a person asks for: another margin, faces that are aligned."""
    return replace(recipe, margin=recipe.margin if margin is None else float(margin), align=align or recipe.align)


def _open(detector: str | Callable[..., Any], model: Path | str | None, fast: bool) -> Detector:
    return detection.open_detector(detector, None if model is None else Path(model), fast)
