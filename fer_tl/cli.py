"""The command ``fer-tl``: it parses and calls, nothing more."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from fer_tl.commands.arguments import EXPERIMENTS, parse
from fer_tl.core.errors import Terminated, UserError, exit_code
from fer_tl.core.interrupts import handled
from fer_tl.core.options import from_flat
from fer_tl.core.safe_text import SafeStream, for_terminal

# Those that keep what they have done.
TRAINING = ("cv", "train", "sweep")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for bad input or a full disk (one line on stderr), 130 for Ctrl-C,
    143 for SIGTERM, 141 when nobody reads the output any more."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without the table's lines shows "?" for them
    # Names come out of files: none of them moves the cursor, nor shows other letters than it has.
    with contextlib.redirect_stdout(SafeStream(sys.stdout)), contextlib.redirect_stderr(SafeStream(sys.stderr)):
        return _main(sys.argv[1:] if arguments is None else arguments)


def _main(arguments: list[str]) -> int:
    try:
        with handled([signal.SIGTERM], _leave):
            _call(*parse(arguments))
    except UserError as error:
        print(f"fer-tl: {for_terminal(str(error))}", file=sys.stderr)
        return exit_code(error)
    except (KeyboardInterrupt, Terminated) as error:
        done = (
            "what is trained is kept, and the same command continues there"
            if arguments[0] in TRAINING
            else ("the same command starts again")
        )
        word = "terminated" if isinstance(error, Terminated) else "interrupted"
        print(f"\nfer-tl: {word}; {done}", file=sys.stderr)
        return exit_code(error)
    except BrokenPipeError:
        # Python flushes stdout once more at its end; that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        goes = "continues" if arguments[0] in TRAINING else "starts again"
        print(f"fer-tl: {_what_failed(error)}; when that is mended, the same command {goes}", file=sys.stderr)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        return exit_code(error)
    return 0


def _leave(number: int, frame: object) -> None:
    """What SIGTERM calls, so that what is in work is put down in order."""
    raise Terminated


def _what_failed(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the disk{where}"
    return f"{error.strerror or error}{where}"


def _call(command: str, values: dict[str, Any]) -> None:
    from fer_tl.commands import api
    from fer_tl.core import quiet

    quiet.leave_out_unused()
    if command in EXPERIMENTS:
        values.pop("config")
        experiment = from_flat(values)
        if command == "cv":
            result = api.cross_validate(experiment)
            if isinstance(result, api.CvResult):
                result.refuse_failed()
        else:
            (api.fit if command == "train" else api.profile)(experiment)
    else:
        verbs: dict[str, Callable[..., object]] = {
            "build": api.build,
            "verify": api.verify,
            "clean": api.clean,
            "inspect": api.inspect_dataset,
            "folds": api.draw_folds,
            "collect": api.collect,
            "sweep": api.sweep,
            "evaluate": api.evaluate,
            "ensemble": api.ensemble,
            "audit": api.audit,
            "report": api.report,
            "explain": api.explain,
            "export": api.export,
            "predict": api.predict,
            "serve": api.serve,
            "compare": api.compare,
            "doctor": api.doctor,
            "models": api.list_models,
        }
        verbs[command](**values)
