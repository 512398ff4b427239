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


@cache
def machine() -> str:
    """The machine since it was started, and on Linux the container: process numbers count within it."""
    parts = [platform.node(), f"{uuid.getnode():x}"]
    with contextlib.suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()]
        parts += [os.readlink("/proc/self/ns/pid")]
    return " ".join(parts)


def process_number() -> str:
    """Digits of this process that those of another machine do not have."""
    return f"{os.getpid()}{zlib.crc32(machine().encode()):010}"


def started(process: int) -> float | None:
    """When a process of this machine was started, in seconds since 1970; None if there is none of the number."""
    try:
        found: float = psutil.Process(process).create_time()
    except psutil.NoSuchProcess:
        return None
    except psutil.Error:
        return 0.0
    return found
