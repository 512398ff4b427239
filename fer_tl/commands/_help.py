"""What ``fer-tl --help`` and ``fer-tl COMMAND --help`` print: commands by task, options by group, in words."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterable

from fer_tl.commands import command_names, commands_by_task, load_command, summary_of
from fer_tl.commands._arguments import Argument, arguments_of
from fer_tl.core.errors import UserError, suggest

INTRO = "Transfer learning for facial expressions: from a dataset file to a table you can trust."
OF_ALL = (
    ("-h, --help", "show this help and exit; fer-tl help COMMAND does the same"),
    ("-q, --quiet", "show only results and warnings"),
    ("-v, --verbose", "also show times, and where an error was raised"),
    ("--version", "show the version and exit"),
)
GROUPS = {
    "": "Options",
    "head": "Layers between backbone and classes",
    "optimizer": "Optimizer",
    "schedule": "Learning rate",
    "augment": "Augmentation",
    "loss": "Loss",
    "distill": "Students",
}
"""Headings of the groups of an experiment's options, by what is in front of the dot."""

_COLUMN, _LONGEST = 24, 100


def help_text(words: list[str]) -> str:
    """The help that is asked for.

    Args:
        words: what was typed besides the wish for help; the first one is the command, none is all commands.

    Raises:
        UserError: there is no such command.
    """
    if not words:
        return overview()
    if words[0] not in command_names():
        raise UserError(f"there is no command '{words[0]}'{suggest(words[0], command_names())}")
    return command_help(words[0])


def overview() -> str:
    """All commands by task, with an example each. Imports none of them."""
    parts = [_fill(INTRO, ""), "usage: fer-tl COMMAND ..."]
    for task, commands in commands_by_task().items():
        lines = [f"{task}:"]
        for name, shown in commands.items():
            lines.append(_entry(name, summary_of(name)))
            lines += [f"{'':{_COLUMN}}$ {shown}"] if shown else []
        parts.append("\n".join(lines))
    parts.append(_section("Options of all commands", OF_ALL))
    return "\n\n".join(parts)


def command_help(name: str) -> str:
    """One command: how it is typed, an example, what it takes."""
    arguments = arguments_of(name)
    given = [each for each in arguments if each.positional]
    groups: dict[str, list[Argument]] = {}
    for each in arguments:
        if not each.positional:
            prefix = each.flags[0].removeprefix("--").rpartition(".")[0]
            groups.setdefault(prefix if prefix in GROUPS else "", []).append(each)
    typed = " ".join(each.flags[0] if each.required else f"[{each.flags[0]}]" for each in given)
    summary = summary_of(name)
    parts = [f"usage: fer-tl {name} [options] {typed}".rstrip(), _fill(f"{summary[:1].upper()}{summary[1:]}.", "")]
    if shown := next((commands[name] for commands in commands_by_task().values() if name in commands), ""):
        parts.append(f"For example:\n  $ {shown}")
    if given:
        parts.append(_section("Arguments", ((each.flags[0], each.text) for each in given)))
    for prefix, members in groups.items():
        parts.append(_section(GROUPS[prefix], ((_typed(each), _told(each)) for each in members)))
    parts.append(_section("Options of all commands", OF_ALL[:3]))
    if load_command(name).takes_experiment:
        parts.append("Each of these options is also a key of the file of --config.")
    return "\n\n".join(parts)


def _typed(argument: Argument) -> str:
    """An option as it is typed: ``--every N``, ``--out OUT``, ``--largest``."""
    if not argument.kind:
        return ", ".join(argument.flags)
    value = {"whole number": "N", "number": "X"}.get(argument.kind) or re.split("[.-]", argument.flags[0])[-1].upper()
    return ", ".join(f"{flag} {value}" for flag in argument.flags)


def _told(argument: Argument) -> str:
    """What an option does, and in brackets what its value may be and is."""
    kind = "" if argument.kind in ("text", "path", "number", "whole number") else argument.kind
    default = f"default: {argument.default}" if argument.default else ""
    notes = "; ".join(filter(None, ("required" if argument.required else "", kind, default)))
    return f"{argument.text} ({notes})" if notes else argument.text


def _section(title: str, entries: Iterable[tuple[str, str]]) -> str:
    return "\n".join([f"{title}:", *(_entry(name, text) for name, text in entries)])


def _entry(name: str, text: str) -> str:
    """A name and its text beside it, or below it where the name is long."""
    wrapped = _fill(text, " " * _COLUMN)
    return f"  {name:{_COLUMN - 2}}{wrapped[_COLUMN:]}" if len(name) < _COLUMN - 2 else f"  {name}\n{wrapped}"


def _fill(text: str, indent: str) -> str:
    width = min(_LONGEST, shutil.get_terminal_size().columns)
    return textwrap.fill(
        text, max(width, _COLUMN + 30), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
