"""What each command takes, as it is declared: for its help, the reference and completion in a shell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fer_tl.commands import load_command
from fer_tl.core.option_words import words_of_limits, words_of_type, words_of_value


@dataclass(frozen=True)
class Argument:
    """Something that a command takes.

    Attributes:
        flags: as they are typed; of what is given without a flag, its name in the help.
        positional: whether it is given without a flag.
        required: whether the command needs it.
        kind: what a value is, in words; "" of a flag without one, or where the text says it.
        default: what it is if it is not given; "" for nothing, or where the text says it.
        text: what it does.
    """

    flags: tuple[str, ...]
    positional: bool
    required: bool
    kind: str
    default: str
    text: str


def recording_parser(actions: list[Any], **options: Any) -> Any:
    """A ``jsonargparse.ArgumentParser`` that appends to ``actions`` whatever is declared on it."""
    from jsonargparse import ArgumentParser

    class Recording(ArgumentParser):
        def add_argument(self, *names: Any, **options: Any) -> Any:
            actions.append(super().add_argument(*names, **options))
            return actions[-1]

    return Recording(**options)


def arguments_of(name: str) -> tuple[Argument, ...]:
    """What a command takes, in the order of its declaration."""
    actions: list[Any] = []
    load_command(name).declare(recording_parser(actions, add_help=False, exit_on_error=False))
    return tuple(describe(action) for action in actions)


def describe(action: Any) -> Argument:
    """An action of argparse in words."""
    text = str(action.help or "")
    kind = "" if action.nargs == 0 else words_of_type(getattr(action, "_typehint", None) or action.type or str)
    if action.choices:
        kind = ", ".join(map(str, action.choices))
    says = "default" in text or action.nargs == 0
    default = "" if says or action.default == "==SUPPRESS==" else words_of_value(action.default)
    names = tuple(action.option_strings) or (str(action.metavar or action.dest),)
    return Argument(names, not action.option_strings, bool(action.required), kind, default, text)


def settings_by_group() -> dict[str, list[tuple[str, str, str, str, str]]]:
    """The settings of an experiment by group, "" for those of none: key, kind, default, limits and text."""
    from fer_tl.core.config_keys import walk

    groups: dict[str, list[tuple[str, str, str, str, str]]] = {}
    for key, kind, default, text, limits in walk():
        row = (key, words_of_type(kind), words_of_value(default), words_of_limits(limits), text)
        groups.setdefault(key.rpartition(".")[0], []).append(row)
    return groups
