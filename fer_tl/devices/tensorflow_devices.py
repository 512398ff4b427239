"""TensorFlow's devices: one ``tf.distribute`` strategy, or a clear word why not."""

from __future__ import annotations

import functools
import re
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context  # what is used of it has no public name (TensorFlow 2.21)

from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.devices.base import SECONDS_TO_REGISTER, SECONDS_WITHOUT_HEARTBEAT, Devices, may_have_tpu
from fer_tl.devices.cluster import Cluster, read_tf_config

# What TensorFlow raises when a worker is gone.
LOST = (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError)

# Numbers of 8 bytes summed at a time: bounds the memory that a sum takes beside the payload.
_CHUNK = 1 << 20


class TensorFlowDevices(Devices):
    """Those of a ``tf.distribute.Strategy``."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.replicas = strategy.num_replicas_in_sync
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            self.workers = int(strategy.cluster_resolver.cluster_spec().num_tasks("worker"))
            self.worker = strategy.cluster_resolver.task_id

    def scope(self) -> AbstractContextManager[object]:
        return cast(AbstractContextManager[object], self.strategy.scope())

    @property
    def kind(self) -> str:
        if isinstance(self.strategy, tf.distribute.TPUStrategy):
            return "TPU"
        return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"

    def describe(self) -> str:
        name = type(self.strategy).__name__.lstrip("_")
        spread = "" if name == "DefaultDistributionStrategy" else f" ({name})"
        return f"TensorFlow, {counted(self.replicas, f'{self.kind} device')}{spread}"

    def share(self, numbers: np.ndarray) -> np.ndarray:
        """The sum over the workers, to which all but the chief add zeros. TensorFlow has no public broadcast, and sums
        of whole numbers are exact on every device."""
        mine = np.zeros_like(numbers) if self.worker else numbers
        parts = [
            self.strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(mine[start : start + _CHUNK]), axis=None)
            for start in range(0, len(mine), _CHUNK)
        ]
        return np.concatenate([part.numpy() for part in parts]) if parts else mine


def choose_tensorflow_devices(name: str) -> TensorFlowDevices:
    """See ``fer_tl.devices.choose.choose_devices``."""
    return TensorFlowDevices(_choose_strategy(name))


def _choose_strategy(name: str) -> Any:
    if name == "multiworker":
        return _multiworker_strategy()
    if may_have_tpu(name):
        tpu = _tpu_strategy()
        if tpu is not None:
            return tpu
        if name == "tpu":
            raise UserError(
                "--strategy tpu: TensorFlow finds no TPU here; on Colab choose a TPU runtime, or use --strategy auto"
            )
    gpus = tf.config.list_physical_devices("GPU")
    if name == "gpu" and not gpus:
        raise UserError("--strategy gpu: TensorFlow finds no GPU here; install fer-tl[gpu], or use --strategy auto")
    if name == "cpu":
        tf.config.set_visible_devices([], "GPU")
    if name == "mirrored":
        kind = "GPU" if gpus else "CPU"
        return _mirrored_strategy(kind)
    if len(gpus) > 1 and name in ("auto", "gpu"):
        return _mirrored_strategy("GPU")
    return tf.distribute.get_strategy()


def is_joined() -> bool:
    """Whether this process belongs to a cluster."""
    return bool(_multiworker_strategy.cache_info().currsize)


def join(cluster: Cluster) -> None:
    """Start the cluster whose workers have met."""
    _multiworker_strategy()


def abort(worker: int) -> None:
    """End what this process does together with a worker that is gone."""
    context.context().abort_collective_ops(tf.errors.UNAVAILABLE, f"/job:worker/task:{worker} has ended")


def leave(error: BaseException) -> None:
    """Nothing: TensorFlow's end waits for nobody."""


def lost_workers(error: BaseException) -> list[int]:
    """The workers that an error of ``LOST`` names, most to blame first."""
    message = str(getattr(error, "message", error))
    named = [int(index) for index in re.findall(r"/job:worker/(?:replica:0/)?task:(\d+)", message)]
    return [*named, 0] if "CoordinationService" in message else named  # the chief's


@functools.cache
def _mirrored_strategy(kind: str) -> Any:
    """One a process: a second one on the same devices counts its collectives from the start again, and TensorFlow
    takes them for those of the first ("Shape mismatch in the collective instance")."""
    return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices(kind)])


@functools.cache
def _multiworker_strategy() -> Any:
    # By default a chief whose worker dies before it has registered waits an hour.
    job = context.coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=len(read_tf_config().workers))
    context.context().configure_coordination_service(
        "standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=SECONDS_TO_REGISTER * 1000,
        heartbeat_timeout_in_ms=SECONDS_WITHOUT_HEARTBEAT * 1000,
        coordinated_jobs=[job],
    )
    context.context().coordination_service.cluster_register_with_barrier = True
    return tf.distribute.MultiWorkerMirroredStrategy()


@functools.cache
def _tpu_strategy() -> Any:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.config.experimental_connect_to_cluster(resolver)
        # The first two calls succeed on a machine without a TPU; only this one tells.
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.OpError, ValueError):
        return None
    return tf.distribute.TPUStrategy(resolver)
