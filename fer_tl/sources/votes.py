"""The votes of FER+'s annotators: read, cleaned as its authors do, and turned into a label or shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fer_tl.core.classes import CLASS_NAMES, CONTEMPT, canonical_class
from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.sources.format import VOTES

COLUMNS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""Of fer2013new.csv, and of the tables without a header that copy its order; NF is "not a face"."""

MODES = VOTES.choices

MEASURE = "votes_"
"""How measures of an example begin that count the votes for a column, see ``fer_tl.sources.records.Record``."""

# The number in CLASS_NAMES of each of the first seven columns.
_CLASSES = [CLASS_NAMES.index(str(canonical_class(column))) for column in COLUMNS[: len(CLASS_NAMES)]]
_NOT_CLASSES = (CONTEMPT, "unknown", "not a face")  # the last three columns, as reasons
_NO_MAJORITY = "no majority"

# Between the sum of one-hot rows and shares, 1 up to rounding, and that of two people's votes, 2.
_ONE_VOTE = 1.5

_RULES = {
    "majority": "single votes do not count, the label needs more than half of the others",
    "soft": "single votes do not count, the targets are the classes' shares of the others, the label is the largest "
    "(of equal ones the first in FER-2013's order)",
}


@dataclass(frozen=True)
class Verdict:
    """What the votes on one image amount to.

    Attributes:
        label: index into ``fer_tl.core.classes.CLASS_NAMES``; None if the image is left out.
        targets: float32 [7] in the order of ``CLASS_NAMES``, sum 1, the largest is the label's; None unless the mode is
            "soft" and the image is kept.
        reason: why it is left out: "contempt", "unknown", "not a face" or "no majority"; else "".
        measures: the votes as they were given, single ones too, by ``MEASURE`` and column in small letters; none where
            they are shares or one vote.
    """

    label: int | None
    targets: np.ndarray | None = None
    reason: str = ""
    measures: Mapping[str, float] = field(default_factory=dict, hash=False)


def check_mode(mode: str) -> None:
    """Raise ``UserError`` if ``mode`` is none of ``MODES``."""
    if mode not in MODES:
        raise UserError(f"votes is {mode!r}, not one of {', '.join(MODES)}")


def read_votes(cells: Sequence[str], place: str) -> np.ndarray:
    """Read the ten cells of an image.

    Args:
        cells: in the order of ``COLUMNS``: counts, shares, or a single 1.
        place: file and row, for the message.

    Returns:
        float64 [10], finite, 0 or more.

    Raises:
        UserError: there are not ten, or one is not such a number.
    """
    if len(cells) != len(COLUMNS):
        raise UserError(f"{place}: {len(cells)} votes, not {len(COLUMNS)} ({', '.join(COLUMNS)})")
    return np.array([_number(text, name, place) for text, name in zip(cells, COLUMNS, strict=True)])


def _number(text: str, column: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise UserError(f"{place}: {column} is {text[:20]!r}, not a number of votes (0 or more)")
    return value


def decide(votes: np.ndarray, mode: str) -> Verdict:
    """Turn the votes on an image into a label, or a reason to leave it out.

    Votes of 1 or less are outliers and count as 0: Barsoum et al., "Training deep networks for facial expression
    recognition with crowd-sourced label distribution", ICMI 2016, section 3, and the authors' code (ferplus.py of
    microsoft/FERPlus). Here not so if the votes of the row add up to one: those are a one-hot row or shares.

    - "majority", as the authors': the column with more than half of the votes left, contempt, unknown and NF too.
    - "soft": the shares of the seven classes; contempt, unknown and NF leave the image out if one of them has as many
      votes as the best class, and are not counted otherwise. This is simpler than the authors' "probability", which
      keeps three classes at most.

    Args:
        votes: float64 [10] from ``read_votes``.
        mode: one of ``MODES``.
    """
    measures = {}
    if votes.sum() > _ONE_VOTE:
        measures = {f"{MEASURE}{name.lower()}": float(each) for name, each in zip(COLUMNS, votes, strict=True)}
        votes = np.where(votes > 1, votes, 0)
    shares = np.empty(len(CLASS_NAMES))
    shares[_CLASSES] = votes[: len(CLASS_NAMES)]
    others = votes[len(CLASS_NAMES) :]
    most = votes.max()
    if most == 0 or (mode == "majority" and most <= votes.sum() / 2):
        return Verdict(None, reason=_NO_MAJORITY)
    if others.max() == most:
        return Verdict(None, reason=_NOT_CLASSES[int(others.argmax())])
    targets = (shares / shares.sum()).astype(np.float32) if mode == "soft" else None
    return Verdict(int(shares.argmax()), targets, measures=measures)


def describe_left_out(counts: Mapping[str, int], mode: str) -> str:
    """One line: the rule of a mode, and how many images it leaves out.

    Args:
        counts: {reason: images} of the ``Verdict``s; reasons without images may be missing.
        mode: one of ``MODES``.
    """
    reasons = ", ".join(f"{counts[name]:,} {name}" for name in (*_NOT_CLASSES, _NO_MAJORITY) if counts.get(name))
    left_out = f"{counted(sum(counts.values()), 'image')} left out" + (f" ({reasons})" if reasons else "")
    return f"votes, {mode}: {_RULES[mode]}; {left_out}."
