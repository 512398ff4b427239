"""The devices that a run trains on."""

from __future__ import annotations

from fer_tl.core.framework import choose_backend, import_backend
from fer_tl.devices.base import Devices, may_have_tpu


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
