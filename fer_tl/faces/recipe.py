"""How a picture becomes what a model takes: one record, kept with a dataset, a run, a saved model and an export.

``fer_tl.faces.opening`` and ``fer_tl.faces.cutting`` obey it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.faces.detectors import is_detector, is_function

FITS = ("pad", "stretch", "crop")
BOXES = ("square", "clip")
BITS = range(1, 17)


@dataclass(frozen=True)
class FaceRecipe:
    """How faces are cut and brought to one size.

    Attributes:
        fit: what is done to a picture that is not square: "pad" it with black, "crop" its longer side to the middle, or
            "stretch" it, which changes the shape of a face.
        box: how a face's box is cut: "square", widened to a square; "clip", clipped to the picture and then fitted as a
            picture is, in datasets built before version 1.2.0.
        margin: what is added on each side of a box, as a fraction of it, 0 to 2.
        cutter: what boxes came from: "haar" or another detector, see ``fer_tl.faces.detectors``; "boxes", a table; "",
            pictures were faces already.
        bits: used of the samples of pictures that are stored in 16 bits; None for all.
        align: whether a face whose eyes are known is turned about the middle of its box until they are level.
    """

    fit: str = "pad"
    box: str = "square"
    margin: float = 0.0
    cutter: str = ""
    bits: int | None = None
    align: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; without ``align`` where it is false, as it was written before there was such a thing."""
        return {key: value for key, value in asdict(self).items() if key != "align" or value}

    def detector(self, where: str) -> str:
        """Which detector finds the faces for a model of this recipe where none is asked for: that of its training.

        Args:
            where: the model, for the message.

        Raises:
            UserError: it is somebody's function, which runs only where a person names it.
        """
        if is_function(self.cutter):
            raise UserError(
                f"The faces of the training of {where} were found by {self.cutter}, which is code and runs only if you "
                f"name it: give --detector {self.cutter}, or another detector"
            )
        return self.cutter if is_detector(self.cutter) else "auto"

    def describe(self) -> str:
        """In words: "faces found by haar, margin 0.2; pictures that are faces padded to squares"."""
        found = {"": "pictures were faces", "boxes": "faces cut by a table of boxes"}
        cut = found.get(self.cutter, f"faces found by {self.cutter}") + (
            f", margin {self.margin:g}" if self.cutter else ""
        )
        turned = ", turned until the eyes are level" if self.align else ""
        clipped = " (clipped to the picture)" if self.cutter and self.box == "clip" else ""
        fitted = {"pad": "padded", "crop": "cropped", "stretch": "stretched"}[self.fit]
        bits = f"; {self.bits} bits of 16 used" if self.bits else ""
        return f"{cut}{turned}{clipped}; what is not square is {fitted}{bits}"


# What `fer-tl predict` did to the pictures of runs that say nothing.
BEFORE = FaceRecipe(box="clip")


def read_recipe(values: Any, where: str) -> FaceRecipe:
    """A recipe out of a file.

    Args:
        values: what ``FaceRecipe.to_dict`` gave.
        where: the file, for the message.

    Raises:
        UserError: it is not a recipe.
    """
    known = {field.name for field in fields(FaceRecipe)}
    right = (
        isinstance(values, Mapping)
        and set(values) | {"align"} == known
        and {
            "fit": values["fit"] in FITS,
            "box": values["box"] in BOXES,
            "margin": type(values["margin"]) in (int, float) and 0 <= values["margin"] <= 2,
            "cutter": isinstance(values["cutter"], str)
            and (values["cutter"] in ("", "boxes") or is_detector(values["cutter"])),
            "bits": values["bits"] is None or (type(values["bits"]) is int and values["bits"] in BITS),
            "align": type(values.get("align", False)) is bool,
        }
    )
    wrong = right if isinstance(right, bool) else next((key for key, good in right.items() if not good), None)
    if wrong is not None:
        what = f"'{wrong}' of 'faces' is {str(values[wrong])[:40]!r}" if wrong else "'faces' is not a recipe"
        raise UserError(f"{where} is damaged ({what}): put back the file that fer-tl wrote")
    return FaceRecipe(**values)
