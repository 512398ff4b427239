"""The command ``fer-tl``: it parses and calls, nothing more."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from fer_tl import __version__
from fer_tl.errors import UserError, suggest
from fer_tl.options import add_options, from_flat, parse_values, read_yaml

INTRO = "Transfer learning for facial expressions: from a dataset file to a table that can be trusted."
CV = "cross-validate a backbone on the training split of a dataset"
TRAIN = "train one model and score the validation split"
COMMANDS = {
    "build": "turn FER-2013, a folder of images or drawn faces into sharded TFRecords",
    "cv": CV,
    "train": TRAIN,
    "sweep": "run a grid of experiments from one file and print one table",
    "evaluate": "open a split that a run has not seen: fold ensemble and each fold alone",
    "ensemble": "average the probabilities that several runs saved (soft voting)",
    "models": "list the backbones: parameters, sizes, weights and which of them are here, licences",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for bad input (one line on stderr), 130 for Ctrl-C, 141 when nobody
    reads the output any more."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without the table's lines shows "?" for them
    try:
        _call(*parse(sys.argv[1:] if arguments is None else arguments))
    except UserError as error:
        print(f"fer-tl: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nfer-tl: interrupted; the same command continues after the last finished epoch", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Python flushes stdout once more at its end; that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"fer-tl: {error.strerror}{where}; when that is mended, the same command continues", file=sys.stderr)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        return 2
    return 0


def parse(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """The command and its values by option name, defaults and config file filled in.

    Raises:
        UserError: unknown command or option, or a value of the wrong type.
        SystemExit: ``--help`` and ``--version``, which print and leave.
    """
    parser, options = _parsers()
    if not arguments:
        arguments = ["--help"]
    command = arguments[0]
    if command in options:
        arguments = _spread_config(arguments) if command in ("cv", "train") else arguments
        _refuse_unknown(command, arguments, options[command])
    elif not command.startswith("-"):
        raise UserError(f"there is no command '{command}'{suggest(command, COMMANDS)}")
    try:
        values = parse_values(lambda: parser.parse_args(arguments))
    except UserError as error:
        raise UserError(str(error).replace(f"required: {command}.", "required: ")) from None
    start = f"{command}."
    return command, {key.removeprefix(start): value for key, value in values.items() if key.startswith(start)}


def _call(command: str, values: dict[str, Any]) -> None:
    from fer_tl import api

    if command == "build":
        api.build(**values)
    elif command == "evaluate":
        api.evaluate(**values)
    elif command == "ensemble":
        api.ensemble(**values)
    elif command == "models":
        api.list_models()
    elif command == "sweep":
        api.sweep(values.pop("file"), **values)
    else:
        values.pop("config")
        (api.cross_validate if command == "cv" else api.fit)(from_flat(values))


def _parsers() -> tuple[Any, dict[str, set[str]]]:
    """The parser of all commands, and the options of each."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="fer-tl", description=INTRO, exit_on_error=False, add_help=True)
    parser.add_argument("--version", action="version", version=f"fer-tl {__version__}")
    commands = parser.add_subcommands(dest="command", required=False)
    options = {}
    for name, text in COMMANDS.items():
        sub = ArgumentParser(description=text, exit_on_error=False)
        if name in _ADD:
            _ADD[name](sub)
        commands.add_subcommand(name, sub, help=text)
        options[name] = {option for action in sub._actions for option in action.option_strings}
    return parser, options


def _add_build(parser: Any) -> None:
    parser.add_argument("name", help="fer2013, folder/NAME (a name of your choice), or toyfaces")
    parser.add_argument(
        "--source", type=str | None, help="the file or folder that you have: CSV, archive, image folders"
    )
    parser.add_argument("--data-dir", type=str, default="data", help="folder for built datasets (default: data)")
    parser.add_argument("--shards", type=int | None, help="TFRecord files a split (default: 16)")
    parser.add_argument(
        "--image-size", type=int | None, help="folder: side in pixels of the stored images (default: 96)"
    )
    parser.add_argument("--labels", type=str | None, help="meaning of folders named by numbers: fer (0-6) or raf (1-7)")
    parser.add_argument(
        "--boxes",
        type=str | None,
        help="CSV of face boxes to crop to, columns id, top, left, bottom, right in pixels of the original image; id: "
        "row number from 0 of a CSV source, else the image's file name or path in the source; others stay whole",
    )
    parser.add_argument(
        "--box-margin", type=float | None, help="what to add on each side of a box, as a fraction of it (default: 0)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a dataset that is built from something else")


def _add_experiment(parser: Any) -> None:
    parser.add_argument("--config", type=str | None, help="YAML file of these options; flags override it")
    add_options(parser)


def _add_sweep(parser: Any) -> None:
    parser.add_argument("file", type=str, metavar="FILE", help="YAML file with a 'sweep' key; flags hold in every cell")
    add_options(parser, defaults=False)


def _add_evaluate(parser: Any) -> None:
    parser.add_argument("run_dir", type=str, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--split", type=str, default="test", help="test or validation (default: test)")
    parser.add_argument("--data-dir", type=str | None, help="where the dataset is now (default: where it was)")
    parser.add_argument(
        "--tta", type=str, default="none", help="average over views of each image: none, flip, ten-crop (default: none)"
    )


def _add_ensemble(parser: Any) -> None:
    parser.add_argument("run_dirs", type=str, nargs="+", metavar="RUN", help="folders of finished runs, two or more")
    parser.add_argument(
        "--split", type=str | None, help="average what fer-tl evaluate saved of it (default: held-out predictions)"
    )
    parser.add_argument("--tta", type=str, default="none", help="--tta of those evaluations (default: none)")
    parser.add_argument(
        "--weights", type=str, default="equal", help="equal, or validation: fitted on held-out images (default: equal)"
    )
    parser.add_argument("--out", type=str | None, help="folder of the result (default: runs/ensemble-<hash>)")


_ADD = {
    "build": _add_build,
    "cv": _add_experiment,
    "train": _add_experiment,
    "sweep": _add_sweep,
    "evaluate": _add_evaluate,
    "ensemble": _add_ensemble,
}


def _spread_config(arguments: list[str]) -> list[str]:
    """Put the keys of ``--config FILE`` as flags before all other arguments, so that flags override it wherever it
    stands."""
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
            ]
            return [arguments[0], *keys, *arguments[1:]]
    return arguments


def _refuse_unknown(command: str, arguments: list[str], known: set[str]) -> None:
    """Name the nearest valid flag for an unknown one, before the parser lists them all."""
    for argument in arguments[1:]:
        flag = argument.partition("=")[0]
        if flag.startswith("--") and flag not in known:
            raise UserError(f"fer-tl {command} has no option {flag}{suggest(flag, known)}")
