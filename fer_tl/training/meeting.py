"""Workers wait for each other before TensorFlow does.

TensorFlow would wait an hour for a worker that is not there, without a word and deaf to Ctrl-C: it holds Python's lock
meanwhile (2.21). So the workers meet here first, on the chief's port, which TensorFlow takes over afterwards.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

from fer_tl.errors import UserError
from fer_tl.training.cluster import Cluster
from fer_tl.training.progress import duration

Say = Callable[[str], None]

PATIENCE = 300.0  # seconds that workers are waited for
_PORT_PATIENCE = 15.0  # seconds until a process that has just failed lets go of its port
_PAUSE = 0.3  # seconds between two looks
_ANSWER = 5.0  # seconds until the chief's first answer


def meet(cluster: Cluster, say: Say, patience: float = PATIENCE) -> None:
    """Come back when all workers are there, at all of them within moments.

    Args:
        cluster: who they are.
        say: told who is waited for.
        patience: seconds.

    Raises:
        UserError: some did not come, or another process has this worker's port.
    """
    if len(cluster.workers) == 1:
        return
    until = time.monotonic() + patience
    tell = _Waiting(cluster, say)
    with _listen(cluster) as listener:
        if cluster.worker == 0:
            _gather(cluster, listener, tell, until)
    if cluster.worker:
        _report(cluster, tell, until)
    missing = tell.missing
    if missing:
        raise UserError(
            f"{cluster.names(missing)} did not come within {duration(patience)}{tell.reason}: start the same command "
            "on every machine within that time"
        )


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
                raise UserError(
                    f"port {port} of {cluster.name(cluster.worker)} cannot be used here ({os.strerror(error.errno or 0)}): end the "
                    "process that has it, or give another port in --workers, and in all of them"
                ) from None
        time.sleep(_PAUSE)


def _gather(cluster: Cluster, listener: socket.socket, tell: _Waiting, until: float) -> None:
    """The chief's part: wait for a connection of every worker, and tell all who is missing, at last nobody."""
    with ExitStack() as opened:
        new: dict[socket.socket, bytes] = {}
        there: dict[int, socket.socket] = {}
        while True:
            missing = [index for index in range(1, len(cluster.workers)) if index not in there]
            if missing != tell.missing or not missing:
                tell(missing)
                for connection in there.values():
                    _send(connection, {"missing": missing})
            if not missing or time.monotonic() > until:
                return
            for ready in select.select([listener, *new, *there.values()], [], [], _PAUSE)[0]:
                if ready is listener:
                    connection = opened.enter_context(listener.accept()[0])
                    connection.setblocking(False)
                    new[connection] = b""
                elif ready in new:
                    _read_hello(cluster, ready, new, there)
                else:  # nothing more is said: it is gone
                    there = {index: connection for index, connection in there.items() if connection is not ready}
                    ready.close()


def _read_hello(
    cluster: Cluster, connection: socket.socket, new: dict[socket.socket, bytes], there: dict[int, socket.socket]
) -> None:
    """Take what a connection says; one that speaks as a worker of this cluster is there."""
    with suppress(OSError):
        part = connection.recv(65536)
        new[connection] += part
        if part and not new[connection].endswith(b"\n"):
            return
    said = _parse(new.pop(connection))
    expected = {"workers": list(cluster.workers), "worker": said.get("worker")}
    for index in range(1, len(cluster.workers)):
        if said == expected and index == said["worker"] and index not in there:
            there[index] = connection
            return
    connection.close()


def _report(cluster: Cluster, tell: _Waiting, until: float) -> None:
    """The part of the others: stay connected to the chief until it says that nobody is missing."""
    while True:
        try:
            with socket.create_connection(cluster.address(0), timeout=_ANSWER) as connection:
                _send(connection, {"worker": cluster.worker, "workers": list(cluster.workers)})
                for missing in _answers(connection, until):
                    tell(missing)
                    if not missing:
                        return
            reason = ""
        except OSError as error:
            reason = f" ({error.strerror or error})"
        if time.monotonic() > until:
            return
        tell([0], reason)
        time.sleep(_PAUSE)


def _answers(connection: socket.socket, until: float) -> Iterator[list[int]]:
    """Who is missing, each time that the chief says it, until time is up. It says so first as soon as it is asked."""
    said, wait = b"", _ANSWER
    while select.select([connection], [], [], wait)[0]:
        part = connection.recv(65536)
        if not part:
            return
        *lines, said = (said + part).split(b"\n")
        for line in lines:
            missing = _parse(line).get("missing")
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
