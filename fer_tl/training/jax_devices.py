"""JAX's devices: a mesh of one axis, over which the images of a step are divided."""

from __future__ import annotations

import contextlib
import os
import sys
from contextlib import AbstractContextManager

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fer_tl.errors import UserError
from fer_tl.training.cluster import Cluster, read_tf_config
from fer_tl.training.devices import SECONDS_TO_REGISTER, SECONDS_WITHOUT_HEARTBEAT, Devices, lost_text

# What JAX raises when a worker is gone.
LOST = (jax.errors.JaxRuntimeError,)

AXIS = "images"


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

    def describe(self) -> str:
        device = self.mesh.devices.flat[0]
        kind = device.platform.upper()
        named = "" if kind == "CPU" else f" ({device.device_kind})"
        return f"JAX, {self.replicas} {kind} device{'s' if self.replicas > 1 else ''}{named}"

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
    """See ``fer_tl.training.devices.choose_devices``."""
    kind = {"cpu": "cpu", "gpu": "gpu", "tpu": "tpu"}.get(name)
    try:
        found = jax.devices(kind)
    except RuntimeError as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"--strategy {name}: JAX finds no {(kind or 'device').upper()} here ({said}); fer-tl doctor says what is "
            "missing, --strategy auto takes what is there"
        ) from None
    if name == "cpu":
        jax.config.update("jax_default_device", found[0])
        found = found[:1]
    return JaxDevices(found)


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
    print(f"fer-tl: {lost_text(read_tf_config().name(worker))}", file=sys.stderr, flush=True)
    os._exit(2)


def lost_workers(error: BaseException) -> list[int]:
    """The workers that an error of ``LOST`` names: JAX names none."""
    return []
