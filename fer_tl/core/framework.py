"""Which framework computes, TensorFlow or JAX, and its import."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from fer_tl.core.errors import UserError
from fer_tl.core.json_files import load_json
from fer_tl.core.quiet import hidden, import_quietly, import_tensorflow

Backend = Literal["tensorflow", "jax"]
SETTING = "KERAS_BACKEND"
BACKENDS: tuple[Backend, ...] = ("tensorflow", "jax")
_INSTALL = {"tensorflow": "pip install 'fer-tl[cpu]' (or gpu)", "jax": "pip install 'fer-tl[jax]'"}


def choose_backend() -> Backend:
    """The framework that Keras computes with, without importing it.

    It is what the environment variable ``KERAS_BACKEND`` says, else Keras's own configuration file; where neither says
    anything, TensorFlow, or JAX if that is all there is, or all that knows the TPU of this machine.

    Raises:
        UserError: a framework that fer-tl has no engine for, or one that is not installed.
    """
    asked, where = asked_backend()
    there = [name for name in BACKENDS if is_installed(name)]
    if is_installed("libtpu") and not version_of("tensorflow-tpu"):
        there.reverse()  # the TensorFlow that is here, if any, knows no TPU
    if asked and asked not in BACKENDS:
        raise UserError(f"{where} is {asked}: fer-tl trains with {' or '.join(BACKENDS)}; set {SETTING} to one of them")
    if asked and asked not in there:
        others = f", or set {SETTING}={there[0]}, which is installed" if there else ""
        raise UserError(f"{where} is {asked}, which is not installed: {_INSTALL[asked]}{others}")
    if not there:
        raise UserError(f"neither TensorFlow nor JAX is installed: {_INSTALL['tensorflow']}, or {_INSTALL['jax']}")
    return asked if asked else there[0]


def asked_backend() -> tuple[str, str]:
    """The framework that is asked for and where, the variable or Keras's configuration file; "" and "" if nowhere."""
    if asked := os.environ.get(SETTING):
        return asked, SETTING
    path = keras_home() / "keras.json"
    try:
        named = load_json(path).get("backend")
    except (OSError, ValueError, AttributeError):
        named = None
    # Keras writes "tensorflow" there at its first import, whatever is installed: that is no choice of anybody's.
    return ("", "") if named in (None, "", "tensorflow") else (str(named), f"the backend in {path}")


def is_installed(name: str) -> bool:
    """Whether a framework can be imported, as far as one can tell without doing it."""
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ValueError, ImportError):  # a module of which there is only the name, or an importer that refuses it
        return False


def version_of(package: str) -> str:
    """The version of an installed package by its name on PyPI, "" if there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def slower_backend(backend: str, kind: str) -> str:
    """A line where the other framework, which is installed, would train faster; "" elsewhere.

    Args:
        backend: the framework that computes.
        kind: of the devices, such as ``CPU``.
    """
    if backend == "jax" and kind == "CPU" and is_installed("tensorflow"):
        # 4 to 9 times on networks of all kinds: XLA's convolutions on a CPU (measured, benchmarks/results/jax.md).
        return (
            f"on a CPU TensorFlow, which is installed, trains several times faster than JAX: set {SETTING}=tensorflow"
        )
    return ""


def import_backend() -> Backend:
    """Import Keras with its framework, quietly; call it before anything else imports Keras.

    Raises:
        UserError: as ``choose_backend``.
    """
    backend = choose_backend()
    os.environ[SETTING] = backend
    if backend == "tensorflow":
        _ask_for_onednn()
        import_tensorflow()
    import_quietly("keras")
    return backend


def _ask_for_onednn() -> None:
    """Let oneDNN compute TensorFlow's convolutions on every x86 processor, unless the user has decided.

    TensorFlow does so by itself only where there are instructions such as AVX512_VNNI. With AVX2 alone a step is 1.4 to
    2 times as fast by oneDNN (measured, benchmarks/results/backbones.md).
    """
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and the framework that computes; Keras would import all others for it, in seconds."""
    import keras

    others = {"tensorflow", "torch"} - {keras.backend.backend()}
    with hidden(tuple(others)):
        keras.utils.set_random_seed(seed)


def keras_home() -> Path:
    """Keras's cache folder: ``$KERAS_HOME``, else ``~/.keras`` (keras/src/backend/config.py)."""
    return Path(os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras"))


def switch_off_graph_rewriting() -> None:
    """Leave TensorFlow's graphs as they are where there is no GPU: rewriting them takes 5 s of MobileNetV2's start and
    gains nothing on a CPU (measured, benchmarks/results/engine-choices.md)."""
    import tensorflow as tf

    if not tf.config.list_logical_devices("GPU"):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def require_tensorflow(what: str) -> None:
    """Choose TensorFlow for what the other framework cannot do, where Keras is not imported yet.

    Args:
        what: needs it, for the message.

    Raises:
        UserError: it is not installed, or Keras computes with another one in this process already.
    """
    if not is_installed("tensorflow"):
        raise UserError(f"{what} needs TensorFlow: {_INSTALL['tensorflow']}")
    if "keras" in sys.modules and os.environ.get(SETTING) not in (None, "tensorflow"):
        raise UserError(f"{what} needs TensorFlow, and Keras computes with another framework here: start Python anew")
    os.environ[SETTING] = "tensorflow"
