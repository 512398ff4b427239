"""Which examples are not written, and why: excluded by name, copies, and what shares a group with what is scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.data.building.exclusions import EXCLUDED
from fer_tl.data.examples import KEPT

SAME_GROUP = "same group as "
"""Begins the reason of training images whose person is in validation or test, in ``examples.csv`` and the manifest."""

_MUCH = 0.1  # share of the training images from which it is a warning


def why_left_out(
    excluded: np.ndarray, splits: np.ndarray, labels: np.ndarray, clusters: Iterable[list[int]], policy: str
) -> np.ndarray:
    """Of each example ``KEPT``, or why it is not written, as far as copies and a person's table decide it: object
    ``[N]``.

    Args:
        excluded: bool ``[N]``, which ones a person wants left out.
        splits: text ``[N]``.
        labels: int ``[N]``.
        clusters: rows of examples that are copies of one another, in the order of their ids.
        policy: see ``Curation.duplicates``.
    """
    kept = np.where(excluded, np.array(EXCLUDED, object), np.array(KEPT, object))
    for cluster in clusters:
        left = [index for index in cluster if kept[index] == KEPT]
        for index, reason in _copies(left, splits, labels, policy).items():
            kept[index] = reason
    return kept


def leave_out_groups(kept: np.ndarray, splits: np.ndarray, groups: np.ndarray, reason: str) -> np.ndarray:
    """``kept`` with the reason, followed by a split, for training examples whose group is in validation or test too.

    Args:
        kept: object ``[N]``, of each example ``KEPT`` or why it is not written.
        splits: text ``[N]``.
        groups: int ``[N]``, from 0.
        reason: such as "same photo as ".
    """
    stays, kept = kept == KEPT, kept.copy()
    in_training = stays & (splits == "train")
    for split in ("test", "validation"):
        scored = np.zeros(groups.max(initial=0) + 1, bool)
        scored[groups[stays & (splits == split)]] = True
        shared = in_training & scored[groups]
        kept[shared] = reason + split
        in_training &= ~shared
    return kept


def warn_of_groups(
    kept: np.ndarray, splits: np.ndarray, labels: np.ndarray, groups: np.ndarray, class_names: tuple[str, ...]
) -> list[str]:
    """Lines about much training left out because of persons, and about classes of which training has one person.

    Args:
        kept: see ``leave_out_groups``.
        splits: text ``[N]``.
        labels: int ``[N]``, indices into ``class_names``.
        groups: text ``[N]``.
        class_names: in label order.
    """
    told, reasons, training = [], kept.astype(str), splits == "train"  # [N]
    lost, count = int(np.char.startswith(reasons, SAME_GROUP).sum()), int(training.sum())
    if lost > _MUCH * count:
        told.append(
            f"{lost:,} of {count:,} training images ({100 * lost / count:.0f} %) are left out, for their groups are in "
            "validation or test as well."
        )
    for label, name in enumerate(class_names):
        chosen = groups[training & (reasons == KEPT) & (labels == label)]
        if len(chosen) > 1 and len(np.unique(chosen)) == 1:
            told.append(
                f"All {len(chosen):,} training images of '{name}' are of one group, {str(chosen[0])!r}: the class "
                "cannot be told from it, nor cross-validated. Add images of others, or leave it out with --classes."
            )
    return told


def check_left(reasons: np.ndarray, splits: np.ndarray, name: str) -> None:
    """Raise ``UserError`` if nothing is left to train on, or nothing at all; see ``leave_out_groups``."""
    training = splits == "train"
    found = reasons[training] if training.any() else reasons
    if (found == KEPT).any():
        return
    kept = set(found.tolist())
    if EXCLUDED in kept:
        raise UserError(f"--exclude leaves no training image of {name}: leave out fewer")
    if any(why.startswith(SAME_GROUP) for why in kept):
        raise UserError(
            f"every training image of {name} is of a group that is in validation or test as well, or a copy: give "
            "images of others, or groups that fit these splits"
        )
    raise UserError(
        f"every training image of {name} is a copy of one in validation or test: give other images, or build with "
        "--duplicates keep if they are not copies"
    )


def _copies(cluster: list[int], splits: np.ndarray, labels: np.ndarray, policy: str) -> dict[int, str]:
    """The examples of a cluster, in the order of their ids, that are not written, and why. Only training loses any:
    an official validation or test split stays comparable with what others report on it."""
    training = [index for index in cluster if splits[index] == "train"]
    present = {str(splits[index]) for index in cluster}
    for split in ("test", "validation"):
        if split in present:
            return dict.fromkeys(training, f"copy of {split}")
    if policy != "drop":
        return {}
    ranked = Counter(labels[index] for index in training).most_common()
    if not ranked:
        return {}
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return dict.fromkeys(training, "conflicting labels")
    chosen = next(index for index in training if labels[index] == ranked[0][0])
    return {index: "duplicate" for index in training if index != chosen}
