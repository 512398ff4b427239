"""The command ``fer-tl``: it parses and calls, nothing more."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from fer_tl.commands import command_names, load_command, summary_of
from fer_tl.commands._arguments import recording_parser
from fer_tl.commands._as_meant import as_meant
from fer_tl.commands._help import INTRO, help_text
from fer_tl.core.config_keys import walk
from fer_tl.core.errors import CONTINUES, Terminated, UserError, exit_code, suggest
from fer_tl.core.interrupts import handled, terminate
from fer_tl.core.options import from_flat, parse_values, read_yaml
from fer_tl.core.safe_text import SafeStream, for_terminal
from fer_tl.core.say import LOGGER, RESULT, say_line
from fer_tl.core.version import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for bad input or a full disk (one line on stderr), 1 for what does
    not agree, 130 for Ctrl-C, 143 for SIGTERM, 141 when nobody reads the output any more."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without the table's lines shows "?" for them
    # Names come out of files: none of them moves the cursor, nor shows other letters than it has.
    with contextlib.redirect_stdout(SafeStream(sys.stdout)), contextlib.redirect_stderr(SafeStream(sys.stderr)):
        return _main(sys.argv[1:] if arguments is None else arguments)


def parse(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """The command and its values by option name, defaults and config file filled in.

    Raises:
        UserError: unknown command or option, or a value of the wrong type.
        SystemExit: ``--help`` and ``--version``, which print and leave.
    """
    arguments = _choose_level(arguments) or ["--help"]
    name, names = arguments[0], command_names()
    until = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if name == "help" or {"-h", "--help"}.intersection(until):
        print(help_text([word for word in until if word[:1] != "-"][name == "help" :]))
        raise SystemExit(0)
    if name not in names and not name.startswith("-"):
        raise UserError(f"there is no command '{name}'{suggest(name, names)}")
    parser, actions = _parser(name, names)
    if name in names:
        options = {option for action in actions for option in action.option_strings}
        if load_command(name).takes_experiment:
            arguments = _spread_config(arguments)
        arguments = [name, *as_meant(arguments[1:], actions, load_command(name).words)]
        _refuse_unknown(name, arguments, options)
        if load_command(name).positional:
            arguments = [name, *_words_last(arguments[1:], actions)]
    try:
        values = parse_values(lambda: parser.parse_args(arguments))
    except UserError as error:
        words = str(error).partition(" required: ")[2].split(", ")
        needed = [a for a in actions if {f"{name}.{a.dest}", a.dest, a.metavar, *a.option_strings} & set(words)]
        if not needed:
            raise
        typed = [(action.option_strings or [action.metavar or action.dest.upper()])[0] for action in needed]
        raise UserError(f"fer-tl {name} needs {' and '.join(typed)}; fer-tl help {name} says what that is") from None
    start = f"{name}."
    found = {key.removeprefix(start): value for key, value in values.items() if key.startswith(start)}
    if name in names and load_command(name).takes_experiment:
        given = {argument.partition("=")[0] for argument in arguments}
        _choose_dataset(found, "--data" in given)
        if "--weights" not in given:
            _choose_weights(found)
    return name, found


def _choose_dataset(values: dict[str, Any], is_given: bool) -> None:
    """Put the name of the dataset that is meant into an experiment's values."""
    from fer_tl.data.choose_dataset import choose_dataset

    name = choose_dataset(values["data"] if is_given else None, values["data_dir"])
    if not is_given and name != values["data"]:
        say_line(f"data: {name}, the only one of photographs under {values['data_dir']}; --data NAME takes another")
    values["data"] = name


def _choose_weights(values: dict[str, Any]) -> None:
    """Put the weights to start from into an experiment's values."""
    from fer_tl.models.resolve import default_weights

    values["weights"], line = default_weights(values["backbone"])
    if line:
        say_line(line)


def _choose_level(arguments: list[str]) -> list[str]:
    """Set how much is said by ``--quiet`` or ``--verbose``, which may stand anywhere; returns the other arguments."""
    levels = {"-q": RESULT, "--quiet": RESULT, "-v": logging.DEBUG, "--verbose": logging.DEBUG}
    LOGGER.setLevel(logging.INFO)
    for argument in arguments:
        if argument in levels:
            LOGGER.setLevel(levels[argument])
    return [argument for argument in arguments if argument not in levels]


def _parser(command: str, names: list[str]) -> tuple[Any, list[Any]]:
    """The parser of all commands, and the arguments of the one that is given: to add those of all takes 0.1 s."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="fer-tl", description=INTRO, exit_on_error=False, add_help=True)
    parser.add_argument("--version", action="version", version=f"fer-tl {__version__}")
    parser.add_argument("-q", "--quiet", action="store_true", help="show only results and warnings")
    parser.add_argument("-v", "--verbose", action="store_true", help="also show times, and where an error was raised")
    commands = parser.add_subcommands(dest="command", required=False)
    actions: list[Any] = []

    for name in names:
        options = {"description": summary_of(name), "exit_on_error": False}
        sub = recording_parser(actions, **options) if name == command else ArgumentParser(**options)
        if name == command:
            load_command(name).declare(sub)
        commands.add_subcommand(name, sub, help=summary_of(name))
    return parser, actions


def _spread_config(arguments: list[str]) -> list[str]:
    """Put the keys of ``--config FILE`` as flags before all other arguments, so that flags override it wherever it
    stands; jsonargparse's own action lets a file that stands later override them."""
    if sum(argument.partition("=")[0] == "--config" for argument in arguments) > 1:
        raise UserError("--config is given twice: give one file, and flags for what differs")
    for index, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag == "--config":
            if not equals and index + 1 == len(arguments):
                raise UserError("--config needs a file")
            path = Path(value if equals else arguments[index + 1])
            keys = [
                f"--{key.replace('_', '-')}={value if isinstance(value, str) else json.dumps(value)}"
                for key, value in read_yaml(path).items()
                if key not in load_command(arguments[0]).without
            ]
            return [arguments[0], *keys, *arguments[1:]]
    return arguments


def _words_last(arguments: list[str], actions: list[Any]) -> list[str]:
    """Put options before what is given without a flag: of words in two places, argparse gives those of the first one to
    all that may be left out, and refuses the others."""
    alone = {option for action in actions if action.nargs == 0 for option in action.option_strings}
    options: list[str] = []
    words: list[str] = []
    waiting = False
    for index, argument in enumerate(arguments):
        if argument == "--":
            return [*options, "--", *words, *arguments[index + 1 :]]
        is_flag = len(argument) > 1 and argument.startswith("-") and not waiting
        (options if is_flag or waiting else words).append(argument)
        waiting = is_flag and "=" not in argument and argument not in alone
    return [*options, *words]


def _refuse_unknown(command: str, arguments: list[str], known: set[str]) -> None:
    """Name the nearest valid flag for an unknown one, before the parser lists them all."""
    for argument in arguments[1:]:
        if argument == "--":
            return
        flag = argument.partition("=")[0]
        if flag.startswith("--") and flag not in known:
            raise UserError(f"fer-tl {command} has no option {flag}{suggest(flag, known)}")


def _main(arguments: list[str]) -> int:
    try:
        with handled([signal.SIGTERM], terminate):
            _call(*parse(arguments))
    except UserError as error:
        if LOGGER.isEnabledFor(logging.DEBUG):
            traceback.print_exc()
        print(f"fer-tl: {for_terminal(str(error))}", file=sys.stderr)
        return exit_code(error)
    except (KeyboardInterrupt, Terminated) as error:
        word = "terminated" if isinstance(error, Terminated) else "interrupted"
        rerun = "rerun the same command to start again"
        if _resumes(arguments):
            rerun = "what is trained is kept; rerun the same command to continue"
        elif CONTINUES in getattr(error, "__notes__", ()):
            rerun = CONTINUES
        print(f"\nfer-tl: {word}; {rerun}", file=sys.stderr)
        return exit_code(error)
    except BrokenPipeError:
        # Python flushes stdout once more at its end; that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        rerun = "continue" if _resumes(arguments) or CONTINUES in getattr(error, "__notes__", ()) else "start again"
        print(f"fer-tl: {_what_failed(error)}; fix this, then rerun the same command to {rerun}", file=sys.stderr)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        return exit_code(error)
    return 0


def _resumes(arguments: list[str]) -> bool:
    return arguments[:1] != [] and arguments[0] in command_names() and load_command(arguments[0]).resumes


def _what_failed(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the disk{where}"
    return f"{error.strerror or error}{where}"


def _call(name: str, values: dict[str, Any]) -> None:
    from fer_tl.core import quiet

    quiet.leave_out_unused()
    command = load_command(name)
    if command.takes_experiment:
        values.pop("config")
        given = [values.pop(name) for name in command.positional]
        unread = {key: value for key, _, value, *_ in walk() if key in command.without}
        found = command.run(*given, from_flat(values | unread))
    else:
        found = command.run(**values)
    if command.finish:
        command.finish(found)
