"""A machine divided among processes that work on it at the same time: cores, and GPUs where there are any."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from fer_tl.core.environment import count_cores

# Of one GPU for several processes, each takes the memory that it needs, and not all there is.
_GROWING = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


@dataclass(frozen=True)
class Share:
    """What one process gets: numbers of cores (none where the system cannot keep a process on them), and environment
    variables."""

    cores: tuple[int, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def share_machine(jobs: int) -> list[Share]:
    """The shares of so many processes in what this process may use."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return divide(jobs, cores, visible_gpus())


def divide(jobs: int, cores: Sequence[int], gpus: Sequence[str]) -> list[Share]:
    """Cores and GPUs in equal parts, each one in one part; several parts of the same one where there are too few."""
    shares = []
    for job in range(jobs):
        mine = _part(gpus, job, jobs)
        environment = threads_as_of_one() | ({"CUDA_VISIBLE_DEVICES": ",".join(mine)} if mine else {})
        shares.append(Share(_part(cores, job, jobs), environment | (_GROWING if 0 < len(gpus) < jobs else {})))
    return shares


def _part(things: Sequence, job: int, jobs: int) -> tuple:
    if len(things) < jobs:
        return (things[job % len(things)],) if things else ()
    return tuple(things[len(things) * job // jobs : len(things) * (job + 1) // jobs])


def threads_as_of_one() -> dict[str, str]:
    """Environment variables by which each of several processes computes with as many threads as this one would alone.

    TensorFlow divides sums over its threads, so their number decides the last bits of a result, and the cores that it
    finds decide their number (measured: 1, 2 and 4 threads give three results, 2 threads on one core that of 2 on two).
    """
    return {"TF_NUM_INTRAOP_THREADS": os.environ.get("TF_NUM_INTRAOP_THREADS") or str(count_cores() or 1)}


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them, without a framework."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    if not shutil.which("nvidia-smi"):
        return []
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(number) for number, _ in enumerate(line for line in listed.splitlines() if line.startswith("GPU "))]
