"""JAX's devices: a mesh of one axis, over which the images of a step are divided."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from contextlib import AbstractContextManager

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fer_tl.core.errors import UserError, exit_code
from fer_tl.devices.base import SECONDS_TO_REGISTER, SECONDS_WITHOUT_HEARTBEAT, Devices, lost_text
from fer_tl.devices.cluster import Cluster, read_tf_config

# What JAX raises when a worker is gone.
LOST = (jax.errors.JaxRuntimeError,)

AXIS = "images"

# Held for good by the thread that says why this process ends: the one that trains and the one that watches the other
# workers may both learn that one of them is gone.
_last_word = threading.RLock()
# A worker that ends closes its connections before, so that it is named: what trains waits so long for who watches.
_SECONDS_TO_BE_NAMED = 1.0


class JaxDevices(Devices):
    """Those of a mesh.

    Attributes:
        replicated: how an array lies that every device has as a whole.
    """

    def __init__(self, devices: list[jax.Device]):
        self.mesh = Mesh(np.array(devices), (AXIS,))
        self.replicas = len(devices)
        self.workers, self.worker = jax.process_count(), jax.process_index()
        self.replicated = NamedSharding(self.mesh, PartitionSpec())

    def scope(self) -> AbstractContextManager[object]:
        """Nothing: Keras makes variables on the first device, and the engine puts them on all."""
        return contextlib.nullcontext()

    @property
    def kind(self) -> str:
        return self.mesh.devices.flat[0].platform.upper()

    def describe(self) -> str:
        named = "" if self.kind == "CPU" else f" ({self.mesh.devices.flat[0].device_kind})"
        return f"JAX, {self.replicas} {self.kind} device{'s' if self.replicas > 1 else ''}{named}"

    def divided(self, axis: int) -> NamedSharding:
        """How an array lies of whose axis each device has a part."""
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, AXIS))

    def put(self, values: np.ndarray, sharding: NamedSharding) -> jax.Array:
        """An array that every worker has as a whole, on the devices."""
        if self.workers == 1:
            return jax.device_put(values, sharding)
        return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

    def share(self, numbers: np.ndarray) -> np.ndarray:
        from jax.experimental import multihost_utils

        halves = np.ascontiguousarray(numbers).view(np.uint32)  # JAX has no integers of 8 bytes by default
        return np.asarray(multihost_utils.broadcast_one_to_all(halves)).view(np.int64)


def choose_jax_devices(name: str) -> JaxDevices:
    """See ``fer_tl.devices.choose.choose_devices``."""
    found = find_devices({"cpu": "cpu", "gpu": "gpu", "tpu": "tpu"}.get(name))
    if name == "cpu":
        jax.config.update("jax_default_device", found[0])
        found = found[:1]
    return JaxDevices(found)


def find_devices(kind: str | None = None) -> list[jax.Device]:
    """JAX's devices, of a kind or of what it takes by itself.

    Raises:
        UserError: there are none, or JAX does not start.
    """
    try:
        return list(jax.devices(kind))
    except (RuntimeError, AssertionError) as error:  # the latter of CUDA that is asked for and has no plugin, 0.10.2
        said = " ".join(str(error).split()).partition(" (set JAX_PLATFORMS")[0] or "it does not say why"
    asked = os.environ.get("JAX_PLATFORMS")
    extras = {"gpu": "jax-gpu", "cuda": "jax-gpu", "tpu": "jax-tpu"}
    extra = next((extra for word, extra in extras.items() if word in (kind or asked or "")), None)
    remedies = [f"pip install 'fer-tl[{extra}]'"] if extra else []
    if asked:
        remedies.append(f"unset JAX_PLATFORMS, which is {asked}")
    elif kind:
        remedies.append("use --strategy auto, which takes what is there")
    what = f"no {kind.upper()}" if kind else "nothing to compute on"
    raise UserError(f"JAX finds {what} here ({said}): {', or '.join(remedies) or 'install jax anew'}")


def is_joined() -> bool:
    """Whether this process belongs to a cluster."""
    return bool(jax.distributed.is_initialized())


def join(cluster: Cluster) -> None:
    """Start the cluster whose workers have met; the chief's port is that of its coordinator."""
    chief = cluster.workers[0]
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_check_proxy_envs", False)  # its warning: configure_cluster goes around every proxy
    jax.distributed.initialize(
        chief,
        len(cluster.workers),
        cluster.worker,
        coordinator_bind_address=chief,
        initialization_timeout=SECONDS_TO_REGISTER,
        heartbeat_timeout_seconds=SECONDS_WITHOUT_HEARTBEAT,
    )


def abort(worker: int) -> None:
    """End the process: JAX has no other way out of a sum to which a worker that is gone adds nothing, and would end it
    itself after a while, with a page of addresses. A worker that has finished stays until all have."""
    _last_word.acquire()
    print(f"fer-tl: {lost_text(read_tf_config().name(worker))}", file=sys.stderr, flush=True)
    os._exit(2)


def leave(error: BaseException) -> None:
    """Let the process end without waiting for the others, as JAX would for minutes.

    Args:
        error: why it ends.
    """

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code(error))

    atexit.register(end)


def lost_workers(error: BaseException) -> list[int]:
    """The workers that an error of ``LOST`` names: JAX names none. Returns only if ``abort`` does not end the process,
    and not before it would have."""
    time.sleep(_SECONDS_TO_BE_NAMED)
    _last_word.acquire()
    return []
