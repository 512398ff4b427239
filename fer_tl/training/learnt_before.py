"""Images that the weights to start from, or the teachers, have learnt: what is scored must not be among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.counting import fitting
from fer_tl.core.errors import UserError
from fer_tl.core.say import Say
from fer_tl.data.dataset import Dataset
from fer_tl.runs.lineage import Lineage, is_few, join_lineages
from fer_tl.runs.part import LEARNT_BEFORE


@dataclass(frozen=True, eq=False)
class Before:
    """What was learnt before a training begins.

    Attributes:
        experiment: that is trained.
        start: by the weights to start from.
        taught: by the teachers; None where there are none.
    """

    experiment: Experiment
    start: Lineage
    taught: Lineage | None = None

    @cached_property
    def lineage(self) -> Lineage:
        """By all of them."""
        return join_lineages([self.start, *([self.taught] if self.taught else [])])

    def describe(self, dataset: Dataset, rows: np.ndarray) -> str:
        """Who has learnt the images of these rows, int64 ``[M]``."""
        weights = f"the weights '{self.experiment.weights}'"
        teachers = f"the teachers {', '.join(self.experiment.distill.teachers or ())}"
        digests = dataset.digests[rows]
        taught = bool(self.taught and self.taught.knows(digests).any())
        return " and ".join([*([weights] if self.start.knows(digests).any() else []), *([teachers] if taught else [])])


def refuse_learnt(before: Before, dataset: Dataset, held_out: np.ndarray) -> None:
    """Make sure that what will be scored is new to the weights that a training starts from, and to its teachers.

    Args:
        before: what was learnt.
        dataset: all images of the run.
        held_out: rows that will be scored, int64 ``[M]``.

    Raises:
        UserError: some are known, and more than chance makes.
    """
    known = held_out[before.lineage.knows(dataset.digests[held_out])]
    if is_few(len(known), len(held_out)):
        return
    who = before.describe(dataset, known)
    if (dataset.splits[known] == "validation").all():
        remedy = "take others, or a dataset whose validation split is new to them"
    else:
        remedy = (
            "take others, such as --weights none, or use fer-tl train with a dataset that has an official validation "
            "split which is new to them"
        )
    raise UserError(
        f"{len(known):,} of the {len(held_out):,} images that would be scored {fitting(len(known), 'is', 'are')} among "
        f"those that {who} were trained on, so the figures would be of memory: {remedy}"
    )


def tell_learnt(before: Before, dataset: Dataset, parts: Sequence[tuple[np.ndarray, np.ndarray]], say: Say) -> None:
    """Say what is not refused: a few known images among those that are scored, known ones that are watched, and what
    nobody knows.

    Args:
        before: what was learnt.
        dataset: all images of the run.
        parts: rows that each part scores and watches, int64.
        say: prints a line.
    """
    if before.lineage.unknown:
        say(
            f"it is not known what {' and '.join(before.lineage.unknown)} learnt: if images that are scored here are "
            "among it, their figures are of memory"
        )
    for word, place in (("scored", 0), ("watched", 1)):
        rows = np.unique(np.concatenate([part[place] for part in parts]))
        known = rows[before.lineage.knows(dataset.digests[rows])]
        if len(known):
            end = "few enough to be chance" if word == "scored" else "what is watched is memory, the scores are not"
            who = before.describe(dataset, known)
            say(
                f"{len(known):,} of {len(rows):,} images that are {word} {fitting(len(known), 'looks', 'look')} like "
                f"ones that {who} learnt: {end}"
            )


def count_learnt(before: Before, dataset: Dataset, held_out: np.ndarray, watched: np.ndarray) -> dict[str, Any]:
    """What the result of a part says of it: nothing where nothing is known or doubtful.

    Args:
        before: what was learnt.
        dataset: all images of the run.
        held_out: rows that the part scores, int64.
        watched: rows that it watches.
    """
    rows = {"held_out": held_out, "watched": watched}
    found = {name: int(before.lineage.knows(dataset.digests[each]).sum()) for name, each in rows.items()}
    unknown = list(before.lineage.unknown)
    return {LEARNT_BEFORE: {**found, "unknown": unknown}} if unknown or any(found.values()) else {}
