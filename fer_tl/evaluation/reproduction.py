"""Whether a run that was trained again says what it said before: to the last bit, or how far off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fer_tl.core.checksums import checksum
from fer_tl.core.say import Say
from fer_tl.evaluation.intervals import Interval, mean_interval
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import read_environments
from fer_tl.runs.predictions import Predictions, join_predictions, load_predictions

# Of environment.json: what changes no number.
_NO_MATTER = ("date", "executable", "versions")


@dataclass(frozen=True)
class Agreement:
    """What two trainings of the same part answer for the same N images.

    Attributes:
        name: of the part, or ``all``.
        images: N.
        is_equal: whether all logits are the same to the last bit.
        before: accuracy of the first training, 0..1.
        again: of the second.
        same_answer: share of the images for which both name the same class.
        largest: difference of the probabilities of a class of an image, 0..1.
        mean: of these differences, over images and classes.
    """

    name: str
    images: int
    is_equal: bool
    before: float
    again: float
    same_answer: float
    largest: float
    mean: float


@dataclass(frozen=True)
class Reproduction:
    """A run beside the one that was trained by its settings again.

    Attributes:
        parts: of each part that held out the same images in both, in order.
        together: of all their answers.
        moved: images that are held out by another part now.
        is_equal: whether all answers are the same to the last bit.
        same_models: whether the files of the models are too.
        interval: of 95 % of the difference of the accuracies, again less before; None where there are too few groups.
        differing: what of versions and hardware is another, by name: before and now.
        within: points by which the accuracies may differ; 0 asks for the same bits.
    """

    parts: tuple[Agreement, ...]
    together: Agreement
    moved: int
    is_equal: bool
    same_models: bool
    interval: Interval | None
    differing: dict[str, tuple[str, str]]
    within: float

    @property
    def agrees(self) -> bool:
        """Whether it is the same to the last bit, or the accuracy is near enough on the same images of each part."""
        near = 100 * abs(self.together.again - self.together.before) <= self.within
        return self.is_equal or (near and self.within > 0 and not self.moved)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        found = asdict(self)
        return {"agrees": self.agrees, **found, "differing": {key: list(two) for key, two in self.differing.items()}}


def compare_trainings(
    before: RunFolder, again: RunFolder, groups_by_id: Mapping[str, str], within: float, say: Say
) -> Reproduction:
    """Compare what two finished runs of the same parts saved of the images that they held out.

    Args:
        before: the run; its files are what was written.
        again: the same, trained again.
        groups_by_id: which images belong together, for the interval.
        within: points by which the accuracies may differ.
        say: told of records of the environment that cannot be read.
    """
    parts, moved, pairs = [], 0, []
    for name in before.parts:
        one, other = (load_predictions(run.part(name) / "predictions.npz") for run in (before, again))
        ids = np.intersect1d(one.ids, other.ids)
        moved += len(one.ids) - len(ids)
        if len(ids):
            pairs.append((one.in_order_of(ids), other.in_order_of(ids)))
            parts.append(_agreement(name, *pairs[-1]))
    one, other = (join_predictions([pair[side] for pair in pairs]) for side in (0, 1)) if pairs else (_NOBODY, _NOBODY)
    together = _agreement("all", one, other)
    gains = (other.logits.argmax(axis=1) == other.labels).astype(float) - (one.logits.argmax(axis=1) == one.labels)
    groups = np.array([groups_by_id.get(i, i) for i in one.ids.tolist()])
    return Reproduction(
        tuple(parts),
        together,
        moved,
        not moved and all(part.is_equal for part in parts),
        all(_same_file(before, again, name, "model.keras") for name in before.parts),
        mean_interval(gains, groups) if len(np.unique(groups)) > 1 else None,
        differing_environments(before, again, say),
        within,
    )


_NOBODY = Predictions(np.zeros(0, str), np.zeros(0, np.int64), np.zeros((0, 2), np.float32), ("", " "))


def _agreement(name: str, one: Predictions, other: Predictions) -> Agreement:
    count = len(one.ids)
    if not count:
        return Agreement(name, 0, False, 0.0, 0.0, 0.0, 1.0, 1.0)
    difference = np.abs(one.probabilities - other.probabilities)  # [N, K]
    answers = [each.logits.argmax(axis=1) for each in (one, other)]
    before, again = (float((answer == one.labels).mean()) for answer in answers)
    return Agreement(
        name,
        count,
        one.logits.tobytes() == other.logits.tobytes() and np.array_equal(one.labels, other.labels),
        before,
        again,
        float((answers[0] == answers[1]).mean()),
        float(difference.max()),
        float(difference.mean()),
    )


def _same_file(before: RunFolder, again: RunFolder, part: str, file: str) -> bool:
    paths = [run.part(part) / file for run in (before, again)]
    return all(path.is_file() for path in paths) and checksum(paths[0]).sha256 == checksum(paths[1]).sha256


def differing_environments(before: RunFolder, again: RunFolder, say: Say) -> dict[str, tuple[str, str]]:
    """Versions, hardware and starting weights that are others now, by name; what one of the two does not say, is none.

    Of a run that was continued elsewhere, what it ended on counts.
    """
    one, other = (_flat(read_environments(run.path, say)) for run in (before, again))
    return {key: (one[key], other[key]) for key in one if key in other and one[key] != other[key]}


def _flat(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    if not entries:
        return {}
    versions = entries[-1].get("versions")
    found = {key: value for key, value in entries[-1].items() if key not in _NO_MATTER}
    found |= versions if isinstance(versions, dict) else {}
    return {key.replace("_", " "): str(value) for key, value in found.items()}
