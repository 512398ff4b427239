"""What a number means as a class: datasets count in different orders, and a file does not say which is its own."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from fer_tl.core.classes import CLASS_NAMES, CONTEMPT
from fer_tl.core.errors import UserError


class LabelOrder(NamedTuple):
    """How a dataset numbers its classes.

    Attributes:
        of: who counts so.
        first: the number of the first class.
        names: canonical names, in the order of their numbers.
    """

    of: str
    first: int
    names: tuple[str, ...]

    @property
    def last(self) -> int:
        """The number of the last class."""
        return self.first + len(self.names) - 1


# FER-2013: the challenge's README. RAF-DB: the README of list_patition_label.txt (Li et al., CVPR 2017). AffectNet:
# Mollahosseini et al., IEEE Transactions on Affective Computing 2019, whose 8 to 10 are no expressions. FER+: the
# columns of fer2013new.csv. CK+: ckextended.csv, which goes on after FER-2013's numbers.
LABEL_ORDERS = {
    "fer": LabelOrder("FER-2013, ExpW", 0, CLASS_NAMES),
    "raf": LabelOrder("RAF-DB", 1, ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")),
    "affectnet": LabelOrder(
        "AffectNet", 0, ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", CONTEMPT)
    ),
    "ferplus": LabelOrder("FER+", 0, ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", CONTEMPT)),
    "ckplus": LabelOrder("CK+ as a CSV like FER-2013's", 0, (*CLASS_NAMES, CONTEMPT)),
}
"""Choices of ``--labels``."""

DEFAULT_ORDER = "fer"


def class_of_number(text: str, labels: str | None) -> str | None:
    """The canonical name of a class that is written as a number, or None if the order has no such number.

    Args:
        text: "3", "03" or "3.0".
        labels: a key of ``LABEL_ORDERS``, or None for FER-2013's.
    """
    number = number_of(text)
    order = LABEL_ORDERS[labels or DEFAULT_ORDER]
    return order.names[number - order.first] if number is not None and order.first <= number <= order.last else None


def number_of(text: str) -> int | None:
    """The number that a label or a folder's name is, as "3", "03" or "3.0"; None for anything else."""
    digits = text.strip().removesuffix(".0").lstrip("0") or "0"
    written = text.strip().removesuffix(".0")
    if not (written.isascii() and written.isdecimal()) or len(digits) > 9:  # more digits are no class, and slow to read
        return None
    return int(digits)


def check_numbers(numbers: Collection[int], labels: str | None, where: str, certain: bool = False) -> None:
    """Refuse numbers as classes whose meaning is a guess.

    Args:
        numbers: all that stand for a class.
        labels: a key of ``LABEL_ORDERS``, or None if nobody has said.
        where: what has them, for the message: "fer2013.csv".
        certain: whether numbers from 0 to 6 are FER-2013's, since the data claim to be it; fewer of them are not all of
            its classes, so that they may as well be the first ones of another order.

    Raises:
        UserError: nobody has said which order it is and the numbers alone do not tell, or the order has no such number.
    """
    if not numbers:
        return
    low, high = min(numbers), max(numbers)
    shown = ", ".join(map(str, sorted(numbers)[:10])) + (", ..." if len(numbers) > 10 else "")
    if labels is not None:
        order = LABEL_ORDERS[labels]
        if low < order.first or high > order.last:
            raise UserError(
                f"{where} has numbers for classes ({shown}) that --labels {labels} ({order.of}) does not have: it has "
                f"{order.first} to {order.last}. {_advice(numbers)}"
            )
    elif not (certain and (low, high) == (0, len(CLASS_NAMES) - 1)):
        raise UserError(f"{where} has numbers for classes ({shown}), whose meaning is a guess. {_advice(numbers)}")


def _advice(numbers: Collection[int]) -> str:
    """Which orders have all of some numbers, and what tells them apart."""
    fitting = {
        name: order
        for name, order in LABEL_ORDERS.items()
        if order.first <= min(numbers) and max(numbers) <= order.last
    }
    if not fitting:
        known = ", ".join(f"{name} ({order.first} to {order.last})" for name, order in LABEL_ORDERS.items())
        return f"No order known here has all of them; known are {known}: give names in place of numbers."
    # The number that tells most orders apart.
    example = max(sorted(numbers), key=lambda n: len({order.names[n - order.first] for order in fitting.values()}))
    meanings = ", ".join(
        f"--labels {name} ({order.of}: {example} = {order.names[example - order.first]})"
        for name, order in fitting.items()
    )
    return f"Say which order they are in: {meanings}."
