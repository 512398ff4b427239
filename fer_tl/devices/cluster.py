"""The workers of a run on many machines: who they are, and which of them this process is. Needs no TensorFlow."""

from __future__ import annotations

import ipaddress
import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import psutil

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.json_files import parse_json
from fer_tl.devices.cluster_secret import SHORTEST, read_secret

_ADDRESS = re.compile(r"(?P<host>\[[^\[\]\s]+\]|[^:\[\]\s/]+):(?P<port>\d{1,5})")
_EXAMPLE = '{"cluster": {"worker": ["host1:port", "host2:port"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """All workers of a run.

    Attributes:
        workers: ``host:port`` of each, the chief first.
        worker: which of them this process is.
        secret: that they share; empty where all are on this machine.
    """

    workers: tuple[str, ...]
    worker: int
    secret: bytes = field(default=b"", repr=False, compare=False)

    @property
    def is_local(self) -> bool:
        """Whether all workers are on this machine and reached by nobody else."""
        return all(_is_loopback(_host(entry)) for entry in self.workers)

    def name(self, index: int) -> str:
        """``worker 1 (host:port)``."""
        return f"worker {index} ({self.workers[index]})"

    def names(self, indices: Sequence[int]) -> str:
        """Those of several, joined by commas."""
        return ", ".join(self.name(index) for index in indices)

    def address(self, index: int) -> tuple[str, int]:
        """Host, an IPv6 address without its brackets, and port."""
        host, _, port = self.workers[index].rpartition(":")
        return host.strip("[]"), int(port)


def check_cluster(experiment: Experiment) -> int:
    """This worker's index, 0 for the chief or where there is one process only.

    Raises:
        UserError: as ``find_cluster``.
    """
    cluster = find_cluster(experiment)
    return cluster.worker if cluster else 0


def configure_cluster(experiment: Experiment) -> Experiment:
    """Tell TensorFlow of ``--workers``, by its own variable ``TF_CONFIG``, before it starts.

    Returns:
        The experiment, its strategy ``multiworker`` if it has several workers.

    Raises:
        UserError: as ``find_cluster``.
    """
    cluster = find_cluster(experiment)
    if cluster is None:
        return experiment
    described = {"cluster": {"worker": list(cluster.workers)}, "task": {"type": "worker", "index": cluster.worker}}
    # Or gRPC would go through the proxy that http_proxy names, to machines next door as well.
    direct = ",".join(cluster.address(index)[0] for index in range(len(cluster.workers)))
    os.environ.update(TF_CONFIG=json.dumps(described), no_grpc_proxy=direct)
    return replace(experiment, strategy="multiworker")


def find_cluster(experiment: Experiment) -> Cluster | None:
    """The workers that ``--workers`` or ``TF_CONFIG`` names; None where the strategy has no workers.

    Raises:
        UserError: they cannot be understood, contradict each other or the strategy, do not tell which of them this
            process is, or are reached over a network without a secret.
    """
    cluster = _named_cluster(experiment)
    if cluster is None or len(cluster.workers) == 1:
        return cluster
    if experiment.cluster_secret:
        return replace(cluster, secret=read_secret(experiment.cluster_secret))
    if not cluster.is_local:
        raise UserError(
            f"the workers {', '.join(cluster.workers)} meet over a network: give all of them --cluster-secret FILE, a "
            f"file that only you can read, with the same {SHORTEST} bytes or more"
        )
    return cluster


def _named_cluster(experiment: Experiment) -> Cluster | None:
    strategy, workers, worker = experiment.strategy, experiment.workers, experiment.worker
    if isinstance(workers, str):
        workers = tuple(workers.split(","))
    if workers is None:
        if strategy == "multiworker":
            given = read_tf_config()
            if worker not in (None, given.worker):
                raise UserError(f"--worker {worker}, but TF_CONFIG says worker {given.worker}: leave one of them out")
            return given
        if worker is not None:
            raise UserError(f"--worker {worker} is one of several: name them all with --workers HOST:PORT,HOST:PORT")
        return None
    if strategy not in ("auto", "multiworker"):
        raise UserError(f"--workers goes with --strategy multiworker, not with {strategy}: leave one of them out")
    _check_addresses(workers)
    if worker is not None and not 0 <= worker < len(workers):
        raise UserError(f"--worker {worker} is not one of the {len(workers)} of --workers: they count from 0")
    if not os.environ.get("TF_CONFIG"):
        return Cluster(workers, _own_index(workers) if worker is None else worker)
    given = read_tf_config()
    if given != Cluster(workers, given.worker if worker is None else worker):
        raise UserError(
            f"TF_CONFIG says {given.name(given.worker)} of {','.join(given.workers)}, but --workers and --worker say "
            "something else: leave them out, or unset TF_CONFIG"
        )
    return given


def read_tf_config() -> Cluster:
    """What the variable ``TF_CONFIG`` of TensorFlow says.

    Raises:
        UserError: it is missing, or does not describe this worker.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise UserError(
            "--strategy multiworker needs --workers HOST:PORT,HOST:PORT, the same on every machine, or the environment "
            "variable TF_CONFIG"
        )
    try:
        described = parse_json(text)
        task = described["task"]
        cluster = Cluster(tuple(described["cluster"]["worker"]), int(task["index"]))
        good = task["type"] == "worker" and 0 <= cluster.worker < len(cluster.workers)
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise UserError(f"TF_CONFIG in the environment does not describe this worker: it should be like {_EXAMPLE}")
    _check_addresses(cluster.workers)
    return cluster


def _check_addresses(workers: Sequence[str]) -> None:
    if not workers:
        raise UserError("--workers names no worker: give HOST:PORT of each, the chief first")
    for entry in workers:
        parts = _ADDRESS.fullmatch(entry)
        if not parts or not 1 <= int(parts["port"]) <= 65535:
            raise UserError(f"worker '{entry}' is not HOST:PORT with a port from 1 to 65535, such as node1:5000")
        if workers.count(entry) > 1:
            raise UserError(f"worker {entry} is there twice: each needs a port of its own")
    local = [entry for entry in workers if _is_loopback(_host(entry))]
    if 0 < len(local) < len(workers):
        raise UserError(
            f"worker {local[0]} is another machine for each of them: give a name or address that all can reach"
        )


def _own_index(workers: Sequence[str]) -> int:
    """The only worker whose host is this machine."""
    own = [index for index, entry in enumerate(workers) if _is_here(_host(entry))]
    if len(own) == 1:
        return own[0]
    if own:
        entries = ", ".join(workers[index] for index in own)
        choices = " or ".join(f"--worker {index}" for index in own)
        raise UserError(f"of the workers, {entries} are all on this machine: say which one this is, {choices}")
    raise UserError(
        f"none of the workers {', '.join(workers)} is known to be on this machine, {platform.node()}: say which one "
        "this is, --worker K, from 0"
    )


def _host(entry: str) -> str:
    return entry.rpartition(":")[0]


def _is_here(host: str) -> bool:
    """Whether a host is this machine by its name, with or without a domain, or by an address of its interfaces. No
    name server is asked: what it says may differ from machine to machine."""
    if _is_loopback(host):
        return True
    address = _address(host)
    if address is None:
        return host.lower().split(".")[0] == platform.node().lower().split(".")[0]
    local = [entry.address.split("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries]
    return any(address == _address(text) for text in local)


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address else host.lower() == "localhost"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
