"""What RAF-DB's numbers mean, how many images it has, and what its file names say."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from fer_tl.core.classes import CLASS_NAMES, CONTEMPT
from fer_tl.sources.label_orders import LABEL_ORDERS, LabelOrder, check_numbers

ORDER = "raf"
"""The basic set's order, in ``LABEL_ORDERS``."""

# S. Li and W. Deng, IEEE Transactions on Image Processing 2019, and the README of the compound set.
COMPOUND = LabelOrder(
    "RAF-DB's compound set",
    1,
    (
        "happily surprised",
        "happily disgusted",
        "sadly fearful",
        "sadly angry",
        "sadly surprised",
        "sadly disgusted",
        "fearfully angry",
        "fearfully surprised",
        "angrily surprised",
        "angrily disgusted",
        "disgustedly surprised",
    ),
)

# Of the basic set: angry, disgust, fear, happy, sad, surprise, neutral.
OFFICIAL_COUNTS = {
    "train": (705, 717, 281, 4772, 1982, 1290, 2524),
    "test": (162, 160, 74, 1185, 478, 329, 680),
}

_OFFICIAL_NAME = re.compile(r"(train|test)_\d+(_aligned)?", re.IGNORECASE)


def official_split(stem: str) -> str | None:
    """ "train" or "test", as an image's file name without its ending says; None if it is no name of RAF-DB."""
    match = _OFFICIAL_NAME.fullmatch(stem)
    return match[1].lower() if match else None


def order_of(numbers: Collection[int], labels: str | None, where: str) -> LabelOrder:
    """What numbers for classes mean.

    All of 1 to 7 are the basic set's, all of 1 to 11 the compound set's; a number beside them that the order does not
    have is left to whoever reads the images.

    Args:
        numbers: all that occur.
        labels: a key of ``LABEL_ORDERS``, or None if nobody has said.
        where: what has them, for the message.

    Raises:
        UserError: nobody has said, and these are not all numbers of one of the two sets, so that they may be in another
            order too; or the order that was said has none of them.
    """
    if labels is not None:
        order = LABEL_ORDERS[labels]
        known = {number for number in numbers if order.first <= number <= order.last}
        check_numbers(known or numbers, labels, where)
        return order
    for order in (COMPOUND, LABEL_ORDERS[ORDER]):
        if {*range(order.first, order.last + 1)} <= {*numbers} and 0 not in numbers:
            return order
    check_numbers(numbers, None, where)
    return LABEL_ORDERS[ORDER]  # no numbers at all


def class_names(found: Collection[str]) -> tuple[str, ...]:
    """The classes that occur, in label order: the project's seven, contempt, then the compound set's by number."""
    ordered = (*CLASS_NAMES, CONTEMPT, *COMPOUND.names)
    return tuple(name for name in ordered if name in found)


def count_warnings(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """One line for each split of the basic set whose counts are not the official ones.

    Args:
        counts: {split: {class: images}} as read.
    """
    lines = []
    for split, found in counts.items():
        if split not in OFFICIAL_COUNTS or not {*found} <= {*CLASS_NAMES}:
            continue
        official = OFFICIAL_COUNTS[split]
        differing = [
            f"{name} {found.get(name, 0):,} for {expected:,}"
            for name, expected in zip(CLASS_NAMES, official, strict=True)
            if found.get(name, 0) != expected
        ]
        if differing:
            lines.append(
                f"your copy differs from the official RAF-DB: {split} has {sum(found.values()):,} images, official "
                f"{sum(official):,} ({', '.join(differing)})."
            )
    return lines
