"""Several processes, on one machine or many, that train one run together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import identity
from fer_tl.core.errors import UserError
from fer_tl.core.framework import import_backend
from fer_tl.core.say import Say
from fer_tl.core.version import __version__
from fer_tl.devices.base import lost_text
from fer_tl.devices.broadcast import check_alike
from fer_tl.devices.choose import choose_devices
from fer_tl.devices.cluster import Cluster, read_tf_config
from fer_tl.devices.rendezvous import meet
from fer_tl.devices.watch import Connections, leave, watch

# Of this process to the other workers, as long as it lives.
_connections: Connections = {}


@contextmanager
def joined_workers(experiment: Experiment, say: Say) -> Iterator[None]:
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
        lost = UserError(lost_text(_name_lost(cluster, framework.lost_workers(error))))
        framework.leave(lost)  # the one that is gone is not waited for
        raise lost from None
    except BaseException as error:
        if _connections:
            leave(_connections)  # the others shall not wait for this worker
            framework.leave(error)
        raise


def _name_lost(cluster: Cluster, named: list[int]) -> str:
    """Which worker an error of the framework's is about. Where several are named, later ones passed on what the first
    one caused."""
    others = [index for index in named if index != cluster.worker and index < len(cluster.workers)]
    if others:
        return cluster.name(others[0])
    return cluster.name(1 - cluster.worker) if len(cluster.workers) == 2 else "another worker"
