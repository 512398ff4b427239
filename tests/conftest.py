"""What all tests share: a quiet, offline TensorFlow with two logical CPUs, and small drawn datasets."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import thin_network

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.data.dataset import Dataset
from fer_tl.sources.toyfaces.drawing import draw_faces

# Before the first import of TensorFlow and Keras, here and in the processes that tests start.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # the other one is tested by a second call of pytest
# What XLA compiles is short-lived here: machine code as it comes, which takes a quarter less time altogether.
QUICK_XLA = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count=4 {QUICK_XLA}"
_keras_home = tempfile.TemporaryDirectory(prefix="fer-tl-keras-")  # no weights and no settings of the user's
os.environ["KERAS_HOME"] = _keras_home.name
os.environ["no_proxy"] = "*"
matplotlib.use("Agg")

TESTS = Path(__file__).parent
USES_TENSORFLOW = {"models", "engines", "devices", "runs", "training"}
USES_TENSORFLOW |= {"test_api.py", "test_configs.py", "test_distill.py", "test_soup.py", "test_sweep.py"}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Splits the CPU into two logical devices, which TensorFlow allows only before it starts; JAX has four."""
    files = {item.path.relative_to(TESTS) for item in session.items if item.path.is_relative_to(TESTS)}
    places = {part for file in files for part in file.parts}
    if BACKEND != "tensorflow" or places.isdisjoint(USES_TENSORFLOW):
        return
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(autouse=True, scope="session")
def _offline() -> Iterator[None]:
    """Refuses connections to other machines: a test that needs the network is wrong."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        if self.family == socket.AF_UNIX or (isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1")):
            return connect(self, address)  # type: ignore[arg-type]
        raise OSError(f"tests are offline: {address}")

    def no_names(host: object, *given: object, **named: object) -> None:
        raise OSError(f"tests are offline: {host}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", no_names)
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_disks() -> Iterator[None]:
    """Leaves out what only a power cut would show: that bytes are on the disk before a file gets its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def light_figures() -> Iterator[None]:
    """Writes of a figure its words alone: pictures have tests of their own and take 2 s a run."""
    from matplotlib.text import Text

    def save(figure: Any, path: Path) -> None:
        words = "\n".join(text.get_text() for text in figure.findobj(Text)).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG" + words)
        path.with_suffix(".pdf").write_bytes(b"%PDF" + words)

    with pytest.MonkeyPatch.context() as patch:
        for user in ("run_report", "inspect_page"):
            patch.setattr(f"fer_tl.reports.{user}.save_figure", save)
        yield


@pytest.fixture(scope="module")
def thin_backbone() -> Iterator[None]:
    """``shallow_cnn`` of one block in place of four: a test of what surrounds a network waits for its traces alone."""
    from fer_tl.models.backbones import BACKBONES

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            BACKBONES, "shallow_cnn", replace(BACKBONES["shallow_cnn"], build=thin_network.build, features=16)
        )
        yield


MakeFaces = Callable[..., Dataset]


@pytest.fixture(scope="session")
def make_faces() -> MakeFaces:
    """``make_faces(count, seed=1, side=24, channels=1)``: drawn faces in memory, all in the training split."""

    def make(count: int, seed: int = 1, side: int = 24, channels: int = 1) -> Dataset:
        images, labels = draw_faces(count, seed)  # [N, 48, 48, 1]
        step = images.shape[1] // side
        images = np.repeat(images[:, ::step, ::step], channels, axis=3)
        ids = np.array([f"face-{index:04d}" for index in range(count)])
        return Dataset("drawn", np.full(count, "train"), images, labels, ids, ids, CLASS_NAMES, f"{seed:064d}")

    return make
