"""A model that was trained on all training images: what its cross validation lets expect of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.runs.run_file import REFIT, holds_none_out, read_run_file

OF_ARRAYS = "Its accuracy is not measured: fer_tl.Classifier trained it on all images that it was given."
"""Of a run that holds no image out and is no refit, a sentence."""


@dataclass(frozen=True)
class Refit:
    """What ``run.json`` says of where a refit comes from.

    Attributes:
        run: folder name of the cross validation.
        models: fingerprint of its models, see ``fer_tl.evaluation.openings.key_of_run``.
        number: of these models.
        accuracy: of them out of fold, 0..1, the mean over repetitions.
        interval: 95 % of it, low and high.
        temperature: median of those that were fitted to what each held out; 1 where none could be.
        kept_epochs: of the main stage, by each of its folds in turn; empty where all were trained to the end.
    """

    run: str
    models: str
    number: int
    accuracy: float
    interval: tuple[float, float]
    temperature: float
    kept_epochs: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; ``read_refit`` reads it back."""
        return asdict(self)

    @property
    def estimate(self) -> str:
        """What accuracy to expect, and why it is no measurement: two sentences."""
        low, high = self.interval
        return (
            "Its accuracy is not measured: it was trained on all training images. An estimate is what the "
            f"{self.number} models of {self.run}, each trained likewise on a part of them, reach out of fold: "
            f"{100 * self.accuracy:.1f} % (95 % interval {100 * low:.1f}–{100 * high:.1f} %)."
        )

    @property
    def calibration(self) -> str:
        """How its probabilities are scaled, a sentence."""
        return (
            f"Probabilities are scaled by temperature {self.temperature:.3f}, the median of the {self.number} models "
            f"of {self.run}: an estimate too, since no image is left to fit one to."
        )

    @property
    def choice(self) -> str:
        """How long it was trained, a sentence."""
        if not self.kept_epochs:
            return f"It was trained for as many epochs as {self.run}."
        kept = ", ".join(map(str, self.kept_epochs))
        return f"It was trained for the median of the epochs that the folds of {self.run} kept: {kept}."


def read_refit(about: Mapping[str, Any]) -> Refit | None:
    """Where a run comes from if it is a refit, else None.

    Args:
        about: its ``run.json``, as ``RunFolder.read_run`` gives it.
    """
    if about["kind"] != REFIT:
        return None
    said = about["refit"]
    try:
        low, high = map(float, said["interval"])
        values = {"interval": (low, high), "kept_epochs": tuple(map(int, said["kept_epochs"]))}
    except (TypeError, ValueError):
        raise UserError("'refit' of run.json is damaged: put back the file that fer-tl wrote") from None
    return Refit(**{key: said[key] for key in Refit.__dataclass_fields__} | values)


def refuse_refit(folder: Path, what: str) -> None:
    """Refuse a run that has no answers for images which it was not trained on, where these are needed.

    Args:
        folder: of the run.
        what: could be done otherwise, the end of the message.

    Raises:
        UserError: it is a refit, or a run of ``fer_tl.Classifier``.
    """
    about = read_run_file(folder)
    if found := read_refit(about):
        raise UserError(f"{folder} is a refit of {found.run} on all training images and holds none out: {what}")
    if holds_none_out(about):
        raise UserError(
            f"{folder} was trained by fer_tl.Classifier on all images that it was given and holds none out: score it "
            "on others"
        )
