"""The devices that a run trains on, whichever framework computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from fer_tl.core.config import Experiment, identity
from fer_tl.core.errors import UserError
from fer_tl.core.framework import choose_backend, import_backend, is_installed
from fer_tl.core.version import __version__
from fer_tl.devices.broadcast import check_alike
from fer_tl.devices.cluster import Cluster, read_tf_config
from fer_tl.devices.rendezvous import Connections, leave, meet, watch

# A worker that dies closes its connections, and is missed at once; one whose machine or network fails goes silent.
# TensorFlow's 10 s are too short for a machine that is busy.
SECONDS_WITHOUT_HEARTBEAT = 30
# Workers have met when they register: the others are moments away.
SECONDS_TO_REGISTER = 30


# Of this process to the other workers, as long as it lives.
_connections: Connections = {}


class Devices(ABC):
    """Devices that train one model together.

    Attributes:
        replicas: how many there are, over all workers.
        workers: processes that train together.
        worker: which of them this is; 0 is the chief, which writes the run.
    """

    replicas: int
    workers: int = 1
    worker: int = 0

    @abstractmethod
    def scope(self) -> AbstractContextManager[object]:
        """What the variables of models and optimizers must be made in."""

    @abstractmethod
    def describe(self) -> str:
        """One line on what they are."""

    @abstractmethod
    def share(self, numbers: np.ndarray) -> np.ndarray:
        """The chief's int64 ``[N]``, on every worker; all of them must call this at the same point."""


def choose_devices(name: str) -> Devices:
    """The devices of ``--strategy``. Call it before anything else touches the framework's devices.

    ``auto`` takes a TPU if there is one, else every GPU, else the CPU.

    Raises:
        UserError: the devices asked for are not there, or the framework is not.
    """
    if import_backend() == "jax":
        from fer_tl.devices.jax_devices import choose_jax_devices

        return choose_jax_devices(name)
    from fer_tl.devices.tensorflow_devices import choose_tensorflow_devices

    return choose_tensorflow_devices(name)


def require_devices() -> None:
    """Make sure that there is something to compute on, before a model is made or loaded on it.

    Raises:
        UserError: JAX finds nothing; TensorFlow always has a CPU.
    """
    if import_backend() == "jax":
        from fer_tl.devices.jax_devices import find_devices

        find_devices()


def claim_devices(name: str) -> None:
    """Start a TPU if one is asked for: TensorFlow allows it only before its first operation.

    Raises:
        UserError: as ``choose_devices``.
    """
    if choose_backend() == "tensorflow" and may_have_tpu(name):
        choose_devices(name)


def may_have_tpu(name: str) -> bool:
    """Whether ``--strategy`` asks for a TPU, or for any and this may be a machine that has one."""
    return name == "tpu" or (name == "auto" and is_installed("libtpu"))


@contextmanager
def joined_workers(experiment: Experiment, say: Callable[[str], None]) -> Iterator[None]:
    """Wait for the other workers and start the cluster, if the experiment has one; while inside, the loss of a worker
    is told in one line. Enter it before the framework's first operation.

    Args:
        experiment: from ``configure_cluster``.
        say: told who is waited for.

    Raises:
        UserError: workers do not come, were started with another command, or do not answer any more.
    """
    if experiment.strategy != "multiworker":
        yield
        return
    cluster = read_tf_config()
    backend = import_backend()
    if backend == "jax":
        from fer_tl.devices import jax_devices as framework
    else:
        from fer_tl.devices import tensorflow_devices as framework  # type: ignore[no-redef]
    same = {"version of fer-tl": __version__, "backend": backend, **identity(experiment), "fold": experiment.fold}
    try:
        if not framework.is_joined():  # a process meets the others once, for all its runs
            connections = meet(cluster, same, say)
            framework.join(cluster)
            watch(connections, framework.abort)
            _connections.update(connections)
        check_alike(choose_devices("multiworker"), same)
        yield
    except framework.LOST as error:
        raise UserError(lost_text(_name_lost(cluster, framework.lost_workers(error)))) from None
    except BaseException as error:
        if _connections:
            leave(_connections)  # the others shall not wait for this worker
            framework.leave(error)
        raise


def lost_text(name: str) -> str:
    """What is said of a worker that is gone."""
    return (
        f"{name} does not answer any more; start all workers again with the same command: the run continues at its "
        "last checkpoint"
    )


def _name_lost(cluster: Cluster, named: list[int]) -> str:
    """Which worker an error of the framework's is about. Where several are named, later ones passed on what the first
    one caused."""
    others = [index for index in named if index != cluster.worker and index < len(cluster.workers)]
    if others:
        return cluster.name(others[0])
    return cluster.name(1 - cluster.worker) if len(cluster.workers) == 2 else "another worker"
