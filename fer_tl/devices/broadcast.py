"""What the chief knows, told to all workers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_tl.core.errors import UserError

if TYPE_CHECKING:
    from fer_tl.devices.base import Devices


def is_chief(devices: Devices) -> bool:
    """Whether this process writes the run: the first of many workers, or the only one."""
    return devices.worker == 0


def share_bytes(devices: Devices, payload: bytes) -> bytes:
    """The chief's payload, on every worker; all of them must call this at the same point.

    Args:
        devices: with one worker nothing is done.
        payload: of any length; that of other workers does not matter.
    """
    if devices.workers == 1:
        return payload
    length = int(devices.share(np.array([len(payload)]))[0])
    padded = np.zeros(-(-length // 8), np.int64)
    if is_chief(devices):
        padded.view(np.uint8)[:length] = np.frombuffer(payload, np.uint8)
    return devices.share(padded).tobytes()[:length]


def share_values(devices: Devices, values: list[np.ndarray]) -> list[np.ndarray]:
    """The chief's arrays, bit for bit, on every worker; all of them must call this at the same point.

    Args:
        devices: with one worker nothing is done.
        values: on every worker as many, of the same shapes and dtypes. It takes about twice their memory.
    """
    if devices.workers == 1:
        return values
    joined = share_bytes(devices, b"".join(value.tobytes() for value in values))
    ends = np.cumsum([value.nbytes for value in values])
    return [
        np.frombuffer(joined, value.dtype, value.size, end - value.nbytes).reshape(value.shape).copy()
        for value, end in zip(values, ends.tolist(), strict=True)
    ]


def check_alike(devices: Devices, mine: dict[str, Any]) -> None:
    """Refuse to work on something else than the chief.

    Args:
        devices: with one worker nothing is done.
        mine: what must be the same on all workers, JSON-ready, by name.

    Raises:
        UserError: on the worker that differs, with the first difference.
    """
    refuse_difference(mine, json.loads(share_bytes(devices, json.dumps(mine).encode())))


def refuse_difference(mine: dict[str, Any], chief: dict[str, Any]) -> None:
    """Compare what must be the same on all workers.

    Raises:
        UserError: what is different on the chief, the first such thing.
    """
    for name, value in json.loads(json.dumps(mine)).items():
        if chief.get(name) != value:
            raise UserError(
                f"'{name}' is {value} on this worker, but {chief.get(name)} on the chief: start the same command on "
                "every machine"
            )
