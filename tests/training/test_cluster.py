"""Workers are understood, and wait for each other, before TensorFlow is."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import psutil
import pytest
from test_multiworker import free_ports

from fer_tl.config import Experiment
from fer_tl.errors import UserError
from fer_tl.training.cluster import Cluster, check_cluster, configure_cluster, find_cluster, read_tf_config

HERE = ("127.0.0.1:5000", "127.0.0.1:5001")
MEET = """
import json, sys
from fer_tl.errors import UserError
from fer_tl.training import meeting
from fer_tl.training.cluster import Cluster
worker, workers, patience, *same = json.loads(sys.argv[1])
meeting._PORT_PATIENCE = 0.5
try:
    same = same[0] if same else {}
    meeting.meet(Cluster(tuple(workers), worker), same, lambda line: print(line, flush=True), patience)
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
def test_a_worker_is_found_by_its_host(monkeypatch: pytest.MonkeyPatch, host: str, found: bool):
    addresses = {"eth0": [SimpleNamespace(address=text) for text in ("10.1.2.3", "fe80::17%eth0", "02:00:00:00:00:01")]}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: addresses)
    monkeypatch.setattr(platform, "node", lambda: "node7.local")
    experiment = Experiment(workers=("elsewhere:1", f"{host}:2"))
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


LEAVE = """
import socket, threading
from fer_tl.training import meeting
own, other = socket.socketpair()
heard = threading.Event()
meeting.watch({1: own}, lambda index: heard.set())
meeting.leave({1: own})
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
