"""What workers say to each other before they train: a line of JSON at a time."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from fer_tl.devices.broadcast import refuse_difference

LONGEST = 1 << 20  # bytes of a message of one that has proved itself
ANSWER = 5.0  # seconds until the chief's first answer, and that a stranger has to prove itself


def lines_of(connection: socket.socket, until: float) -> Iterator[bytes]:
    """What the chief says, line by line, until time is up. It says the first one as soon as it is asked."""
    said, wait = b"", ANSWER
    while select.select([connection], [], [], wait)[0]:
        part = connection.recv(65536)
        if not part or len(said) > LONGEST:
            return
        *lines, said = (said + part).split(b"\n")
        yield from lines
        wait = max(0.0, until - time.monotonic())


def answers_of(lines: Iterator[bytes], same: dict[str, Any]) -> Iterator[list[int]]:
    """Who is missing, each time that the chief says it.

    Raises:
        UserError: the chief does something else.
    """
    for line in lines:
        message = parse(line)
        chief, missing = message.get("chief"), message.get("missing")
        if isinstance(chief, dict):
            refuse_difference(same, chief)
        if not isinstance(missing, list):  # another program has this port
            return
        yield missing


def send(connection: socket.socket, message: dict[str, object]) -> None:
    with suppress(OSError):  # the end of a connection is noticed when it is read
        connection.sendall(json.dumps(message).encode() + b"\n")


def parse(line: bytes) -> dict[str, object]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):  # brackets within brackets
        return {}
    return message if isinstance(message, dict) else {}
