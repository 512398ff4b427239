"""A unit of work: what can be done by itself in any process and leaves its results on the disk."""

from __future__ import annotations

import importlib
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fer_tl.core.errors import Terminated, UserError, raised_where
from fer_tl.core.interrupts import handled, terminate
from fer_tl.core.say import Say

INTERRUPTED = "it was interrupted"


@dataclass(frozen=True)
class Unit:
    """Work that depends on no other and that goes on where it was interrupted, so that it can be given again.

    Attributes:
        name: such as ``fold-3``, different from that of all others.
        work: a function as ``module:name``, called with the settings and what prints a line; it returns nothing.
        settings: JSON-ready.
    """

    name: str
    work: str
    settings: Mapping[str, Any]


Tell = Callable[[Unit, str], None]
"""Prints a line that a unit said."""


def perform(unit: Unit, say: Say) -> str:
    """Do a unit in this process.

    Returns:
        What went wrong, in one line; "" if nothing did.
    """
    module, _, name = unit.work.partition(":")
    try:
        with handled([signal.SIGTERM], terminate):
            getattr(importlib.import_module(module), name)(dict(unit.settings), say)
    except UserError as error:
        return str(error)
    except (KeyboardInterrupt, Terminated):
        return INTERRUPTED
    except OSError as error:
        return f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
    except Exception as error:  # one that nobody foresaw ends its own unit only
        traceback.print_exc(file=sys.stderr)
        return raised_where(error)
    return ""
