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

# Of ``fer-tl --help`` and the reference: what people want to do, and the commands for it with an example each. One that
# is not named here comes last.
TASKS: dict[str, dict[str, str]] = {
    "Prepare data": {
        "build": "fer-tl build fer2013 --source archive.zip",
        "inspect": "fer-tl inspect fer2013",
        "folds": "fer-tl folds fer2013 --folds 4",
        "verify": "fer-tl verify fer2013",
        "clean": "fer-tl clean --keep 5",
    },
    "Train": {
        "cv": "fer-tl cv --data fer2013 --backbone mobilenetv2 --folds 4",
        "train": "fer-tl train --data fer2013 --backbone mobilenetv2 --epochs 12",
        "sweep": "fer-tl sweep liu_activations",
        "collect": "fer-tl collect runs/a runs/b --out runs/all",
        "distill": "fer-tl distill runs/one --data fer2013 --backbone facevgg --weights none",
        "soup": "fer-tl soup runs/one --out runs/soup",
        "refit": "fer-tl refit runs/one",
        "reproduce": "fer-tl reproduce runs/one",
        "profile": "fer-tl profile --data fer2013 --backbone mobilenetv2",
    },
    "Score and compare": {
        "evaluate": "fer-tl evaluate runs/one --split test --tta flip",
        "compare": "fer-tl compare runs/one runs/two --paper li",
        "ensemble": "fer-tl ensemble runs/one runs/two --weights validation",
        "import-predictions": "fer-tl import-predictions theirs.csv --data fer2013 --split validation --model theirs",
        "report": "fer-tl report runs/one",
    },
    "Find out what a model gets wrong": {
        "explain": "fer-tl explain runs/one --errors 20",
        "audit": "fer-tl audit runs/one",
        "stress": "fer-tl stress runs/one",
        "subgroups": "fer-tl subgroups runs/one --by age --table people.csv",
    },
    "Use a model": {
        "predict": "fer-tl predict photo.jpg",
        "serve": "fer-tl serve runs/one",
        "export": "fer-tl export runs/one --format tflite --int8",
        "push": "fer-tl push runs/one --hub ann/fer-mobilenetv2",
    },
    "Know your machine": {
        "doctor": "fer-tl doctor",
        "models": "fer-tl models",
        "recipes": "fer-tl recipes li_shallow_cnn",
        "completion": "fer-tl completion bash >> ~/.bashrc",
    },
}


def command_names() -> list[str]:
    """The names of all commands, in the order of ``fer-tl --help``: those of their modules, with ``-`` for ``_``."""
    modules = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    found = [name.replace("_", "-") for name in modules]
    order = [name for names in TASKS.values() for name in names]
    return sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))


def commands_by_task() -> dict[str, dict[str, str]]:
    """``TASKS`` with the commands that there are; "More" has those that it does not name, without an example."""
    names = command_names()
    tasks = {task: {name: shown for name, shown in each.items() if name in names} for task, each in TASKS.items()}
    known = {name for each in tasks.values() for name in each}
    more = {name: "" for name in names if name not in known}
    return tasks | ({"More": more} if more else {})


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
