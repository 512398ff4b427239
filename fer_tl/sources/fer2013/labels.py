"""What the numbers and names in FER-2013's copies mean."""

from __future__ import annotations

from fer_tl.core.classes import CLASS_NAMES, CONTEMPT, canonical_class
from fer_tl.sources.label_orders import class_of_number, number_of

OFFICIAL_COUNTS = {  # angry, disgust, fear, happy, sad, surprise, neutral; counted on the official fer2013.csv
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "validation": (467, 56, 496, 895, 653, 415, 607),
    "test": (491, 55, 528, 879, 594, 416, 626),
}

_ORDER = ", ".join(f"{number} {name}" for number, name in enumerate(CLASS_NAMES))
READ_AS_FER = f"numbers were read in FER-2013's order, {_ORDER}: if they mean other classes, build again with --labels."
"""Said of a copy that is not the official one, since a file does not say which order is its own."""

CONTEMPT_LABEL = -1
"""Stands for contempt, which FER-2013 does not have: the example is left out."""


def class_index(text: str, labels: str | None) -> int | None:
    """The index in ``CLASS_NAMES`` of a number or a name.

    Args:
        text: "3", "3.0", "Happy", "4happy", ...
        labels: what numbers mean, a key of ``LABEL_ORDERS``, or None for FER-2013's 0..6.

    Returns:
        0..6, ``CONTEMPT_LABEL``, or None if it is not known.
    """
    name = class_of_number(text, labels) if number_of(text) is not None else canonical_class(text)
    if name is None:
        return None
    return CONTEMPT_LABEL if name == CONTEMPT else CLASS_NAMES.index(name)


def count_warnings(counts: dict[str, dict[str, int]], whole: bool) -> list[str]:
    """One line for each split whose counts are not the official ones.

    Args:
        counts: {split: {class: n}} as read.
        whole: the source has no splits, so compare with the three official ones together.
    """
    lines = []
    for split, found in counts.items():
        if whole:
            official = [sum(column) for column in zip(*OFFICIAL_COUNTS.values(), strict=True)]
        else:
            official = [*OFFICIAL_COUNTS[split]]
        differing = [
            f"{name} {found[name]:,} for {expected:,}"
            for name, expected in zip(CLASS_NAMES, official, strict=True)
            if found[name] != expected
        ]
        if differing:
            total = sum(found.values())
            lines.append(
                f"your copy differs from the official FER-2013: {split} has {total:,} images, "
                f"official {sum(official):,} ({', '.join(differing)})."
            )
    return lines
