"""What a run ran on: versions, hardware and the settings that change numbers."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fer_tl.core.framework import version_of

PACKAGES = ("fer-tl", "tensorflow", "keras", "tensorflow-datasets", "numpy", "scikit-learn", "jax")


def describe_environment(devices: str) -> dict[str, Any]:
    """Date, versions and hardware, JSON-ready; no user or host names.

    Args:
        devices: from ``fer_tl.devices.base.Devices.describe``.
    """
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        if found := version_of(package):
            versions[package] = found
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions,
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": count_cores(),
        "devices": devices,
        # oneDNN and the number of threads change the last digits of CPU results.
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "executable": Path(sys.argv[0]).name,
    }


def count_cores() -> int | None:
    """Of this machine, those that the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
