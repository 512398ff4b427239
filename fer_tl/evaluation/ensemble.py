"""An ensemble of runs from the probabilities they saved: who votes with what weight, and where it goes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError, suggest
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.evaluation.finished_runs import Member, match, open_members
from fer_tl.evaluation.groups_of_runs import find_groups
from fer_tl.evaluation.open_split import check_evaluated
from fer_tl.evaluation.soft_voting import cross_fitted_weights, mixture_weights, soft_vote, true_class_probabilities
from fer_tl.evaluation.test_time_augmentation import TTA
from fer_tl.runs.imports import refuse_labels
from fer_tl.runs.predictions import Predictions

WEIGHTINGS = ("equal", "validation")
FILE = "ensemble.json"


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Runs that vote, M of them.

    Attributes:
        members: the runs.
        fingerprints: of the images that each predicted; None where a run does not say.
        split: whose saved evaluations are averaged; None for the runs' own held-out images.
        tta: test-time augmentation of those evaluations.
        weighting: ``equal`` or ``validation``.
        weights: float64 ``[M]``, or ``[F, M]`` with a row for each fold where they are cross-fitted.
        predictions: by name, ``ensemble`` first, then each member; all with the same examples and classes in order.
        left_out: images of the split that are left out, since a member has learnt them.
        folds: int64 ``[N]``, the fold of each example where they are out of fold and all members have the same; else
            None.
    """

    members: tuple[Member, ...]
    fingerprints: tuple[str | None, ...]
    split: str | None
    tta: str
    weighting: str
    weights: np.ndarray
    predictions: dict[str, Predictions]
    left_out: int = 0
    folds: np.ndarray | None = None

    @property
    def title(self) -> str:
        """How many runs, of what data, and what is scored."""
        views = f", {TTA[self.tta]}" if TTA[self.tta] else ""
        data = ", ".join(dict.fromkeys(member.dataset for member in self.members))
        return f"soft voting of {len(self.members)} runs, {data} {_scored(self.members, self.split)}{views}"

    @property
    def note(self) -> str:
        """How the weights were chosen, what was opened for it, and whether all members saw the same build."""
        note = self._weights_note()
        for member in self.members if not self.split else ():
            if member.repeats > 1:
                note += f" {member.name} votes itself: the mean of {member.repeats} models, one of each repetition."
        if self.split:
            note += f" Split {self.split} was opened by the members' evaluations: choose no members or weights by it."
        if self.left_out:
            note += f" {counted(self.left_out, 'image')} that a member was trained on left out for all of them."
        if len(set(self.fingerprints)) > 1:
            note += " The members saw different builds of the data, with the same ids and labels."
        return note

    @property
    def groups(self) -> dict[str, str] | None:
        """Group of each example by id, from the first built dataset of a member that has them all; None if none has."""
        splits = FIT_SPLITS[: 1 if any(member.kind == "cv" for member in self.members) else 2]
        places = ((member.dataset, member.data_dir) for member in self.members)
        return find_groups(self.predictions["ensemble"].ids, places, (self.split,) if self.split else splits)

    def _weights_note(self) -> str:
        if self.weighting == "equal":
            return "Probabilities are averaged with equal weights; nothing was fitted."
        rows = self.weights.reshape(-1, len(self.members))  # [F, M] or [1, M]
        ends = zip(self.members, rows.min(axis=0), rows.max(axis=0), strict=True)
        if len(rows) > 1:
            said = ", ".join(f"{member.name} {low:.2f}–{high:.2f}" for member, low, high in ends)
            return f"The weights that score a fold maximize the likelihood on the other folds: {said}."
        said = ", ".join(f"{member.name} {low:.2f}" for member, low, _ in ends)
        where = "the runs' own held-out predictions, not of the images scored here"
        return f"The weights maximize the likelihood of {where}: {said}."

    def describe(self) -> dict[str, Any]:
        """Ready for JSON: what was asked for, and each member with its weight."""
        key = "weight" if self.weights.ndim == 1 else "weight_by_fold"
        return {
            **self.request,
            "fingerprint": self.fingerprints[0] if len(set(self.fingerprints)) == 1 else None,
            "members": [
                {
                    "name": member.name,
                    "run": member.path,
                    "kind": member.kind,
                    "backbone": member.backbone,
                    "fingerprint": fingerprint,
                    key: self.weights[..., index].tolist(),
                }
                for index, (member, fingerprint) in enumerate(zip(self.members, self.fingerprints, strict=True))
            ],
        }

    @property
    def request(self) -> dict[str, Any]:
        """What makes an ensemble this one; the order of its members does not."""
        runs = sorted(member.path for member in self.members)
        return {"runs": runs, "split": self.split, "tta": self.tta, "weights": self.weighting}


def make_ensemble(run_dirs: Sequence[Path | str], split: str | None, tta: str, weighting: str) -> Ensemble:
    """Average what runs saved; no model is run.

    Args:
        run_dirs: two or more finished runs.
        split: ``test`` or ``validation``, as evaluated before; None for out-of-fold and held-out predictions.
        tta: one of ``fer_tl.evaluation.test_time_augmentation.TTA``, with a split only.
        weighting: ``equal``, or ``validation`` for weights fitted on the runs' own held-out predictions: on all of
            them for a split, on the other folds for each fold of cross validations.

    Raises:
        UserError: a bad value, or runs that do not go together.
    """
    _check_choices(split, tta, weighting)
    members = open_members(run_dirs)
    for member in members:
        refuse_labels(member.run.path, "only these can be averaged; import its probabilities, or leave it out")
    own = [] if split and weighting == "equal" else [member.own_predictions() for member in members]
    held_out = match(members, [predictions for predictions, _ in own]) if own else ()
    left_out: set[str] = set().union(*(member.left_out(split, tta) for member in members)) if split else set()
    scored = held_out
    if split:
        scored = match(members, [_without(member.split_predictions(split, tta), left_out) for member in members])
    if weighting == "equal":
        weights = votes = np.full(len(members), 1 / len(members))
    elif split:
        if np.isin(held_out[0].ids, scored[0].ids).any():
            _refuse_to_flatter(members, split)
        weights = votes = mixture_weights(true_class_probabilities(held_out))
    else:
        if any(member.kind != "cv" for member in members):
            _refuse_to_flatter(members, split)
        folds = _shared_folds(members, own)
        weights = cross_fitted_weights(true_class_probabilities(scored), folds)  # [F, M]
        votes = weights[folds].T  # [M, N]
    _refuse_copies(members, scored)
    named = {member.name: predictions for member, predictions in zip(members, scored, strict=True)}
    predictions = {"ensemble": soft_vote(scored, votes), **named}
    fingerprints = tuple(member.fingerprint(split, tta) for member in members)
    shared = None if split or any(member.kind != "cv" for member in members) or not _same_folds(own) else own[0][1]
    return Ensemble(members, fingerprints, split, tta, weighting, weights, predictions, len(left_out), shared)


def _without(predictions: Predictions, ids: set[str]) -> Predictions:
    """Predictions without those of some images: what one member has learnt, no member is scored on."""
    kept = ~np.isin(predictions.ids, sorted(ids)) if ids else np.ones(len(predictions.ids), bool)
    if not kept.any():
        raise UserError("the members have learnt all images of the split between them: none is left to score")
    return predictions.take(kept)


def _check_choices(split: str | None, tta: str, weighting: str) -> None:
    check_evaluated(split, tta, "an ensemble is scored on")
    if weighting not in WEIGHTINGS:
        raise UserError(f"--weights {weighting}: no such weighting{suggest(weighting, WEIGHTINGS)}")


def _refuse_copies(members: Sequence[Member], scored: Sequence[Predictions]) -> None:
    for (one, first), (other, second) in itertools.combinations(zip(members, scored, strict=True), 2):
        if np.array_equal(first.logits, second.logits):
            raise UserError(f"{one.path} and {other.path} predict the same to the last digit: one run, counted twice")


def _scored(members: Sequence[Member], split: str | None) -> str:
    if split:
        return f"split {split}"
    held_out = dict.fromkeys(member.held_out for member in members)
    return next(iter(held_out)) if len(held_out) == 1 else "held out"


def _refuse_to_flatter(members: Sequence[Member], split: str | None) -> None:
    way_out = "" if split == "test" else ", or --split test"
    raise UserError(
        f"--weights validation would fit the weights on the very images that are scored ({_scored(members, split)}): "
        f"use --weights equal{way_out}"
    )


def _shared_folds(members: Sequence[Member], own: Sequence[tuple[Predictions, np.ndarray]]) -> np.ndarray:
    """The fold of each of the first member's examples, int64 ``[N]``, if it is the same for all members."""
    tables = _fold_tables(own)
    for member, table in zip(members[1:], tables[1:], strict=True):
        if table != tables[0]:
            raise UserError(
                f"{member.path} and {members[0].path} have other folds, so no weights can be fitted on other folds "
                "than the one they score: use --weights equal, or --split test"
            )
    return own[0][1]


def _fold_tables(own: Sequence[tuple[Predictions, np.ndarray]]) -> list[dict[str, int]]:
    return [dict(zip(predictions.ids.tolist(), folds.tolist(), strict=True)) for predictions, folds in own]


def _same_folds(own: Sequence[tuple[Predictions, np.ndarray]]) -> bool:
    tables = _fold_tables(own)
    return all(table == tables[0] for table in tables[1:])
