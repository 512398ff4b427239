"""Which split each example is in: the source's own, a table's, or one that is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.data.building.curation import Curation
from fer_tl.data.splits import DEFAULT_SHARE, apply_splits, draw_split


def choose_splits(
    own: Sequence[str | None],
    ids: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    class_names: tuple[str, ...],
    curation: Curation,
    names: Mapping[str, str | None],
) -> np.ndarray:
    """The split of each example, text ``[N]``.

    A table of splits replaces those of the source. A test split is drawn from a source without splits, or from the
    training images of one without a test split if that was asked for; of these, groups that validation has too stay.

    Args:
        own: the split of each example as the source has it, None where it has none.
        ids: text ``[N]``, unique.
        labels: int ``[N]``.
        groups: text ``[N]``; no drawn split divides one.
        class_names: names for the messages.
        curation: see there.
        names: {name: id} for every name that an example goes by, None if several do.

    Raises:
        UserError: a table that does not say it of all, a source with a test split of its own, or too few groups.
    """
    if curation.splits is not None:
        return apply_splits(curation.splits, ids, names)
    share = DEFAULT_SHARE if curation.test_share is None else curation.test_share
    if own[0] is None and share == 0:
        return np.full(len(ids), "train", dtype="<U10")
    if own[0] is None:
        return draw_split(ids, labels, groups, class_names, curation.split_seed, share)
    splits = np.array([str(split) for split in own], dtype="<U10")
    if curation.test_share is None:
        return splits
    if number := int((splits == "test").sum()):
        raise UserError(
            f"--test-share draws a test split, and the source has one of its own, {number:,} images: leave it out, or "
            "give another split of all images with --splits"
        )
    free = (splits == "train") & ~np.isin(groups, groups[splits == "validation"])
    if not free.any():
        raise UserError("--test-share finds no training image whose group is not in validation: leave it out")
    splits[free] = draw_split(ids[free], labels[free], groups[free], class_names, curation.split_seed, share)
    return splits


def describe_split(own: Sequence[str | None], curation: Curation) -> str:
    """A line on where the splits come from, "" if they are the source's own or what is always drawn of it."""
    if curation.splits is not None:
        return "" if set(own) <= {None, "train"} else "The splits of --splits are used in place of the source's own."
    if curation.test_share is None:
        return ""
    if curation.test_share == 0:
        return "No test split is drawn: all images are for training and cross validation."
    return (
        f"The test split is drawn with --split-seed {curation.split_seed}, whole groups, a share of "
        f"{curation.test_share:g} of each class; examples.csv says which images it has, and can be given as --splits."
    )
