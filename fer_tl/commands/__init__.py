"""One module for each command: its arguments, what it does, what it returns; see ``_command.Command``.

The command line and the Python API follow from the modules that are here. Those whose names begin with an underscore
are shared by commands and are none themselves.
"""

from __future__ import annotations

import importlib.util
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fer_tl.core.errors import UserError, raised_where

if TYPE_CHECKING:
    from fer_tl.commands._command import Command

# Of ``fer-tl --help``: from data to results. A command that is not named here comes last.
ORDER = (
    "build", "verify", "clean", "inspect", "folds", "cv", "train", "distill", "collect", "soup", "refit", "reproduce",
    "sweep", "evaluate", "import-predictions", "ensemble", "compare", "report", "explain", "export", "predict", "serve",
    "audit", "stress", "subgroups", "doctor", "models", "profile",
)  # fmt: skip


def command_names() -> list[str]:
    """The names of all commands, in the order of ``fer-tl --help``: those of their modules, with ``-`` for ``_``."""
    modules = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    found = [name.replace("_", "-") for name in modules]
    return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def summary_of(name: str) -> str:
    """What a command does, in one line: the first of its module, which is not imported (``--help`` needs no NumPy)."""
    spec = importlib.util.find_spec(f"{__name__}.{name.replace('-', '_')}")
    assert spec and spec.origin
    with open(spec.origin, encoding="utf-8") as source:
        line = source.readline()
    first = line.strip('".\n ') if line.startswith('"""') else ""
    if not first:
        raise UserError(f"{spec.origin} begins with no docstring: its first line is the help of `fer-tl {name}`")
    return first[:1].lower() + first[1:]


def load_command(name: str) -> Command:
    """What the module of a command declares.

    Raises:
        UserError: the module cannot be imported or declares nothing.
    """
    from fer_tl.commands._command import Command as Wanted

    try:
        module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    except UserError:
        raise
    except Exception as error:  # whatever the code of a contributor raises
        raise UserError(f"the command '{name}' cannot be imported: {raised_where(error)}") from error
    command: Command | None = getattr(module, "COMMAND", None)
    if not isinstance(command, Wanted):
        raise UserError(f"{module.__file__} declares no command: end it with `COMMAND = Command(...)`")
    return command


def find_verb(name: str) -> Callable[..., Any] | None:
    """The function behind ``fer_tl.<name>``, such as ``cross_validate`` of ``fer-tl cv``; None if there is none."""
    names = command_names()
    for candidate in sorted(names, key=lambda each: each != name):  # most are called like their command
        if (run := load_command(candidate).run).__name__ == name:
            return run
    return None
