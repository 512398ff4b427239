"""Choose the devices: one ``tf.distribute`` strategy, or a clear word why not."""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fer_tl import __version__
from fer_tl.config import Experiment, identity
from fer_tl.errors import UserError
from fer_tl.quiet import import_tensorflow
from fer_tl.training.agreement import check_alike
from fer_tl.training.cluster import Cluster, read_tf_config
from fer_tl.training.meeting import meet, watch

# A worker that dies closes its connections, and is missed at once; one whose machine or network fails goes silent.
# TensorFlow's 10 s are too short for a machine that is busy.
SECONDS_WITHOUT_HEARTBEAT = 30
# Workers have met when they register: the others are moments away.
SECONDS_TO_REGISTER = 30


def choose_strategy(name: str) -> Any:
    """A ``tf.distribute.Strategy`` for ``--strategy``. Call it before anything else touches TensorFlow's devices.

    ``auto`` takes a TPU if there is one, else every GPU, else the default strategy on the CPU.

    Raises:
        UserError: the devices asked for are not there.
    """
    import tensorflow as tf

    if name == "multiworker":
        return _multiworker_strategy()
    if name == "tpu" or (name == "auto" and importlib.util.find_spec("libtpu")):
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


def claim_devices(name: str) -> None:
    """Start a TPU if one is asked for: TensorFlow allows it only before its first operation, which decoding a dataset
    would be.

    Raises:
        UserError: as ``choose_strategy``.
    """
    if name == "tpu" or (name == "auto" and importlib.util.find_spec("libtpu")):
        import_tensorflow()
        choose_strategy(name)


@contextmanager
def joined_workers(experiment: Experiment, say: Callable[[str], None]) -> Iterator[None]:
    """Wait for the other workers and start the cluster, if the experiment has one; while inside, the loss of a worker
    is told in one line. Enter it before TensorFlow's first operation.

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
    import_tensorflow()
    import tensorflow as tf

    try:
        if not _multiworker_strategy.cache_info().currsize:  # a process meets the others once, for all its runs
            connections = meet(cluster, say)
            _multiworker_strategy()
            watch(connections, _abort)
        same = {**identity(experiment), "fold": experiment.fold, "version of fer-tl": __version__}
        check_alike(_multiworker_strategy(), same)
        yield
    except (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError) as error:
        raise UserError(
            f"{_name_lost(cluster, error.message)} does not answer any more; start all workers again with the same "
            "command: the run continues at its last checkpoint"
        ) from None


def _abort(worker: int) -> None:
    """End what this process does together with a worker that is gone."""
    from tensorflow import errors
    from tensorflow.python.eager import context

    context.context().abort_collective_ops(errors.UNAVAILABLE, f"/job:worker/task:{worker} has ended")


def _name_lost(cluster: Cluster, message: str) -> str:
    """Which worker an error of TensorFlow's is about. Where several are named, later ones passed on what the first one
    caused."""
    named = [int(index) for index in re.findall(r"/job:worker/(?:replica:0/)?task:(\d+)", message)]
    others = [index for index in named if index != cluster.worker and index < len(cluster.workers)]
    if others:
        return cluster.name(others[0])
    if cluster.worker and "CoordinationService" in message:  # the chief's
        return cluster.name(0)
    return cluster.name(1 - cluster.worker) if len(cluster.workers) == 2 else "another worker"


@functools.cache
def _mirrored_strategy(kind: str) -> Any:
    """One a process: a second one on the same devices counts its collectives from the start again, and TensorFlow
    takes them for those of the first ("Shape mismatch in the collective instance")."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices(kind)])


@functools.cache
def _multiworker_strategy() -> Any:
    import tensorflow as tf
    from tensorflow.python.eager import context

    # What follows has no public name (TensorFlow 2.21). By default a chief whose worker dies before it has registered
    # waits an hour.
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
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.config.experimental_connect_to_cluster(resolver)
        # The first two calls succeed on a machine without a TPU; only this one tells.
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.OpError, ValueError):
        return None
    return tf.distribute.TPUStrategy(resolver)


def describe(strategy: Any) -> str:
    """One line on what the strategy runs on."""
    import tensorflow as tf

    replicas = strategy.num_replicas_in_sync
    kind = (
        "TPU"
        if isinstance(strategy, tf.distribute.TPUStrategy)
        else "GPU"
        if tf.config.list_logical_devices("GPU")
        else "CPU"
    )
    return f"{type(strategy).__name__.lstrip('_')}, {replicas} {kind} replica{'s' if replicas > 1 else ''}"
