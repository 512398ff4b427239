"""Workers wait for each other before TensorFlow does, and stay connected to notice a death.

TensorFlow would wait an hour for a worker that is not there, without a word and deaf to Ctrl-C: it holds Python's lock
meanwhile (2.21). So the workers meet here first, on the chief's port, which TensorFlow takes over afterwards. Of a
worker that dies while no message of TensorFlow's is on its way, only a missing heartbeat would tell; a connection that
closes tells at once.
"""

from __future__ import annotations

import ipaddress
import json
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.core.progress import duration
from fer_tl.core.say import Say
from fer_tl.devices.cluster import Cluster
from fer_tl.devices.cluster_secret import draw_nonce, is_proof, prove
from fer_tl.devices.messages import ANSWER, LONGEST, answers_of, lines_of, parse, send
from fer_tl.devices.watch import Connections

PATIENCE = 300.0  # seconds that workers are waited for
_PORT_PATIENCE = 15.0  # seconds until a process that has just failed lets go of its port
_PAUSE = 0.3  # seconds between two looks
_GUESTS = 100  # strangers that are listened to at once
_LONGEST_HELLO = 1 << 12  # bytes of a message before it is known whose it is


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
    if not cluster.is_local and cluster.worker == 0:
        say(
            "workers: they meet by the secret that they share; TensorFlow's own ports are open to whoever reaches them "
            "while training goes on: keep them to a private network or a tunnel"
        )
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
    """A socket on this worker's port, at the address that was given for it and no other."""
    host, port = cluster.address(cluster.worker)
    until = time.monotonic() + _PORT_PATIENCE
    while True:
        try:
            family, _, _, _, address = _own_address(cluster, host, port)
            return socket.create_server(address, family=family, backlog=1024)
        except OSError as error:
            if time.monotonic() > until:
                why = os.strerror(error.errno or 0)
                raise UserError(
                    f"port {port} of {cluster.name(cluster.worker)} cannot be used here ({why}): end the process that "
                    "has it, or give another port, on every machine"
                ) from None
        time.sleep(_PAUSE)


def _own_address(cluster: Cluster, host: str, port: int) -> Any:
    """What ``socket.getaddrinfo`` says of this worker, IPv4 first.

    Raises:
        UserError: the name stands for nothing, or for this machine alone while others are to reach it.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UserError(f"{cluster.name(cluster.worker)} has no address here: give its address in --workers") from None
    reached = [each for each in found if cluster.is_local or not ipaddress.ip_address(each[4][0]).is_loopback]
    if not reached:
        raise UserError(
            f"{cluster.name(cluster.worker)} is {found[0][4][0]} here, which no other machine reaches: give the "
            "address of this machine in --workers, on every machine"
        )
    return min(reached, key=lambda each: each[0] != socket.AF_INET)


class _Guest:
    """A connection to the chief that has not proved yet whose it is, or not said yet what it is to do."""

    def __init__(self, connection: socket.socket):
        self.connection = connection
        self.nonce = draw_nonce()
        self.said = b""
        self.index = 0  # of the worker, once that is proved
        self.until = time.monotonic() + ANSWER

    def read(self) -> dict[str, object] | None:
        """The next message; None while it is not whole. What is no message, too long, or an end, is empty."""
        try:
            part = self.connection.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return {}
        self.said += part
        line, end, self.said = self.said.partition(b"\n")
        if end:
            return parse(line)
        self.said = line
        return None if part and len(line) <= (LONGEST if self.index else _LONGEST_HELLO) else {}


def _gather(
    cluster: Cluster, same: dict[str, Any], listener: socket.socket, tell: _Waiting, until: float
) -> Connections:
    """The chief's part: wait for a connection of every worker, and broadcast who is missing until nobody is;
    returns {} on timeout.

    Whoever connects is a stranger until it has proved that it shares the secret; of strangers a hundred at most are
    listened to at once, for some seconds and some thousand bytes each, and they are told nothing.
    """
    with ExitStack() as opened:
        guests: dict[socket.socket, _Guest] = {}
        there: Connections = {}
        while True:
            missing = [index for index in range(1, len(cluster.workers)) if index not in there]
            if missing != tell.missing:
                tell(missing)
                for connection in there.values():
                    send(connection, {"missing": missing})
            if not missing:
                opened.pop_all()
                for connection in guests:
                    connection.close()
                return there
            if time.monotonic() > until:
                return {}
            for late in [guest for guest in guests.values() if time.monotonic() > guest.until]:
                guests.pop(late.connection).connection.close()
            for ready in select.select([listener, *guests, *there.values()], [], [], _PAUSE)[0]:
                if ready is listener:
                    _welcome(listener, guests, opened)
                elif ready in guests:
                    _hear(cluster, same, tell, guests, ready, there)
                else:  # nothing more is said: it is gone
                    there = {index: connection for index, connection in there.items() if connection is not ready}
                    ready.close()


def _welcome(listener: socket.socket, guests: dict[socket.socket, _Guest], opened: ExitStack) -> None:
    with suppress(OSError):  # who has gone already
        connection = opened.enter_context(listener.accept()[0])
        if len(guests) >= _GUESTS:  # the one that has been silent for longest makes room
            oldest = min(guests.values(), key=lambda guest: guest.until)
            guests.pop(oldest.connection).connection.close()
        connection.setblocking(False)
        guests[connection] = _Guest(connection)
        send(connection, {"nonce": guests[connection].nonce})


def _hear(
    cluster: Cluster,
    same: dict[str, Any],
    tell: _Waiting,
    guests: dict[socket.socket, _Guest],
    connection: socket.socket,
    there: Connections,
) -> None:
    """Take what a guest says: first its proof, then what it is to do; if that is the same, it is there."""
    guest = guests[connection]
    said = guest.read()
    if said is None:
        return
    if not guest.index:
        index, nonce = said.get("worker"), said.get("nonce")
        if (
            type(index) is int
            and 0 < index < len(cluster.workers)
            and isinstance(nonce, str)
            and len(nonce) == len(guest.nonce)
            and is_proof(said.get("proof"), prove(cluster.secret, "worker", nonce, guest.nonce, index))
        ):
            guest.index = index
            send(connection, {"proof": prove(cluster.secret, "chief", guest.nonce, nonce, index)})
            return
        said = {}
    del guests[connection]
    if said.get("workers") != list(cluster.workers):
        connection.close()
    elif said.get("same") != same:
        tell.differs(guest.index)
        send(connection, {"chief": same})
        connection.close()
    else:
        if guest.index in there:  # a machine that was switched off says nothing
            there[guest.index].close()
        there[guest.index] = connection


def _report(cluster: Cluster, same: dict[str, Any], tell: _Waiting, until: float) -> Connections:
    """The part of the others: stay connected to the chief until it says that nobody is missing. Nothing if time is
    up."""
    while True:
        with ExitStack() as opened:
            try:
                connection = opened.enter_context(socket.create_connection(cluster.address(0), timeout=ANSWER))
                lines = lines_of(connection, until)
                _introduce(cluster, connection, lines)
                send(connection, {"workers": list(cluster.workers), "same": same})
                for missing in answers_of(lines, same):
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


def _introduce(cluster: Cluster, connection: socket.socket, lines: Iterator[bytes]) -> None:
    """Prove to the chief that this is a worker, and have it prove that it is the chief.

    Raises:
        UserError: it is not, or has another secret.
        ConnectionError: another program has this port, or the connection has ended.
    """
    nonce, own = parse(next(lines, b"")).get("nonce"), draw_nonce()
    if not isinstance(nonce, str):
        raise ConnectionError("no fer-tl answers there")
    proof = prove(cluster.secret, "worker", own, nonce, cluster.worker)
    send(connection, {"worker": cluster.worker, "nonce": own, "proof": proof})
    answer = parse(next(lines, b""))
    if not is_proof(answer.get("proof"), prove(cluster.secret, "chief", nonce, own, cluster.worker)):
        raise ConnectionError("it does not share this worker's secret")
