"""Where a web application is listened for, and the threads that serve it."""

from __future__ import annotations

import errno
import ipaddress
import json
import logging
import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType

import psutil
from flask import Flask
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask
from waitress.wasyncore import close_all, dispatcher

from fer_tl.core.errors import UserError

# Decoding and the search for faces run beside each other; more threads than cores, so that faces gather for a batch.
THREADS = 8
# Each holds at most one upload in memory. Connections beyond them wait in the operating system.
_CONNECTIONS = 40
_SILENCE = 20  # seconds after which a connection that says nothing is closed
_HEADER_BYTES = 16_384
_LAST_ANSWERS = 10  # seconds that accepted requests have when the server is told to end


def open_socket(host: str, port: int) -> socket.socket:
    """Take an address, before anything that takes time; nobody is answered there yet.

    Args:
        host: a name or address of this machine.
        port: 0 for any that is free.

    Raises:
        UserError: it is not an address of this machine, in use, or not allowed.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: ports are 0 to 65535, and 0 takes any that is free")
    family, address = _address(host, port)
    try:
        return socket.create_server(address, family=family)
    except OSError as error:
        why = {
            errno.EADDRINUSE: f"port {port} of {host} is in use: give another --port, or --port 0 for any that is free",
            errno.EACCES: f"port {port} may not be used by this user: give a --port above 1023",
            errno.EADDRNOTAVAIL: f"--host {host} is not an address of this machine: give 127.0.0.1, or 0.0.0.0 for all",
        }
        raise UserError(why.get(error.errno or 0, f"{host}:{port} cannot be listened to ({error.strerror})")) from None


def _address(host: str, port: int) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    try:
        version = ipaddress.ip_address(host).version
        return (socket.AF_INET if version == 4 else socket.AF_INET6), (host, port)
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UserError(f"--host {host}: there is no such host; give 127.0.0.1, or 0.0.0.0 for all addresses") from None
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, address


def is_local(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    return ipaddress.ip_address(host).is_loopback


def names_of(host: str, bound: str, allowed: Sequence[str] = ()) -> frozenset[str]:
    """By which names a browser may ask for this server: no others, since a page from elsewhere can bring its own name
    to this machine's address (DNS rebinding).

    Args:
        host: as it was given.
        bound: what is listened to.
        allowed: more names, such as that of a proxy in front.
    """
    names = {host, bound, *allowed}
    if is_local(bound):
        names |= {"127.0.0.1", "localhost", "::1"}
    elif ipaddress.ip_address(bound).is_unspecified:  # all addresses of this machine
        addresses = {each.address.split("%")[0] for found in psutil.net_if_addrs().values() for each in found}
        names |= {"localhost", socket.gethostname(), *addresses}
    return frozenset(name.lower() for name in names)


def address_of(host: str, bound: str, port: int) -> str:
    """What to open in a browser of this machine.

    Args:
        host: as it was given.
        bound: what is listened to.
        port: the same.
    """
    if ipaddress.ip_address(bound).is_unspecified:  # all addresses; no browser goes to 0.0.0.0 everywhere
        host = "127.0.0.1" if "." in bound else "::1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


class WebServer:
    """Serves an application until it is closed.

    Uploads stay in memory: waitress would put those of more than 0.5 MB into temporary files.

    Args:
        app: to serve, by several threads.
        listener: of ``open_socket``; closed with the server.
        most_bytes: of the body of a request.
    """

    def __init__(self, app: Flask, listener: socket.socket, most_bytes: int) -> None:
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of every request that waits
        self._map: dict[int, object] = {}
        self._server = create_server(
            app,
            map=self._map,
            sockets=[listener],
            threads=THREADS,
            connection_limit=_CONNECTIONS,
            channel_timeout=_SILENCE,
            cleanup_interval=_SILENCE // 2,
            max_request_header_size=_HEADER_BYTES,
            max_request_body_size=most_bytes + 1,  # the first that is refused
            inbuf_overflow=2 * most_bytes,
            outbuf_overflow=2 * most_bytes,
            ident=None,
        )
        self._server.channel_class = _Channel
        # Signals are raised in the main thread, which only waits: not amid waitress's work, which would swallow them.
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        # Not Thread.join: interrupted by a signal, Python 3.11 takes a running thread for one that has ended.
        self._ended = threading.Event()

    def __enter__(self) -> WebServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._drain()
        self._server.task_dispatcher.shutdown()
        self._server.trigger.pull_trigger(lambda: close_all(self._map, ignore_all=True))
        self._ended.wait()
        self._thread.join()

    def wait(self) -> None:
        """Until a signal comes."""
        while not self._ended.wait(0.5):  # Windows does not interrupt an endless wait
            pass

    def _drain(self) -> None:
        """Take no more connections, and finish the requests that came whole before, for some seconds at most."""
        # In waitress's own thread: its map of sockets is not to be changed amid its loop.
        self._server.trigger.pull_trigger(lambda: dispatcher.close(self._server))
        deadline = time.monotonic() + _LAST_ANSWERS
        while time.monotonic() < deadline and not self._ended.is_set() and self._is_busy():
            time.sleep(0.02)

    def _is_busy(self) -> bool:
        tasks = self._server.task_dispatcher
        channels = [each for each in list(self._map.values()) if isinstance(each, HTTPChannel)]
        waiting = any(channel.requests or channel.total_outbufs_len for channel in channels)
        return bool(tasks.queue or tasks.active_count or waiting)

    def _run(self) -> None:
        try:
            self._server.run()
        finally:
            self._ended.set()


class _JsonError(ErrorTask):
    """What waitress itself refuses, such as an upload whose header says that it is too large."""

    def execute(self) -> None:
        error = self.request.error
        what = f"{error.reason.lower()}: {error.body}"
        what = "the picture is too large: send a smaller one" if error.code == 413 else what
        body = json.dumps({"error": what}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend([("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")])
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):
    error_task_class = _JsonError
