"""What the numbers and names in FER-2013's copies mean."""

from __future__ import annotations

from fer_tl.data.classes import CLASS_NAMES, CONTEMPT, canonical_class
from fer_tl.errors import UserError

FER_ORDER = CLASS_NAMES
"""0..6 in fer2013.csv and in numbered folders made from it."""

RAF_ORDER = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
"""1..7 in RAF-DB."""

LABEL_ORDERS = ("fer", "raf")

OFFICIAL_COUNTS = {  # angry, disgust, fear, happy, sad, surprise, neutral; counted on the official fer2013.csv
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "validation": (467, 56, 496, 895, 653, 415, 607),
    "test": (491, 55, 528, 879, 594, 416, 626),
}

CONTEMPT_LABEL = -1
"""Stands for contempt, which FER-2013 does not have: the example is left out."""


def class_index(text: str, labels: str | None) -> int | None:
    """The index in `CLASS_NAMES` of a number or a name.

    Args:
        text: "3", "3.0", "Happy", "4happy", ...
        labels: "raf" if numbers are RAF-DB's 1..7, otherwise they are FER-2013's 0..6.

    Returns:
        0..6, `CONTEMPT_LABEL`, or None if it is not known.
    """
    text = text.strip()
    number = text.removesuffix(".0")
    if number.isdecimal():
        if labels == "raf":
            return CLASS_NAMES.index(RAF_ORDER[int(number) - 1]) if 1 <= int(number) <= 7 else None
        return int(number) if int(number) < len(FER_ORDER) else None
    name = canonical_class(text)
    if name is None:
        return None
    return CONTEMPT_LABEL if name == CONTEMPT else CLASS_NAMES.index(name)


def check_numbered_folders(folders: set[str], labels: str | None, where: str) -> None:
    """Refuses numbered class folders whose meaning is a guess.

    Raises:
        UserError: numbers that could be RAF-DB's 1..7 without a word from the user, or numbers that neither order has.
    """
    numbers = sorted(int(name) for name in folders if name.isdecimal())
    if not numbers:
        return
    shown = ", ".join(map(str, numbers))
    if labels is None and 0 not in numbers:
        raise UserError(
            f"{where} has numbered class folders ({shown}) without 0: they may be RAF-DB's 1..7 (1 = surprise) or "
            f"FER-2013's 0..6 (1 = disgust). Say which with --labels raf or --labels fer."
        )
    low, high = (1, 7) if labels == "raf" else (0, 6)
    if numbers[0] < low or numbers[-1] > high:
        raise UserError(f"{where} has numbered class folders {shown}, but only {low}..{high} have a meaning here.")


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
