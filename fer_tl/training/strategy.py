"""Choose the devices: one ``tf.distribute`` strategy, or a clear word why not."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
from typing import Any

from fer_tl.errors import UserError
from fer_tl.quiet import import_tensorflow


def choose_strategy(name: str) -> Any:
    """A ``tf.distribute.Strategy`` for ``--strategy``. Call it before anything else touches TensorFlow's devices.

    ``auto`` takes a TPU if there is one, else every GPU, else the default strategy on the CPU.

    Raises:
        UserError: the devices asked for are not there.
    """
    import tensorflow as tf

    if name == "multiworker":
        check_cluster()
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
    """Start a cluster or a TPU if one is asked for: TensorFlow allows it only before its first operation, which
    decoding a dataset would be.

    Raises:
        UserError: as ``choose_strategy``.
    """
    if name in ("multiworker", "tpu") or (name == "auto" and importlib.util.find_spec("libtpu")):
        import_tensorflow()
        choose_strategy(name)


@functools.cache
def _mirrored_strategy(kind: str) -> Any:
    """One a process: a second one on the same devices counts its collectives from the start again, and TensorFlow
    takes them for those of the first ("Shape mismatch in the collective instance")."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices(kind)])


@functools.cache
def _multiworker_strategy() -> Any:
    import tensorflow as tf

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


def check_cluster() -> int:
    """This worker's index, 0 for the chief, from a usable ``TF_CONFIG``; needs no TensorFlow.

    Raises:
        UserError: the variable is missing or does not describe this worker.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        described = json.loads(text)
        workers, task = described["cluster"]["worker"], described["task"]
        good = task["type"] == "worker" and 0 <= task["index"] < len(workers)
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise UserError(
            "--strategy multiworker needs TF_CONFIG in the environment, such as "
            '{"cluster": {"worker": ["host1:port", "host2:port"]}, "task": {"type": "worker", "index": 0}}'
        )
    return int(task["index"])


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
