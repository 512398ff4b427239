"""Which machine this is, where several work on one disk: their process numbers tell nothing of each other's."""

from __future__ import annotations

import contextlib
import os
import platform
import uuid
import zlib
from functools import cache
from pathlib import Path

import psutil

_DRAWN = 1 << 40
"""Set in a network address that ``uuid`` has drawn because the machine has none: each process draws another."""


@cache
def machine() -> str:
    """The machine since it was started, and on Linux the container: process numbers count within it."""
    parts = [platform.node()]
    address = uuid.getnode()
    if not address & _DRAWN:
        parts += [f"{address:x}"]
    with contextlib.suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()]
        parts += [os.readlink("/proc/self/ns/pid")]
    return " ".join(parts)


def process_number() -> str:
    """Digits of this process that those of another machine do not have."""
    return f"{os.getpid()}{zlib.crc32(machine().encode()):010}"


def started(process: object) -> float | None:
    """When a process of this machine was started, in seconds since 1970; None if there is none of the number, or it is
    no number, as what a file says may be."""
    if type(process) is not int:
        return None
    try:
        found: float = psutil.Process(process).create_time()
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return None
    except psutil.Error:
        return 0.0
    return found
