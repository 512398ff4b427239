"""What the chief knows, told to all workers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from fer_tl.errors import UserError

# Numbers of 8 bytes summed at a time: bounds the memory that a sum takes beside the payload.
_CHUNK = 1 << 20


def is_chief(strategy: Any) -> bool:
    """Whether this process writes the run: the first of many workers, or the only one."""
    return count_workers(strategy) == 1 or strategy.cluster_resolver.task_id == 0


def share_bytes(strategy: Any, payload: bytes) -> bytes:
    """The chief's payload, on every worker; all of them must call this at the same point.

    Args:
        strategy: with one worker nothing is done.
        payload: of any length; that of other workers does not matter.
    """
    if count_workers(strategy) == 1:
        return payload
    length = int(_share(strategy, np.array([len(payload)]))[0])
    padded = np.zeros(-(-length // 8), np.int64)
    if is_chief(strategy):
        padded.view(np.uint8)[:length] = np.frombuffer(payload, np.uint8)
    return _share(strategy, padded).tobytes()[:length]


def share_values(strategy: Any, values: list[np.ndarray]) -> list[np.ndarray]:
    """The chief's arrays, bit for bit, on every worker; all of them must call this at the same point.

    Args:
        strategy: with one worker nothing is done.
        values: on every worker as many, of the same shapes and dtypes. It takes about twice their memory.
    """
    if count_workers(strategy) == 1:
        return values
    joined = share_bytes(strategy, b"".join(value.tobytes() for value in values))
    ends = np.cumsum([value.nbytes for value in values])
    return [
        np.frombuffer(joined, value.dtype, value.size, end - value.nbytes).reshape(value.shape).copy()
        for value, end in zip(values, ends.tolist(), strict=True)
    ]


def check_alike(strategy: Any, mine: dict[str, Any]) -> None:
    """Refuse to work on something else than the chief.

    Args:
        strategy: with one worker nothing is done.
        mine: what must be the same on all workers, JSON-ready, by name.

    Raises:
        UserError: on the worker that differs, with the first difference.
    """
    chief = json.loads(share_bytes(strategy, json.dumps(mine).encode()))
    for name, value in json.loads(json.dumps(mine)).items():
        if chief.get(name) != value:
            raise UserError(
                f"'{name}' is {value} on this worker, but {chief.get(name)} on the chief: start the same command on "
                "every machine"
            )


def count_workers(strategy: Any) -> int:
    """Number of processes that train together, 1 without ``MultiWorkerMirroredStrategy``."""
    import tensorflow as tf

    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    return int(strategy.cluster_resolver.cluster_spec().num_tasks("worker"))


def _share(strategy: Any, numbers: np.ndarray) -> np.ndarray:
    """The chief's int64 ``[N]``: the sum over the workers, to which the others add zeros. TensorFlow has no public
    broadcast, and sums of whole numbers are exact on every device."""
    import tensorflow as tf

    mine = numbers if is_chief(strategy) else np.zeros_like(numbers)
    parts = [
        strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(mine[start : start + _CHUNK]), axis=None).numpy()
        for start in range(0, len(mine), _CHUNK)
    ]
    return np.concatenate(parts) if parts else mine
