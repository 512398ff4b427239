"""The errors that a user is meant to see, and what to suggest in them."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable


class UserError(Exception):
    """Bad input, told in one clear line: what is wrong, where, and what to do.

    The command line prints the message without a traceback and exits with code 2.
    """


class Unreadable(UserError):
    """The system does not let a file be read: permissions, a disk or a network that fails. Nothing is known to be wrong
    with what is in it, so nobody is told to delete anything."""


class BadValue(UserError, ValueError):
    """A ``UserError`` where people catch ``ValueError``: in what follows scikit-learn's conventions."""


class NotAgreed(UserError):
    """What was asked to agree does not: a finding, no bad input. The command line exits with code 1."""


class OutOfMemory(UserError):
    """A step does not fit into the memory of the devices."""


class TrainingFailed(UserError):
    """The loss of a fold became NaN or infinite; its last good checkpoint is kept.

    Attributes:
        epoch: in which it happened, from 1.
        step: of that epoch, from 1; None if it was the held-out loss after it.
    """

    def __init__(self, message: str, epoch: int, step: int | None):
        super().__init__(message)
        self.epoch = epoch
        self.step = step


CONTINUES = "what is done is kept; rerun the same command to continue"
"""A note on an interrupt, or on an error of the system, that ends work which can be continued."""


class Terminated(BaseException):
    """SIGTERM: like ``KeyboardInterrupt`` nothing that handles errors should stop it."""


def exit_code(error: BaseException) -> int:
    """Of a command that ends by an error: 130 for Ctrl-C, 143 for SIGTERM, 2 for bad input or a full disk, 1 for what
    does not agree or what nobody foresaw."""
    codes = {KeyboardInterrupt: 130, Terminated: 143, NotAgreed: 1, UserError: 2, OSError: 2}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), 1)


_LONGEST = 600  # characters of a library's message


def one_line(error: BaseException) -> str:
    """What a library says, in one line: Keras says at length what it did before it comes to shapes and names, so of a
    longer message the middle is left out."""
    text = " ".join(str(error).split())
    text = text.partition(" List of objects that could not be loaded")[0]  # Keras's, longer than all before it
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST * 2 // 3]} ... {text[-_LONGEST // 3 :]}"


def raised_where(error: BaseException) -> str:
    """An exception of code that a contributor or another package gave: its class, its message, and the line of it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {one_line(error)}{where}"


def suggest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"``, the members if the word is a group, or all when nothing is near."""
    known = sorted(known)
    plain = {name.casefold(): name for name in reversed(known)}
    group = [name for name in known if name.startswith(f"{word}.")]
    if group:
        return f"; it is a group: {', '.join(group)}"
    near = [plain[each] for each in difflib.get_close_matches(word.casefold(), plain, n=1, cutoff=0.5)]
    # A key written without its group, such as 'dense', is nearest to 'head.dense'.
    near = near or [name for name in known if name.split(".")[-1] == word.split(".")[-1]]
    return f"; did you mean '{near[0]}'?" if near else f"; valid are: {', '.join(known)}"
