"""Numbers of things in sentences."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 cluster", "2,432 clusters"; ``many`` is the plural where it is not ``one`` with an "s" behind it."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def fitting(number: int, one: str, many: str) -> str:
    """The word that goes with a number: ``fitting(1, "is", "are")`` is "is"."""
    return one if number == 1 else many
