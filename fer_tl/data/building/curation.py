"""How a dataset is looked after, and an example as it will be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fer_tl.data.building.exclusions import Exclusions
    from fer_tl.data.building.given_groups import GivenGroups


@dataclass(frozen=True)
class Curation:
    """How a dataset is looked after.

    Attributes:
        duplicates: "group" to give duplicates one group, and to leave training copies of validation and test images
            out; "drop" to leave all but one of the training copies out as well; "keep" not to look for any.
        encoding: "png" or "jpeg", how the records hold the images.
        split_seed: draws the split of a dataset that has none.
        test_share: of the training images to draw into test; None for what is drawn where there is no split at all,
            0 to draw none there.
        splits: {id: split} to use in its place.
        exclude: examples to leave out of every split; the others are split as if these were there.
        groups: what else must never be divided, besides copies and what the source knows.
    """

    duplicates: str = "group"
    encoding: str = "png"
    split_seed: int = 0
    test_share: float | None = None
    splits: Mapping[str, str] | None = None
    exclude: Exclusions | None = None
    groups: GivenGroups | None = None


@dataclass(frozen=True)
class Stored:
    """An example as it will be written.

    Attributes:
        id: unique.
        label: index into the class names.
        group: what is never divided over folds.
        encoded: bytes of the PNG or JPEG.
        targets: float32 [K], None if the dataset has none.
    """

    id: str
    label: int
    group: str
    encoded: bytes
    targets: np.ndarray | None
