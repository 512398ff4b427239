"""Workers wait for each other before TensorFlow does, and stay connected to notice a death.

TensorFlow would wait an hour for a worker that is not there, without a word and deaf to Ctrl-C: it holds Python's lock
meanwhile (2.21). So the workers meet here first, on the chief's port, which TensorFlow takes over afterwards. Of a
worker that dies while no message of TensorFlow's is on its way, only a missing heartbeat would tell; a connection that
closes tells at once.
"""

from __future__ import annotations

import json
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

from fer_tl.errors import UserError
from fer_tl.training.agreement import refuse_difference
from fer_tl.training.cluster import Cluster
from fer_tl.training.progress import duration

Say = Callable[[str], None]

PATIENCE = 300.0  # seconds that workers are waited for
_PORT_PATIENCE = 15.0  # seconds until a process that has just failed lets go of its port
_PAUSE = 0.3  # seconds between two looks
_ANSWER = 5.0  # seconds until the chief's first answer

# Whether this worker ends by itself.
_left = threading.Event()

# Connections to the others by their index: the chief has one to each, each of them one to the chief.
Connections = dict[int, socket.socket]


def meet(cluster: Cluster, same: dict[str, Any], say: Say, patience: float = PATIENCE) -> Connections:
    """Come back when all workers are there, at all of them within moments.

    Args:
        cluster: who they are.
        same: what must be the same on all workers, JSON-ready, by name; the chief sends one away that differs, and
            waits for it to come again.
        say: told who is waited for.
        patience: seconds.

    Raises:
        UserError: some did not come, another process has this worker's port, or this worker differs from the chief.
    """
    if len(cluster.workers) == 1:
        return {}
    until = time.monotonic() + patience
    same = json.loads(json.dumps(same))
    tell = _Waiting(cluster, say)
    with _listen(cluster) as listener:
        connections = _gather(cluster, same, listener, tell, until) if cluster.worker == 0 else {}
    if cluster.worker:
        connections = _report(cluster, same, tell, until)
    if not connections:
        raise UserError(
            f"{cluster.names(tell.missing)} did not come within {duration(patience)}{tell.reason}: start the same "
            "command on every machine within that time"
        )
    return connections


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
    gone = _parse(said).get("lost")
    index = gone if isinstance(gone, int) else index_of[ready]
    for connection in index_of:
        _send(connection, {"lost": index})
    lost(index)


class _Waiting:
    """Says who is waited for, when that changes."""

    def __init__(self, cluster: Cluster, say: Say):
        self.missing: list[int] = []
        self.reason = ""
        self._cluster, self._say = cluster, say

    def __call__(self, missing: list[int], reason: str = "") -> None:
        if missing and missing != self.missing:
            self._say(f"waiting for {self._cluster.names(missing)}")
        self.missing, self.reason = missing, reason

    def differs(self, index: int) -> None:
        """Say that a worker came to do something else."""
        self._say(f"{self._cluster.name(index)} was started with other settings, as it says: waiting for it again")


def _listen(cluster: Cluster) -> socket.socket:
    """A socket on this worker's port, which nobody else may have."""
    port = cluster.address(cluster.worker)[1]
    both = socket.has_dualstack_ipv6()
    until = time.monotonic() + _PORT_PATIENCE
    while True:
        try:
            family = socket.AF_INET6 if both else socket.AF_INET
            return socket.create_server(("", port), family=family, dualstack_ipv6=both, backlog=1024)
        except OSError as error:
            if time.monotonic() > until:
                why = os.strerror(error.errno or 0)
                raise UserError(
                    f"port {port} of {cluster.name(cluster.worker)} cannot be used here ({why}): end the process that "
                    "has it, or give another port, on every machine"
                ) from None
        time.sleep(_PAUSE)


def _gather(
    cluster: Cluster, same: dict[str, Any], listener: socket.socket, tell: _Waiting, until: float
) -> Connections:
    """The chief's part: wait for a connection of every worker, and tell all who is missing, at last nobody. Nothing if
    time is up."""
    with ExitStack() as opened:
        new: dict[socket.socket, bytes] = {}
        there: Connections = {}
        while True:
            missing = [index for index in range(1, len(cluster.workers)) if index not in there]
            if missing != tell.missing:
                tell(missing)
                for connection in there.values():
                    _send(connection, {"missing": missing})
            if not missing:
                opened.pop_all()
                for stranger in new:
                    stranger.close()
                return there
            if time.monotonic() > until:
                return {}
            for ready in select.select([listener, *new, *there.values()], [], [], _PAUSE)[0]:
                if ready is listener:
                    connection = opened.enter_context(listener.accept()[0])
                    connection.setblocking(False)
                    new[connection] = b""
                elif ready in new:
                    _read_hello(cluster, same, tell, ready, new, there)
                else:  # nothing more is said: it is gone
                    there = {index: connection for index, connection in there.items() if connection is not ready}
                    ready.close()


def _read_hello(
    cluster: Cluster,
    same: dict[str, Any],
    tell: _Waiting,
    connection: socket.socket,
    new: dict[socket.socket, bytes],
    there: Connections,
) -> None:
    """Take what a connection says; one that speaks as a worker of this cluster, and is to do the same, is there."""
    with suppress(OSError):
        part = connection.recv(65536)
        new[connection] += part
        if part and not new[connection].endswith(b"\n"):
            return
    said = _parse(new.pop(connection))
    index = said.get("worker")
    if said.get("workers") == list(cluster.workers) and isinstance(index, int) and 0 < index < len(cluster.workers):
        if said.get("same") != same:
            tell.differs(index)
            _send(connection, {"chief": same})
            connection.close()
            return
        if index in there:  # a machine that was switched off says nothing
            there[index].close()
        there[index] = connection
    else:
        connection.close()


def _report(cluster: Cluster, same: dict[str, Any], tell: _Waiting, until: float) -> Connections:
    """The part of the others: stay connected to the chief until it says that nobody is missing. Nothing if time is
    up."""
    while True:
        with ExitStack() as opened:
            try:
                connection = opened.enter_context(socket.create_connection(cluster.address(0), timeout=_ANSWER))
                _send(connection, {"worker": cluster.worker, "workers": list(cluster.workers), "same": same})
                for missing in _answers(connection, same, until):
                    tell(missing)
                    if not missing:
                        opened.pop_all()
                        return {0: connection}
                reason = ""
            except OSError as error:
                reason = f" ({error.strerror or error})"
        if time.monotonic() > until:
            return {}
        tell([0], reason)
        time.sleep(_PAUSE)


def _answers(connection: socket.socket, same: dict[str, Any], until: float) -> Iterator[list[int]]:
    """Who is missing, each time that the chief says it, until time is up. It says so first as soon as it is asked.

    Raises:
        UserError: the chief does something else.
    """
    said, wait = b"", _ANSWER
    while select.select([connection], [], [], wait)[0]:
        part = connection.recv(65536)
        if not part:
            return
        *lines, said = (said + part).split(b"\n")
        for line in lines:
            message = _parse(line)
            chief, missing = message.get("chief"), message.get("missing")
            if isinstance(chief, dict):
                refuse_difference(same, chief)
            if not isinstance(missing, list):  # another program has this port
                return
            yield missing
        wait = max(0.0, until - time.monotonic())


def _send(connection: socket.socket, message: dict[str, object]) -> None:
    with suppress(OSError):  # the end of a connection is noticed when it is read
        connection.sendall(json.dumps(message).encode() + b"\n")


def _parse(line: bytes) -> dict[str, object]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
