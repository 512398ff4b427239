"""What people type, put as the parser wants it: usual names of options, lists with commas, a file without its flag."""

from __future__ import annotations

from collections.abc import Sequence
from types import UnionType
from typing import Any, get_args, get_origin

# Options by the names that other trainers give them.
USUAL_NAMES = {
    "--lr": "--optimizer.rate",
    "--learning-rate": "--optimizer.rate",
    "--weight-decay": "--optimizer.decay",
    "--momentum": "--optimizer.momentum",
    "--batch": "--batch-size",
    "--dataset": "--data",
    "--model": "--backbone",
    "--img-size": "--image-size",
    "--imgsz": "--image-size",
    "--label-smoothing": "--loss.smoothing",
    "--mixup": "--augment.mixup",
    "--cutmix": "--augment.cutmix",
    "--dropout": "--head.dropout",
    "--dense": "--head.dense",
    "--output": "--out",
}


def as_meant(arguments: list[str], actions: Sequence[Any], words: Sequence[str]) -> list[str]:
    """The arguments of a command in the spelling that its parser takes.

    Args:
        arguments: behind the command's name.
        actions: what is declared on its parser.
        words: flags of options that may be given without, in this order, behind what has none; such as ``--source``.

    Returns:
        The same arguments with the flags of ``USUAL_NAMES`` replaced where the command has no option of that name,
        lists such as ``happy,sad`` in brackets, and a flag before each further word.
    """
    by_flag = {flag: action for action in actions for flag in action.option_strings}
    expected = sum(1 for action in actions if not action.option_strings)
    given = {argument.partition("=")[0] for argument in arguments}
    free = [flag for flag in words if flag not in given]
    meant: list[str] = []
    waiting: Any = None
    for index, argument in enumerate(arguments):
        if argument == "--":
            return [*meant, *arguments[index:]]
        if waiting is not None:
            meant.append(_bracketed(argument, waiting))
            waiting = None
        elif argument.startswith("--"):
            flag, equals, value = argument.partition("=")
            usual = USUAL_NAMES.get(flag, flag)
            flag = usual if flag not in by_flag and usual in by_flag else flag
            action = by_flag.get(flag)
            meant.append(f"{flag}={_bracketed(value, action)}" if equals else flag)
            waiting = action if action is not None and not equals and action.nargs != 0 else None
        elif argument.startswith("-") and len(argument) > 1:
            meant.append(argument)
            action = by_flag.get(argument)
            waiting = action if action is not None and action.nargs != 0 else None
        elif expected > 0 or not free:
            meant.append(argument)
            expected -= 1
        else:
            meant += [free.pop(0), argument]
    return meant


def _bracketed(value: str, action: Any) -> str:
    """``happy,sad`` as ``[happy,sad]``, and ``64`` as ``[64]``, where an option takes nothing but a list."""
    kind = getattr(action, "_typehint", None)
    kinds = [part for part in (get_args(kind) if isinstance(kind, UnionType) else (kind,)) if part is not type(None)]
    takes_list_alone = kinds != [] and all(get_origin(part) is tuple for part in kinds)
    if not takes_list_alone or not value or value[0] in "[(" or value.lower() in ("null", "none"):
        return value
    return f"[{value}]"
