"""What a run ran on: versions, hardware and the settings that change numbers."""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
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
        **({"commit": commit} if (commit := code_commit()) else {}),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "processor_features": ", ".join(processor_features() or ("unknown",)),
        "cores": count_cores(),
        "devices": devices,
        # oneDNN and the number of threads change the last digits of CPU results.
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "executable": Path(sys.argv[0]).name,
    }


def code_commit() -> str:
    """The commit of fer-tl's code, "with changes" behind it where files differ from it; "" where nobody knows: of a
    release, the version says it."""
    root = Path(__file__).parents[2]
    if (root / ".git").exists():
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "fer_tl", "tfrecords_builder")
        return f"{commit} with changes" if commit and changed else commit
    try:
        # PEP 610: what pip writes of a package that it installed from a repository.
        origin = json.loads(distribution("fer-tl").read_text("direct_url.json") or "{}")
        return str(origin.get("vcs_info", {}).get("commit_id", ""))
    except (PackageNotFoundError, ValueError, AttributeError):
        return ""


def _git(root: Path, *words: str) -> str:
    """What Git says; "" where it is not installed or refuses."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def count_cores() -> int | None:
    """Of this machine, those that the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def processor_features() -> tuple[str, ...] | None:
    """What of its processor decides how fast a network is; None where the system does not tell (only Linux does).

    Returns:
        Of ``AVX2``, ``AVX-512``, ``bfloat16`` (instructions that multiply it) and ``AMX``, those that it has.
    """
    flags = set((_cpuinfo().get("flags") or _cpuinfo().get("Features") or "").split())
    if not flags:
        return None
    bfloat16 = {"avx512_bf16", "amx_bf16", "bf16"} & flags  # the last one is Arm's
    found = {"AVX2": "avx2" in flags, "AVX-512": "avx512f" in flags, "bfloat16": bfloat16, "AMX": "amx_tile" in flags}
    return tuple(name for name, has in found.items() if has)


def _processor() -> str:
    return _cpuinfo().get("model name") or platform.processor() or "unknown"


@functools.cache
def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first core that says it, read once: the file has as many parts as there are cores."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
