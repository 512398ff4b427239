"""Workers are understood, and wait for each other, before TensorFlow is."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from test_multiworker import free_ports

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.devices.cluster import Cluster, check_cluster, configure_cluster, find_cluster, read_tf_config
from fer_tl.devices.cluster_secret import prove, read_secret

HERE = ("127.0.0.1:5000", "127.0.0.1:5001")
MEET = """
import json, sys
from fer_tl.core.errors import UserError
from fer_tl.devices import rendezvous
from fer_tl.devices.cluster import Cluster
worker, workers, patience, *more = json.loads(sys.argv[1])
rendezvous._PORT_PATIENCE = 0.5
try:
    same, secret = more[0] if more else {}, more[1].encode() if len(more) > 1 else b""
    rendezvous.meet(Cluster(tuple(workers), worker, secret), same, lambda line: print(line, flush=True), patience)
    print("met")
except UserError as error:
    print(error)
assert "tensorflow" not in sys.modules
"""


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes what a test leaves in the environment."""
    for name in ("TF_CONFIG", "no_grpc_proxy"):
        monkeypatch.setenv(name, "")


def tf_config(workers: tuple[str, ...], index: object = 0, kind: str = "worker") -> str:
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": kind, "index": index}})


def test_without_workers_there_is_one_process():
    assert find_cluster(Experiment()) is None
    assert check_cluster(Experiment(strategy="gpu")) == 0
    assert configure_cluster(Experiment()) == Experiment()
    assert os.environ["TF_CONFIG"] == ""


@pytest.mark.parametrize("workers", [HERE, ",".join(HERE)])
def test_named_workers_are_told_to_tensorflow_and_need_no_other_option(workers: object):
    configured = configure_cluster(Experiment(workers=workers, worker=1))
    assert configured.strategy == "multiworker"
    assert json.loads(os.environ["TF_CONFIG"]) == json.loads(tf_config(HERE, 1))
    assert read_tf_config() == Cluster(HERE, 1)
    assert check_cluster(configured) == 1
    # What is said twice may be said again, and may be left out.
    assert configure_cluster(configured) == configured
    assert check_cluster(Experiment(strategy="multiworker")) == 1


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("0123456789abcdef0123\n")
    path.chmod(0o600)
    return path


def test_workers_on_a_network_share_a_secret_or_are_refused(secret: Path):
    workers = ("10.9.9.1:1", "10.9.9.2:2")
    with pytest.raises(UserError, match=r"meet over a network: give all of them --cluster-secret FILE"):
        check_cluster(Experiment(workers=workers, worker=1))
    cluster = find_cluster(Experiment(workers=workers, worker=1, cluster_secret=str(secret)))
    assert cluster is not None and cluster.secret == b"0123456789abcdef0123" and "0123" not in repr(cluster)
    assert not find_cluster(Experiment(workers=HERE, worker=1)).secret  # reached by nobody else


@pytest.mark.parametrize(
    ("data", "mode", "message"),
    [(b"short", 0o600, "has 5 bytes, too few"), (b"x" * 40, 0o644, "can be read by other users.*chmod 600"),
     (b"x" * 9999, 0o600, "is not a small file"), (None, 0, "cannot be read")],
)  # fmt: skip
def test_a_secret_that_is_none_is_one_line(tmp_path: Path, data: bytes | None, mode: int, message: str):
    path = tmp_path / "secret"
    if data is not None:
        path.write_bytes(data)
        path.chmod(mode)
    with pytest.raises(UserError, match=message) as refused:
        read_secret(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("Node7", True),
        ("node7.cluster.example", True),
        ("10.1.2.3", True),
        ("[fe80::17]", True),
        ("node77", False),
        ("10.1.2.4", False),
    ],
)
def test_a_worker_is_found_by_its_host(monkeypatch: pytest.MonkeyPatch, secret: Path, host: str, found: bool):
    addresses = {"eth0": [SimpleNamespace(address=text) for text in ("10.1.2.3", "fe80::17%eth0", "02:00:00:00:00:01")]}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: addresses)
    monkeypatch.setattr(platform, "node", lambda: "node7.local")
    experiment = Experiment(workers=("elsewhere:1", f"{host}:2"), cluster_secret=str(secret))
    if found:
        assert check_cluster(experiment) == 1
    else:
        with pytest.raises(UserError, match=r"known to be on this machine, node7\.local: .*--worker K"):
            check_cluster(experiment)


@pytest.mark.parametrize(
    ("options", "variable", "told"),
    [
        ({"strategy": "multiworker"}, "", "needs --workers HOST:PORT,HOST:PORT"),
        ({"strategy": "multiworker"}, "{", "TF_CONFIG in the environment does not describe this worker"),
        ({"strategy": "multiworker"}, tf_config(HERE, 2), "does not describe this worker"),
        ({"strategy": "multiworker"}, tf_config(HERE, "first"), "does not describe this worker"),
        ({"strategy": "multiworker"}, tf_config(HERE, 0, "ps"), "does not describe this worker"),
        ({"strategy": "multiworker"}, tf_config(("a:1", "b")), "worker 'b' is not HOST:PORT"),
        ({"strategy": "multiworker", "worker": 1}, tf_config(HERE), "--worker 1, but TF_CONFIG says worker 0"),
        ({"workers": HERE, "worker": 1}, tf_config(HERE), r"says worker 0 \(127.0.0.1:5000\) of"),
        ({"workers": (*HERE, "127.0.0.1:1")}, tf_config(HERE), "something else: leave them out, or unset TF_CONFIG"),
        ({"worker": 1}, "", "--worker 1 is one of several"),
        ({"workers": HERE, "strategy": "mirrored"}, "", "not with mirrored"),
        ({"workers": HERE}, "", "say which one this is, --worker 0 or --worker 1"),
        ({"workers": HERE, "worker": 2}, "", "--worker 2 is not one of the 2 of --workers"),
        ({"workers": ()}, "", "names no worker"),
        ({"workers": "a:1,"}, "", "worker '' is not HOST:PORT"),
        ({"workers": ("a:1", "b:0")}, "", "worker 'b:0' is not HOST:PORT"),
        ({"workers": ("a:1", "b:65536")}, "", "worker 'b:65536' is not HOST:PORT"),
        ({"workers": ("a:1", "http://b:2")}, "", "worker 'http://b:2' is not HOST:PORT"),
        ({"workers": ("a:1", "::1:2")}, "", "worker '::1:2' is not HOST:PORT"),
        ({"workers": ("a:1", "a:1")}, "", "a:1 is there twice"),
        ({"workers": ("localhost:1", "b:1")}, "", "worker localhost:1 is another machine for each of them"),
    ],
)
def test_workers_that_cannot_be_meant_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object], variable: str, told: str
):
    monkeypatch.setenv("TF_CONFIG", variable)
    with pytest.raises(UserError, match=told) as caught:
        configure_cluster(Experiment(**options))
    assert "\n" not in str(caught.value)
    assert os.environ["TF_CONFIG"] == variable


Arrive = Callable[..., subprocess.Popen]


@pytest.fixture
def arrive() -> Iterator[Arrive]:
    """``arrive(worker, workers, patience, same)``: a process that meets the others."""
    started = []

    def start(*arguments: object) -> subprocess.Popen:
        command = [sys.executable, "-c", MEET, json.dumps(arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen) -> str:
    return process.stdout.readline().strip()


def test_all_wait_for_the_last_one_and_say_so(arrive: Arrive):
    workers = [f"localhost:{port}" for port in free_ports(3)]
    second = arrive(2, workers, 60)
    assert line(second) == f"waiting for worker 0 ({workers[0]})"
    chief = arrive(0, workers, 60)
    assert line(chief) == f"waiting for worker 1 ({workers[1]}), worker 2 ({workers[2]})"
    assert [line(each) for each in (chief, second)] == [f"waiting for worker 1 ({workers[1]})"] * 2
    # One that goes away meanwhile is waited for again.
    second.kill()
    assert line(chief) == f"waiting for worker 1 ({workers[1]}), worker 2 ({workers[2]})"
    late = [arrive(worker, workers, 60) for worker in (1, 2)]
    for process in (chief, *late):
        text, error = process.communicate(timeout=30)
        assert error == ""
        assert text.splitlines()[-1] == "met"


def test_one_that_came_to_do_something_else_is_sent_away_and_waited_for(arrive: Arrive):
    workers = [f"localhost:{port}" for port in free_ports(2)]
    chief = arrive(0, workers, 60, {"backend": "jax", "folds": 4})
    assert line(chief) == f"waiting for worker 1 ({workers[1]})"
    other = arrive(1, workers, 60, {"backend": "tensorflow", "folds": 4})
    refused = "'backend' is tensorflow on this worker, but jax on the chief: start the same command on every machine"
    assert other.communicate(timeout=30)[0] == f"{refused}\n"
    assert line(chief) == f"worker 1 ({workers[1]}) was started with other settings, as it says: waiting for it again"
    again = arrive(1, workers, 60, {"backend": "jax", "folds": 4})
    for process in (chief, again):
        assert process.communicate(timeout=30)[0].splitlines()[-1] == "met"


def open_to(address: tuple[str, int]) -> socket.socket:
    until = time.monotonic() + 30
    while True:
        try:
            connection = socket.socket()
            connection.settimeout(5)
            connection.connect(address)
            return connection
        except OSError:
            connection.close()
            assert time.monotonic() < until
            time.sleep(0.05)


def everything_from(connection: socket.socket) -> bytes:
    connection.settimeout(20)
    with connection, contextlib.suppress(OSError):
        said = b""
        while part := connection.recv(65536):
            said += part
        return said
    return said


def test_strangers_neither_end_the_waiting_nor_learn_of_the_work(arrive: Arrive):
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    same = {"backend": "the settings"}
    chief = arrive(0, workers, 60, same, "a secret of the cluster")
    assert line(chief) == f"waiting for worker 1 ({workers[1]})"
    address = ("127.0.0.1", int(workers[0].rpartition(":")[2]))
    nonce = "0" * 32
    proof = prove(b"another secret", "worker", nonce, nonce, 1)
    hellos = [
        b"[" * 100_000 + b"\n", b"x" * 200_000, b"\xff\0\n", b"{}\n", b'{"worker": true}\n', b"",
        json.dumps({"worker": 1, "workers": workers, "same": same}).encode() + b"\n",
        json.dumps({"worker": 1, "nonce": nonce, "proof": proof}).encode() + b"\n",
        json.dumps({"worker": 10**400, "nonce": nonce, "proof": "\u00e9"}).encode() + b"\n",
    ]  # fmt: skip
    for hello in hellos:
        stranger = open_to(address)
        with contextlib.suppress(OSError):  # closed amid it
            stranger.sendall(hello)
        said = everything_from(stranger)
        assert b"settings" not in said and b"proof" not in said and said.count(b"\n") <= 1
    crowd = [open_to(address) for _ in range(300)]
    # One with another secret is not let in, and is told nothing of the work.
    other = arrive(1, workers, 2, same, "another secret of somebody")
    text = other.communicate(timeout=60)[0]
    assert "did not come" in text and "does not share this worker's secret" in text
    right = arrive(1, workers, 60, same, "a secret of the cluster")
    for process in (chief, right):
        text, error = process.communicate(timeout=60)
        assert error == "" and text.splitlines()[-1] == "met"
    for connection in crowd:
        connection.close()


def test_a_worker_listens_at_its_own_address_alone(arrive: Arrive):
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    chief = arrive(0, workers, 60)
    assert "waiting" in line(chief)
    listening = [each.laddr for each in psutil.Process(chief.pid).net_connections("tcp") if each.status == "LISTEN"]
    assert [tuple(address) for address in listening] == [("127.0.0.1", int(workers[0].rpartition(":")[2]))]


LEAVE = """
import socket, threading
from fer_tl.devices import watch
own, other = socket.socketpair()
heard = threading.Event()
watch.watch({1: own}, lambda index: heard.set())
watch.leave({1: own})
assert other.recv(100) == b"", "the other one does not hear of it"
assert not heard.wait(0.5), "it hears of itself"
"""


def test_one_that_leaves_is_missed_at_once_but_not_by_itself():
    done = subprocess.run([sys.executable, "-c", LEAVE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_who_does_not_come_is_named(arrive: Arrive):
    workers = [f"localhost:{port}" for port in free_ports(2)]
    for worker in range(2):
        lost = f"worker {1 - worker} ({workers[1 - worker]})"
        told, gave_up = arrive(worker, workers, 0.5).communicate(timeout=30)[0].splitlines()
        assert told == f"waiting for {lost}"
        assert gave_up.startswith(f"{lost} did not come within 0 s")
        assert gave_up.endswith("start the same command on every machine within that time")


def test_a_port_in_use_and_a_stranger_on_the_chiefs_port_are_told(arrive: Arrive):
    import socket

    with socket.create_server(("", 0)) as taken:
        workers = [f"localhost:{port}" for port in (taken.getsockname()[1], *free_ports(1))]
        chief = arrive(0, workers, 30).communicate(timeout=30)[0]
        assert chief.startswith(
            f"port {taken.getsockname()[1]} of worker 0 ({workers[0]}) cannot be used here (Address"
        )
        other = arrive(1, workers, 0.5)
        connection = taken.accept()[0]
        connection.sendall(b"HTTP/1.0 400 Bad Request\n")
        connection.close()
        assert line(other) == f"waiting for worker 0 ({workers[0]})"
