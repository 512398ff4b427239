"""What the module of a command declares, and how its options follow from its function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from fer_tl.core.errors import UserError, suggest

METAVARS = {"run_dir": "RUN", "run_dirs": "RUN", "data": "DATASET", "images": "IMAGE"}


@dataclass(frozen=True)
class Command:
    """A command of ``fer-tl``; its name is that of its module, its help the first line of the module's docstring.

    Attributes:
        run: does it; its keywords are the options, and its name is that of the Python API, ``fer_tl.<name>``.
        positional: parameters of ``run`` that are given without a flag. The command line needs each of them, whatever
            its default, but for those of the default None, and several of the default ``()``.
        words: flags of options that may also be given without, in this order, behind what is positional.
        metavars: what the help calls a positional one, where it is not the parameter in capitals.
        flags: flags by parameter, where the name cannot be one of Python, such as ``--class``.
        add_arguments: declares the options on a ``jsonargparse.ArgumentParser``, where they do not follow from ``run``.
        takes_experiment: whether the options are those of an experiment, which ``run`` takes after what is positional.
        without: options of an experiment that ``run`` does not read, and the command does not have.
        resumes: whether the same command continues what was interrupted, and does not start again.
        finish: is called with what ``run`` returns, to make an error of it.
    """

    run: Callable[..., Any]
    positional: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    metavars: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    add_arguments: Callable[[Any], None] | None = None
    takes_experiment: bool = False
    without: tuple[str, ...] = ()
    resumes: bool = False
    finish: Callable[[Any], None] | None = None

    def declare(self, parser: Any) -> None:
        """Add the options to a ``jsonargparse.ArgumentParser``.

        Raises:
            UserError: the declaration does not fit ``run``.
        """
        if self.add_arguments:
            self.add_arguments(parser)
            return
        if self.takes_experiment:
            from fer_tl.core.options import CONFIG_HELP, add_options

            parser.add_argument("--config", type=str | None, help=CONFIG_HELP)
            add_options(parser, without=self.without)
            return
        texts, where = argument_texts(self.run), f"{self.run.__module__}.{self.run.__name__}"
        parameters = inspect.signature(self.run).parameters
        for name in (*self.positional, *self.metavars, *self.flags):
            if name not in parameters:
                raise UserError(
                    f"{where} has no parameter '{name}', which its COMMAND names{suggest(name, parameters)}"
                )
        for name, parameter in parameters.items():
            if name == "say":
                continue
            if name not in texts:
                raise UserError(f"{where}: '{name}' needs a text under Args of the docstring, as '{name}: what it is.'")
            if not isinstance(parameter.annotation, str) or parameter.annotation == "":
                raise UserError(f"{where}: '{name}' needs a type, and the module `from __future__ import annotations`")
            try:  # by itself: the types that a verb returns are known to type checkers only
                kind = eval(parameter.annotation, self.run.__globals__)
            except Exception as error:
                raise UserError(
                    f"{where}: the type '{parameter.annotation}' of '{name}' cannot be used "
                    f"({type(error).__name__}: {error}): import it for good, not under TYPE_CHECKING"
                ) from error
            self._declare_one(parser, name, kind, parameter.default, texts[name])

    def _declare_one(self, parser: Any, name: str, kind: Any, default: Any, text: str) -> None:
        several = (
            any(get_origin(part) is Sequence for part in get_args(kind) or (kind,)) or get_origin(kind) is Sequence
        )
        if name in self.positional:
            options = {
                "metavar": self.metavars.get(name, METAVARS.get(name, name.upper())),
                "help": text,
                "type": str if several else _typed(kind),
            }
            many = {"nargs": "*" if default == () else "+"} if several else {"nargs": "?"} if default is None else {}
            parser.add_argument(name, **options, **many)
            return
        flag = self.flags.get(name, f"--{name.replace('_', '-')}")
        if default is inspect.Parameter.empty:
            parser.add_argument(flag, dest=name, type=_typed(kind), required=True, help=text)
        elif kind is bool and not default:
            parser.add_argument(flag, action="store_true", help=text)
        elif several and default == ():
            parser.add_argument(flag, dest=name, type=str, action="append", default=[], help=f"{text}; may be repeated")
        else:
            parser.add_argument(flag, dest=name, type=_typed(kind), default=default, help=text)


def _typed(kind: Any) -> Any:
    """The type of an option: one text where a parameter takes a path, a text or several; else a sequence is a tuple."""
    parts = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if str in parts or Path in parts:
        return str | None if NoneType in parts else str
    if any(get_origin(part) is Sequence for part in parts):
        return tuple[str, ...] | None
    return kind


def argument_texts(function: Callable[..., Any]) -> dict[str, str]:
    """What the docstring of a function says of each argument, in plain text on one line, by name."""
    section = re.search(r"^Args:\n(.*?)(?:\n\n|\Z)", inspect.cleandoc(function.__doc__ or ""), re.S | re.M)
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.M)
    return {name: " ".join(text.split()).replace("``", "").removesuffix(".") for name, text in entries}
