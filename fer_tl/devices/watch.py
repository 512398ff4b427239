"""Connections between workers that train: one that ends is missed at once."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from fer_tl.devices.messages import parse, send

# Whether this worker ends by itself.
_left = threading.Event()
# Connections to the others by their index: the chief has one to each, each of them one to the chief.
Connections = dict[int, socket.socket]


def watch(connections: Connections, lost: Callable[[int], None]) -> None:
    """Call ``lost`` in a thread of its own, once, with the first worker that ends.

    Args:
        connections: from ``meet``.
        lost: takes its index.
    """
    if connections:
        threading.Thread(target=_watch, args=(connections, lost), name="watch workers", daemon=True).start()


def leave(connections: Connections) -> None:
    """Tell the others that this worker ends, and hear no more of them."""
    _left.set()
    for connection in connections.values():
        with suppress(OSError):  # to close it is not enough while the other thread waits for it
            connection.shutdown(socket.SHUT_RDWR)


def _watch(connections: Connections, lost: Callable[[int], None]) -> None:
    index_of = {connection: index for index, connection in connections.items()}
    ready = select.select([*index_of], [], [])[0][0]
    if _left.is_set():
        return
    said = b""
    with suppress(OSError):
        said = ready.recv(65536)
    gone = parse(said).get("lost")
    index = gone if isinstance(gone, int) else index_of[ready]
    for connection in index_of:
        send(connection, {"lost": index})
    lost(index)
